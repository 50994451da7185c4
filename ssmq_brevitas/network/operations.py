"""A traced network as operations on the channels of one time step.

Every value has axes: ``BTC`` or ``BCT`` with one value a step, ``BC`` with one a sequence. Transposes, dropout and the
like are operations of the kind ``same``; what is done to a channel is then independent of where its axis stands.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch
from brevitas.nn.quant_layer import QuantNonLinearActLayer
from torch import fx, nn

from ..activations import GELU, HardGELU, HardSigmoid, Quotient, Sigmoid, SiLU, Table, Tanh
from ..errors import SsmqError
from ..norm import PositiveBatchNorm
from ..quant_s4d import QuantS4D
from ..s4d import S4D
from .spread import owner

Kind = Literal[
    "input", "linear", "s4d", "norm", "function", "quantizer", "add", "sub", "mul", "affine",
    "split", "slice", "cat", "sum", "last", "same", "output",
]  # fmt: skip
Axes = Literal["BTC", "BCT", "BC"]
Layer = TypeVar("Layer")

# Of these a quantiser may follow without a table: they never fall.
RISING = (nn.ReLU, nn.Hardtanh, Sigmoid, Tanh, HardSigmoid, Quotient)
FALLING = (GELU, HardGELU, SiLU, Table)
SAME = (nn.Dropout, nn.Dropout1d, nn.Identity)


@dataclass(frozen=True)
class Operation:
    """One call. ``inputs`` are names of operations; ``path`` is the module's attribute path, or its owner's and its name.

    ``gain`` and ``offset`` are those of an ``affine``; ``first`` is the first channel of a ``slice``, ``parts`` are those of a
    ``split``.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    axes: Axes
    channels: int
    path: str
    module: nn.Module | None = None
    gain: float = 1.0
    offset: float = 0.0
    first: int = 0
    parts: tuple[tuple[int, int], ...] = field(default=(), compare=False)

    @property
    def each_step(self) -> bool:
        return "T" in self.axes

    def layer(self, kind: type[Layer]) -> Layer:
        """The module, of which the operation's kind says that it is a ``kind``."""
        assert isinstance(self.module, kind), self.path
        return self.module


def operations(network: fx.GraphModule, example: torch.Tensor) -> list[Operation]:
    """Every call of ``network`` for inputs of the shape of ``example`` ``(B, T, C)``, in order; the last is the output.

    Raises SsmqError naming the submodule or the call that is none of the supported set, and what to use instead.
    """
    return _Reader(network, example).read()


