"""What each node of a dataflow graph has to do in a time step: the graph's part of an estimate.

A MatMul whose columns (or rows) have one non-zero each is the block structure of B̄ (or C) and does one product a mode,
not one a matrix entry. A MultiThreshold whose levels are a power of two apart is a rounding shift; any other is a
memory of thresholds. State memories and the buffers of forks are nodes of their own, since FINN counts neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ..dataflow.attributes import attribute
from ..dataflow.datatype import integer_range
from ..dataflow.graph_view import GraphView
from ..dataflow.scan_operands import INPUTS, unfit_shapes
from ..dataflow.states import successor
from ..errors import ExportError


@dataclass(frozen=True)
class Work:
    """One node. ``kind``: spread, gather, dense, multiply, shift, add, round, threshold, state, fork or scan.

    ``items``: elementary operations a step, on ``lanes`` in parallel. ``dims``: sizes whose divisors may be lanes:
    (channels,), or (outputs, inputs of an output) of a sum. ``left``, ``right``, ``out``: widths; ``right`` is that of
    the second operand or the stored constant. ``stored``: words of ``right`` bits kept. ``choices``: different shifts.
    ``levels``: thresholds of one channel. ``parts``: what a scan is made of.
    """

    name: str
    op: str
    kind: str
    items: int
    dims: tuple[int, ...]
    left: int
    right: int
    out: int
    stored: int = 0
    choices: int = 1
    levels: int = 0
    multiplications: int = 0
    inputs: tuple[str, ...] = ()
    output: str = ""
    parts: tuple[Work, ...] = ()

    @property
    def stored_bits(self) -> int:
        return self.stored * self.right + sum(part.stored_bits for part in self.parts)

    def stored_as(self, kind: str) -> int:
        """Bits kept in memories of one kind, its own or its parts'."""
        return self.stored_bits if self.kind == kind else sum(part.stored_as(kind) for part in self.parts)


def work_of(model: onnx.ModelProto) -> list[Work]:
    """The nodes of a dataflow graph in order, then its states, then its forks. Raises ExportError for other graphs."""
    view = GraphView(model)
    states = [port for port in view.inputs if successor(port) in view.outputs]
    # The sum over time keeps its running sum.
    sums = [node.output[0] for node in view.nodes if node.op_type == "ReduceSum"]
    works = [_node(view, node) for node in view.nodes]
    return [*works, *(_state(view, port) for port in [*states, *sums]), *_forks(view, works)]


def _width(view: GraphView, tensor: str) -> int:
    bounds = integer_range(view.datatypes.get(tensor, ""))
    if bounds is None:
        raise ExportError(f"{tensor}: has no integer datatype; estimate the dataflow.onnx that `ssmq export` writes")
    low, high = bounds
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1) + (low < 0)


def _channels(view: GraphView, tensor: str) -> int:
    shape = view.shape(tensor)
    if not shape:
        raise ExportError(f"{tensor}: has no static shape; export the graph again")
    return shape[-1]


def _node(view: GraphView, node: onnx.NodeProto) -> Work:
    output = node.output[0]
    if node.op_type == "DiagonalScan":
        return scan_work(view.label(node), scan_shape(view, node), node.input[0], output)
    channels = _channels(view, output)
    varying = tuple(name for name in node.input if not view.is_constant(name))
    constant = next((view.numbers(name) for name in node.input if view.is_constant(name)), None)
    second = node.input[1] if len(node.input) > 1 else node.input[0]
    fixed = next((name for name in node.input if view.is_constant(name)), second)
    common = {
        "name": view.label(node),
        "op": node.op_type,
        "items": channels,
        "dims": (channels,),
        "left": _width(view, varying[0] if varying else node.input[0]),
        "right": _width(view, fixed),
        "out": _width(view, output),
        "inputs": varying,
        "output": output,
    }
    if node.op_type == "MatMul" and constant is not None and constant.ndim == 2:
        return Work(**{**common, **_matmul(constant)})
    if node.op_type == "Mul":
        return Work(**{**common, **_multiply(constant, channels)})
    if node.op_type == "ReduceSum":
        return Work(**{**common, "kind": "add"})
    if node.op_type in ("Add", "Sub"):
        stored = 0 if constant is None else constant.size
        return Work(**{**common, "kind": "add", "stored": stored})
    if node.op_type == "MultiThreshold" and constant is not None and constant.ndim == 2:
        if rounds(constant):
            # A shift and an offset a channel are all that is left of the thresholds.
            rows = np.unique(constant, axis=0)
            return Work(**{**common, "kind": "round", "stored": len(constant) if len(rows) > 1 else 0})
        return Work(**{**common, "kind": "threshold", "stored": constant.size, "levels": constant.shape[1]})
    raise ExportError(f"node {common['name']}: there is no estimate for {node.op_type}; lower the graph (ssmq export)")


