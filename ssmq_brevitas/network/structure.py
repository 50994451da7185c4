"""What a quantised network is made by, and its structure: a float module's graph with quantisers in their places."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from brevitas.nn.mixin import QuantLayerMixin
from torch import fx, nn

from ..bounds import FLOAT32_BITS, refuse_wide
from ..config import Scheme
from ..errors import SsmqError
from ..input_format import InputFormat
from ..quant_s4d import QuantS4D
from .insert import Place, insert
from .names import Names
from .operations import operations
from .replace import replace
from .spread import spread
from .trace import refuse_unsupported, trace
from .widths import Widths

# Where a quantised module keeps what it was made by; ``torch.fx`` copies it with the module.
META = "ssmq"


@dataclass(frozen=True)
class Quantized:
    """What a quantised module was made by: its scheme, the shape (T, C) and sign of its input, its quantisers.

    ``input_format`` is that of inputs that are codes. ``roles``: what the width of each tensor is called in ``Bits``,
    by the name it has in ``Scheme.tensors``. A network that came quantised has no scheme and no such names.
    """

    scheme: Scheme | None
    steps: int
    channels: int
    input_signed: bool
    places: tuple[Place, ...]
    input_format: InputFormat | None = None
    roles: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def example(self) -> torch.Tensor:
        return example_of(self.steps, self.channels)


def example_of(steps: int, channels: int) -> torch.Tensor:
    """A batch of the shape of an input, of which only the shape is read: it takes no memory, however long."""
    return torch.zeros(()).expand(1, steps, channels)


def quantized_of(module: nn.Module) -> Quantized:
    """What ``quantize`` noted of its result. Raises SsmqError for any other module."""
    found = getattr(module, "meta", {}).get(META) if isinstance(module, fx.GraphModule) else None
    if found is None:
        raise SsmqError("the network is not quantised: give it to ssmq_brevitas.quantize first")
    return found


def structure(
    module: nn.Module, scheme: Scheme, example: torch.Tensor, input_signed: bool, input_format: InputFormat | None = None
) -> tuple[fx.GraphModule, Names]:
    """A copy of ``module`` as a graph, with its quantisers in their places and float layers. Raises SsmqError."""
    _refuse_quantized(module)
    refuse_unsupported(module)
    network = spread(trace(copy.deepcopy(module).float().eval()), example.shape[1])
    names = Names(scheme, operations(network, example))

    def width(path: str, role: str) -> int:
        # Of a code there are no more bits than it has.
        wanted = names.quantizer(path, role)
        return min(wanted, input_format.bits) if input_format is not None and role == "input" else wanted

    places = insert(network, example, input_signed, width)
    network.meta[META] = Quantized(
        scheme, example.shape[1], example.shape[2], input_signed, tuple(places), input_format, names.roles
    )
    return network, names


def _refuse_quantized(module: nn.Module) -> None:
    if META in getattr(module, "meta", {}):
        raise SsmqError("the network is quantised already: give the float module that it was made from")
    for path, part in module.named_modules() if isinstance(module, nn.Module) else ():
        if isinstance(part, (QuantS4D, QuantLayerMixin)):
            kind = type(part).__name__
            raise SsmqError(f"{path or 'the network'} ({kind}): is quantised already: networks of such layers go through adopt")


def empty(
    module: nn.Module, scheme: Scheme, example: torch.Tensor, input_signed: bool, input_format: InputFormat | None = None
) -> fx.GraphModule:
    """``module`` quantised by ``scheme`` with parameters and exponents unset, for a file to fill.

    Raises SsmqError, as ``quantize`` does; of the sums those that no exponents could make exact.
    """
    network, names = structure(module, scheme, example, input_signed, input_format)
    replace(network, operations(network, example), names)
    names.refuse_unused()
    refuse_wide(Widths(operations(network, example), example.shape[1]).accumulators(least=True))
    return network.eval()


def float_type(network: nn.Module) -> torch.dtype:
    """What a ``network`` computes in. Not every one has parameters, but a quantised one has a quantiser."""
    return next(value.dtype for value in (*network.parameters(), *network.buffers()) if value.is_floating_point())


def settle(network: fx.GraphModule) -> fx.GraphModule:
    """``network`` in the narrowest float type in which every sum is exact. Raises SsmqError where there is none."""
    about = quantized_of(network)
    widths = Widths(operations(network, about.example), about.steps).accumulators()
    refuse_wide(widths)
    return network.double() if max(widths.values(), default=0) > FLOAT32_BITS else network.float()
