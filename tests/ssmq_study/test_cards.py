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
from ssmq_brevitas.footprint import footprint
from ssmq_brevitas.zoo import zoo_models
from ssmq_study.cards import load_card, measure, write_card

FIRST = next(iter(zoo_models().values()))


@pytest.mark.parametrize("name", zoo_models())
def test_every_model_of_the_zoo_is_what_its_card_says(name):
    checkpoint, data = zoo_models()[name], load_data()
    card = load_card(checkpoint)
    model, config, _ = load_checkpoint(checkpoint)
    assert (card.name, card.config, card.bytes) == (name, config, footprint(model).as_dict())
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


@pytest.mark.parametrize("change", ['"correct": 1001', '"correct": true', '"correct": -1', '"correct": 1e3', '"correct": NaN'])
def test_a_number_that_cannot_be_is_no_card_s(tmp_path, change):
    source = FIRST.with_suffix(".json").read_text()
    (tmp_path / "model.json").write_text(re.sub(r'"correct": \d+', change, source, count=1).replace("10000", "1000"))
    with pytest.raises(SsmqError, match="model.json: not a model card"):
        load_card(tmp_path / "model.safetensors")
