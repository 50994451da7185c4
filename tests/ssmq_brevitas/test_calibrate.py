"""Calibration sees what there is to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import part, small_codes, small_config, small_model
from ssmq_brevitas.calibration import SAMPLES_A_BATCH, Observer
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.post_training import post_training


@pytest.mark.parametrize("channels", [1, 3, 16, 30, 64])
def test_a_sub_sample_holds_every_channel_in_equal_parts(channels):
    """Channel c holds the value c; a stride that shares a factor with the channels would see only some of them."""
    observer = Observer()
    observer(torch.arange(channels).float().repeat(8, -(-SAMPLES_A_BATCH // channels), 1))
    values, counts = np.unique(observer.samples[0][:-2], return_counts=True)
    assert np.array_equal(values, np.arange(channels))
    assert counts.max() - counts.min() <= 1 and len(observer.samples[0]) <= SAMPLES_A_BATCH + 3


def test_a_float_model_that_overflows_is_named_not_quantized():
    floating, _ = small_model(small_config())
    with torch.no_grad():
        part(floating, "blocks.1.ssm").d.fill_(3e38)
        part(floating, "blocks.0.linear").weight.mul_(1e3)
    with pytest.raises(SsmqError, match="^blocks.1.ssm_quant: .* not finite: its weights are too large"):
        post_training(floating, small_config(), small_codes())
