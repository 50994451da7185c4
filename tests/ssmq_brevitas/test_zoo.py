"""Zoo models load, and their cards say what the files hold; accuracies are `ssmq evaluate`'s (see tests/acceptance)."""

from __future__ import annotations

import pytest
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.footprint import footprint
from ssmq_brevitas.zoo import card, checkpoint_path, zoo_names


@pytest.mark.parametrize("name", zoo_names())
def test_a_card_fits_its_checkpoint(name):
    model, _, _ = load_checkpoint(f"zoo:{name}")
    told = card(name)
    assert model.quantised and told["bytes"] == footprint(model).as_dict()
    assert told["accuracy"] == told["correct"] / told["images"]
    assert told["commands"] and len(told["data"]["sha256"]) == 64 and isinstance(told["seed"], int)


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(SsmqError, match=f"zoo:paper-h16-w9: no such model in the zoo: did you mean zoo:{zoo_names()[0]}"):
        checkpoint_path("zoo:paper-h16-w9")
    assert str(checkpoint_path("some/file.safetensors")) == "some/file.safetensors"
