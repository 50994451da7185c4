"""Accumulator widths hold every sum that the codes can make, and one bit less does not.

Sums are made by the model's own modules and quantisers from values far outside their formats, so that every code is at
one of its ends, and counted in Python's integers. Nothing here knows how ``bounds`` arrives at a width.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from conftest import LENGTH, part, small_config, ssms, sums
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ssmq_brevitas.bounds import refuse_wide, signed_bits
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_brevitas.network.structure import settle
from ssmq_brevitas.quantizers import PowerOfTwoScale

FAR = (-(2.0**100), 2.0**100)
BITS = ("a", "b", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool", "bias")


def width_of(values, grid) -> int:
    """Bits that the values need, counted in steps of ``2**grid``; both broadcast."""
    values, grid = np.broadcast_arrays(values, grid)
    codes = [value / 2.0 ** int(exponent) for value, exponent in zip(values.flat, grid.flat, strict=True)]
    assert all(code == int(code) for code in codes)  # exact in float64, as the widths here are far below 53
    low, high = int(min(codes)), int(max(codes))
    return next(bits for bits in range(1, 99) if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1))


def fill(parameter: torch.Tensor, value: float) -> None:
    parameter.data = torch.full_like(parameter.data, value)


def ends(quantizer) -> list[torch.Tensor]:
    """Least and greatest value that comes out of a quantiser."""
    return [quantizer(torch.tensor(value, dtype=torch.float64)) for value in FAR]


def linear_sums(layer, feeding) -> tuple[torch.Tensor, np.ndarray]:
    """Outputs ``(n, out)`` of a layer with weights, bias and inputs at their ends, and their grid."""
    outputs = []
    for weight, bias, value in product(FAR, FAR, ends(feeding)):
        fill(layer.weight, weight)
        fill(layer.bias, bias)
        outputs.append(layer(value.expand(1, layer.in_features))[0])
    grid = min(layer.weight_format.exponent + feeding.format.exponent, layer.bias_format.exponent)
    return torch.stack(outputs), np.asarray(grid)


def scan_sums(ssm, u) -> tuple[tuple, tuple]:
    """The sums of a state and of y, each with its grid: every combination of ends, the same in all heads and modes."""
    state, y = [], []
    for a_re, a_im, b, c_re, c_im, d in product(FAR, repeat=6):
        fill(ssm.a.a_re, a_re)
        fill(ssm.a.a_im, a_im)
        fill(ssm.b, b)
        fill(ssm.c, c_re)
        ssm.c.data[..., 1] = c_im
        fill(ssm.d, d)
        p = ssm.parameters_on_grid()
        for x_re, x_im, drive in product(ends_of(ssm.state, p.a_re), ends_of(ssm.state, p.a_re), ends(u)):
            state.append(p.a_re * x_re - p.a_im * x_im + p.b_re * drive)
            state.append(p.a_re * x_im + p.a_im * x_re + p.b_im * drive)
            y.append(2 * (p.c_re * x_re - p.c_im * x_im).sum(dim=-1) + p.d * drive)
    shape = ssm.heads, ssm.modes
    a, b, c, x = (spread(m.format.exponent, shape) for m in (ssm.a, ssm.b_quant, ssm.c_quant, ssm.state))
    d = np.broadcast_to(ssm.d_quant.format.exponent, ssm.heads)
    y_grid = np.minimum((c + x + 1).min(axis=1), d + u.format.exponent)
    return (torch.stack(state), np.minimum(a + x, b + u.format.exponent)), (torch.stack(y), y_grid)


def ends_of(quantizer, like: torch.Tensor) -> list[torch.Tensor]:
    return [quantizer(torch.full_like(like, value)) for value in FAR]


def spread(exponent: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Exponents one a mode, whether they were one a tensor, a head or a mode."""
    return np.broadcast_to(exponent[..., 0] if exponent.ndim == 3 else exponent, shape)


