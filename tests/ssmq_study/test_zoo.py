"""The zoo: every model gives its card's number to the last image."""

from __future__ import annotations

import shutil

import pytest
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.footprint import footprint
from ssmq_study.zoo import hash_of, load_card, locate, measure, names, write_card


@pytest.mark.parametrize("name", names())
def test_every_model_of_the_zoo_is_what_its_card_says(name):
    checkpoint, data = locate(f"zoo:{name}"), load_data()
    card = load_card(checkpoint)
    model, config, _ = load_checkpoint(checkpoint)
    assert (card.name, card.config, card.bytes) == (name, config, footprint(model).as_dict())
    found, _ = measure(checkpoint, data)
    assert card.on(hash_of(data)) == found


def test_a_card_keeps_the_numbers_of_other_data_and_a_damaged_one_is_refused(tmp_path):
    checkpoint = tmp_path / "model.safetensors"
    shutil.copy(locate(f"zoo:{names()[0]}"), checkpoint)
    first = load_card(locate(f"zoo:{names()[0]}")).measured[0]
    other = first.model_copy(update={"data_hash": "0", "correct": 3})
    corrected = other.model_copy(update={"correct": 4})
    for entry in (first, other, corrected):
        write_card(checkpoint, "ssmq train", entry)
    assert load_card(checkpoint).measured == [first, corrected]
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(SsmqError, match="model.json: not a model card"):
        load_card(checkpoint)
    with pytest.raises(SsmqError, match="zoo:nobody: not in the zoo"):
        locate("zoo:nobody")


def test_the_hash_sees_one_pixel_and_one_label():
    data = load_data()
    hashes = {hash_of(data)}
    data.x_test[0, 0] += 1
    hashes.add(hash_of(data))
    data.y_train[0] += 1
    hashes.add(hash_of(data))
    assert len(hashes) == 3