@dataclass(frozen=True)
class ScanShape:
    """A DiagonalScan: ``widths`` of u, A, B, C, D and y; ``choices`` of shifts that Re B and Im B are, 0 for products."""

    heads: int
    modes: int
    state_bits: int
    widths: tuple[int, int, int, int, int, int]
    choices: tuple[int, int]


def scan_shape(view: GraphView, node: onnx.NodeProto) -> ScanShape:
    """What a DiagonalScan node does in a step."""
    names = dict(zip(INPUTS, node.input, strict=False))
    shapes = {name: view.shape(tensor) for name, tensor in names.items()}
    known = len(node.input) == len(INPUTS) and None not in shapes.values() and shapes["u"]
    if not known or unfit_shapes(shapes["u"][-1], shapes):
        raise ExportError(f"node {view.label(node)}: its operands do not fit a DiagonalScan (ssmq check says why)")
    heads, modes = shapes["a_re"]
    pairs = [max(_width(view, names[f"{name}_re"]), _width(view, names[f"{name}_im"])) for name in "abc"]
    widths = (_width(view, names["u"]), *pairs, _width(view, names["d"]), _width(view, node.output[0]))
    choices = []
    for name in ("b_re", "b_im"):
        values = view.numbers(names[name])
        if values is None:
            raise ExportError(f"{names[name]}: is no constant; export the graph again")
        choices.append(_factor(values[values != 0], 0).get("choices", 0))
    return ScanShape(heads, modes, attribute(node, "state_bits", 8), widths, tuple(choices))


def scan_work(name: str, shape: ScanShape, source: str, output: str) -> Work:
    """The recurrence of a layer, mode by mode: the products, sums, roundings and states that its step graph has."""
    heads, modes, state = shape.heads, shape.modes, shape.state_bits
    u, a, b, c, d, out = shape.widths
    count, wide = heads * modes, max(a + state, b + u) + 2

    def part(kind: str, left: int, right: int, out: int, dims: tuple[int, ...] = (count,), **more) -> Work:
        return Work("", "", kind, int(np.prod(dims)), dims, left, right, out, **more)

    parts = [part("multiply", state, a, a + state, stored=count * (k < 2), multiplications=count) for k in range(4)]
    for shifts in shape.choices:
        if shifts:
            parts.append(part("shift", u, b, b + u, stored=count, choices=shifts))
        else:
            parts.append(part("multiply", u, b, b + u, stored=count, multiplications=count))
    parts += [part("add", wide, wide, wide)] * 4
    parts += [part("round", wide, state, state)] * 2
    parts += [part("state", state, state, state, stored=count)] * 2
    parts += [part("gather", state, c, out, (heads, modes), stored=count, multiplications=count)] * 2
    parts += [part("multiply", u, d, out, (heads,), stored=heads, multiplications=heads)]
    parts += [part("add", out, out, out, (heads,))] * 2
    total = sum(p.multiplications for p in parts)
    return Work(
        name, "DiagonalScan", "scan", count, (heads, modes), u, a, out,
        multiplications=total, inputs=(source,), output=output, parts=tuple(parts),
    )  # fmt: skip


