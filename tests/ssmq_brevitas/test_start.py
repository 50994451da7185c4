"""Where training starts: which differences of architecture are bridged, and how."""

from __future__ import annotations

import pytest
import torch
from conftest import part, small_codes, small_config, small_model, ssms
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.prune import pruned
from ssmq_brevitas.start import quantized_start


def test_modes_that_say_nothing_are_the_ones_that_go():
    floating, _ = small_model(small_config(model={"modes": 5}))
    with torch.no_grad():
        for layer in ssms(floating):
            layer.c[:, [1, 3]] = 0
    fewer = pruned(floating, 3)
    assert torch.equal(part(fewer, "blocks.0.ssm").a_im, part(floating, "blocks.0.ssm").a_im[:, [0, 2, 4]])
    assert torch.allclose(fewer(small_codes()), floating(small_codes()), atol=1e-5)


def test_fewer_modes_from_a_float_model_only():
    wide, narrow = small_config(model={"modes": 5}), small_config()
    floating, quantized = small_model(wide)
    assert part(quantized_start(floating, narrow, small_codes()), "blocks.0.ssm").modes == 3
    for start, wanted in [(quantized, narrow), (small_model(narrow)[0], wide)]:
        with pytest.raises(SsmqError, match="has not the architecture of small"):
            quantized_start(start, wanted, small_codes())
