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
from ssmq_study.zoo_table import zoo_cards

RESULT = Path(__file__).parents[1] / "results" / "synthesis.json"
GRAPH = "sequence-dataflow.onnx"
SSMQ = [sys.executable, "-c", "from ssmq_cli.main import main; main()"]
TITLE = "The zoo on parts: placed and routed by nextpnr, without the shift registers around the design"
HEADINGS = ["model", "accuracy %", "bytes", "part", "shape", "LUT", "FF", "multipliers", "RAM", "MHz", "cycles a step"]
HEADINGS += ["µs a sequence", "sequences/s", "sequences/s for 1,000 LUT", "netlist codes differing"]
DATA = "MNIST"


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


def serial(fps: int, clock: int, part: str) -> tuple[str, ...]:
    return ("--shape", "serial", "--fps", str(fps), "--clock", str(clock), "--target", part)


SMALLEST = "edge-4x10n4-w4a6"
# The scan of its first layer by itself: 10 heads of 4 modes.
SCAN = f"scan of {SMALLEST}"
DESIGNS = (
    Design(SMALLEST, "serial", "lfe5u-25f", serial(1400, 180, "lfe5u-25f"), ("--seeds", "3")),
    Design(SMALLEST, "serial", "ice40up5k", serial(380, 48, "ice40up5k"), ("--seeds", "4")),
    Design(SMALLEST, "serial", "gw1nr-9", serial(700, 100, "gw1nr-9"), ("--seeds", "3")),
    Design("edge-4x16n6-w4a6", "serial", "ice40up5k", serial(100, 48, "ice40up5k"), ("--seeds", "3")),
    Design("edge-4x16-w6a8", "serial", "lfe5u-25f", serial(1000, 170, "lfe5u-25f"), ("--seeds", "3")),
    Design(SMALLEST, "serial", "xc7a35t", serial(700, 100, "xc7a35t")),
    Design(SMALLEST, "dataflow", "lfe5u-45f", _fast(10_000, "lfe5u-45f"), ("--images", "0")),
    # No test image is an input of it.
    Design(SCAN, "dataflow", "lfe5u-25f", (), ("--seeds", "3", "--images", "0")),
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


def generated(model: str, words: tuple[str, ...], folder: Path) -> Path:
    """The RTL of a model of the zoo, or of its first scan, in ``folder``, as these words for ``ssmq rtl`` make it."""
    zoo, graphs = model.removeprefix("scan of "), folder / model.replace(" ", "-")
    if not (folder / zoo / GRAPH).is_file():
        said("export", f"zoo:{zoo}", "--out", str(folder / zoo))
    if zoo != model and not (graphs / GRAPH).is_file():
        graphs.mkdir(exist_ok=True)
        onnx.save(first_scan(onnx.load(folder / zoo / GRAPH)), graphs / GRAPH)
    home = graphs / "-".join(("rtl", *(word.lstrip("-") for word in words)))
    if not (home / "manifest.json").is_file():
        said("rtl", str(graphs / GRAPH), "--out", str(home), *words)
    return home


def line(design: Design, folder: Path) -> list[str]:
    """One row of the table."""
    home = generated(design.model, design.rtl, folder)
    found = json.loads(said("synth", str(home), "--part", design.part, *design.synth, "--json"))
    uses = {use["resource"]: use["used"] for use in found["uses"]}
    rate = found["sequences_per_second"]
    return [
        design.model,
        *_card(design.model),
        found["part"],
        design.shape,
        *(f"{uses[name]:,}" for name in ("lut", "ff", "dsp", "bram")),
        f"{found['mhz']:.1f}" if found["mhz"] else "–",
        f"{found['interval']:,}",
        f"{found['microseconds']:,.0f}" if rate else "–",
        f"{rate:,.0f}" if rate else "–",
        f"{1000 * rate / uses['lut']:,.0f}" if rate else "–",
        f"{simulated['differing']} of {simulated['codes']}" if (simulated := found["simulated"]) else "–",
    ]


def _card(model: str) -> tuple[str, str]:
    """Accuracy on all test images and bytes, as the model's card has them; a scan alone has none."""
    if model == SCAN:
        return "–", "–"
    card = next(card for card in zoo_cards() if card.name == model)
    (accuracy,) = [entry.accuracy for entry in card.measured if entry.data["name"] == DATA]
    return f"{100 * accuracy:.2f}", f"{card.bytes['total']:,.0f}"


def with_row(path: Path, title: str, headings: list[str], names: tuple[str, ...], row: list[str]) -> None:
    """Keep a row of a stored table; it takes the place of the one that has the same under the headings ``names``."""

    def which(one: list[str]) -> list[str]:
        return [one[headings.index(name)] for name in names]

    rows = load_result(path).values["rows"] if path.exists() else []
    kept = [row if which(one) == which(row) else one for one in rows]
    table = {"kind": "table", "title": title, "headings": headings, "rows": kept if row in kept else [*kept, row]}
    write_whole(path, (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode())


def main(folder: Path, chosen: list[str]) -> None:
    for number in map(int, chosen or range(len(DESIGNS))):
        with_row(RESULT, TITLE, HEADINGS, ("model", "part", "shape"), line(DESIGNS[number], folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
