"""A stream is the whole sequence: step.onnx in plain ONNX Runtime, and the integer model's own steps."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import small_config, small_model
from ssmq_export.dataflow.quant_function import quant_function
from ssmq_export.door import admit
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import lower

EDGE = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"}
PAPER = {"norm": "none", "activation": "gelu", "gate": "sigmoid"}
CASES = {
    "edge": {"model": EDGE},
    "edge-3-channels": {"model": {**EDGE, "channels": 3}},
    "paper-soft": {"model": PAPER},
    "double": {"model": EDGE, "bits": {"a": 16, "b": 16, "x": 16}},
}


@functools.cache
def graphs(case: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    _, model = small_model(small_config(**CASES[case]))
    step = step_graph(model.network)
    return step, lower(step)


def codes_of(case: str, steps: int) -> np.ndarray:
    """``(1, steps, C)``: noise with stretches of black and white, so that states rest and saturate."""
    channels = CASES[case]["model"].get("channels", 1)
    codes = np.random.default_rng(7).integers(0, 256, (1, steps, channels), dtype=np.uint8)
    codes[:, steps // 5 : steps // 4], codes[:, steps // 2 : steps // 2 + steps // 10] = 0, 255
    return codes


@pytest.mark.parametrize("case", CASES)
def test_five_lines_of_onnx_runtime_stream_every_code(case, tmp_path):
    step, dataflow = graphs(case)
    codes = codes_of(case, 1100)
    onnx.save(step, tmp_path / "step.onnx")
    kind = np.float64 if case == "double" else np.float32

    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    state = {port.name: np.zeros(port.shape, kind) for port in session.get_inputs()[1:]}
    found: dict[str, list[np.ndarray]] = {port.name: [] for port in session.get_outputs()}
    for u in codes[0].astype(kind) / 256:
        outputs = session.run(None, {"u": u[None], **state})
        state = dict(zip(state, outputs[1:], strict=True))
        for values, output in zip(found.values(), outputs, strict=True):
            values.append(output[0])

    integers = IntegerModel(dataflow)
    expected = integers.trace(codes, [name for name in found if name != "decoder"])
    for name, values in expected.items():
        if name != "decoder":
            assert np.array_equal(np.stack(found[name]), values[0]), name
            assert len(np.unique(values)) > 8, name
    for logits, u in zip(found["decoder"], codes[0], strict=True):
        assert np.array_equal(logits, integers.values(integers.step(u[None]))[0])


def test_readers_leave_the_function_aside_and_refuse_any_other():
    """It says what the operator does; one of the same name could say anything."""
    step, _ = graphs("edge")
    assert [function.name for function in step.functions] == ["Quant"]
    assert not admit(step, "step").functions
    other = quant_function()
    next(node for node in other.node if node.op_type == "Round").op_type = "Floor"
    step = onnx.ModelProto.FromString(step.SerializeToString())
    for functions in ([other], [quant_function(), other]):
        del step.functions[:]
        step.functions.extend(functions)
        with pytest.raises(ExportError, match="brings functions"):
            admit(step, "step")


MANY = [pytest.param(case, 1_000_000, marks=pytest.mark.slow, id=f"{case}-long") for case in ("edge", "paper-soft", "double")]


@pytest.mark.parametrize("case, steps", [*((case, 3000) for case in CASES), *MANY])
def test_a_long_integer_stream_is_the_whole_sequence(case, steps):
    integers, codes = IntegerModel(graphs(case)[1]), codes_of(case, steps)
    places = {1, 2, 21, steps // 3, steps - 1, steps}
    for t in range(steps):
        logits = integers.step(codes[:, t])
        if t + 1 in places:
            assert np.array_equal(logits, integers.forward(codes[:, : t + 1])), t
