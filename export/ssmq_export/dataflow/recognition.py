"""Which operation a node is: told by its operator and its constants, thresholds by proof over the whole range of their input.

A MatMul whose columns (or rows) have one non-zero each is the block structure of B̄ (or C) and does one product a mode,
not one a matrix entry. Powers of two are shifts. Thresholds are a rounding if every row is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ..errors import ExportError
from . import ranges
from .attributes import attribute
from .datatype import range_of
from .diagonal_scan import output_ranges
from .hardware import Part, ScanShape, scan_parts
from .keys import TABLE_MARK
from .operation import Kind, Operation
from .ranges import Range
from .rows import ROUND, Row, compile_rows
from .scan_operands import INPUTS

ADVICE = "export the graph again"


@dataclass(frozen=True, eq=False)
class Tensors:
    """What is known of the tensors of a graph: int64 ``constants``, ``channels``, ``datatypes``, and the ``ranges`` of
    those that are computed so far. ``running``: outputs that a running sum becomes.
    ``known``: thresholds that were compiled."""

    constants: dict[str, np.ndarray]
    channels: dict[str, int]
    datatypes: dict[str, str]
    ranges: dict[str, Range]
    running: frozenset[str]
    known: dict[tuple, Row]

    def width(self, name: str) -> int:
        """Bits of a tensor as it is annotated."""
        return width_of(*range_of(self.datatypes[name]))

    def annotated(self, name: str) -> Range:
        low, high = range_of(self.datatypes[name])
        return np.full(self.channels[name], low, np.int64), np.full(self.channels[name], high, np.int64)


def width_of(low: int, high: int) -> int:
    """Bits of a two's complement (or unsigned) word that holds ``low .. high``."""
    return max(high, ~low, 1).bit_length() + (low < 0)


