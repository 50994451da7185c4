"""What the numbers of a form must be."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..dataflow.datatype import integer_range, integer_type
from ..dataflow.keys import FORMATS_KEY
from ..dataflow.ports import PortEntry
from ..errors import ExportError
from .metadata import Coded
from .shapes import ADVICE, MOST_LEVELS, Tensor

WIDEST = 32
NARROWEST_INPUT, WIDEST_INPUT = 2, 16
WIDEST_RANGE = 2**62


def check_grids(
    nodes: list[onnx.NodeProto], tensors: dict[str, Tensor], constants: dict[str, np.ndarray], formats: dict[str, Coded]
) -> None:
    """A step graph: every Quant rounds to the power-of-two grid that the metadata name, a parameter lies on its own."""
    quantized: dict[str, tuple[int, bool, np.ndarray]] = {}
    for node in nodes:
        if node.op_type == "Cast" and node.input[0] in quantized:
            quantized[node.output[0]] = quantized[node.input[0]]
        if node.op_type != "Quant":
            continue
        quantized[node.output[0]] = bits, signed, exponent = _quantizer(node, tensors, constants)
        if node.input[0] in constants:
            _on_grid(node.input[0], constants[node.input[0]], exponent, signed, bits)
    for name, (bits, signed, exponent) in quantized.items():
        said = formats.get(name)
        if said and ((said.bits, said.signed) != (bits, signed) or not _same(said, exponent)):
            raise ExportError(f"{name}: its format in {FORMATS_KEY} is not that of its Quant: {ADVICE}")
    for name, values in constants.items():
        if name in formats and values.dtype != np.int64:
            said = formats[name]
            bits, signed = said.width
            _on_grid(name, values, np.asarray(said.exponent), signed, bits)


def check_tables(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], outputs: list[str]) -> None:
    """A step graph: a place in a table is clipped to the table before it becomes int64, and serves nothing else."""
    makers = {node.output[0]: node for node in nodes}
    casts = [node for node in nodes if node.op_type == "Cast"]
    places = {node.output[0] for node in casts if any(a.name == "to" and a.i == TensorProto.INT64 for a in node.attribute)}
    if places & set(outputs):
        raise ExportError(f"{min(places & set(outputs))}: an output that is no tensor of floats: {ADVICE}")
    for node in nodes:
        name = node.output[0]
        if node.op_type != "Gather" and places & set(node.input):
            raise ExportError(f"{name}: {node.op_type} of a place in a table, which only a Gather reads: {ADVICE}")
        if node.op_type == "Gather":
            cast = makers[node.input[1]]
            clip = makers.get(cast.input[0]) if node.input[1] in places else None
            limits = [constants[limit] for limit in clip.input[1:]] if clip is not None and clip.op_type == "Clip" else []
            last = len(constants[node.input[0]]) - 1 if node.input[0] in constants else -1
            if not limits or limits[0].min() < 0 or limits[1].max() > last:
                raise ExportError(f"{name}: its place in the table is not clipped to it: {ADVICE}")


def _quantizer(
    node: onnx.NodeProto, tensors: dict[str, Tensor], constants: dict[str, np.ndarray]
) -> tuple[int, bool, np.ndarray]:
    """Width, sign and exponents of a Quant."""
    signed = bool(next(attribute.i for attribute in node.attribute if attribute.name == "signed"))
    scale, zero, bits = (constants[name].astype(np.float64) for name in node.input[1:])
    mantissa, exponent = np.frexp(scale)
    width = float(bits.ravel()[0])
    if np.any(mantissa != 0.5) or np.any(np.abs(exponent) > 200):
        raise ExportError(f"node {node.name}: its scale is not a power of two: {ADVICE}")
    if np.any(zero) or width != int(width) or not 1 + signed <= width <= WIDEST:
        raise ExportError(f"node {node.name}: a Quant of {width:g} bits and zero point {zero.ravel()[0]:g}: {ADVICE}")
    output = tensors[node.output[0]]
    if output.varies and output.shape[-1] * 2**width > MOST_LEVELS:
        raise ExportError(
            f"node {node.name}: {width:g} bits of {output.shape[-1]} channels are more than thresholds are made for: narrow it"
        )
    return int(width), signed, exponent.astype(np.int64) - 1


def _on_grid(name: str, values: np.ndarray, exponent: np.ndarray, signed: bool, bits: int) -> None:
    codes = np.ldexp(values.astype(np.float64), -exponent)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if np.any(codes != np.rint(codes)) or codes.min() < low or codes.max() > high:
        raise ExportError(f"parameter {name} does not lie on its own grid: {ADVICE}")


def _same(said: Coded, exponent: np.ndarray) -> bool:
    one, other = np.asarray(said.exponents), exponent.ravel()
    return (1 in (one.size, other.size) or one.size == other.size) and bool(np.all(one == other))


def check_input(port: PortEntry, fmt: Coded, datatype: str | None) -> None:
    """The input has a format of inputs, and is annotated with its type where it is annotated at all."""
    bits, signed = fmt.width
    if not NARROWEST_INPUT <= bits <= WIDEST_INPUT:
        raise ExportError(
            f"{port.name}: {FORMATS_KEY} says that the input has {bits} bits, {NARROWEST_INPUT} to {WIDEST_INPUT} are "
            f"read: {ADVICE}"
        )
    if datatype is None:
        return
    low, high = _range(port.name, datatype)
    if ((high - low).bit_length(), low < 0) != (bits, signed):
        raise ExportError(f"{port.name}: annotated {datatype}, and {FORMATS_KEY} says {bits} bits: {ADVICE}")


def check_kept(ports: list[PortEntry], formats: dict[str, Coded]) -> None:
    """What is kept is read as it was written."""
    for entry in ports:
        if entry.successor is not None and not _same(formats[entry.name], np.asarray(formats[entry.successor].exponent)):
            raise ExportError(f"{entry.name}: its exponent in {FORMATS_KEY} is not that of {entry.successor}: {ADVICE}")


def datatypes(graph: onnx.GraphProto, tensors: dict[str, Tensor], constants: dict[str, np.ndarray]) -> dict[str, str]:
    """The integer type of every tensor of a dataflow graph. Raises ExportError for one without."""
    found = {
        note.tensor_name: entry.value
        for note in graph.quantization_annotation
        for entry in note.quant_parameter_tensor_names
        if entry.key == "finn_datatype" and note.tensor_name in tensors
    }
    if not found:
        raise ExportError(
            f"the graph has lost its integer types (quantization annotations), as onnx.version_converter drops them: {ADVICE}"
        )
    for name in tensors:
        values = constants.get(name)
        if values is not None:
            # What a constant holds is seen, not read off its annotation.
            if np.any(values != np.rint(values)):
                raise ExportError(f"{name}: a constant that is not integer: {ADVICE}")
            found[name] = integer_type(int(values.min()), int(values.max()))
        _range(name, found.get(name))
    return found


def _range(name: str, datatype: str | None) -> tuple[int, int]:
    found = integer_range(datatype) if datatype else None
    if found is None:
        raise ExportError(f"{name}: annotated {datatype or 'with no type'}, which is no integer type: {ADVICE}")
    if found[0] < -WIDEST_RANGE or found[1] >= WIDEST_RANGE:
        raise ExportError(f"{name}: {datatype} needs more than 63 bits: choose narrower formats")
    return found
