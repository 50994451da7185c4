"""FINN itself, in a process of its own: it prints, keeps global settings and may exit.

    python -m ssmq_export.finn.worker compile GRAPH OUT SETTINGS.json
    python -m ssmq_export.finn.worker execute GRAPH INPUTS.npz OUTPUTS.npz
    python -m ssmq_export.finn.worker boards BOARDS.json

Steps and the way round Vivado: finn-plus 1.6.1, ``finn.builder.build_dataflow_steps``. Its step module imports a
simulator that only a Vivado installation builds, hence the placeholder.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from ..child import end_with_parent
from .folding import folding_config, tensors_of
from .parts import near
from .process import EXACT

MAPPING = ("step_tidy_up", "step_convert_to_hw", "step_minimize_bit_width_initial")
STEPS = (
    *MAPPING,
    "step_create_dataflow_partition",
    "step_specialize_layers",
    "step_target_fps_parallelization",
    "step_apply_folding_config",
    "step_minimize_bit_width",
    "step_generate_estimate_reports",
)
HARDWARE = "finn.custom_op.fpgadataflow"


def _builder():
    """FINN's configuration and step modules, set up without Vivado."""
    os.environ["SANITIZE_QUANT_TENSORS"] = "0"
    if "FINN_BUILD_DIR" not in os.environ:
        scratch = os.environ["FINN_BUILD_DIR"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    import finn.util.settings

    finn.util.settings.initialize_dummy_settings()
    import finn.xsi

    finn.xsi.SimEngine = type("SimEngine", (), {})
    from finn.builder import build_dataflow_config, build_dataflow_steps

    from .diagonal_scan_rtl import register

    register()
    return build_dataflow_config, build_dataflow_steps


def _boards() -> dict[str, str]:
    from finn.util.basic import part_map

    return dict(part_map)


def _configured(config, out: Path, settings: dict):
    return config.DataflowBuildConfig(
        output_dir=str(out),
        synth_clk_period_ns=settings["clock_ns"],
        fpga_part=settings["part"],
        target_fps=settings["inferences_per_second"],
        generate_outputs=[config.DataflowOutputType.ESTIMATE_REPORTS],
        save_intermediate_models=True,
        **EXACT,
    )


def compile_graph(graph: Path, out: Path, settings: dict) -> None:
    """Run every step; leaves FINN's reports, the final graph and result.json in ``out``."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    config, steps = _builder()
    build = _configured(config, out, settings)
    model = _loaded(graph)
    ports = [[port.name for port in side] for side in (model.graph.input, model.graph.output)]
    before, kept = tensors_of(model.graph), settings["folding"]
    known = _boards()
    result: dict = {"finn": {}, "listed": settings["part"] in known.values(), "near": near(settings["part"], known)}
    for name in STEPS:
        print(f"step: {name}", file=sys.stderr)
        model = _mapped(steps, name, model, build)
        if name == "step_tidy_up":
            tidied = tensors_of(model.graph)
        if name == "step_target_fps_parallelization" and kept is not None:
            place = out / "report" / "kept_folding_config.json"
            place.write_text(json.dumps(folding_config(model.graph, kept, before, tidied), indent=2))
            build.folding_config_file = str(place)
        if name == "step_specialize_layers":
            # FINN's folding step leaves operators that it does not know as they are.
            for node in model.get_nodes_by_op_type("DiagonalScan_rtl"):
                getCustomOp(node).fold(build._resolve_cycles_per_frame())
        if name == MAPPING[-1]:
            foreign = _unmapped(model)
            result["nodes"] = len(model.graph.node)
            result["mapped"] = len(model.graph.node) - len(foreign)
            result["unmapped"] = [{"node": node.name, "op": node.op_type} for node in foreign]
            renamed = [[port.name for port in side] for side in (model.graph.input, model.graph.output)]
            result["ports"] = [dict(zip(*side, strict=True)) for side in zip(ports, renamed, strict=True)]
    parent = ModelWrapper(str(out / "intermediate_models" / "dataflow_parent.onnx"))
    result["partitions"] = len(parent.get_nodes_by_op_type("StreamingDataflowPartition"))
    model.save(str(out / "finn.onnx"))
    # The parent names the partition by where it lay while FINN worked.
    shutil.rmtree(out / "intermediate_models")
    for report in ("estimate_network_performance", "estimate_layer_resources"):
        result["finn"][report] = json.loads((out / "report" / f"{report}.json").read_text())
    (out / "result.json").write_text(json.dumps(result))


def _loaded(graph: Path):
    """The graph as FINN's steps take it; call after ``_builder``."""
    from qonnx.core.modelwrapper import ModelWrapper

    from .infer_sequence import InferSequence

    # Not by its path: qonnx would open the files that a graph names.
    return ModelWrapper(onnx.load(graph, load_external_data=False)).transform(InferSequence())


def _unmapped(model) -> list:
    """The nodes that FINN's conversion left as they were."""
    return [node for node in model.graph.node if not node.domain.startswith(HARDWARE)]


def _mapped(steps, name: str, model, build):
    """The model after FINN's step ``name``, and what that step leaves undone."""
    from .duplicate_inputs import DuplicateInputs

    model = getattr(steps, name)(model, build)
    return model.transform(DuplicateInputs()) if name == "step_convert_to_hw" else model


class _Doubles:
    """NumPy for FINN's modules, in which float32, the container of their results, is float64."""

    float32 = np.float64

    def __getattr__(self, name: str):
        return getattr(np, name)


def _exact_containers() -> None:
    """Hardware streams are integers of any width; FINN's Python holds them in float32, which ends at 24 bits."""
    from finn.custom_op import fpgadataflow

    for name in ("duplicatestreams", "elementwise_binary", "globalaccpool", "thresholding"):
        vars(importlib.import_module(f"{fpgadataflow.__name__}.{name}"))["np"] = _Doubles()


def execute(graph: Path, inputs: Path, outputs: Path) -> None:
    """Run FINN's hardware operators in Python on ``codes`` ``(B, T, ...)``; every output port at every inference."""
    from qonnx.core.onnx_exec import execute_onnx

    config, steps = _builder()
    given = np.load(inputs)
    model = _loaded(graph)
    out = tempfile.mkdtemp(dir=os.environ["FINN_BUILD_DIR"])
    build = _configured(config, Path(out), {"clock_ns": 10.0, "part": "xc7z020clg400-1", "inferences_per_second": 1000})
    names = [port.name for port in model.graph.output]
    port, successors = str(given["given"]), json.loads(str(given["successors"]))
    ports = [port.name for port in model.graph.input]
    shapes = [model.get_tensor_shape(name) for name in ports]
    for name in MAPPING:
        model = _mapped(steps, name, model, build)
    if _unmapped(model):
        raise RuntimeError(f"{_unmapped(model)[0].name} has no hardware operator")
    _exact_containers()
    inner = [port.name for port in model.graph.input]
    outer = dict(zip([port.name for port in model.graph.output], names, strict=True))
    codes = given["codes"]
    traces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for sequence in codes:
        state = {name: np.zeros(shape) for name, shape in zip(ports, shapes, strict=True)}
        # One step an inference, or all of them.
        for step in sequence.reshape(-1, *shapes[ports.index(port)]):
            state[port] = step.astype(np.float64)
            found = execute_onnx(model, {place: state[name] for place, name in zip(inner, ports, strict=True)})
            found = {name: found[place] for place, name in outer.items()}
            for name, value in found.items():
                traces[name].append(value[0])
            state = {name: found[successors[name]] for name in ports if name != port}
    stacked = {name: np.stack(values) for name, values in traces.items()}
    whole: dict = {name: v.reshape(len(codes), -1, v.shape[-1]) for name, v in stacked.items()}
    np.savez(outputs, **whole)


def main(arguments: list[str]) -> None:
    """One line of what went wrong, last on standard error, or nothing."""
    end_with_parent()
    kind, *paths = [arguments[0], *map(Path, arguments[1:])]
    try:
        if kind == "boards":
            paths[0].write_text(json.dumps(_boards()))
        elif kind == "compile":
            compile_graph(paths[0], paths[1], json.loads(paths[2].read_text()))
        else:
            execute(*paths)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no message"
        print(f"finn: {type(error).__name__}: {reason}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
