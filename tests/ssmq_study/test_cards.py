"""Cards: every model of the zoo gives its card's number to the last image."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from hypothesis import given, settings
from mutations import mutated
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.zoo import zoo_models
from ssmq_study.cards import load_card, measure, write_card

FIRST = next(iter(zoo_models().values()))


@pytest.mark.parametrize("name", zoo_models())
def test_every_model_of_the_zoo_is_what_its_card_says(name):
    checkpoint, data = zoo_models()[name], load_data()
    card = load_card(checkpoint)
    model, _ = load_checkpoint(checkpoint)
    assert (card.name, card.config, card.bytes) == (name, model.config, model.footprint().as_dict())
    assert card.on(data.digest) == measure(model, data)


def test_a_card_keeps_the_numbers_of_other_data_and_a_damaged_one_is_refused(tmp_path):
    checkpoint = tmp_path / "model.safetensors"
    shutil.copy(FIRST, checkpoint)
    first = load_card(FIRST).measured[0]
    other = first.model_copy(update={"data_hash": "0", "correct": 3})
    corrected = other.model_copy(update={"correct": 4})
    for entry in (first, other, corrected):
        write_card(checkpoint, load_checkpoint(checkpoint), "ssmq train", entry)
    assert load_card(checkpoint).measured == [first, corrected]
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(SsmqError, match="model.json: not a model card"):
        load_card(checkpoint)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda card: card["measured"][0].pop("correct"), "measured.0: one of correct and errors is wanted"),
        (lambda card: card["measured"][0].update(correct=10**6), "measured.0: correct: 1000000 are more than the 1000 images"),
        (lambda card: card["measured"][0]["data"].pop("name"), "measured.0: data: its name is missing"),
        (lambda card: card["bytes"].pop("total"), "bytes: the total is missing"),
        (lambda card: card["measured"][0].update(steps=7000), "measured: not what a model of kind sequence is measured by"),
        (lambda card: card.update(name="a\x1b"), "name: a text has no control characters"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused_by_what_does(tmp_path, change, told):
    card = json.loads(FIRST.with_suffix(".json").read_text())
    card["measured"] = [entry for entry in card["measured"] if entry["data"]["source"] == "embedded"]
    change(card)
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(SsmqError, match=f"model.json: not a model card: {re.escape(told)}"):
        load_card(tmp_path / "model.safetensors")


def test_a_card_that_its_checkpoint_does_not_allow_is_not_written(tmp_path):
    checkpoint = tmp_path / "model.safetensors"
    shutil.copy(FIRST, checkpoint)
    model, _ = load_checkpoint(checkpoint)
    with pytest.raises(SsmqError, match="model.safetensors: no card can be made of its note and 'ssmq train': seed: "):
        write_card(checkpoint, (model, {"seed": "none"}), "ssmq train", load_card(FIRST).measured[0])
    assert not checkpoint.with_suffix(".json").exists()


def test_the_hash_sees_one_pixel_and_one_label():
    data = load_data()
    hashes = {data.digest}
    data.x_test[0, 0] += 1
    hashes.add(data.digest)
    data.y_train[0] += 1
    hashes.add(data.digest)
    assert len(hashes) == 3


def test_a_damaged_card_is_refused_or_can_be_shown(tmp_path):
    card = tmp_path / "model.json"
    values = json.loads(FIRST.with_suffix(".json").read_text())

    @settings(max_examples=100)
    @given(mutated(values))
    def tried(content: bytes):
        card.write_bytes(content)
        try:
            found = load_card(tmp_path / "model.safetensors")
        except SsmqError as error:
            assert str(card) in str(error)
            return
        assert all(0 <= entry.accuracy <= 1 and "name" in entry.data for entry in found.measured)
        assert found.bytes["total"] >= 0

    tried()


ERRORS = {"rmse": 0.5, "mae": 0.4, "r2": None}
REGRESSION, STEP = {"kind": "regression"}, {"kind": "step"}


@pytest.mark.parametrize(
    ("task", "numbers", "said"),
    [
        ({}, {"correct": 7}, "7 of 10 test images, 70.00 %"),
        (STEP, {"steps": 200, "correct": 30}, "30 of 200 steps of 10 test sequences, 15.00 %"),
        (REGRESSION, {"errors": ERRORS}, "RMSE 0.5, MAE 0.4 on 10 test sequences"),
        (REGRESSION, {"correct": 7}, None),
        (REGRESSION, {"errors": {**ERRORS, "rmse": -1.0}}, None),
        (REGRESSION, {"errors": {**ERRORS, "r2": 1.5}}, None),
        ({}, {"errors": ERRORS}, None),
        ({}, {"steps": 200, "correct": 30}, None),
        (STEP, {"correct": 7}, None),
        (STEP, {"steps": 20, "correct": 30}, None),
        ({}, {"correct": 7, "errors": ERRORS}, None),
        ({}, {}, None),
    ],
)
def test_a_card_has_the_numbers_of_its_model_s_task(tmp_path, task, numbers, said):
    values = json.loads(FIRST.with_suffix(".json").read_text())
    values["config"]["task"] = task
    values["measured"] = [{"data": {"name": "mine"}, "data_hash": "0", "images": 10, **numbers}]
    (tmp_path / "model.json").write_text(json.dumps(values))
    if said is None:
        with pytest.raises(SsmqError, match="model.json: not a model card"):
            load_card(tmp_path / "model.safetensors")
        return
    (entry,) = load_card(tmp_path / "model.safetensors").measured
    assert str(entry) == said
    assert entry.numbers().items() >= {"images": 10, **numbers.get("errors", numbers)}.items()
    assert entry.model_dump(mode="json", exclude={"errors"}).items() <= values["measured"][0].items(), "nothing else is written"


@pytest.mark.parametrize("change", ['"correct": 1001', '"correct": true', '"correct": -1', '"correct": 1e3', '"correct": NaN'])
def test_a_number_that_cannot_be_is_no_card_s(tmp_path, change):
    source = FIRST.with_suffix(".json").read_text()
    (tmp_path / "model.json").write_text(re.sub(r'"correct": \d+', change, source, count=1).replace("10000", "1000"))
    with pytest.raises(SsmqError, match="model.json: not a model card"):
        load_card(tmp_path / "model.safetensors")