@torch.no_grad()
def needed(model) -> dict[str, int]:
    """Bits that the sums of a quantised model take, by the paths of what computes them."""
    model = model.double()
    u = model.network.encoder_quant
    found = {"encoder": width_of(*linear_sums(model.network.encoder, model.network.u_quant))}
    for k in range(model.shape.layers):
        path = f"blocks.{k}"
        state, y = scan_sums(part(model, f"{path}.ssm"), u)
        mix, grid = linear_sums(part(model, f"{path}.linear"), part(model, f"{path}.activation_quant"))
        found |= {f"{path}.ssm.x": width_of(*state), f"{path}.ssm": width_of(*y), f"{path}.linear": width_of(mix, grid)}
        if model.shape.gate != "none":
            value, gate = part(model, f"{path}.linear_0_quant"), part(model, f"{path}.gate_quant")
            mix = torch.stack([v * g for v, g in product(ends(value), ends(gate))])
            grid = value.format.exponent + gate.format.exponent
            found[f"{path}.mul"] = width_of(mix, grid)
        added = torch.stack([mix + end for end in ends(u)])
        found[f"{path}.add"] = width_of(added, np.minimum(grid, u.format.exponent))
        u = part(model, f"{path}.add_quant")
    pooled = torch.stack([end.expand(LENGTH).sum() for end in ends(u)])
    found["sum"] = width_of(pooled, u.format.exponent)
    found["decoder"] = width_of(*linear_sums(model.network.decoder, model.network.mul_quant))
    return found


def powers(model) -> list[PowerOfTwoScale]:
    return [module for module in model.modules() if isinstance(module, PowerOfTwoScale)]


@st.composite
def configs(draw):
    model = {
        "heads": draw(st.integers(1, 3)),
        "modes": draw(st.integers(1, 4)),
        "layers": draw(st.integers(1, 2)),
        "channels": draw(st.integers(1, 3)),
        "activation": draw(st.sampled_from(["relu", "hard_gelu"])),
        "gate": draw(st.sampled_from(["none", "hard_sigmoid"])),
    }
    scheme = {"granularity": draw(st.sampled_from(["tensor", "head"])), "equalise": draw(st.booleans())}
    bits = {name: draw(st.integers(2, 8)) for name in BITS} | {"input": draw(st.integers(1, 8))}
    return small_config(model=model, scheme=scheme, bits=bits)


# Every kind of sum, the quickest to fail first: a drawn example that fails is made smaller for a while.
BARE = small_config(
    model={"heads": 1, "modes": 2, "layers": 1, "gate": "none", "activation": "relu"},
    scheme={"equalise": False},
    bits=dict.fromkeys(BITS, 3) | {"bias": 5},  # logits of 4 * 4 + 15, a state of 3 * 16: one more is a bit more
)
FULL = small_config(
    model={"heads": 2, "modes": 3, "layers": 2, "channels": 2, "gate": "hard_sigmoid", "activation": "hard_gelu"},
    scheme={"granularity": "head", "equalise": True},
    # B̄ u counts most in a state's sum, the gate in u, and the least value in the encoder's.
    bits={name: 2 + k % 5 for k, name in enumerate(BITS)} | {"x": 2, "u": 5, "encoder": 2},
)


