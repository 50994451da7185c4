"""The picture of ``ssmq synth``: what of a part is used."""

from __future__ import annotations

from pathlib import Path

from ssmq_brevitas.plots import FLOAT, INK, TRAINED, picture


def utilisation(found, path: Path) -> None:
    """A bar a resource, in percent of the part, with the estimate as a mark."""
    uses = [use for use in reversed(found.uses) if use.available]
    with picture(path, (6.4, 0.9 + 0.5 * len(uses))) as fig:
        axis = fig.subplots()
        shares = [100 * use.used / use.available for use in uses]
        axis.barh([use.resource.upper() for use in uses], shares, color=TRAINED, height=0.6)
        for place, use in enumerate(uses):
            axis.text(shares[place] + 1, place, f"{use.used:,} of {use.available:,}", va="center", fontsize=8, color=INK)
            if use.estimated is not None:
                mark = 100 * use.estimated / use.available
                axis.plot([mark, mark], [place - 0.38, place + 0.38], color=FLOAT, linewidth=2)
        axis.set_xlim(0, max(100, *shares) * 1.22)
        axis.set_xlabel("% of the part; lines: estimate")
        axis.spines[["top", "right"]].set_visible(False)
        rate = f", {found.mhz:g} MHz" if found.mhz else ""
        axis.set_title(f"{found.top} on {found.part}{rate}", fontsize=10, color=INK)


def front(results: list, path: Path) -> None:
    """Resources of every folding against its rate; cycles a step where nothing was placed."""
    placed = all(one.sequences_per_second for one in results)
    rates = [one.sequences_per_second if placed else one.interval for one in results]
    with picture(path, (6.4, 4.2)) as fig:
        axis = fig.subplots()
        for place, use in enumerate(results[0].uses):
            if use.available:
                shares = [100 * one.uses[place].used / use.available for one in results]
                axis.plot(rates, shares, marker="o", label=use.resource.upper(), linewidth=1.2)
        axis.set_xlabel("sequences a second" if placed else "cycles a step")
        axis.set_ylabel("% of the part")
        axis.set_xscale("log")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
        axis.set_title(f"{results[0].top} on {results[0].part}, folding by folding", fontsize=10, color=INK)
