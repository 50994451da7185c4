"""Models that come with the package are found by name, and nothing else is."""

from __future__ import annotations

import pytest
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import load_config, preset_names
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.zoo import float_models, locate, zoo_models


def test_every_preset_has_a_float_model_of_its_architecture():
    assert list(float_models()) == preset_names()
    for name in preset_names():
        model, _ = load_checkpoint(locate(f"zoo:{name}"))
        assert not model.quantized and model.shape == load_config(name).model


def test_a_name_means_one_model():
    assert not float_models().keys() & zoo_models().keys()


@pytest.mark.parametrize("name", ["nobody", "../edge-2x16", "zoo/../edge-2x16", "/etc/passwd", ""])
def test_a_name_that_the_zoo_has_not_is_refused(name):
    with pytest.raises(SsmqError, match=f"zoo:{name}: not in the zoo"):
        locate(f"zoo:{name}")


def test_anything_else_is_a_path():
    assert str(locate("zoo/edge-2x16.safetensors")) == "zoo/edge-2x16.safetensors"
