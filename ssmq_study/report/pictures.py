"""Pictures of the report: the whole field, the study's curves, the grids of Ā."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.model import recurrences
from ssmq_brevitas.parameterisations import PARAMETERISATIONS
from ssmq_brevitas.plots import FLOAT, INK, NAIVE, TRAINED, eigenvalues, picture
from ssmq_brevitas.s4d import S4D
from ssmq_brevitas.zoo import locate

from ..study_tables import COMPONENTS, WIDTHS

MNIST = {"name": "MNIST", "source": "torchvision", "train": 50_000, "validation": 10_000, "test": 10_000}
COLOURS = dict(zip(COMPONENTS, matplotlib.color_sequences["tab10"], strict=False))


def measured_points(results: list, cards: list) -> list[tuple[float, float]]:
    """Bytes and accuracy of everything that was measured on all test images of MNIST."""
    points = []
    for result in results:
        values = result.values
        full = values.get("data") == MNIST and values.get("images", MNIST["test"]) == MNIST["test"]
        if result.kind in ("run", "study") and full:
            points += [(row["bytes"]["total"], row["accuracy"]) for row in values["rows"] if row["bytes"]]
    for card in cards:
        points += [(card.bytes["total"], entry.accuracy) for entry in card.measured if entry.data == MNIST]
    return points


def overview(points: list[tuple[float, float]], paper: list, path: Path) -> None:
    """Accuracy against bytes: everything measured on the full test set, and the paper's table; all, and the top of it."""
    with picture(path, (10.4, 4.4)) as fig:
        axes = fig.subplots(1, 2)
        ours = sorted((size, 100 * accuracy) for size, accuracy in points)
        best = np.maximum.accumulate([accuracy for _, accuracy in ours])
        front = [point for point, most, before in zip(ours, best, [-1, *best], strict=False) if most > before]
        theirs = [(1000 * entry.kilobytes, entry.paper) for entry in paper]
        for axis, lowest in zip(axes, (0, 94), strict=True):
            _scatter(axis, theirs, marker="D", s=26, color=NAIVE, label="the paper", zorder=2)
            _scatter(axis, ours, s=20, color=TRAINED, label="ours, integer engine (float: FP32)", zorder=3)
            axis.step(*np.array(front).reshape(-1, 2).T, where="post", color=TRAINED, linewidth=1, label="our front")
            axis.set(xscale="log", ylim=(lowest, 100 + 0.02 * (100 - lowest)), xlabel="parameters + state")
            ticks = [1000 * kilobytes for kilobytes in (1, 2, 5, 10, 20, 50, 100)]
            axis.set_xticks(ticks, [f"{tick / 1000:g} kB" for tick in ticks])
            axis.minorticks_off()
            axis.grid(color="#e5e5e5", linewidth=0.7)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("test accuracy, %")
        axes[0].legend(fontsize=9, frameon=False, loc="lower right")


def _scatter(axis, points: Sequence[tuple[float, float]], **style) -> None:
    axis.scatter(*np.array(points).reshape(-1, 2).T, **style)


def eigenvalue_grids(path: Path) -> None:
    """The eigenvalues of the shipped one-layer model: float, on a Cartesian grid and on a log-polar one."""
    model, _ = load_checkpoint(locate("zoo:paper-h16"))
    (s4d,) = recurrences(model.network, S4D).values()
    panels = {"float": s4d.discrete()[0].detach().flatten().numpy()}
    schemes = (
        ("Cartesian, 8 + 8 bits", Scheme(parameterisation="discrete", bits=Bits(a=8))),
        ("log-polar, 4 + 8 bits", Scheme(parameterisation="log_polar", bits=Bits(a=12, a_magnitude=4, a_phase=8))),
    )
    for title, scheme in schemes:
        with torch.no_grad():
            grid = PARAMETERISATIONS[scheme.parameterisation](s4d.heads, s4d.modes, scheme)
            grid.fit(s4d)
            panels[title] = torch.complex(*grid()).flatten().numpy()
    eigenvalues(panels, path)


