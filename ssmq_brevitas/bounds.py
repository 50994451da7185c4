"""Accumulator widths, computed from formats: the integer contract's rule 2.

Every sum between two quantisers must be exact. float32 holds integers exactly to 24 bits and float64 to 53, so a
model whose widest accumulator needs at most 24 runs in float32, at most 53 in float64, and is refused beyond.
"""

from __future__ import annotations

import math

import numpy as np

from .errors import SsmqError

FLOAT32_BITS, FLOAT64_BITS = 24, 53


def product_bits(left: int, right: int, terms: int = 1) -> int:
    """Signed bits that hold ``terms`` products of a ``left``-bit and a ``right``-bit signed code."""
    return left + right - 1 + math.ceil(math.log2(terms)) if terms > 1 else left + right - 1


def least_widths(model, bits) -> dict[str, int]:
    """Accumulator widths before exponents are known: what the bit widths alone require, by tensor name."""
    return {
        "encoder": product_bits(bits.encoder, bits.input + 1, model.channels) + 1,
        "x": product_bits(bits.a, bits.x, 2) + 1,
        "y": product_bits(bits.c, bits.x, 2 * model.modes) + 1,
        "mix": product_bits(bits.linear, bits.activation, model.heads) + 1,
        "pool": bits.u + math.ceil(math.log2(model.length)),
        "logits": product_bits(bits.decoder, bits.pool, model.heads) + 1,
    }


def _sum_bits(*terms: tuple[np.ndarray, np.ndarray]) -> int:
    """Signed bits of a sum of terms, each (largest absolute code, exponent), on the finest grid among them."""
    largest, exponents = zip(*(np.broadcast_arrays(np.asarray(m, np.float64), e) for m, e in terms), strict=True)
    finest = np.minimum.reduce(np.broadcast_arrays(*exponents))
    total = sum(np.ldexp(m, e - finest) for m, e in zip(largest, exponents, strict=True))
    return math.ceil(math.log2(float(np.max(total)) + 1)) + 1


def _linear_terms(layer, feeding) -> list[tuple]:
    weight, bias = layer.weight_format, layer.bias_format
    products = layer.in_features * weight.magnitude * feeding.magnitude
    return [(products, weight.exponent + feeding.exponent), (bias.magnitude, bias.exponent)]


def accumulator_widths(model) -> dict[str, int]:
    """Accumulator widths of a quantised model by tensor name, from its formats alone (no data)."""
    u = model.sites["u"].format
    widths = {"encoder": _sum_bits(*_linear_terms(model.encoder, model.sites["input"].format))}
    for k, block in enumerate(model.blocks):
        ssm = block.ssm
        a, b, c, d, x = (m.format for m in (ssm.a, ssm.b_quant, ssm.c_quant, ssm.d_quant, ssm.state))
        shape = (ssm.heads, ssm.modes)
        b_exponent = np.broadcast_to(b.exponent, (*shape, 1))[..., 0]
        c_exponent = np.broadcast_to(c.exponent, (*shape, 1))[..., 0]
        widths[f"{k}.x"] = _sum_bits(
            (2 * a.magnitude * x.magnitude, a.exponent + x.exponent),
            (b.magnitude * u.magnitude, b_exponent + u.exponent),
        )
        # C is constant over the modes of a head, so the sum over them lies on one grid; 2 Re shifts it by one.
        widths[f"{k}.y"] = _sum_bits(
            (2 * ssm.modes * c.magnitude * x.magnitude, (c_exponent + x.exponent)[:, 0] + 1),
            (d.magnitude * u.magnitude, d.exponent + u.exponent),
        )
        widths[f"{k}.mix"] = _sum_bits(*_linear_terms(block.linear, block.sites["mix_in"].format))
        if block.gate is None:
            mixed = _linear_terms(block.linear, block.sites["mix_in"].format)
        else:
            value, gate = block.sites["value"].format, block.sites["gate"].format
            mixed = [(value.magnitude * gate.magnitude, value.exponent + gate.exponent)]
        widths[f"{k}.u"] = _sum_bits((u.magnitude, u.exponent), *mixed)
        u = block.sites["u"].format
    widths["pool"] = _sum_bits((u.magnitude * model.model.length, u.exponent))
    widths["logits"] = _sum_bits(*_linear_terms(model.decoder, model.sites["pool"].format))
    return widths


def refuse_wide(widths: dict[str, int]) -> None:
    """Raise SsmqError naming the first tensor whose accumulator is past float64's 53 bits."""
    for name, width in widths.items():
        if width > FLOAT64_BITS:
            raise SsmqError(
                f"the accumulator of {name} needs {width} bits, more than the {FLOAT64_BITS} that are exact: "
                f"narrow the tensors that feed it"
            )
