"""``ssmq synth``: generated RTL on a part, with open tools from pip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console, json_text, print_json, say
from .simulate import test_codes

NAME = "synth"
EXAMPLE = "ssmq synth build/rtl --part lfe5u-25f --seeds 3"
RESULT, PICTURE, FRONT = "result.json", "utilisation.png", "explore"


@options.takes_data
def command(
    folder: Annotated[Path, typer.Argument(help="Folder of `ssmq rtl`.")],
    part: Annotated[str, typer.Option(help="Part: ECP5, iCE40, Gowin, or 7-series (no placement).")],
    speed: Annotated[int | None, typer.Option(help="Speed grade, the slowest unless given.", min=1, max=20)] = None,
    clock: Annotated[float | None, typer.Option(help="MHz that must be reached.", **options.MEGAHERTZ)] = None,
    seeds: Annotated[int, typer.Option(help="Placements to try; the fastest is kept.", min=1, max=1000)] = 1,
    images: Annotated[int, typer.Option(help="Test sequences for the netlist; 0 leaves it out.", min=0, max=10_000)] = 1,
    front: Annotated[bool, typer.Option("--explore", help="Every folding that fits, in place of the one in FOLDER.")] = False,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Synthesise, place, route and pack; say what it takes and how fast it is, and compare the netlist with the graph.

    What comes of it lies in FOLDER/synthesis/PART, result.json, a picture and bitstreams; what is there already is not done
    again. Exit code 1 if the part is too small, --clock is not reached or a code of the netlist differs.
    """
    from ssmq_brevitas.files import sole_use, write_whole
    from ssmq_export.rtl import require_tools
    from ssmq_export.rtl.comparison import graph_of
    from ssmq_export.synthesis import explore, find_device, home_of, measure, require

    device, speed = find_device(part, speed)
    require(device.flow.programs)
    graph, codes = graph_of(folder), None
    if images:
        require_tools()
        codes, _ = test_codes(folder, graph, images, load)
    home = home_of(folder, device, speed)
    with sole_use(home), console.status("synth") as status:

        def tell(what: str) -> None:
            status.update(f"synth: {what}")

        if front:
            results = _explored(explore(graph, home / FRONT, device, speed, seeds=seeds, codes=codes, tell=tell), home / FRONT)
        else:
            found = measure(folder, home, device, speed, clock=clock, seeds=seeds, codes=codes, tell=tell)
            write_whole(home / RESULT, json_text(found.model_dump(mode="json")).encode())
            _draw(found, home / PICTURE)
    if front:
        _show_front(folder, home / FRONT, results, as_json)
        raise typer.Exit(0 if all(one.agrees for one in results) else 1)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        console.print(_table(folder, found))
        for line in _lines(home, found):
            say(line)
    raise typer.Exit(0 if found.in_time and found.agrees else 1)


def _explored(foldings: Iterable, home: Path) -> list:
    from ssmq_brevitas.files import write_whole

    from .synth_picture import front

    results = list(foldings)
    write_whole(home / RESULT, json_text([one.model_dump(mode="json") for one in results]).encode())
    front(results, home / PICTURE)
    return results


def _show_front(folder: Path, home: Path, results: list, as_json: bool) -> None:
    if as_json:
        print_json([one.model_dump(mode="json") for one in results])
        return
    table = Table(title=f"{folder} on {results[0].part}, folding by folding")
    headings = ("cycles a step", "LUT", "FF", "multipliers", "RAM", "MHz", "sequences/s", "for 1,000 LUT", "differing")
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in results:
        uses = {use.resource: use.used for use in one.uses}
        rate = one.sequences_per_second
        counts = (f"{count:,}" for count in (one.interval, *(uses[name] for name in ("lut", "ff", "dsp", "bram"))))
        rates = (f"{rate:,.0f}", f"{1000 * rate / uses['lut']:,.0f}") if rate else ("", "")
        table.add_row(*counts, f"{one.mhz:g}" if one.mhz else "", *rates, str(one.simulated.differing) if one.simulated else "")
    console.print(table)
    say(f"{home}: their RTL, bitstreams and a picture")


def _draw(found, path: Path) -> None:
    from .synth_picture import utilisation

    utilisation(found, path)


def _table(folder: Path, found) -> Table:
    table = Table(title=f"{folder} on {found.part}")
    for heading in ("resource", "used", "of", "share", "estimated"):
        table.add_column(heading, justify="left" if heading == "resource" else "right")
    for use in found.uses:
        share = f"{100 * use.used / use.available:.1f} %" if use.available else ""
        counts = (f"{count:,}" if count is not None else "" for count in (use.used, use.available))
        table.add_row(use.resource, *counts, share, "" if use.estimated is None else f"{use.estimated:,}")
    return table


def _lines(home: Path, found):
    """What stands below the table."""
    if found.routed:
        others = ", ".join(f"{one.mhz:g}" for one in found.routed)
        yield f"{found.mhz:g} MHz with seed {found.best}" + (f"; all seeds: {others}" if len(found.routed) > 1 else "")
        ways = ", ".join(f"{_where(part)} {part.logic + part.routing:.2f} ns" for part in found.path)
        yield f"longest path: {ways}"
    if found.sequences_per_second:
        rate = f"{found.sequences_per_second:,.0f} sequences a second"
        yield f"{found.interval:,} cycles a step, {found.cycles:,} a sequence: {found.microseconds:,.1f} µs, {rate}"
    if found.bitstream:
        yield f"{home / found.bitstream}: {found.bytes:,} bytes"
    if found.harness:
        yield f"around it, not counted: shift registers of {found.harness['lut']} LUT and {found.harness['ff']} FF"
    if found.simulated:
        seen = found.simulated
        cycles = f"{seen.cycles:,} cycles, {seen.expected_cycles:,} foretold"
        yield f"netlist: {seen.differing:,} of {seen.codes:,} codes differ; {cycles}"
    if not found.in_time:
        yield f"too slow: {found.mhz:g} MHz of {found.clock:g}; most of the path is in {_where(found.limit())}"


def _where(part) -> str:
    return f"{part.instance} ({part.module})" if part.module else part.instance or "the harness"