class _Reader:
    def __init__(self, network: fx.GraphModule, example: torch.Tensor):
        self.network, self.length, self.channels = network, example.shape[1], example.shape[2]
        self.found: dict[str, Operation] = {}

    def read(self) -> list[Operation]:
        for node in self.network.graph.nodes:
            self.found[node.name] = getattr(self, f"_{node.op}")(node)
        return list(self.found.values())

    def _add(self, node: fx.Node, kind: Kind, *sources: Operation, **changes) -> Operation:
        like = sources[0] if sources else None
        values = {"axes": like and like.axes, "channels": like and like.channels, "path": _place(node), **changes}
        return Operation(node.name, kind, tuple(source.name for source in sources), **values)

    def _source(self, value: object, node: fx.Node) -> Operation:
        if not isinstance(value, fx.Node):
            raise SsmqError(f"{_place(node)}: needs a tensor, not {value!r}")
        found = self.found[value.name]
        if found.kind == "split":
            raise SsmqError(f"{_place(node)}: takes the parts of {found.path} together: take them one by one, as in a, b = ...")
        return found

    def _placeholder(self, node: fx.Node) -> Operation:
        return self._add(node, "input", axes="BTC", channels=self.channels, path=str(node.target))

    def _get_attr(self, node: fx.Node) -> Operation:
        raise SsmqError(
            f"{node.target}: is a tensor of the module's own in its forward: only layers hold parameters, put it into one"
        )

    def _output(self, node: fx.Node) -> Operation:
        (value,) = node.args
        if not isinstance(value, fx.Node):
            raise SsmqError(f"the network must return one tensor, this one returns {type(value).__name__}")
        return self._add(node, "output", self._source(value, node), path="output")

    def _call_module(self, node: fx.Node) -> Operation:
        path = str(node.target)
        module = self.network.get_submodule(path)
        if len(node.args) != 1 or node.kwargs:
            raise SsmqError(f"{path} ({type(module).__name__}): must be called with one tensor")
        source = self._source(node.args[0], node)
        for kinds, read in _MODULES:
            if isinstance(module, kinds):
                return read(self, node, module, source)
        raise SsmqError(
            f"{path} ({type(module).__name__}): has no exact integer form here: build it from Linear, Conv1d of kernel 1, "
            f"S4D, BatchNorm1d, activations, sums, products and means over time"
        )

    def _call_function(self, node: fx.Node) -> Operation:
        return self._call(node, _NAMES.get(node.target, getattr(node.target, "__name__", str(node.target))))

    def _call_method(self, node: fx.Node) -> Operation:
        return self._call(node, str(node.target))

    def _call(self, node: fx.Node, name: str) -> Operation:
        read: Callable | None = _CALLS.get(name)
        if read is None:
            raise SsmqError(f"{_place(node)}: {name} has no exact integer form here: leave it out, or use a supported layer")
        return read(self, node)

    # Modules

    def _linear(self, node: fx.Node, module: nn.Linear, source: Operation) -> Operation:
        self._expect(node, source, source.axes.endswith("C"), "reads channels last")
        self._fits(node, source, module.in_features)
        return self._add(node, "linear", source, channels=module.out_features, module=module)

    def _conv(self, node: fx.Node, module: nn.Conv1d, source: Operation) -> Operation:
        single = module.kernel_size == module.stride == (1,) and module.groups == 1
        if not single or module.padding not in ((0,), "valid"):
            raise SsmqError(f"{node.target} (Conv1d): must have kernel 1, stride 1, no padding and one group")
        self._expect(node, source, source.axes == "BCT", "reads (B, C, T)")
        self._fits(node, source, module.in_channels)
        return self._add(node, "linear", source, channels=module.out_channels, module=module)

    def _s4d(self, node: fx.Node, module: S4D | QuantS4D, source: Operation) -> Operation:
        self._expect(node, source, source.axes == "BTC", "reads (B, T, H)")
        heads = module.d.shape[0]
        self._fits(node, source, heads)
        return self._add(node, "s4d", source, module=module)

    def _norm(self, node: fx.Node, module: nn.BatchNorm1d | PositiveBatchNorm, source: Operation) -> Operation:
        last = isinstance(module, PositiveBatchNorm)
        self._expect(node, source, source.axes in (("BTC", "BC") if last else ("BCT", "BC")),
                     "reads (B, T, H)" if last else "reads (B, C, T)")  # fmt: skip
        self._fits(node, source, module.weight.shape[0] if module.weight is not None else module.num_features)
        if not last and module.running_mean is None:
            raise SsmqError(f"{node.target}: takes the statistics of what it is given: set track_running_stats=True")
        return self._add(node, "norm", source, module=module)

    def _function(self, node: fx.Node, module: nn.Module, source: Operation) -> Operation:
        return self._add(node, "function", source, module=module)

    def _quantizer(self, node: fx.Node, module: nn.Module, source: Operation) -> Operation:
        return self._add(node, "quantizer", source, module=module)

    def _same(self, node: fx.Node, module: nn.Module, source: Operation) -> Operation:
        return self._add(node, "same", source, module=None if isinstance(module, nn.Identity) else module)

    def _expect(self, node: fx.Node, source: Operation, holds: bool, what: str) -> None:
        if not holds:
            has = {"BTC": "(B, T, C)", "BCT": "(B, C, T)", "BC": "(B, C)"}[source.axes]
            raise SsmqError(f"{_place(node)}: {what}, but is given {has}: transpose before it")

    def _fits(self, node: fx.Node, source: Operation, channels: int) -> None:
        if source.channels != channels:
            raise SsmqError(f"{_place(node)}: reads {channels} channels, but is given {source.channels}")

    # Functions and methods

    def _join(self, node: fx.Node, kind: Kind) -> Operation:
        left, right = node.args[:2]
        if isinstance(left, fx.Node) and isinstance(right, fx.Node):
            return self._tensors(node, kind, self._source(left, node), self._source(right, node))
        given, number = (left, right) if isinstance(left, fx.Node) else (right, left)
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not math.isfinite(number):
            raise SsmqError(f"{_place(node)}: takes tensors and finite numbers, not {number!r}")
        gain, offset = {"add": (1.0, number), "mul": (number, 0.0), "sub": (1.0, -number)}[kind]
        if kind == "sub" and given is right:
            gain, offset = -1.0, number
        if (gain, offset) == (1, 0):
            return self._add(node, "same", self._source(given, node))
        return self._add(node, "affine", self._source(given, node), gain=float(gain), offset=float(offset))

    def _tensors(self, node: fx.Node, kind: Kind, left: Operation, right: Operation) -> Operation:
        if (left.axes, left.channels) != (right.axes, right.channels):
            first, second = (f"{value.path} ({', '.join(value.axes)}) of {value.channels} channels" for value in (left, right))
            raise SsmqError(f"{_place(node)}: joins {first} and {second}: both must have the same axes and channels")
        return self._add(node, kind, left, right)

    def _divide(self, node: fx.Node) -> Operation:
        raise SsmqError(f"{_place(node)}: only a division by a number that is not 0 has an integer form")

    def _negate(self, node: fx.Node) -> Operation:
        return self._add(node, "affine", self._source(node.args[0], node), gain=-1.0)

    def _axis(self, node: fx.Node, source: Operation, axis: int, letter: str) -> None:
        if not isinstance(axis, int) or not -len(source.axes) <= axis < len(source.axes) or source.axes[axis] != letter:
            word = {"T": "time", "C": "channels"}[letter]
            raise SsmqError(
                f"{_place(node)}: works on axis {axis} of ({', '.join(source.axes)}), only over {word} it has an integer form"
            )

    def _split(self, node: fx.Node, sizes: Callable[[int, object], list[int]]) -> Operation:
        source = self._source(node.args[0], node)
        amount = node.args[1]
        self._axis(node, source, _argument(node, 2, "dim", 0), "C")
        for size in amount if isinstance(amount, (list, tuple)) else [amount]:
            if not isinstance(size, int) or size < 1:
                raise SsmqError(f"{_place(node)}: makes parts of {amount!r}: only whole numbers above 0 are known to make any")
        ends = [0]
        for size in sizes(source.channels, amount):
            ends.append(ends[-1] + size)
        if ends[-1] != source.channels:
            raise SsmqError(f"{_place(node)}: parts of {amount} do not make up {source.channels} channels")
        return self._add(node, "split", source, parts=tuple(zip(ends[:-1], ends[1:], strict=True)))

    def _item(self, node: fx.Node) -> Operation:
        given, index = node.args
        assert isinstance(given, fx.Node)
        found = self.found[given.name]
        if found.kind == "split":
            if not isinstance(index, int) or not -len(found.parts) <= index < len(found.parts):
                raise SsmqError(f"{_place(node)}: takes part {index!r} of {len(found.parts)}")
            start, stop = found.parts[index]
            source = self.found[found.inputs[0]]
            # Parts are called after the whole: ``linear_0``, ``linear_1``.
            path = _place(node) if "called" in node.meta else f"{source.path}_{index % len(found.parts)}"
            return self._add(node, "slice", source, channels=stop - start, first=start, path=path)
        return self._indexed(node, self._source(given, node), index if isinstance(index, tuple) else (index,))

    def _indexed(self, node: fx.Node, source: Operation, index: tuple) -> Operation:
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (len(source.axes) - len(index) + 1), *index[at + 1 :])
        index = (*index, *[slice(None)] * (len(source.axes) - len(index)))
        moved = [(letter, part) for letter, part in zip(source.axes, index, strict=False) if part != slice(None)]
        if len(index) == len(source.axes) and len(moved) <= 1:
            if not moved:
                return self._add(node, "same", source)
            letter, part = moved[0]
            if letter == "T" and part in (-1, self.length - 1) and not isinstance(part, slice):
                return self._add(node, "last", source, axes="BC")
            if letter == "C" and isinstance(part, slice) and part.step in (None, 1):
                start, stop, _ = part.indices(source.channels)
                if stop > start:
                    return self._add(node, "slice", source, channels=stop - start, first=start)
        raise SsmqError(
            f"{_place(node)}: only the last step (x[:, -1] of (B, T, C)) and a range of channels (x[..., :n]) can be taken"
        )

    def _cat(self, node: fx.Node) -> Operation:
        given = node.args[0]
        if not isinstance(given, (list, tuple)):
            self._source(given, node)
            raise SsmqError(f"{_place(node)}: takes the tensors of a list, not one tensor")
        sources = [self._source(value, node) for value in given]
        if len({source.axes for source in sources}) != 1:
            raise SsmqError(f"{_place(node)}: its tensors have different axes")
        self._axis(node, sources[0], _argument(node, 1, "dim", 0), "C")
        if len(sources) == 1:
            return self._add(node, "same", *sources)
        return self._add(node, "cat", *sources, channels=sum(source.channels for source in sources))

    def _moved(self, node: fx.Node) -> Operation:
        source = self._source(node.args[0], node)
        order: list = list(range(len(source.axes)))
        if _NAMES.get(node.target, node.target) == "permute":
            order = list(node.args[1]) if isinstance(node.args[1], (tuple, list)) else list(node.args[1:])
        else:
            swapped = []
            for axis in node.args[1:3]:
                if not isinstance(axis, int) or not -len(order) <= axis < len(order):
                    raise SsmqError(f"{_place(node)}: ({', '.join(source.axes)}) has no axis {axis!r}")
                swapped.append(axis)
            a, b = swapped
            order[a], order[b] = order[b], order[a]
        whole = len(order) == len(source.axes) and all(isinstance(axis, int) for axis in order)
        if not whole or {axis % len(order) for axis in order} != set(range(len(order))):
            raise SsmqError(f"{_place(node)}: {tuple(order)} is no order of ({', '.join(source.axes)})")
        axes = "".join(source.axes[k] for k in order)
        if axes not in ("BTC", "BCT", "BC"):
            raise SsmqError(f"{_place(node)}: gives axes ({', '.join(axes)}): the batch comes first")
        return self._add(node, "same", source, axes=axes)

    def _over_time(self, node: fx.Node) -> Operation:
        source = self._source(node.args[0], node)
        axis = _argument(node, 1, "dim")
        axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
        if _argument(node, 2, "keepdim", False):
            raise SsmqError(f"{_place(node)}: keepdim leaves a time of one step: leave it out")
        self._axis(node, source, axis, "T")
        return self._add(node, "sum", source, axes="BC")

    def _unchanged(self, node: fx.Node) -> Operation:
        return self._add(node, "same", self._source(node.args[0], node))


