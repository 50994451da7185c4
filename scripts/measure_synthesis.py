"""results/synthesis.json: models of the zoo on parts, routed, their netlists simulated.

    python scripts/measure_synthesis.py FOLDER [ROW ...]

FOLDER keeps the graphs, the RTL and the stages of every synthesis: what is there is not done again. Rows are numbered as in
DESIGNS, all of them unless some are named; a line is kept as soon as it is done (minutes each).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx
from ssmq_brevitas.files import write_whole
from ssmq_export.dataflow import ports
from ssmq_export.dataflow.keys import FORMATS_KEY, PORTS_KEY
from ssmq_study.report.kinds import load_result

RESULT = Path(__file__).parents[1] / "results" / "synthesis.json"
GRAPH = "sequence-dataflow.onnx"
SSMQ = [sys.executable, "-c", "from ssmq_cli.main import main; main()"]
TITLE = "The zoo on parts: placed and routed by nextpnr, without the shift registers around the design"
HEADINGS = ["model", "shape", "part", "cycles a step", "LUT", "FF", "multipliers", "RAM", "MHz", "seeds", "µs a sequence"]
HEADINGS += ["sequences/s", "sequences/s for 1,000 LUT", "netlist codes differing"]


@dataclass(frozen=True)
class Design:
    """``rtl``: words for ``ssmq rtl``; ``synth``: words for ``ssmq synth``."""

    model: str
    shape: str
    part: str
    rtl: tuple[str, ...] = ()
    synth: tuple[str, ...] = ()


def _fast(fps: int, part: str) -> tuple[str, ...]:
    return ("--fps", str(fps), "--target", part)


def _serial(fps: int, clock: int, part: str) -> tuple[str, ...]:
    return ("--shape", "serial", "--fps", str(fps), "--clock", str(clock), "--target", part)


SMALLEST = "edge-4x10n4-w4a6"
# The scan of its first layer by itself: 10 heads of 4 modes.
SCAN = f"scan of {SMALLEST}"
DESIGNS = (
    Design(SMALLEST, "serial", "lfe5u-25f", _serial(1400, 180, "lfe5u-25f"), ("--seeds", "3")),
    Design(SMALLEST, "serial", "ice40up5k", _serial(380, 48, "ice40up5k"), ("--seeds", "4")),
    Design(SMALLEST, "serial", "gw1nr-9", _serial(700, 100, "gw1nr-9"), ("--seeds", "3")),
    Design("edge-4x16n6-w4a6", "serial", "ice40up5k", _serial(100, 48, "ice40up5k"), ("--seeds", "3")),
    Design("edge-4x16-w6a8", "serial", "lfe5u-25f", _serial(500, 170, "lfe5u-25f"), ("--seeds", "3")),
    Design(SMALLEST, "dataflow, a lane each", "lfe5u-45f", _fast(1000, "lfe5u-45f")),
    Design(SMALLEST, "dataflow, a lane each", "xc7a35t"),
    # No test image is an input of it.
    Design(SCAN, "dataflow, a lane each", "lfe5u-25f", (), ("--seeds", "3", "--images", "0")),
)


def said(*arguments: str) -> str:
    """What a command prints. Raises CalledProcessError if it fails, a differing code included."""
    print("ssmq", *arguments, flush=True)
    return subprocess.run([*SSMQ, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def first_scan(model: onnx.ModelProto) -> onnx.ModelProto:
    """A sequence graph of the first DiagonalScan of ``model`` alone."""
    node = next(node for node in model.graph.node if node.op_type == "DiagonalScan")
    given, result, kept = node.input[0], node.output[0], {*node.input, *node.output}
    # The extractor takes no annotations.
    annotations = [entry for entry in model.graph.quantization_annotation if entry.tensor_name in kept]
    del model.graph.quantization_annotation[:]
    alone = onnx.utils.Extractor(model).extract_model([given], [result])
    alone.graph.name = "scan"
    alone.graph.quantization_annotation.extend(annotations)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    formats = json.loads(properties[FORMATS_KEY])
    channels = alone.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    properties[FORMATS_KEY] = json.dumps({name: formats[name] for name in (given, result)})
    properties[PORTS_KEY] = ports.written([ports.input_port(given, channels), ports.output_port(result, channels)])
    onnx.helper.set_model_props(alone, properties)
    return alone


def line(design: Design, folder: Path) -> list[str]:
    """One row of the table."""
    zoo, graphs = design.model.removeprefix("scan of "), folder / design.model.replace(" ", "-")
    if not (folder / zoo / GRAPH).is_file():
        said("export", f"zoo:{zoo}", "--out", str(folder / zoo))
    if zoo != design.model and not (graphs / GRAPH).is_file():
        graphs.mkdir(exist_ok=True)
        onnx.save(first_scan(onnx.load(folder / zoo / GRAPH)), graphs / GRAPH)
    home = graphs / "-".join(("rtl", *(word.lstrip("-") for word in design.rtl)))
    if not (home / "manifest.json").is_file():
        said("rtl", str(graphs / GRAPH), "--out", str(home), *design.rtl)
    found = json.loads(said("synth", str(home), "--part", design.part, *design.synth, "--json"))
    uses = {use["resource"]: use["used"] for use in found["uses"]}
    rate = found["sequences_per_second"]
    return [
        design.model,
        design.shape,
        found["part"],
        f"{found['interval']:,}",
        *(f"{uses[name]:,}" for name in ("lut", "ff", "dsp", "bram")),
        f"{found['mhz']:.1f}" if found["mhz"] else "–",
        str(len(found["routed"]) or "–"),
        f"{found['microseconds']:,.0f}" if rate else "–",
        f"{rate:,.0f}" if rate else "–",
        f"{1000 * rate / uses['lut']:,.0f}" if rate else "–",
        f"{simulated['differing']} of {simulated['codes']}" if (simulated := found["simulated"]) else "–",
    ]


def main(folder: Path, chosen: list[str]) -> None:
    known = {tuple(row[:3]): row for row in load_result(RESULT).values["rows"]} if RESULT.exists() else {}
    for number in map(int, chosen or range(len(DESIGNS))):
        row = line(DESIGNS[number], folder)
        known[tuple(row[:3])] = row
        result = {"kind": "table", "title": TITLE, "headings": HEADINGS, "rows": list(known.values())}
        write_whole(RESULT, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
