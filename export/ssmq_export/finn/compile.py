"""A dataflow graph through FINN's steps, and the folder with which a user of Vivado goes on."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from ..checks import check_model
from ..dataflow.keys import DATAFLOW, FORM_KEY, length_of, property_of
from ..dataflow.ports import ports_of
from ..door.graph_file import load_graph, save_graph
from ..errors import ExportError
from ..estimates import LEAST, MOST, estimate_graph, find_part
from .folding import kept_folding
from .parts import refuse_part
from .process import EXACT, work

USUAL = 10.0

README = """# A FINN build folder

`finn.onnx` is the dataflow partition after FINN's own steps (tidy up, convert, partition, specialise,
fold, minimise bit widths, estimate): every node specialised and folded for {part}
at {clock:g} ns.

{form}

`report/` holds FINN's estimates. They count no LUT for elementwise operators; `ssmq estimate` does.
"""
STEP = """With Vivado in place, go on with finn-plus from `finn.onnx` with the steps that follow
`step_generate_estimate_reports`. (From `dataflow.onnx` FINN itself would leave the states' streams unduplicated.)

The graph is one time step. `loopback.json` lists the states: the stream at each `output` goes back to `input` through
a FIFO that holds one step and starts with zeros. `{given}` takes the codes of one step; `{output}` counts {when}."""
SEQUENCE = """The graph is a whole sequence, and `{output}` counts {when}; the states are inside `DiagonalScan`, our own
operator. FINN knows it, and its RTL, after `ssmq_export.finn.diagonal_scan_rtl.register()`; with Vivado in place, go on with
finn-plus from `finn.onnx` with the steps that follow `step_generate_estimate_reports`."""


class IllegalGraph(ExportError):
    """FINN would stop at what the checker found."""


@dataclass(frozen=True)
class Compiled:
    """What FINN made of a graph.

    ``cycles`` and ``resources`` are FINN's own estimates, of one time step, or of a sequence where the graph is one;
    ``unmapped`` holds {node, op}, ``folding`` the PE and SIMD of each node. ``ours`` are this program's numbers for the
    same rate, {"cycles", "resources"}, or None where it has none: for another part, or a rate out of reach.
    ``listed`` says whether a board that FINN knows has the part; if not, ``near`` holds parts with similar names.
    """

    nodes: int
    mapped: int
    unmapped: list[dict[str, str]]
    partitions: int
    cycles: int
    resources: dict[str, float]
    folding: dict[str, dict[str, int]]
    ours: dict | None
    listed: bool
    near: list[str]
    folder: Path

    def as_dict(self) -> dict:
        """Everything but ``folder``."""
        return {name: value for name, value in vars(self).items() if name != "folder"}


def compile_graph(path: Path, part: str, fps: float | None, clock_ns: float, out: Path) -> Compiled:
    """Run FINN on the dataflow graph at ``path`` for ``fps`` sequences a second; ``out`` must not exist.

    With no ``fps`` FINN gets the folding that the graph keeps, or ``USUAL`` sequences a second to fold for.

    Raises IllegalGraph when the checker finds errors (FINN would stop at them with less to say), ExportError when
    finn-plus is missing or when it stops.
    """
    graph = load_graph(path, *DATAFLOW)
    refuse_part(part)
    rate = USUAL if fps is None else fps
    if not (LEAST <= rate <= MOST and 0.1 <= clock_ns <= 1e6):
        raise ExportError(f"{rate:g} sequences a second at a clock of {clock_ns:g} ns cannot be asked for: give finite numbers")
    errors = [finding for finding in check_model(graph) if finding.severity == "error"]
    if errors:
        first = errors[0]
        raise IllegalGraph(
            f"{path}: {len(errors)} legality errors, first {first.rule} at {first.node or first.tensor}: {first.message}; "
            f"{first.fix}"
        )
    if out.exists():
        raise ExportError(f"{out}: exists already: give another folder, or remove it")
    kept = kept_folding(graph) if fps is None else None
    # FINN counts inferences: one inference of a step graph is one time step.
    steps = length_of(graph) if property_of(graph, FORM_KEY) == "dataflow" else 1
    settings = {"part": part, "clock_ns": clock_ns, "inferences_per_second": max(1, round(rate * steps)), "folding": kept}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".finn-") as scratch:
        build, inner = Path(scratch) / "build", Path(scratch) / "finn"
        build.mkdir()
        inner.mkdir()
        (inner / "settings.json").write_text(json.dumps(settings))
        save_graph(graph, inner / "dataflow.onnx")
        work(
            [
                "compile",
                str((inner / "dataflow.onnx").resolve()),
                str(build.resolve()),
                str((inner / "settings.json").resolve()),
            ],
            inner,
        )
        result = json.loads((build / "result.json").read_text())
        _hand_off(graph, build, result, settings)
        build.replace(out)
    folding = json.loads((out / "report" / _config(kept)).read_text())
    folding = {
        node: {key: value[key] for key in ("PE", "SIMD") if key in value}
        for node, value in folding.items()
        if isinstance(value, dict)
    }
    performance = result["finn"]["estimate_network_performance"]
    resources = result["finn"]["estimate_layer_resources"]["total"]
    return Compiled(
        result["nodes"], result["mapped"], result["unmapped"], result["partitions"],
        int(performance["max_cycles"]), resources, {node: found for node, found in folding.items() if found},
        _ours(graph, part, None if kept else rate, clock_ns), result["listed"], result["near"], out,
    )  # fmt: skip


def _config(kept: dict | None) -> str:
    """The report with the folding that FINN was given, or that it chose."""
    return "auto_folding_config.json" if kept is None else "applied_folding_config.json"


def _ours(graph: onnx.ModelProto, part: str, fps: float | None, clock_ns: float) -> dict | None:
    try:
        found = estimate_graph(graph, find_part(part), fps=fps, clock_mhz=1000 / clock_ns).as_dict()
    except ExportError:
        return None
    whole = property_of(graph, FORM_KEY) != "dataflow"
    return {"cycles": found["cycles_between_sequences" if whole else "cycles_per_step"], "resources": found["total"]}


def _form(graph: onnx.ModelProto) -> str:
    """What the README says of the graph's ports."""
    ports = ports_of(graph)
    text = STEP if property_of(graph, FORM_KEY) == "dataflow" else SEQUENCE
    when = "after every step" if ports.output.each_step else "after the last"
    return text.format(given=ports.input.name, output=ports.output.name, when=when)


def _hand_off(graph: onnx.ModelProto, build: Path, result: dict, settings: dict) -> None:
    inputs, outputs = result["ports"]
    shapes = {p.name: [d.dim_value for d in p.type.tensor_type.shape.dim] for p in graph.graph.input}
    types = {a.tensor_name: a.quant_parameter_tensor_names[0].value for a in graph.graph.quantization_annotation}
    loops = [
        {
            "input": port.name,
            "output": port.successor,
            "finn_input": inputs[port.name],
            "finn_output": outputs[port.successor],
            "datatype": types[port.name],
            "shape": shapes[port.name],
            "depth": 1,
            "initial": port.initial,
        }
        for port in ports_of(graph).kept
    ]
    if loops:
        (build / "loopback.json").write_text(json.dumps({"states": loops}, indent=2))
    save_graph(graph, build / "dataflow.onnx")
    config = {
        "output_dir": "build",
        "synth_clk_period_ns": settings["clock_ns"],
        "fpga_part": settings["part"],
        "target_fps": settings["inferences_per_second"],
        "folding_config_file": f"report/{_config(settings['folding'])}",
        "generate_outputs": ["estimate_reports", "stitched_ip"],
        **EXACT,
    }
    (build / "dataflow_build_config.json").write_text(json.dumps(config, indent=2))
    form = _form(graph)
    (build / "README.md").write_text(README.format(part=settings["part"], clock=settings["clock_ns"], form=form))
    (build / "result.json").unlink()
