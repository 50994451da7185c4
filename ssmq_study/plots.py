"""Pictures of the study. Files only; nothing is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from ssmq_brevitas.plots import FLOAT, INK, NAIVE, TRAINED, plt, save

LOST = LinearSegmentedColormap.from_list("lost", [NAIVE, "#f6d9c8", "#f4f6f3"])


def heat_map(found: dict, path: Path) -> None:
    """Accuracy by tensor (rows, the most sensitive on top) and width, of a ``sensitivity``."""
    rows, widths = found["tensors"], [str(width) for width in found["widths"]]
    values = np.array([[100 * row["accuracy"].get(w, np.nan) for w in widths] for row in rows])
    fig, axis = plt.subplots(figsize=(2.2 + 0.85 * len(widths), 1.3 + 0.34 * len(rows)), layout="constrained")
    axis.imshow(values, cmap=LOST, vmin=10, vmax=100, aspect="auto")
    for (k, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.1f}"
        axis.text(j, k, text, ha="center", va="center", fontsize=9, color=INK)
    axis.set_xticks(range(len(widths)), [f"{w} bits" for w in widths])
    axis.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axis.tick_params(length=0, labelsize=9)
    axis.spines[:].set_visible(False)
    axis.set_title(f"{found['model']}: accuracy %, one tensor narrow", fontsize=10, color=INK)
    save(fig, path)


def front(found: dict, path: Path) -> None:
    """All candidates of a search, and the Pareto front among them."""
    fig, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for label, colour, size in (("candidates", "#b9c4cc", 14), ("front", TRAINED, 30)):
        sizes, accuracies = zip(*((p["bytes"], 100 * p["accuracy"]) for p in found[label]), strict=True)
        axis.scatter(sizes, accuracies, s=size, color=colour, label=label, zorder=3 if label == "front" else 2)
    line = sorted((p["bytes"], 100 * p["accuracy"]) for p in found["front"])
    axis.step(*zip(*line, strict=True), where="post", color=TRAINED, linewidth=1)
    axis.axhline(100 * found["float_accuracy"], color=FLOAT, linewidth=1, linestyle="--", label="float")
    axis.set(ylim=(0, 102), xlabel="parameters + state", ylabel="validation accuracy, %")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} kB")
    axis.set_title(f"{found['model']}: post-training, nothing trained", fontsize=10, color=INK)
    axis.grid(color="#e5e5e5", linewidth=0.7)
    axis.legend(fontsize=9, frameon=False, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    save(fig, path)
