"""Pictures of runs and benchmarks. Files only; nothing is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from .files import write_whole
from .task import Task

INK, FLOAT, NAIVE, TRAINED = "#222222", "#4878a8", "#d1603d", "#2a9d6f"
# What is written beside a picture's data is text, not formulas; equal pictures are equal files, whatever the user's style.
STYLE: list[str | dict[str, bool | str]] = ["default", {"text.parse_math": False, "svg.hashsalt": "ssmq"}]
UNDATED = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}


@contextmanager
def picture(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """A figure of ``size`` inches to be drawn on; then it is written to ``path``, whole, without date or program in it.

    matplotlib's settings are the user's again afterwards, also where drawing fails: nothing is written then.
    """
    kind, content = path.suffix[1:], io.BytesIO()
    with matplotlib.style.context(STYLE):
        fig = Figure(size, layout="constrained")
        yield fig
        fig.savefig(content, dpi=130, format=kind, metadata=UNDATED[kind])
    write_whole(path, content.getvalue())


def eigenvalues(panels: dict[str, np.ndarray], path: Path) -> None:
    """Eigenvalues on the unit disk; ``panels`` maps a title to complex values, the first panel is the reference."""
    with picture(path, (4.2 * len(panels), 4.4)) as fig:
        axes = fig.subplots(1, len(panels))
        angle = np.linspace(0, 2 * np.pi, 400)
        for axis, (title, values), colour in zip(np.atleast_1d(axes), panels.items(), (FLOAT, NAIVE, TRAINED), strict=False):
            axis.fill(np.cos(angle), np.sin(angle), color="#f3f3f0", zorder=0)
            axis.plot(np.cos(angle), np.sin(angle), color="#999999", linewidth=0.8)
            outside = np.abs(values) >= 1
            axis.scatter(values.real[~outside], values.imag[~outside], s=9, color=colour, alpha=0.7, linewidths=0)
            axis.scatter(values.real[outside], values.imag[outside], s=26, marker="x", color="#b00020", linewidths=1.2)
            axis.set_title(f"{title}\n{int(outside.sum())} of {values.size} not inside the disk", fontsize=10, color=INK)
            axis.set(aspect="equal", xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), xlabel="Re Ā")
            axis.tick_params(labelsize=8)
            axis.spines[["top", "right"]].set_visible(False)
        np.atleast_1d(axes)[0].set_ylabel("Im Ā")


def accuracy_against_bytes(rows: list[dict], title: str, path: Path, task: Task | None = None) -> None:
    """One point a stage: total bytes (logarithmic) against test accuracy in percent, or the metric of a regression."""
    task = task or Task()
    scale, top = (100, 105) if task.classifies else (1, 1.15 * max(row[task.key] for row in rows))
    with picture(path, (6.4, 4.2)) as fig:
        axis = fig.subplots()
        colours = {"float": FLOAT, "QAT": TRAINED}
        totals = [row["bytes"]["total"] for row in rows]
        for row in rows:
            total, value = row["bytes"]["total"], scale * row[task.key]
            # The smallest point is labelled on its left, so that neighbours do not write over each other.
            left = total == min(totals) and total < max(totals)
            axis.scatter(total, value, s=60, color=colours.get(row["stage"], NAIVE), zorder=3)
            axis.annotate(
                f"{row['stage']}\n{f'{value:.1f} %' if task.classifies else task.shown(value)}, {total:,.0f} B",
                (total, value),
                xytext=(-9 if left else 9, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                color=INK,
            )
        low, high = min(totals) * 0.45, max(totals) * 2.2
        axis.set(xscale="log", xlim=(low, high), ylim=(0, top))
        axis.set_xticks([2**k * 1000 for k in range(12) if low < 2**k * 1000 < high])
        axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} kB")
        axis.minorticks_off()
        axis.set(xlabel="parameters + state", ylabel=f"test {task.metric}" + (", %" if task.classifies else ""))
        axis.set_title(title, fontsize=10, color=INK)
        axis.grid(color="#e5e5e5", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)


def growth(rows: list[dict], path: Path) -> None:
    """Seconds a sequence against the length; ``rows`` as ``ssmq bench scan`` gives them, log-log."""
    with picture(path, (6.4, 4.2)) as fig:
        axis = fig.subplots()
        lines = {
            "brevitas_loop_s": ("Brevitas, step by step", NAIVE),
            "float_fft_s": ("float S4D, FFT convolution", FLOAT),
            "fused_s": ("exact fused recurrence", TRAINED),
        }
        for key, (label, colour) in lines.items():
            points = [(row["length"], row[key] / row["batch"]) for row in rows if row.get(key) is not None]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", color=colour, label=label)
        axis.set(xscale="log", yscale="log", xlabel="steps T", ylabel="seconds a sequence, forward + backward")
        axis.set_xticks([row["length"] for row in rows], [f"{row['length']:,}" for row in rows])
        # The default is a formula, and no text here is read as one.
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
        first = rows[0]
        axis.set_title(f"{first['heads']} heads, {first['modes']} modes, equal batch · T", fontsize=10, color=INK)
        axis.grid(color="#e5e5e5", linewidth=0.7)
        axis.legend(fontsize=9, frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
