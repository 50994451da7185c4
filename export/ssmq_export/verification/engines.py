"""Engines that run a graph over sequences and return its tensors as values, so that they can be compared.

Every function takes ``codes`` ``(B, T)`` or ``(B, T, C)`` of the input port and returns values: name -> ``(B, T, channels)``
for step tensors and an output a step, ``(B, channels)`` for an output after the last. Graphs of values are fed what the
codes stand for, here and nowhere else.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import numpy as np
import onnx
from onnx import helper

from ..dataflow.keys import FORM_KEY, formats_of, property_of
from ..dataflow.ports import ports_of, values_of
from ..dataflow.sequences import input_codes
from ..door import refuse_foreign
from ..errors import ExportError
from ..functions.runtime import session

# Sequences at once through qonnx, which compares every element with every threshold: 100 MB for 64 channels.
AT_ONCE = 8
SANITIZE = "SANITIZE_QUANT_TENSORS"


def run_sequence(model: onnx.ModelProto, codes: np.ndarray) -> dict[str, np.ndarray]:
    """ONNX Runtime on a sequence graph, traced (see ``sequence_graph``) or not."""
    refuse_foreign(model.graph)
    output, *traces = [port.name for port in model.graph.output]
    names = [output, *(name.removesuffix("_trace") for name in traces)]
    given = ports_of(model).input
    values = values_of(input_codes(codes, given), given.format.exponent)
    found = session(model.SerializeToString()).run(None, {model.graph.input[0].name: _typed(values, model)})
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


@contextmanager
def _sessions_kept() -> Iterator[None]:
    """qonnx makes a session of ONNX Runtime for a node each time it executes it; here one that it has made serves again."""
    from qonnx.core import onnx_exec

    runtime = onnx_exec.rt
    onnx_exec.rt = SimpleNamespace(InferenceSession=cache(session))
    try:
        yield
    finally:
        onnx_exec.rt = runtime


def _executed(wrapper, feed: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Every tensor of a graph, step after step; ``feed`` is what goes into the next one.

    What qonnx's own ``execute_onnx`` does, but for its checks of the graph, which come once and not at every step.
    """
    from qonnx.core.onnx_exec import execute_node

    versions = wrapper.get_opset_imports()
    known = {info.name: info for info in (*wrapper.graph.input, *wrapper.graph.output, *wrapper.graph.value_info)}
    nodes = [(node, _around(node, known), versions.get(node.domain, 1)) for node in wrapper.graph.node]
    tensors = wrapper.make_empty_exec_context()
    while True:
        tensors |= feed
        for node, graph, version in nodes:
            execute_node(node, tensors, graph, version)
        yield tensors


def _around(node: onnx.NodeProto, known: dict[str, onnx.ValueInfoProto]) -> onnx.GraphProto:
    """A graph of the tensors of ``node`` alone: qonnx looks through all that it is given, for every node."""
    own = [known[name] for name in dict.fromkeys((*node.input, *node.output)) if name in known]
    return helper.make_graph([], "around", [], [], value_info=own)


@_as_computed()
@_sessions_kept()
def run_steps(model: onnx.ModelProto, codes: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """qonnx node by node, once a time step, the states looped back by hand; for step and dataflow graphs.

    Integer graphs are fed codes and their results are scaled back by the exponents in the metadata.
    """
    from qonnx.core.modelwrapper import ModelWrapper

    refuse_foreign(model.graph)
    _refuse_absent(model, tensors)
    ports = ports_of(model)
    codes = input_codes(codes, ports.input)
    batch, length = codes.shape[:2]
    wrapper = ModelWrapper(with_batch(model, batch))
    exponents = {name: fmt["exponent"] for name, fmt in formats_of(model).items()}
    integers = property_of(model, FORM_KEY) == "dataflow"

    def unscaled(name: str, value: np.ndarray) -> np.ndarray:
        return np.ldexp(value.astype(np.float64), np.asarray(exponents[name])) if integers else value

    given = codes if integers else values_of(codes, ports.input.format.exponent)
    feed = {port.name: _typed(np.zeros((batch, port.channels)), model) for port in ports.kept}
    feed[ports.input.name] = _typed(given[:, 0], model)
    output = ports.output.name
    traces: dict[str, list[np.ndarray]] = {name: [] for name in (*tensors, output)}
    for t, results in zip(range(1, length + 1), _executed(wrapper, feed), strict=False):
        for name in traces:
            traces[name].append(unscaled(name, results[name]).astype(np.float64))
        feed |= {name: results[after] for name, after in ports.successors.items()}
        feed[ports.input.name] = _typed(given[:, t % length], model)
    stacked = {name: np.stack(steps, axis=1) for name, steps in traces.items()}
    return {**stacked, output: stacked[output] if ports.output.each_step else stacked[output][:, -1]}


@_as_computed()
def run_whole(model: onnx.ModelProto, codes: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """qonnx node by node on a sequence dataflow graph; of ``tensors`` those that this form still has at every step."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    refuse_foreign(model.graph)
    exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats_of(model).items()}
    ports = ports_of(model)
    given, output = ports.input.name, ports.output.name
    codes = _typed(input_codes(codes, ports.input)[:, :, None], model)
    made = {name for node in model.graph.node for name in node.output}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (output, *tensors) if name in made & exponents.keys()}
    for start in range(0, len(codes), AT_ONCE):
        some = codes[start : start + AT_ONCE]
        results = execute_onnx(ModelWrapper(with_batch(model, len(some))), {given: some}, return_full_exec_context=True)
        for name, found in parts.items():
            found.append(np.ldexp(results[name][:, :, 0].astype(np.float64), exponents[name]))
    traces = {name: np.concatenate(found) for name, found in parts.items()}
    traces = {name: found for name, found in traces.items() if name == output or found.shape[1] == codes.shape[1]}
    # Of an output after the last step the stream may hold every step.
    return {**traces, output: traces[output] if ports.output.each_step else traces[output][:, -1]}


def _refuse_absent(model: onnx.ModelProto, tensors: list[str]) -> None:
    """Of a graph that is to be compared tensor by tensor, none may be lost or renamed."""
    known = {port.name for port in model.graph.input} | {name for node in model.graph.node for name in node.output}
    if property_of(model, FORM_KEY) == "dataflow":
        known &= formats_of(model).keys()
    lost = [name for name in tensors if name not in known]
    if lost:
        raise ExportError(
            f"{', '.join(lost[:3])}: not in the graph under {'this name' if len(lost) == 1 else 'these names'}: "
            "another tool has "
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
