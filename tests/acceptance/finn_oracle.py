"""What FINN's own steps do with graphs: one process that imports FINN once and judges each graph in a fork of its own.

    python tests/acceptance/finn_oracle.py          reads paths of graphs, a line each; answers a line of JSON each

``{"mapped": bool, "said": str}``. Mapped means: every step of ``ssmq finn`` passes, every node is a hardware operator of
one partition, and the hardware computes what the graph says (shapes, and codes of a drawn input).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

SECONDS = 120
SETTINGS = {"clock_ns": 10.0, "part": "xc7z020clg400-1", "inferences_per_second": 1000}


class Oracle:
    """The process, seen from a test; ``ask`` gives (mapped, what FINN said)."""

    def __enter__(self):
        self._scratch = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self._scratch.name,
            env={**os.environ, "FINN_BUILD_DIR": self._scratch.name},
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()
        self._scratch.cleanup()

    def ask(self, model) -> tuple[bool, str]:
        path = Path(self._scratch.name) / "graph.onnx"
        path.write_bytes(model.SerializeToString())
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["mapped"], answer["said"]


def judged(graph: Path, worker, config, steps) -> str:
    """What is wrong with the hardware that FINN makes of a graph, empty if nothing."""
    from qonnx.core.modelwrapper import ModelWrapper

    out = Path(tempfile.mkdtemp(dir=os.environ["FINN_BUILD_DIR"]))
    step = "loading"
    try:
        build = worker._configured(config, out, SETTINGS)
        original, model = (
            ModelWrapper(str(graph)),
            worker._loaded(graph),
        )  # the first with its ReduceSum, which we convert ourselves
        for step in worker.STEPS:
            model = worker._mapped(steps, step, model, build)
            if step == worker.MAPPING[-1]:
                foreign = [node.op_type for node in model.graph.node if not node.domain.startswith(worker.HARDWARE)]
                if foreign:
                    return f"unmapped: {sorted(set(foreign))}"
                step = "comparing"
                wrong = unsound(model) or different(original, model)
                if wrong:
                    return wrong
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return f"{step}: {type(error).__name__} at {where}: {' '.join(str(error).split())[:200]}"
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return ""


def unsound(mapped) -> str:
    """What no hardware can be made of in the mapped graph: a fraction, a falling threshold, an MVAU that is none."""
    import numpy as np
    from qonnx.custom_op.registry import getCustomOp

    for port in [p for p in mapped.graph.input if mapped.find_consumers(p.name)] + list(mapped.graph.output):
        if not mapped.get_tensor_datatype(port.name).is_integer():
            return f"the port {port.name} is {mapped.get_tensor_datatype(port.name)}"
    for tensor in mapped.graph.initializer:
        values = mapped.get_initializer(tensor.name)
        if mapped.get_tensor_datatype(tensor.name).is_integer() and np.any(values != np.rint(values)):
            return f"fractions in the {mapped.get_tensor_datatype(tensor.name)} constant {tensor.name}"
    for node in mapped.graph.node:
        values = mapped.get_initializer(node.input[1]) if node.op_type == "Thresholding" else None
        if values is not None and np.any(values[:, 1:] < values[:, :-1]):
            return "thresholds that do not ascend, for a binary search"
        if node.op_type == "MVAU":
            if mapped.get_initializer(node.input[0]) is not None:
                return "MVAU with a constant for its stream"
            weight = mapped.get_tensor_shape(node.input[1])
            found = getCustomOp(node)
            if [found.get_nodeattr("MW"), found.get_nodeattr("MH")] != list(weight[-2:]):
                return f"{node.op_type} with MW {found.get_nodeattr('MW')}, MH {found.get_nodeattr('MH')} of {weight}"
    return ""


def different(original, mapped) -> str:
    """Whether the mapped graph computes something else, in shape or in codes."""
    import numpy as np
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    for entry in original.model.opset_import:
        entry.version = min(entry.version, 20)  # what the runtime knows
    sides = [original.transform(InferShapes()), mapped]
    ports = [[p.name for p in model.graph.input if model.get_initializer(p.name) is None] for model in sides]
    outputs = [[p.name for p in model.graph.output] for model in sides]
    for names, inner in (ports, outputs):
        shapes = [[list(m.get_tensor_shape(n)) for n in side] for m, side in zip(sides, (names, inner), strict=True)]
        if shapes[0] != shapes[1]:
            return f"shapes {shapes[1]} in place of {shapes[0]}"
    random = np.random.default_rng(0)
    values = [_codes(random, sides[0], name) for name in ports[0]]
    answers = [execute_onnx(m, dict(zip(p, values, strict=True))) for m, p in zip(sides, ports, strict=True)]
    for name, inner in zip(*outputs, strict=True):
        left, right = answers[0][name], answers[1][inner]
        limits = mapped.get_tensor_datatype(inner)
        divided = bool(original.get_nodes_by_op_type("Div"))
        if not divided and (right.min() < limits.min() or right.max() > limits.max()):
            return f"codes outside {limits} at {name}"
        # A stream has no shape: FINN takes a Reshape out between two operators, and its Python then gives the codes in another.
        if left.size == right.size and any(node.op_type in ("Flatten", "Reshape", "ReduceSum") for node in original.graph.node):
            left = left.reshape(right.shape)
        if left.shape != right.shape or np.any(left.astype(np.float64) != right.astype(np.float64)):
            # The quotient of integers is no integer: FINN's divider cuts it off. And its Python of an MVAU with thresholds takes
            # axis 1 of three dimensions for the channels, its hardware the last.
            axis = any(
                len(mapped.get_tensor_shape(n.output[0])) == 3 and len(n.input) > 2 for n in mapped.get_nodes_by_op_type("MVAU")
            )
            if not divided and not axis:
                return f"other codes at {name}"
    return ""


def _codes(random, model, port: str):
    import numpy as np
    from onnx import helper

    datatype, info = model.get_tensor_datatype(port), model.get_tensor_valueinfo(port)
    if not datatype.is_integer():  # of a port that nobody reads
        return np.zeros(model.get_tensor_shape(port), np.float32)
    values = random.integers(datatype.min(), datatype.max() + 1, model.get_tensor_shape(port))
    values = values if datatype.allowed(0) else np.where(values < 0, -1, 1)
    return values.astype(helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))


def _in_a_fork(graph: Path, *finn) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            said = judged(graph, *finn)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    done = select.select([read], [], [], SECONDS)[0]
    if not done:
        os.kill(child, signal.SIGKILL)
    said = os.read(read, 1 << 16).decode(errors="replace") if done else f"nothing in {SECONDS} s"
    os.close(read)
    status = os.waitpid(child, 0)[1]
    return said or (f"ended with status {status}" if status else "")


def main() -> None:
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # FINN prints
    from ssmq_export.finn import worker

    finn = (worker, *worker._builder())
    for line in sys.stdin:
        said = _in_a_fork(Path(line.strip()), *finn)
        print(json.dumps({"mapped": not said, "said": said}), file=answers, flush=True)


if __name__ == "__main__":
    main()