def recognised(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    """The operation of a node of an admitted dataflow graph, whose inputs are known. Raises ExportError naming the node."""
    make = _MAKERS.get(node.op_type)
    if make is None:
        raise ExportError(f"node {node.name}: {node.op_type} is no operation of a dataflow graph: lower the graph first")
    try:
        return make(node, tensors)
    except ValueError as error:
        raise ExportError(f"{node.output[0]}: the shapes of its operands do not fit: {ADVICE}") from error
    except ExportError as error:
        told = str(error)
        raise error if told.startswith(node.output[0]) else ExportError(f"{node.output[0]}: {told}") from error


def _common(node: onnx.NodeProto, tensors: Tensors) -> dict:
    inputs = tuple(name for name in node.input if name not in tensors.constants)
    sources = tuple(tensors.ranges[name] for name in inputs)
    return {"name": node.name, "op": node.op_type, "inputs": inputs, "output": node.output[0], "sources": sources}


def _widths(node: onnx.NodeProto, tensors: Tensors) -> tuple[int, int, int]:
    """Of the first tensor that varies, of the constant or the second one, and of the output."""
    varying = [name for name in node.input if name not in tensors.constants]
    fixed = next((name for name in node.input if name in tensors.constants), node.input[-1])
    return tensors.width(varying[0]), tensors.width(fixed), tensors.width(node.output[0])


def _constant(node: onnx.NodeProto, tensors: Tensors) -> np.ndarray | None:
    return next((tensors.constants[name] for name in node.input if name in tensors.constants), None)


def _stored(node: onnx.NodeProto, tensors: Tensors) -> np.ndarray:
    """The constant of a node that is let in with one only."""
    found = _constant(node, tensors)
    assert found is not None, node.name
    return found


def _words(constant: np.ndarray | None) -> int:
    """Words of a constant that are kept: a single one is wired."""
    return constant.size if constant is not None and constant.size > 1 else 0


def _shifts(values: np.ndarray) -> int:
    """How many different shifts ``values`` are, zeros left out; 0 if they are none."""
    used = values[values != 0]
    return len(np.unique(used)) if np.all(used & (used - 1) == 0) else 0


def _matmul(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    weight, common, widths = _stored(node, tensors), _common(node, tensors), _widths(node, tensors)
    inputs, outputs = weight.shape
    used = weight != 0
    products = int(used.sum())
    (source,) = common["sources"]
    limits = ranges.matmul(source, weight)
    dims: tuple[int, ...]
    if outputs >= inputs and np.all(used.sum(axis=0) <= 1):
        dims, shifts = (outputs,), _shifts(weight)
        part = Part("shift", dims, *widths, stored=outputs, choices=shifts)
        if not shifts:
            part = Part("multiply", dims, *widths, stored=outputs, multiplications=products)
        return Operation(**common, kind="spread", limits=limits, dims=dims, parts=(part,), constant=weight)
    if inputs % outputs == 0 and np.all(used.sum(axis=1) <= 1):
        dims = (outputs, inputs // outputs)
        part = Part("dot", dims, *widths, stored=inputs, multiplications=products)
        return Operation(**common, kind="gather", limits=limits, dims=dims, parts=(part,), constant=weight)
    dims = (outputs, inputs)
    part = Part("dot", dims, *widths, stored=weight.size, multiplications=products, buffered=True)
    return Operation(**common, kind="dense", limits=limits, dims=dims, parts=(part,), constant=weight)


def _mul(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    constant, common, widths = _constant(node, tensors), _common(node, tensors), _widths(node, tensors)
    dims = (tensors.channels[node.output[0]],)
    if constant is None:
        part = Part("multiply", dims, *widths, multiplications=dims[0])
        return Operation(**common, kind="product", limits=ranges.product(*common["sources"]), dims=dims, parts=(part,))
    factor = constant.reshape(-1)
    (source,) = common["sources"]
    limits = ranges.product(source, ranges.constant(factor))
    stored, shifts = _words(factor), _shifts(factor)
    part = Part("shift", dims, *widths, stored=stored, choices=shifts)
    if not shifts:
        part = Part("multiply", dims, *widths, stored=stored, multiplications=dims[0])
    return Operation(**common, kind="shift" if shifts else "scale", limits=limits, dims=dims, parts=(part,), constant=factor)


def _add(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    common, output = _common(node, tensors), node.output[0]
    sign, constant = -1 if node.op_type == "Sub" else 1, _constant(node, tensors)
    dims = (tensors.channels[output],)
    part = Part("add", dims, *_widths(node, tensors), stored=_words(constant))
    # What a running sum may become, and the difference of two counts that is a table, the annotation says.
    known = output in tensors.running or any(entry.key == TABLE_MARK for entry in node.metadata_props)
    if constant is None:
        left, right = common["sources"]
        limits = tensors.annotated(output) if known else ranges.total(left, right, sign)
        return Operation(**common, kind="sum", limits=limits, dims=dims, parts=(part,), sign=sign)
    term, turned = constant.reshape(-1), node.input[0] in tensors.constants
    term, sign = (term, sign) if turned else (sign * term, 1)
    (source,) = common["sources"]
    limits = ranges.total(ranges.constant(term), source, sign)
    return Operation(**common, kind="offset", limits=limits, dims=dims, parts=(part,), constant=term, sign=sign)


def _thresholds(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    common, levels, bias = _common(node, tensors), _stored(node, tensors), int(attribute(node, "out_bias", 0))
    channels = tensors.channels[node.output[0]]
    dims, (left, right, out) = (channels,), _widths(node, tensors)
    limits = np.full(channels, bias, np.int64), np.full(channels, bias + levels.shape[1], np.int64)
    ((low, high),) = common["sources"]
    rows = compile_rows(levels, bias, low, high, tensors.known)
    rounds = all(row.kind == ROUND for row in rows)
    kind: Kind = "rounding" if rounds else "thresholds"
    compare = Part("compare", dims, left, right, out, stored=levels.size, levels=levels.shape[1])
    parts = _rounding(rows, dims, left, out) if rounds else (compare,)
    return Operation(**common, kind=kind, limits=limits, dims=dims, parts=parts, constant=levels, bias=bias, rows=rows)


def _rounding(rows: tuple[Row, ...], dims: tuple[int, ...], left: int, out: int) -> tuple[Part, ...]:
    """A shift and an offset a channel are all that is left of the thresholds."""
    shifts, offsets = {row.numbers[0] for row in rows}, {row.shift_by for row in rows}
    parts = [Part("round", dims, left, out, out)]
    if len(shifts) > 1:
        parts.append(Part("shift", dims, left, width_of(0, max(shifts)), left, stored=len(rows), choices=len(shifts)))
    if offsets != {0}:
        width = width_of(min(offsets), max(offsets))
        parts.append(Part("add", dims, left, width, left, stored=len(rows) if len(offsets) > 1 else 0))
    return tuple(parts)


def _scan(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    common, names = _common(node, tensors), dict(zip(INPUTS, node.input, strict=True))
    bits = attribute(node, "state_bits", 8)
    parameters = {name: tensors.constants[names[name]] for name in INPUTS[1:]}
    ((low, high),) = common["sources"]
    limits = output_ranges(parameters, low, high, bits)
    heads, modes = parameters["a_re"].shape
    shape = _scan_shape(names, node.output[0], tensors, bits)
    return Operation(
        **common, kind="scan", limits=limits, dims=(heads, modes), parts=scan_parts(shape), parameters=parameters, shape=shape
    )  # fmt: skip


def _scan_shape(names: dict[str, str], output: str, tensors: Tensors, bits: int) -> ScanShape:
    """A DiagonalScan as hardware; ``names`` of its tensors by those of its inputs."""
    a, b, c = (max(tensors.width(names[f"{name}_re"]), tensors.width(names[f"{name}_im"])) for name in "abc")
    u, d, y, shift = (tensors.width(name) for name in (names["u"], names["d"], output, names["shift"]))
    b_re, b_im = (_shifts(tensors.constants[names[name]]) for name in ("b_re", "b_im"))
    rounded = len(np.unique(tensors.constants[names["shift"]]))
    heads, modes = tensors.constants[names["a_re"]].shape
    return ScanShape(heads, modes, bits, (u, a, b, c, d, y, shift), (b_re, b_im, rounded))


def _running_sum(node: onnx.NodeProto, tensors: Tensors) -> Operation:
    output, dims = node.output[0], (tensors.channels[node.output[0]],)
    left, _, out = _widths(node, tensors)
    part = Part("add", dims, left, out, out)
    return Operation(**_common(node, tensors), kind="running sum", limits=tensors.annotated(output), dims=dims, parts=(part,))


_MAKERS = {
    "MatMul": _matmul,
    "Mul": _mul,
    "Add": _add,
    "Sub": _add,
    "MultiThreshold": _thresholds,
    "DiagonalScan": _scan,
    "ReduceSum": _running_sum,
}
