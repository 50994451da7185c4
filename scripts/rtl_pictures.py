"""Two pictures of generated RTL for docs/rtl.md: a step of a small network as a waveform, and the network's modules.

    python scripts/rtl_pictures.py docs      # needs the extras hw and docs

Every code of the waveform is compared with the integer engine's, which stand beside it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from ssmq_brevitas import S4D, Scheme, quantize
from ssmq_export import export
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.door.graph_file import load_graph
from ssmq_export.rtl import RtlModel, write_rtl
from ssmq_export.rtl.evaluate import traced
from ssmq_export.rtl.netlist import Stream
from torch import nn

STEPS, SHOWN = 5, 2
COLOURS = {"this step": "#2a6f97", "other steps": "#d5dde3"}
GROUPS = {
    "ssmq_scan": "#e07a5f", "ssmq_matvec": "#81b29a", "ssmq_affine": "#f2cc8f", "ssmq_sum": "#b8b8ff", "ssmq_fifo": "#e5e5e5",
}  # fmt: skip

ARROW = {"arrowstyle": "-|>", "lw": 0.9, "color": "#555555"}


class Network(nn.Module):
    """An encoder, a scan of three heads with two modes each, a residual, a read-out."""

    def __init__(self):
        super().__init__()
        self.encoder, self.ssm, self.decoder = nn.Linear(1, 3), S4D(3, 2), nn.Linear(3, 2)

    def forward(self, u):
        x = self.encoder(u)
        return self.decoder(torch.relu(x + self.ssm(x)))


@dataclass(frozen=True)
class Beat:
    """A beat that moved: in which cycle, in which step of its stream, with which codes."""

    cycle: int
    step: int
    codes: tuple[int, ...]


def generated(folder: Path) -> tuple[DataflowGraph, RtlModel]:
    """The network's sequence graph, and its RTL, compiled to write a waveform."""
    torch.manual_seed(0)
    batch = torch.rand(8, STEPS, 1)
    export(quantize(Network().eval(), Scheme(), batch), folder, batch[:1])
    model = load_graph(folder / "sequence-dataflow.onnx", "sequence-dataflow")
    write_rtl(model, folder / "rtl")
    return DataflowGraph(model), RtlModel(folder / "rtl", trace=folder / "step.vcd")