def _matmul(weight: np.ndarray) -> dict:
    inputs, outputs = weight.shape
    used = weight != 0
    products = int(used.sum())
    if outputs >= inputs and np.all(used.sum(axis=0) <= 1):
        return {"kind": "spread", "stored": outputs, **_factor(weight[used], products)}
    if inputs % outputs == 0 and np.all(used.sum(axis=1) <= 1):
        dims = (outputs, inputs // outputs)
        return {"kind": "gather", "items": inputs, "dims": dims, "stored": inputs, "multiplications": products}
    return {
        "kind": "dense",
        "items": inputs * outputs,
        "dims": (outputs, inputs),
        "stored": weight.size,
        "multiplications": products,
    }


def _multiply(constant: np.ndarray | None, channels: int) -> dict:
    if constant is None:
        return {"kind": "multiply", "multiplications": channels}
    found = _factor(constant, channels)
    return {**found, "kind": found.get("kind", "multiply"), "stored": constant.size if constant.size > 1 else 0}


def _factor(values: np.ndarray, products: int) -> dict:
    """Powers of two need no multiplier: their number of different ones is what a shifter chooses from."""
    magnitudes = np.abs(values[values != 0])
    if magnitudes.size and np.all(np.frexp(magnitudes)[0] == 0.5) and np.all(values >= 0):
        return {"kind": "shift", "choices": len(np.unique(magnitudes))}
    return {"multiplications": products}


def rounds(levels: np.ndarray) -> bool:
    """Whether thresholds ``(channels, n)`` are those of a rounding shift: 2**s apart, ties going to even levels.

    Half to even moves every other threshold by one, so levels two apart differ by exactly 2 * 2**s. The ends are left
    out: a level that no input reaches has a threshold of its own.
    """
    for row in levels.astype(np.int64):
        inner = row[(row != row[0]) & (row != row[-1])]
        if inner.size < 3:
            return False
        pairs, steps = inner[2:] - inner[:-2], np.diff(inner)
        step = int(pairs[0]) // 2
        if np.any(pairs != 2 * step) or step < 1 or step & (step - 1) or np.any(np.abs(steps - step) > 1):
            return False
    return True


def _kept(op: str, tensor: str, channels: int, width: int, stored: int) -> Work:
    name, kind = f"{op}_{tensor}", op.lower()
    return Work(name, op, kind, channels, (channels,), width, width, width, stored=stored, output=tensor)


def _state(view: GraphView, port: str) -> Work:
    channels, width = _channels(view, port), _width(view, port)
    return _kept("State", port, channels, width, channels)


def _forks(view: GraphView, works: list[Work]) -> list[Work]:
    """Tensors with several readers; one that meets its own sums again (a residual) is kept whole until then."""
    found = []
    for tensor, consumers in view.consumers.items():
        readers = len(consumers) + (tensor in view.outputs and tensor not in view.inputs)
        if view.is_constant(tensor) or readers < 2:
            continue
        channels, width = _channels(view, tensor), _width(view, tensor)
        stored = channels if _meets_later(tensor, works) else 0
        found.append(_kept("Fork", tensor, channels, width, stored))
    return found


def _meets_later(tensor: str, works: list[Work]) -> bool:
    """Whether two readers' ways from ``tensor`` join of which one passes more sums over channels than the other.

    Ways that share a reader part at a later fork, and the buffer is that one's.
    """
    reached: dict[str, tuple[frozenset[str], int]] = {}
    for work in works:
        ways = [(frozenset({work.name}), 0) if name == tensor else reached.get(name) for name in work.inputs]
        ways = [way for way in ways if way is not None]
        if len(ways) == 2 and ways[0][1] != ways[1][1] and not ways[0][0] & ways[1][0]:
            return True
        if ways:
            sums = max(passed for _, passed in ways) + (work.kind in ("gather", "dense"))
            reached[work.output] = frozenset().union(*(readers for readers, _ in ways)), sums
    return False