@settings(max_examples=25)
@example(BARE, 0, 0)
@example(BARE, 4, 1)
@example(FULL, 3, 2)
@given(configs(), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_every_width_is_reached_and_one_bit_less_is_too_few(config, apart, seed):
    model, rng = Model.empty(config), np.random.default_rng(seed)
    for power in powers(model):
        power.set_exponent(rng.integers(-apart, apart + 1, power.scale.shape or None))
    widths, least = sums(model), sums(model, least=True)
    assert widths == needed(model)
    assert all(least[name] <= width for name, width in widths.items())


@settings(max_examples=25)
@example(BARE)
@example(FULL)
@given(configs())
def test_least_widths_are_those_of_terms_on_one_grid(config):
    model = Model.empty(config)
    for layer in ssms(model):
        layer.d_quant.power.set_exponent(1)  # beside the 2 of 2 Re(C x)
    assert sums(model, least=True) == needed(model)


@given(st.integers(-(2**60), 0), st.integers(0, 2**60))
def test_signed_bits_are_the_least_that_hold_both_ends(low, high):
    bits = signed_bits(low, high)
    assert -(2 ** (bits - 1)) <= low and high <= 2 ** (bits - 1) - 1
    assert bits == 1 or low < -(2 ** (bits - 2)) or high > 2 ** (bits - 2) - 1


@pytest.mark.parametrize(
    "low, high, bits",
    [(0, 0, 1), (-1, 0, 1), (-2, 0, 2), (0, 1, 2), (-(2**52) - 1, 0, 54), (-(2**52), 2**52 - 1, 53), (0, 2**52, 54)],
)
def test_signed_bits_at_the_edges(low, high, bits):
    assert signed_bits(low, high) == bits


def with_widest(bits: int):
    """A model whose widest accumulator, the decoder's, has exactly ``bits``: its bias lies far above its products."""
    model = Model.empty(small_config(bits={name: 4 for name in BITS}))
    for exponent in range(60):
        model.network.decoder.bias_power.set_exponent(exponent)
        if sums(model)["decoder"] == bits:
            return model
    raise AssertionError(bits)


@pytest.mark.parametrize("bits, dtype", [(23, torch.float32), (24, torch.float32), (25, torch.float64), (53, torch.float64)])
def test_precision_at_the_edges(bits, dtype):
    model = with_widest(bits)
    assert max(sums(model).values()) == bits
    for start in (model.float(), model.double()):
        settled = settle(start.network)
        assert {parameter.dtype for parameter in settled.parameters()} == {dtype}


def test_sums_of_24_bits_are_exact_in_float32():
    """Weights and bias at their ends, both signs: the logits equal those in float64, to the last place."""
    model = with_widest(24)
    found = []
    for dtype in (torch.float32, torch.float64):
        model = model.to(dtype)
        outputs = []
        for weight, bias, value in product(FAR, (*FAR, 2.0**15, -1.0, 0.0), FAR):
            fill(model.network.decoder.weight, weight)
            fill(model.network.decoder.bias, bias)
            outputs.append(
                model.network.decoder(model.network.mul_quant(torch.full((1, 4), value, dtype=dtype))).detach().double()
            )
        found.append(torch.cat(outputs))
    assert torch.equal(*found) and found[0].abs().max() >= 2**22


def test_past_53_bits_a_model_is_refused_by_the_tensor_s_name():
    with pytest.raises(SsmqError, match="^the accumulator of decoder needs 54 bits, more than the 53 that are exact: narrow"):
        settle(with_widest(54).network)
    refuse_wide({"fits": 53})
    with pytest.raises(SsmqError, match="accumulator of wide needs 54"):
        refuse_wide({"fits": 53, "wide": 54, "wider": 99})


@pytest.mark.parametrize(
    "name, bits, key, most, model",
    [
        ("blocks.0.ssm", {"c": 24, "x": 24, "d": 16, "u": 16}, "modes", 31, {}),  # 32: 2^52 - 2^28 and, of D u, 2^30
        (
            "blocks.0.linear",
            {"linear": 24, "activation": 24},
            "heads",
            63,
            {"activation": "hard_gelu"},
        ),  # 64 of 2^46, and the bias
        ("blocks.0.linear", {"linear": 24, "activation": 24}, "heads", 32, {"activation": "relu"}),  # 33 of -2^23 (2^24 - 1)
        ("decoder", {"decoder": 24, "pool": 24}, "heads", 63, {}),
        ("encoder", {"encoder": 24, "input": 8}, "channels", 2**29 // 255, {}),  # each -2^23 255
        ("sum", {"u": 24}, "length", 2**29, {}),  # each -2^23
    ],
)
def test_the_most_that_fits_in_53_bits_and_one_more(name, bits, key, most, model):
    config = small_config(model=model, bits=bits)

    def of_size(count: int) -> Model:
        return Model.empty(config.model_copy(update={"model": config.model.model_copy(update={key: count})}))

    assert sums(of_size(most), least=True)[name] == 53
    with pytest.raises(SsmqError, match=f"accumulator of {name} needs 54 bits"):
        of_size(most + 1)


def test_a_configuration_that_no_exponent_can_save_is_refused():
    Model.empty(small_config(bits={"decoder": 24, "pool": 24}, model={"heads": 63}))
    with pytest.raises(SsmqError, match="accumulator of decoder needs 54 bits"):
        Model.empty(small_config(bits={"decoder": 24, "pool": 24}, model={"heads": 64}))
