"""Bytes, counted by hand."""

from __future__ import annotations

from conftest import small_config, small_model
from ssmq_brevitas.config import load_config
from ssmq_brevitas.model import Model


def test_float_counts_are_the_papers():
    """arXiv 2506.12480: 3,850 parameters at 16 heads, 21,514 at 64."""
    for preset, parameters, state in (("paper-h16", 3850, 2 * 16 * 32 + 16), ("paper-h64", 21514, 2 * 64 * 32 + 64)):
        found = Model.floating(load_config(preset)).footprint()
        assert (found.parameters, found.state) == (4 * parameters, 4 * state)
        assert found.total == found.fp32_total


def test_quantized_model_by_hand():
    bits = {"a": 8, "b": 4, "c": 4, "d": 4, "x": 6, "u": 5, "linear": 4, "encoder": 3, "decoder": 4, "bias": 10}
    model = small_model(small_config(model={"layers": 1}, scheme={"equalise": False}, bits=bits))[1]
    encoder = 4 * 3 + 4 * 10 + 2 * 8
    decoder = 4 * 3 * 4 + 3 * 10 + 2 * 8
    linear = 4 * 8 * 4 + 8 * 10 + 2 * 8
    ssm = 4 * 3 * (2 * 8 + 2 * 4 + 2 * 4) + 4 * 4 + 5 * 8  # modes, D, five exponents
    quantizers = 8 * (3 + 5)  # input, u, pool; y, mix_in, value, gate, u
    state = 2 * 4 * 3 * 6 + 4 * (5 + 5)  # two parts a mode; the pooling sum of 20 steps of 5 bits
    found = model.footprint()
    assert found.parameters == (encoder + decoder + linear + ssm + quantizers) / 8
    assert found.state == state / 8
    assert found.total == found.parameters + found.state


def test_an_equalised_layer_stores_exponents_for_its_input_weight_and_batch_norm_its_width():
    bits = {"b": 4, "norm": 6}
    on_a_grid, equalised = (
        small_model(small_config(model={"norm": "batch"}, scheme={"equalise": on}, bits=bits))[1].footprint().parameters
        for on in (False, True)
    )
    layers, modes = 2, 4 * 3
    assert on_a_grid - equalised == layers * modes * (2 * 4 - 4) / 8
    wider = small_model(small_config(model={"norm": "batch"}, bits=bits | {"norm": 10}))[1].footprint().parameters
    assert wider - equalised == layers * 2 * 4 * 4 / 8


def test_polar_grids_count_their_own_codes():
    totals = {}
    for kind in ("discrete", "log_polar"):
        config = small_config(scheme={"parameterisation": kind}, bits={"a_magnitude": 2, "a_phase": 6})
        totals[kind] = small_model(config)[1].footprint().parameters
    layers, modes = 2, 4 * 3
    # 16 bits become 8 a mode; the log grid stores its two ends as floats and an exponent a head.
    assert totals["discrete"] - totals["log_polar"] == layers * (modes * 8 / 8 - 8 - 4)
