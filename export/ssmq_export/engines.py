"""Engines that run a graph over sequences and return its tensors as values, so that they can be compared.

Every function takes ``values`` ``(B, T)`` or ``(B, T, C)``, what the port ``u`` carries at each step, and returns
name -> ``(B, T, channels)`` for step tensors and ``(B, classes)`` for ``logits``.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx

from .builder import FORMATS_KEY
from .door import refuse_foreign
from .errors import ExportError
from .graph_file import property_of
from .runtime import session
from .sequences import with_channels
from .states import successor

# Sequences at once through qonnx, which compares every element with every threshold: 100 MB for 64 channels.
AT_ONCE = 8
SANITIZE = "SANITIZE_QUANT_TENSORS"


def run_sequence(model: onnx.ModelProto, values: np.ndarray) -> dict[str, np.ndarray]:
    """ONNX Runtime on a sequence graph, traced (see ``sequence_graph``) or not."""
    refuse_foreign(model.graph)
    names = [port.name.removesuffix("_trace") for port in model.graph.output]
    found = session(model).run(None, {"sequence": _typed(with_channels(values), model)})
    return dict(zip(names, found, strict=True))


@contextmanager
def _as_computed() -> Iterator[None]:
    """qonnx's rounding of tensors to their annotated type switched off: it would hide errors."""
    before = os.environ.get(SANITIZE)
    os.environ[SANITIZE] = "0"
    try:
        yield
    finally:
        del os.environ[SANITIZE]
        if before is not None:
            os.environ[SANITIZE] = before


@_as_computed()
def run_steps(model: onnx.ModelProto, values: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """qonnx node by node, once a time step, the states looped back by hand; for step and dataflow graphs.

    Integer graphs are fed codes and their results are scaled back by the exponents in the metadata.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    refuse_foreign(model.graph)
    _refuse_absent(model, tensors)
    values = with_channels(values)
    batch, length = values.shape[:2]
    wrapper = ModelWrapper(with_batch(model, batch))
    properties = {p.key: p.value for p in model.metadata_props}
    exponents = {name: fmt["exponent"] for name, fmt in json.loads(properties[FORMATS_KEY]).items()}
    integers = properties["ssmq.form"] == "dataflow"

    def unscaled(name: str, value: np.ndarray) -> np.ndarray:
        return np.ldexp(value.astype(np.float64), np.asarray(exponents[name])) if integers else value

    if integers:
        values = np.ldexp(values.astype(np.float64), -np.asarray(exponents["u"]))
    states = [port.name for port in model.graph.input if port.name != "u"]
    shapes = {port.name: port.type.tensor_type.shape.dim[1].dim_value for port in model.graph.input}
    context = {name: _typed(np.zeros((batch, shapes[name])), model) for name in states}
    traces: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    for t in range(length):
        feed = {"u": _typed(values[:, t], model), **context}
        results = execute_onnx(wrapper, feed, return_full_exec_context=True)
        for name in tensors:
            traces[name].append(unscaled(name, results[name]).astype(np.float64))
        context = {name: results[successor(name)] for name in states}
    stacked = {name: np.stack(steps, axis=1) for name, steps in traces.items()}
    return {"logits": unscaled("logits", results["logits"]), **stacked}


@_as_computed()
def run_whole(model: onnx.ModelProto, values: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """qonnx node by node on a sequence dataflow graph; of ``tensors`` those that this form still has."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    refuse_foreign(model.graph)
    exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in json.loads(property_of(model, FORMATS_KEY)).items()}
    codes = np.ldexp(with_channels(values).astype(np.float64), -exponents["u"])
    codes = _typed(codes[:, :, None], model)
    made = {name for node in model.graph.node for name in node.output}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("logits", *tensors) if name in made & exponents.keys()}
    for start in range(0, len(codes), AT_ONCE):
        some = codes[start : start + AT_ONCE]
        results = execute_onnx(ModelWrapper(with_batch(model, len(some))), {"u": some}, return_full_exec_context=True)
        for name, found in parts.items():
            found.append(np.ldexp(results[name][:, :, 0].astype(np.float64), exponents[name]))
    traces = {name: np.concatenate(found) for name, found in parts.items()}
    return {**traces, "logits": traces["logits"][:, 0]}


def _refuse_absent(model: onnx.ModelProto, tensors: list[str]) -> None:
    """Of a graph that is to be compared tensor by tensor, none may be lost or renamed."""
    known = {port.name for port in model.graph.input} | {name for node in model.graph.node for name in node.output}
    if property_of(model, "ssmq.form") == "dataflow":
        known &= json.loads(property_of(model, FORMATS_KEY)).keys()
    lost = [name for name in tensors if name not in known]
    if lost:
        raise ExportError(
            f"{', '.join(lost[:3])}: not in the graph under {'this name' if len(lost) == 1 else 'these names'}: another tool has "
            f"renamed or removed tensors; give the file as `ssmq export` wrote it"
        )


def with_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy whose varying tensors have ``batch`` as their first dimension."""
    result = copy.deepcopy(model)
    graph = result.graph
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
    for info in [*graph.input, *graph.output, *graph.value_info]:
        if info.name not in fixed:
            info.type.tensor_type.shape.dim[0].dim_value = batch
    return result


def _typed(values: np.ndarray, model: onnx.ModelProto) -> np.ndarray:
    element = model.graph.input[0].type.tensor_type.elem_type
    return np.ascontiguousarray(values, onnx.helper.tensor_dtype_to_np_dtype(element))