def _argument(node: fx.Node, position: int, name: str, default=None):
    """An argument that may be left out."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _place(node: fx.Node) -> str:
    """Attribute path of a call: the module's, or the owner's and the function's name."""
    name = node.meta.get("called") or _NAMES.get(node.target, node.target)
    name = name if isinstance(name, str) else getattr(name, "__name__", node.name)
    return str(node.target) if node.op == "call_module" else f"{owner(node)}{name}"


def _chunks(channels: int, count) -> list[int]:
    size = -(-channels // count)
    return [min(size, channels - start) for start in range(0, channels, size)]


def _sections(channels: int, amount) -> list[int]:
    if isinstance(amount, int):
        return [min(amount, channels - start) for start in range(0, channels, amount)]
    return list(amount)


_MODULES: list[tuple[type | tuple[type, ...], Callable]] = [
    ((S4D, QuantS4D), _Reader._s4d),
    (nn.Linear, _Reader._linear),
    (nn.Conv1d, _Reader._conv),
    ((nn.BatchNorm1d, PositiveBatchNorm), _Reader._norm),
    (QuantNonLinearActLayer, _Reader._quantizer),
    ((*RISING, *FALLING), _Reader._function),
    (SAME, _Reader._same),
]
_CALLS: dict[str, Callable[[_Reader, fx.Node], Operation]] = {
    "add": lambda reader, node: reader._join(node, "add"),
    "sub": lambda reader, node: reader._join(node, "sub"),
    "mul": lambda reader, node: reader._join(node, "mul"),
    "truediv": _Reader._divide,
    "neg": _Reader._negate,
    "chunk": lambda reader, node: reader._split(node, _chunks),
    "split": lambda reader, node: reader._split(node, _sections),
    "getitem": _Reader._item,
    "cat": _Reader._cat,
    "transpose": _Reader._moved,
    "permute": _Reader._moved,
    "sum": _Reader._over_time,
    "contiguous": _Reader._unchanged,
    "clone": _Reader._unchanged,
}
_NAMES = {
    **{getattr(torch, name): name for name in
       ("cat", "chunk", "split", "transpose", "permute", "sum", "neg", "add", "mul", "sub", "clone")},
    operator.add: "add", operator.iadd: "add", operator.sub: "sub", operator.isub: "sub", operator.mul: "mul",
    operator.imul: "mul", operator.truediv: "truediv", torch.div: "truediv", torch.true_divide: "truediv",
    operator.neg: "neg", operator.getitem: "getitem", torch.concat: "cat", torch.concatenate: "cat",
    torch.swapaxes: "transpose", torch.swapdims: "transpose",
}  # fmt: skip
_CALLS |= {
    "swapaxes": _Reader._moved, "swapdims": _Reader._moved, "div": _Reader._divide, "add_": _CALLS["add"],
    "__add__": _CALLS["add"], "mul_": _CALLS["mul"],
}  # fmt: skip
