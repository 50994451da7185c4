"""What has a width to choose: a role (``c``: C of every layer), or a single tensor (``blocks.0.ssm.c``).

A scheme has one width for each role, and others for single tensors (``Scheme.tensors``). A knob is either.
"""

from __future__ import annotations

from collections.abc import Iterable

from ssmq_brevitas.activations import MONOTONE
from ssmq_brevitas.config import Bits, Config, Scheme
from ssmq_brevitas.model import Model
from ssmq_brevitas.network.names import POLAR, POLAR_GRIDS
from ssmq_brevitas.network.structure import quantized_of


def with_bits(config: Config, bits: dict[str, int] | Bits) -> Config:
    """``config`` with other widths of knobs; ``Bits`` are those of everything, single tensors included."""
    scheme = config.scheme
    if isinstance(bits, Bits):
        grids = {name: value for name, value in scheme.tensors.items() if isinstance(value, str)}
        changed = {"bits": bits, "tensors": grids}
    else:
        roles = {name: width for name, width in bits.items() if name in Bits.model_fields}
        single = {name: width for name, width in bits.items() if name not in Bits.model_fields}
        # The last pattern that fits holds.
        kept = {name: value for name, value in scheme.tensors.items() if name not in single}
        changed = {"bits": scheme.bits.model_copy(update=roles), "tensors": kept | single}
    return config.model_copy(update={"scheme": scheme.model_copy(update=changed)})


def width_of(scheme: Scheme, knob: str, role: str) -> int:
    """The width that ``scheme`` gives to a knob."""
    found = scheme.tensors.get(knob)
    return found if isinstance(found, int) else getattr(scheme.bits, role)


def roles(config: Config) -> dict[str, str]:
    """The fields of ``Bits`` that this model and scheme have, each its own role."""
    absent = set() if config.scheme.parameterisation in POLAR_GRIDS else set(POLAR)
    if config.model.activation in MONOTONE:
        absent.add("y")
    if config.model.norm == "none":
        absent.add("norm")
    if config.scheme.equalise:
        absent.add("b")
    if config.task.each_step:
        absent.add("pool")
    return {name: name for name in Bits.model_fields if name not in absent}


def single_tensors(config: Config) -> dict[str, str]:
    """The single tensors of this model and scheme, by name, and their roles."""
    return dict(quantized_of(Model.empty(config).network).roles)


def knobs(config: Config, grids: Iterable[str], per_tensor: bool) -> dict[str, str]:
    """Knob to role on any of these grids of Ā: every single tensor, or every role."""
    found: dict[str, str] = {}
    for grid in grids:
        changed = config.scheme.model_copy(update={"parameterisation": grid})
        on_grid = config.model_copy(update={"scheme": changed})
        found |= single_tensors(on_grid) if per_tensor else roles(on_grid)
    return found
