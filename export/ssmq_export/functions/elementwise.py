"""Functions of one tensor: the chain of elementwise nodes between an exact integer sum and the quantiser that ends it.

The chain is cut out of the graph and run by ONNX Runtime as it stands, so whatever is derived from it (thresholds,
tables) is derived from the very float function that the graph evaluates.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..dataflow.keys import OPSET, QONNX_DOMAIN
from ..dataflow.quant_function import quant_function
from ..errors import ExportError
from .runtime import session

# Operators that act on every element alone; with one varying operand they are functions of that operand.
ELEMENTWISE = frozenset(
    {"Mul", "Add", "Sub", "Div", "Relu", "Clip", "Sigmoid", "Tanh", "Erf", "Cast", "Gather", "Quant", "Neg"}
)
_RISING = frozenset({"Add", "Relu", "Clip", "Sigmoid", "Tanh", "Erf", "Cast", "Quant"})


class ElementwiseFunction:
    """``nodes`` from ``source`` to the Quant ``nodes[-1]``, callable on codes ``(rows, channels)``.

    ``exponent`` is the source's, one number or one a channel; results are integer codes of the Quant's output.
    """

    def __init__(self, nodes, constants: dict[str, np.ndarray], source: str, exponent, dtype):
        self.nodes, self.constants = nodes, constants
        self.exponent, self.dtype = np.asarray(exponent), np.dtype(dtype)
        quant = nodes[-1]
        self.scale = constants[quant.input[1]].astype(np.float64)
        element = helper.np_dtype_to_tensor_dtype(self.dtype)
        needed = {name for node in nodes for name in node.input} & constants.keys()
        graph = helper.make_graph(
            nodes,
            "function",
            [helper.make_tensor_value_info(source, element, ["rows", "channels"])],
            [helper.make_tensor_value_info(quant.output[0], TensorProto.FLOAT, ["rows", "channels"])],
            [numpy_helper.from_array(constants[name], name) for name in sorted(needed)],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, functions=[quant_function()], ir_version=9)
        try:
            self._session = session(model.SerializeToString())
        except Exception as error:  # ONNX Runtime's exceptions have no common class of their own
            raise ExportError(
                f"{quant.output[0]}: ONNX Runtime cannot run the {self.dtype.name} function before this quantiser "
                f"({str(error).splitlines()[0]}); choose another activation, or widths whose sums fit float32"
            ) from error
        self._source = source

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        values = np.ldexp(codes.astype(np.float64), self.exponent).astype(self.dtype)
        (result,) = self._session.run(None, {self._source: values})
        return np.rint(result / self.scale).astype(np.int64)

    @property
    def directions(self) -> np.ndarray | None:
        """1 for channels in which the nodes alone show that the function never falls, -1 where it never rises, int64 of one
        or of all channels; None if they do not show it."""
        known, found = {self._source}, np.ones(1, np.int64)
        for node in self.nodes:
            varying = [name for name in node.input if name in known]
            fixed = [self.constants[name] for name in node.input if name in self.constants]
            if len(varying) != 1:
                return None
            first = node.input[0] == varying[0]
            if node.op_type == "Mul" or (node.op_type == "Div" and first):
                # A factor of 0 makes a constant, which may be called either.
                found = found * np.where(fixed[0] < 0, -1, 1).reshape(-1)
            elif node.op_type == "Neg" or (node.op_type == "Sub" and not first):
                found = -found
            elif not (node.op_type in _RISING or node.op_type == "Sub"):
                return None
            known.add(node.output[0])
        return found


def constants_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Every initialiser of ``graph`` as an array."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
