"""hls4ml itself and the C++ that it wrote, in a process of its own: it prints, and compiled code can abort.

python -m ssmq_export.hls4ml.worker build JOB      JOB/graph.onnx, JOB/settings.json -> JOB/library.json
python -m ssmq_export.hls4ml.worker run JOB        JOB/library.json, JOB/inputs.npz -> JOB/outputs.npz
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx

from ..child import end_with_parent

BACKEND = "Vitis"
NAME = "ssmq_step"
# What hls4ml does to factors that its own quantisers left. Ours are exact where they stand; moved below a sum, a factor
# takes its operand's narrow type along, and one that is 0 in all channels takes the operand away.
MOVING = ("scale_down_add", "bias_down_add", "scale_down_mat_mul", "scale_down_conv")
# A step runs in microseconds either way; of -O3 g++ takes half as long again.
OPTIMISE = "-O1"


def build(job: Path) -> None:
    """Convert and compile; says where the library is and how large its ports are, in the order of its arguments."""
    settings = json.loads((job / "settings.json").read_text())
    model = _convert(onnx.load(job / "graph.onnx", load_external_data=False), settings)
    model.write()
    script = Path(settings["folder"]) / "build_lib.sh"
    script.write_text(script.read_text().replace("-O3", OPTIMISE))
    model._compile()
    sides = (model.get_input_variables(), model.get_output_variables())
    inputs, outputs = ([int(variable.size()) for variable in side] for side in sides)
    found = {"library": model._top_function_lib._name, "inputs": inputs, "outputs": outputs}
    (job / "library.json").write_text(json.dumps(found))


def _convert(graph: onnx.ModelProto, settings: dict):
    from hls4ml.converters import convert_from_onnx_model
    from hls4ml.model.flow import get_flow

    from .layer import register

    register(BACKEND)
    passes = get_flow("parse_qonnx").optimizers
    passes[:] = [name for name in passes if name not in MOVING]
    # Every type is given below; the default is narrow so that a layer without one cannot pass unnoticed.
    config = {"Model": {"Precision": {"default": "fixed<2,2>"}, "ReuseFactor": 1, "Strategy": "Latency"}}
    config["LayerName"] = {name: {"Precision": types} for name, types in settings["types"].items()}
    options = {"part": settings["part"]} if settings["part"] else {}
    return convert_from_onnx_model(
        graph,
        output_dir=settings["folder"],
        project_name=NAME,
        backend=BACKEND,
        hls_config=config,
        io_type="io_parallel",
        **options,
    )


def run(job: Path) -> None:
    """The compiled step, sequence by sequence; outputs float64 ``(B, T, channels)`` each under its number.

    ``inputs.npz``: ``values`` ``(B, T, channels)``, ``given`` the number of the input that takes them, ``following`` the
    output that every other input is fed from, which starts at 0.
    """
    found = json.loads((job / "library.json").read_text())
    step = getattr(ctypes.CDLL(found["library"]), f"{NAME}_double")
    step.restype = None
    with np.load(job / "inputs.npz") as held:
        values, given, following = held["values"].astype(np.float64), int(held["given"]), held["following"].tolist()
    count, steps = values.shape[:2]
    traces = [np.zeros((count, steps, size)) for size in found["outputs"]]
    for sequence in range(count):
        ports = [np.zeros(size) for size in found["inputs"]]
        results = [np.zeros(size) for size in found["outputs"]]
        for t in range(steps):
            ports[given][:] = values[sequence, t]
            step(*(array.ctypes.data_as(ctypes.c_void_p) for array in (*ports, *results)))
            for trace, result in zip(traces, results, strict=True):
                trace[sequence, t] = result
            for place, source in enumerate(following):
                if place != given:
                    ports[place][:] = results[source]
    outputs: dict = {str(number): trace for number, trace in enumerate(traces)}
    np.savez(job / "outputs.npz", **outputs)


def main(arguments: list[str]) -> None:
    """One line of what went wrong, last on standard error, or nothing."""
    end_with_parent()
    kind, job = arguments
    heard = io.StringIO()
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            {"build": build, "run": run}[kind](Path(job))
    except Exception as error:  # hls4ml raises bare Exception, and whatever its passes stumble over
        print(f"hls4ml: {_last_line(heard.getvalue(), error)}", file=sys.stderr)
        sys.exit(1)


def _last_line(heard: str, error: Exception) -> str:
    """g++'s first error if there is one, else the exception's own text."""
    compiler = re.search(r"^.*\b(?:fatal )?error: .*$", heard, re.MULTILINE)
    if compiler:
        return compiler.group(0).strip()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1:])
