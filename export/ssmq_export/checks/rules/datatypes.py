"""Integers everywhere: annotations, constants, widths, layout."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto

from ...dataflow.datatype import integer_range, is_integer
from ..catalogue import Hit, rule
from ..conversion import TABLE
from ..tidy_view import TidyView
from .operators import OURS

SHOWN = 3
SIGNED, UNSIGNED = re.compile(r"INT([0-9]+)", re.ASCII), re.compile(r"UINT([0-9]+)", re.ASCII)
# FINN's, of any width, integer or not.
DATATYPE = re.compile(
    r"U?INT[0-9]+|BINARY|BIPOLAR|TERNARY|FLOAT(16|32|<[0-9, ]+>)|FIXED<[0-9]+,-?[0-9]+>|SCALEDINT<[0-9]+>", re.ASCII
)
# Integers that a float container holds exactly.
EXACT_BITS = {TensorProto.BFLOAT16: 8, TensorProto.FLOAT16: 11, TensorProto.FLOAT: 24, TensorProto.DOUBLE: 53}


def _some(hits: list[Hit], rest: str) -> Iterator[Hit]:
    """The first few of many alike."""
    yield from hits[:SHOWN]
    if len(hits) > SHOWN:
        yield "", "", f"{len(hits) - SHOWN} further {rest}"


@rule("integer-datatypes", "error", "annotate the tensor with its integer type (finn_datatype), or quantise it")
def integer_datatypes(view: TidyView) -> Iterator[Hit]:
    """FINN sizes streams by the types of the ports and what follows from them; a float stream is mapped to float hardware, or
    not at all."""
    if not view.lowered:
        return
    kinds = view.tidied.datatypes
    wrong = {name: "" for name in view.inputs if not is_integer(view.datatypes.get(name, "FLOAT32"))}
    for node in view.tidied.nodes:
        found = TABLE.get(node.op_type)
        for k in found.integers if found is not None else ():
            name = node.input[k] if len(node.input) > k else ""
            judged = any(node.op_type == "MultiThreshold" for node in view.producers.get(name, ()))  # threshold-output
            if (
                name in view.producers
                and not judged
                and not view.is_constant(name)
                and not is_integer(kinds.get(name, "FLOAT32"))
            ):
                wrong.setdefault(name, view.label(view.producers[name][0]))
    hits = [(label, name, f"has the type {kinds.get(name, 'FLOAT32')}, no integer one") for name, label in wrong.items()]
    yield from _some(hits, "tensors have no integer type")


@rule("unknown-datatype", "error", "use a name that qonnx knows (INT8, UINT4, BIPOLAR, FLOAT32 ...)")
def unknown_datatype(view: TidyView) -> Iterator[Hit]:
    """FINN reads every annotation in its way and stops at a name that it does not know."""
    for name, datatype in view.datatypes.items():
        known = DATATYPE.fullmatch(datatype)
        if not known and name in view.producers:
            yield view.label(view.producers[name][0]), name, f"is annotated {datatype!r}, which is no datatype"


@rule("inferred-datatype", "warning", "annotate inner tensors with the types that FINN infers (qonnx: InferDataTypes)")
def inferred_datatype(view: TidyView) -> Iterator[Hit]:
    """FINN infers the types of inner tensors and overwrites their annotations; other tools read the annotations."""
    if not view.lowered:
        return
    hits = []
    for node in view.tidied.nodes:
        found = TABLE.get(node.op_type)
        for name in node.output if found is not None else ():
            annotated, inferred = view.datatypes.get(name, "FLOAT32"), view.tidied.hardware.get(name, "FLOAT32")
            contradicted = node.op_type == "MultiThreshold" and annotated != inferred
            if is_integer(inferred) and (contradicted or not is_integer(annotated)):
                hits.append((view.label(node), name, f"is annotated {annotated}, and FINN infers {inferred}"))
        levels = node.input[1] if node.op_type == "MultiThreshold" and len(node.input) > 1 else ""
        if view.is_constant(levels) and not is_integer(view.datatypes.get(levels, "FLOAT32")):
            hits.append((view.label(node), levels, "has no integer type, and FINN takes that of the data"))
    yield from _some(hits, "tensors are not annotated as FINN infers them")


def _fault(view: TidyView, name: str, annotated: bool) -> str | None:
    """What is not integer about a constant; some operators find the type of integers without an annotation."""
    datatype = view.tidied.datatypes.get(name, "FLOAT32")
    limits = integer_range(datatype)
    values = view.array(name)
    if values is None and name in view.initializers:
        return None  # stored outside, or malformed: other rules
    if limits is None and (annotated or datatype != "FLOAT32"):
        return f"is a constant of type {datatype}"
    if values is None:
        return None  # computed by an operator that is not followed here
    if view.numbers(name) is None:
        return "is a constant that holds no numbers"
    if not np.all(np.isfinite(values)) or np.any(values != np.rint(values)):
        return f"is annotated {datatype} and holds values that are no integers"
    if limits is not None and values.size and (int(values.min()) < limits[0] or int(values.max()) > limits[1]):
        return f"is annotated {datatype} and holds values outside it"
    return None


def _codes(view: TidyView, node: NodeProto) -> Iterator[tuple[str, bool]]:
    """Constants that a node reads as codes, and whether FINN wants them annotated."""
    found = TABLE.get(node.op_type)
    places = range(1, len(node.input)) if node.op_type in OURS else found.codes if found is not None else ()
    for k in places:
        if k < len(node.input) and view.is_constant(node.input[k]):
            yield node.input[k], found is None or k in found.integers


@rule("float-initializer", "error", "fold scales into thresholds and keep integer codes in the graph (ssmq export does)")
def float_initializer(view: TidyView) -> Iterator[Hit]:
    """A float constant makes its consumer a float operator, for which FINN has no hardware."""
    if not view.lowered:
        return
    faults: dict[str, Hit] = {}
    for node in view.tidied.nodes:
        for name, annotated in _codes(view, node):
            fault = _fault(view, name, annotated) if name not in faults else None
            if fault:
                faults[name] = (view.label(node), name, fault)
    yield from _some(list(faults.values()), "constants are not integer")


@rule(
    "sum-width",
    "warning",
    "put the unsigned tensor first (of a difference: add -1 times it), or give the signed one a bit more",
)
def sum_width(view: TidyView) -> Iterator[Hit]:
    """FINN gives the sum or difference of a signed and, after it, an unsigned tensor of equal widths one bit more than theirs,
    and it can need two: what reads it is sized for codes that do not come, and codes are lost."""
    if not view.lowered:
        return
    for node in view.tidied.nodes:
        if node.op_type not in ("Add", "Sub") or len(node.input) != 2 or any(map(view.is_constant, node.input)):
            continue
        left, right = (view.tidied.hardware.get(name, view.datatypes.get(name, "")) for name in node.input)
        if (first := SIGNED.fullmatch(left)) and (second := UNSIGNED.fullmatch(right)) and first[1] == second[1]:
            yield view.label(node), node.output[0], f"joins {left} and {right}, which FINN sizes as INT{int(first[1]) + 1}"


@rule("accumulator-width", "error", "narrow the tensors that feed it, or keep it in a double container")
def accumulator_width(view: TidyView) -> Iterator[Hit]:
    """A float32 container holds integers exactly to 24 bits only; beyond, Python execution and hardware part ways."""
    inner = [
        (view.label(node), name) for node in view.nodes if node.op_type in TABLE or node.op_type in OURS for name in node.output
    ]
    for node, tensor in [*(("", name) for name in view.inputs), *inner]:
        info = view.infos.get(tensor)
        limits = integer_range(view.datatypes.get(tensor, ""))
        if info is None or limits is None:
            continue
        exact = EXACT_BITS.get(info.type.tensor_type.elem_type)
        if exact is not None and limits[1].bit_length() > exact:  # a negative end has one bit more, a power of two
            yield node, tensor, f"is {view.datatypes[tensor]}, in a container exact to {exact} bits"


@rule("layout", "error", "give the first input (batch, channels), (batch, width, channels) or (batch, height, width, channels)")
def layout(view: TidyView) -> Iterator[Hit]:
    """FINN takes the layout of the first input from its two, three or four dimensions, channels last, and stops at others."""
    shape = view.shape(view.inputs[0]) if view.lowered and view.inputs else None
    if shape is not None and not 2 <= len(shape) <= 4:
        yield "", view.inputs[0], f"has {len(shape)} dimensions"
