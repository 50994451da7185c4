"""What FINN's tidy-up leaves of a graph: shapes and integer types inferred, nodes of constants alone folded away.

FINN believes no annotation of an inner tensor: qonnx's InferDataTypes writes its own. Followed here as in finn-plus 1.6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TypeProto

from ..dataflow.attributes import number_attribute, text_attribute
from ..dataflow.constants import COMPUTED, computed
from ..dataflow.datatype import is_integer, is_signed
from .shapes import STANDARD, MisfitError, dims, inferred, schema_of

if TYPE_CHECKING:
    from .tidy_view import TidyView

FLOAT = "FLOAT32"
# Their sums and products are INT32, or UINT32 if nothing is signed, until a later step narrows them.
SUMS = frozenset({"MatMul", "Gemm", "Conv", "Add", "Sub", "Mul"})
SAME = frozenset(
    "Reshape Transpose Flatten Slice Gather GatherElements GatherND Identity Expand MaxPool GlobalMaxPool Scatter "
    "ScatterElements ScatterND Squeeze Unsqueeze Tile Pad Concat Clip Im2Col MaxPoolNHWC Resize Upsample".split()
)
# Hardware operators that start with 32 signed bits, whatever they read.
ELEMENTWISE = frozenset("Add Sub Mul Div And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual".split())


class Tidied:
    """Nodes that are left, types by tensor, and what does not fit: (node, tensor or nothing, message)."""

    def __init__(self, view: TidyView):
        self._view = view
        self.nodes: list[onnx.NodeProto] = []
        self.values: dict[str, np.ndarray | None] = {}
        self.misfits: list[tuple[onnx.NodeProto, str]] = []
        self.contradictions: list[tuple[onnx.NodeProto, str, str]] = []
        self._kinds: dict[str, TypeProto] = {name: info.type for name, info in view.infos.items()}
        for name, tensor in view.initializers.items():
            self._kinds[name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        self.datatypes = {name: view.datatypes.get(name, FLOAT) for name in [*view.inputs, *view.initializers]}
        # As far as they differ once elementwise operators are converted.
        self.hardware = dict(self.datatypes)
        for node in view.nodes:
            self._shapes(node)
            self._datatypes(node)
            if not all(view.is_constant(name) for name in node.output if name):
                self.nodes.append(node)
            elif node.op_type == "Shape" and node.input:
                self.values[view.output(node)] = np.asarray(self.shape(node.input[0]) or (), np.int64)
            elif node.op_type in COMPUTED:
                shape = self.shape(node.output[0]) if node.output else None
                self.values[view.output(node)] = computed(node, [self._array(name) for name in node.input], shape)

    def _array(self, tensor: str) -> np.ndarray | None:
        values = self._view.given(tensor)
        return self.values.get(tensor) if values is None else values

    def shape(self, tensor: str) -> list[int] | None:
        return dims(self._kinds.get(tensor))

    def _shapes(self, node: onnx.NodeProto) -> None:
        view = self._view
        if not fits(node, view.opset):
            return  # operand-count
        try:
            found = inferred(node, [self._kinds.get(name) for name in node.input], self._array, view.opset)
        except MisfitError as misfit:
            self.misfits.append((node, str(misfit)))
            return
        for name, kind in found.items():
            declared = view.infos[name].type if name in view.infos else None
            if declared is not None and declared.HasField("tensor_type"):
                wrong = _contradiction(declared.tensor_type, kind.tensor_type, node.domain in STANDARD)
                if wrong:
                    self.contradictions.append((node, name, wrong))
                    self._kinds.pop(name, None)  # what follows is judged as declared: one fault is one finding
                    continue
                if not kind.tensor_type.HasField("shape"):
                    continue
                if declared.tensor_type.elem_type and node.domain not in STANDARD:
                    kind.tensor_type.elem_type = declared.tensor_type.elem_type  # QONNX keeps any container
            self._kinds[name] = kind

    def _datatypes(self, node: onnx.NodeProto) -> None:
        for types in (self.datatypes, self.hardware):
            operands = [types.get(name, FLOAT) for name in node.input]
            for name in node.output:
                annotated = self._view.datatypes.get(name, FLOAT)
                # Constants are folded before types are inferred.
                types[name] = annotated if self._view.is_constant(name) else _datatype(node, operands, annotated)
        if node.op_type == "Concat" and any(is_signed(self.hardware.get(name, FLOAT)) for name in node.input):
            self.hardware[self._view.output(node)] = "INT32"  # FINN takes the type that holds them all
        if node.op_type == "Split" and node.input:  # believed as annotated until it is converted
            self.hardware.update(dict.fromkeys(node.output, self.hardware.get(node.input[0], FLOAT)))
        if node.op_type in ELEMENTWISE and len(node.input) == 2 and node.output:
            if all(is_integer(self.hardware.get(name, FLOAT)) or self._view.is_constant(name) for name in node.input):
                self.hardware[node.output[0]] = "INT32"


def _datatype(node: onnx.NodeProto, operands: list[str], annotated: str) -> str:
    """qonnx's InferDataTypes for one output."""
    op = node.op_type
    if op in SUMS and operands:
        if all(map(is_integer, operands)):
            return "INT32" if op == "Sub" or any(map(is_signed, operands)) else "UINT32"
        return FLOAT
    if op in SAME and operands:
        return operands[0]
    if op == "MultiThreshold":
        whole = all(number_attribute(node, name, 0) % 1 == 0 for name in ("out_scale", "out_bias"))
        return text_attribute(node, "out_dtype", "") if whole else FLOAT
    if op == "Sign":
        return "BIPOLAR"
    if op == "XnorPopcountMatMul":
        return "UINT32"
    if op == "QuantAvgPool2d":
        sign = "" if number_attribute(node, "signed", 0) else "U"
        return f"{sign}INT{number_attribute(node, 'obits', 0):.0f}"
    return annotated


def fits(node: onnx.NodeProto, opset: int) -> bool:
    """Whether the node has as many inputs and outputs as its definition asks for."""
    if node.domain not in STANDARD:
        return True
    schema = schema_of(node, opset)
    if schema is None:
        return True
    needed = all(name for name in node.input[: schema.min_input]) and len(node.input) >= schema.min_input
    return needed and len(node.input) <= schema.max_input and schema.min_output <= len(node.output) <= schema.max_output


def _contradiction(declared: TypeProto.Tensor, found: TypeProto.Tensor, typed: bool) -> str | None:
    """What an inner tensor is declared to be, against what the operator makes; unknown sizes contradict nothing."""
    if typed and declared.elem_type and found.elem_type and declared.elem_type != found.elem_type:
        names = [_container(element) for element in (declared.elem_type, found.elem_type)]
        return f"is declared {names[0]} and comes out as {names[1]}"
    if not (declared.HasField("shape") and found.HasField("shape")):
        return None
    sides = [[d.dim_value if d.HasField("dim_value") else None for d in side.shape.dim] for side in (declared, found)]
    pairs = zip(*sides, strict=False)
    if len(sides[0]) == len(sides[1]) and all(None in pair or pair[0] == pair[1] for pair in pairs):
        return None
    return f"is declared {sides[0]} and comes out as {sides[1]}"


def _container(element: int) -> str:
    known = element in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(element) if known else str(element)