def moved(waveform, scope: str, stream: Stream, port: str) -> list[Beat]:
    """The beats of ``stream`` in ``waveform``, whose signals are ``port``'s in ``scope``."""
    signals = {name.split(".")[-1].split("[")[0]: waveform[name] for name in waveform.signals if name.startswith(f"{scope}.")}
    clock = signals["clk"].tv
    period = [time for time, value in clock if value == "1"]
    found: list[Beat] = []
    for cycle, time in enumerate(period):
        valid, ready = (signals[f"{port}_{kind}"][time - 1] for kind in ("valid", "ready"))
        if valid == ready == "1" and signals["rst"][time - 1] == "0":
            word = int(signals[f"{port}_data"][time - 1], 2)
            found.append(Beat(cycle, len(found) // stream.beats, tuple(_codes(word, stream))))
    return found


def _codes(word: int, stream: Stream):
    for lane in range(stream.lanes):
        code = word >> lane * stream.bits & (1 << stream.bits) - 1
        yield code - (1 << stream.bits) if stream.signed and code >> stream.bits - 1 else code


def draw_step(graph: DataflowGraph, model: RtlModel, path: Path) -> None:
    """The beats of one step in every stream that carries a tensor of the graph, and the integer engine's codes of it."""
    from vcdvcd import VCDVCD

    codes = np.random.default_rng(0).integers(0, 256, (1, STEPS, 1))
    model.forward(codes)
    waveform, expected = VCDVCD(str(model.trace)), traced(graph, codes)
    scope = next(name.rsplit(".", 1)[0] for name in waveform.signals if name.endswith(f"{model.manifest.top}.clk"))
    outer = {model.design.given.name: "in", model.design.result.name: "out"}
    rows = []
    for name, tensor in model.manifest.tensors.items():
        stream = model.manifest.streams[name].stream(name)
        beats = moved(waveform, scope, stream, outer.get(name, name))
        wanted = expected[tensor][0].reshape(-1, stream.beats, stream.lanes)
        assert [beat.codes for beat in beats] == [tuple(row) for step in wanted.tolist() for row in step], tensor
        rows.append((tensor, beats, wanted[SHOWN].ravel().tolist()))
    _draw_rows(rows, path)


def _draw_rows(rows: list[tuple[str, list[Beat], list[int]]], path: Path) -> None:
    shown = [beat.cycle for _, beats, _ in rows for beat in beats if beat.step == SHOWN]
    first, last = min(shown), max(shown)
    figure, axes = plt.subplots(figsize=(15, 0.62 * len(rows) + 1.2))
    for y, (_, beats, wanted) in enumerate(rows):
        axes.axhline(y, color="#eeeeee", linewidth=0.8, zorder=0)
        for beat in beats:
            if first <= beat.cycle <= last:
                here = beat.step == SHOWN
                colour = COLOURS["this step" if here else "other steps"]
                axes.add_patch(
                    FancyBboxPatch((beat.cycle + 0.08, y - 0.38), 0.84, 0.76, boxstyle="round,pad=0.02", fc=colour, ec="none")
                )
                text = " ".join(map(str, beat.codes))
                ink = "white" if here else "#555555"
                axes.text(beat.cycle + 0.5, y, text, ha="center", va="center", fontsize=7, color=ink, rotation=90)
        axes.text(last + 1.6, y, "  ".join(map(str, wanted)), va="center", fontsize=8, family="monospace")
    axes.text(last + 1.6, -1, "integer engine", va="center", fontsize=8, weight="bold")
    axes.set(xlim=(first, last + 1.2), ylim=(len(rows) - 0.4, -1.4), xlabel="clock cycle", yticks=range(len(rows)))
    axes.set_yticklabels([tensor for tensor, _, _ in rows], fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", dpi=110)
    plt.close(figure)


def draw_modules(model: RtlModel, path: Path) -> None:
    """Every instance of the top level, from left to right in the order in which data pass, and the streams between."""
    cells = model.design.cells
    writer = {stream.name: cell for cell in cells for stream in cell.outputs.values()}
    rank: dict[str, int] = {}
    for cell in cells:
        rank[cell.name] = 1 + max((rank[writer[s.name].name] for s in cell.inputs.values() if s.name in writer), default=-1)
    rows: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for cell in cells:
        column = rank[cell.name]
        rows[column] = rows.get(column, -1) + 1
        place[cell.name] = (column, rows[column])
    figure, axes = plt.subplots(figsize=(15, 3.2 * (1 + max(rows.values()))))
    for cell in cells:
        x, y = place[cell.name]
        colour = GROUPS.get(cell.module, "#f4f1de")
        axes.add_patch(FancyBboxPatch((x, y), 0.55, 0.8, boxstyle="round,pad=0.02", fc=colour, ec="#444444", linewidth=0.8))
        axes.text(x + 0.18, y + 0.4, cell.module, ha="center", va="center", fontsize=9, weight="bold", rotation=90)
        axes.text(x + 0.4, y + 0.4, cell.name, ha="center", va="center", fontsize=8, rotation=90)
        for stream in cell.inputs.values():
            if stream.name in writer:
                _connect(axes, place[writer[stream.name].name], (x, y), f"{stream.lanes}\u00d7{stream.bits}")
    axes.set(xlim=(-0.2, 1 + max(rows)), ylim=(1 + max(rows.values()), -0.1))
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", dpi=110)
    plt.close(figure)


def _connect(axes, source: tuple[int, int], sink: tuple[int, int], label: str) -> None:
    """An arrow between neighbours, or round the corner to or from a row below."""
    (x, y), (u, v) = source, sink
    if y == v:
        start, end, bend = (x + 0.58, y + 0.4), (u - 0.03, v + 0.4), "arc3"
    elif y < v:
        start, end, bend = (x + 0.27, y + 0.83), (u - 0.03, v + 0.4), "angle,angleA=90,angleB=0"
    else:
        start, end, bend = (x + 0.58, y + 0.4), (u + 0.27, v + 0.83), "angle,angleA=0,angleB=90"
    axes.annotate("", end, start, arrowprops={**ARROW, "connectionstyle": bend})
    axes.text(u - 0.22 if y <= v else u + 0.1, max(y, v) + 0.37, label, ha="center", fontsize=7)


def main(folder: Path) -> None:
    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as scratch:
        graph, model = generated(Path(scratch))
        draw_step(graph, model, folder / "rtl-step.png")
        draw_modules(model, folder / "rtl-modules.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