def by_width(result: dict, path: Path) -> None:
    """Accuracy of one component quantised alone, by width; hollow: the paper."""
    rows = {row["name"]: row for row in result["rows"]}
    if not any(f"ptq-h16-{key}-{width}" in rows for key in COMPONENTS for width in WIDTHS):
        return
    with picture(path, (8.4, 4.2)) as fig:
        axis = fig.subplots()
        shown = set()
        for key, label in COMPONENTS.items():
            widths = [width for width in WIDTHS if f"ptq-h16-{key}-{width}" in rows]
            shown |= set(widths)
            found = [rows[f"ptq-h16-{key}-{width}"] for width in widths]
            ours = [100 * row["accuracy"] for row in found]
            axis.plot(widths, ours, marker="o", color=COLOURS[key], label=label, markersize=5)
            paper = [(width, row["paper"]) for width, row in zip(widths, found, strict=True) if row["paper"] is not None]
            if paper:
                _scatter(axis, paper, s=44, facecolors="none", edgecolors=COLOURS[key], linewidths=1)
        axis.set(xscale="log", ylim=(0, 102), xlabel="bits", ylabel="test accuracy, %")
        axis.set_xticks(sorted(shown), [str(width) for width in sorted(shown)])
        axis.minorticks_off()
        axis.invert_xaxis()
        axis.set_title("one component quantised alone, 16 heads; hollow: the paper's Fig. 2", fontsize=10, color=INK)
        axis.grid(color="#e5e5e5", linewidth=0.7)
        axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axis.spines[["top", "right"]].set_visible(False)


def by_parameterisation(result: dict, path: Path) -> None:
    """Accuracy by width of Ā for each width of x, one panel a parameterisation; dashed: the paper."""
    rows = {row["name"]: row for row in result["rows"]}
    places = (6, 7, 8, 16)
    # A line needs two widths of Ā.
    heads = [h for h in (64, 16) if sum(any(f"qat-h{h}-frozen-a{a}-x{x}" in rows for x in places) for a in places) > 1]
    if not heads:
        return
    with picture(path, (10.5, 3.8)) as fig:
        axes = fig.subplots(1, 3, sharey=True)
        colours = dict(zip((16, 8, 7, 6), (FLOAT, TRAINED, "#c9a227", NAIVE), strict=True))
        lowest = 100.0
        for axis, kind in zip(axes, ("discrete", "continuous", "frozen"), strict=True):
            for x, colour in colours.items():
                found = [(k, rows.get(f"qat-h{heads[0]}-{kind}-a{a}-x{x}")) for k, a in enumerate(places)]
                ours = [(k, 100 * row["accuracy"]) for k, row in found if row is not None]
                paper = [(k, row["paper"]) for k, row in found if row is not None and row["paper"] is not None]
                if ours:
                    axis.plot(*zip(*ours, strict=True), marker="o", color=colour, label=f"x {x} bits", markersize=5)
                if paper:
                    axis.plot(*zip(*paper, strict=True), "--", linewidth=1, color=colour, label=f"x {x} bits, the paper")
                lowest = min([lowest, *(accuracy for _, accuracy in ours + paper)])
            axis.set_xticks(range(4), [f"{a}" for a in places])
            axis.set(xlabel="bits of Ā", title=kind)
            axis.grid(color="#e5e5e5", linewidth=0.7)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set(ylabel=f"test accuracy, %, {heads[0]} heads", ylim=(10 * (lowest // 10), 100))
        axes[2].legend(fontsize=8, frameon=False, loc="lower right")  # the panel that has lines whenever one is drawn


def training_curves(result: dict, path: Path) -> None:
    """Validation accuracy by epoch of every row that was trained for more than two."""
    trained = [row for row in result["rows"] if len(row.get("validation") or ()) > 2]
    if not trained:
        return
    with picture(path, (7.2, 4.2)) as fig:
        axis = fig.subplots()
        axis.set_prop_cycle(color=matplotlib.color_sequences["tab20"])
        for row in trained:
            epochs = range(1, len(row["validation"]) + 1)
            axis.plot(epochs, [100 * value for value in row["validation"]], marker=".", linewidth=1.2, label=row["name"])
        # Where the trainings end is of interest, not how far below they began.
        lowest = 10 * (100 * min(row["validation"][-1] for row in trained) // 10)
        axis.set(xlabel="epoch", ylabel="validation accuracy, %", ylim=(lowest, 100))
        locator = axis.xaxis.get_major_locator()
        assert isinstance(locator, MaxNLocator)
        locator.set_params(integer=True)
        axis.grid(color="#e5e5e5", linewidth=0.7)
        if len(trained) <= 20:
            axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axis.spines[["top", "right"]].set_visible(False)
