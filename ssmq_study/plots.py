"""Pictures of the study. Files only; nothing is shown."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from ssmq_brevitas.plots import FLOAT, INK, NAIVE, TRAINED, picture

from .knobs import POLAR_GRIDS

LOST = LinearSegmentedColormap.from_list("lost", [NAIVE, "#f6d9c8", "#f4f6f3"])


def heat_map(found: dict, path: Path) -> None:
    """Accuracy by tensor (rows, the most sensitive on top) and width, of a ``sensitivity``: by role, and by single tensor."""
    panels = {"a kind of tensor narrow": _labelled(found["tensors"], "title")}
    panels["a single tensor narrow"] = _labelled(found["by_tensor"], "tensor")
    panels = {title: rows for title, rows in panels.items() if rows}
    widths = [str(width) for width in found["widths"]]
    size = (2.2 + 0.5 * len(widths)) * len(panels), 1.3 + 0.32 * max(map(len, panels.values()))
    with picture(path, size) as fig:
        for axis, (title, rows) in zip(fig.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
            _heat(axis, rows, widths)
            axis.set_title(title, fontsize=9, color=INK)
        fig.suptitle(f"{found['model']}: accuracy %, all else wide", fontsize=10, color=INK)


def _labelled(rows: list[dict], key: str) -> list[tuple[str, dict]]:
    return [(row[key], row["accuracy"]) for row in rows]


def _heat(axis, rows: list[tuple[str, dict]], widths: list[str]) -> None:
    values = np.full((len(rows), len(widths)), np.nan)
    for (k, (_, accuracy)), (j, width) in itertools.product(enumerate(rows), enumerate(widths)):
        values[k, j] = 100 * accuracy.get(width, np.nan)
        text = "–" if np.isnan(values[k, j]) else f"{values[k, j]:.1f}"
        axis.text(j, k, text, ha="center", va="center", fontsize=8.5, color=INK)
    axis.imshow(values, cmap=LOST, vmin=10, vmax=100, aspect="auto")
    axis.set_xticks(range(len(widths)), [f"{w} b" for w in widths])
    axis.set_yticks(range(len(rows)), [label for label, _ in rows])
    axis.tick_params(length=0, labelsize=9)
    axis.spines[:].set_visible(False)


def front(found: dict, path: Path) -> None:
    """All candidates of a search, and the Pareto front among them: what they cost against their accuracy."""
    unit = found["objective"]
    with picture(path, (6.4, 4.2)) as fig:
        axis = fig.subplots()
        tried = [(p[unit], 100 * p["accuracy"]) for p in found["candidates"]]
        sizes, reached = zip(*tried, strict=True)
        axis.scatter(sizes, reached, s=14, color="#b9c4cc", label="candidates", zorder=2)
        line = sorted((p[unit], 100 * p["accuracy"]) for p in found["front"])
        axis.step(*zip(*line, strict=True), where="post", color=TRAINED, linewidth=1)
        for label, marker, polar in (("front, Cartesian Ā", "o", False), ("front, polar Ā", "D", True)):
            chosen = [p for p in found["front"] if (p["scheme"]["parameterisation"] in POLAR_GRIDS) == polar]
            if chosen:
                costs, accuracies = [p[unit] for p in chosen], [100 * p["accuracy"] for p in chosen]
                axis.scatter(costs, accuracies, s=30, color=TRAINED, marker=marker, label=label, zorder=3)
        axis.axhline(100 * found["float_accuracy"], color=FLOAT, linewidth=1, linestyle="--", label="float")
        axis.set(ylim=(0, 102), ylabel="validation accuracy, %")
        if unit == "bytes":
            axis.set_xlabel("parameters + state")
            axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} kB")
        else:
            rate = f", {found['fps']:g} sequences a second" if found["fps"] else ""
            axis.set_xlabel(f"LUT on {found['target']}{rate}")
        axis.set_title(f"{found['model']}: post-training, nothing trained", fontsize=10, color=INK)
        axis.grid(color="#e5e5e5", linewidth=0.7)
        axis.legend(fontsize=9, frameon=False, loc="lower right")
        axis.spines[["top", "right"]].set_visible(False)
