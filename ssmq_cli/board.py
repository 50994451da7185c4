"""``ssmq board``: generated RTL as a complete design for a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .hls4ml import settings_of
from .output import console, print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ssmq_export.boards import Board, BoardDesign

NAME = "board"
# No board: the design behind AXI.
ZYNQ = "zynq"
EXAMPLE = "ssmq board colorlight-i5 build/rtl --out build/board"


def command(
    name: Annotated[str, typer.Argument(help="A board, --list names them; or zynq, for a design behind AXI.")] = "",
    folder: Annotated[Path | None, typer.Argument(help="Folder of `ssmq rtl`.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the design; an earlier one is replaced.")] = None,
    baud: Annotated[int, typer.Option(help="Rate of the serial line.", min=9600, max=12_000_000)] = 1_000_000,
    bitstream: Annotated[bool, typer.Option("--bitstream", help="Synthesise, place, route and pack it, in minutes.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the placement.", min=1, max=1000)] = 1,
    list_boards: Annotated[bool, typer.Option("--list", help="Name the boards.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write sources, pins and memories of a board that answers sequences on its serial line with classes.

    Boards are known by their documents: no design has been run on hardware.
    """
    from ssmq_export.boards import BOARDS, find_board, make_bitstream, write_axi, write_board
    from ssmq_export.boards.top import bitstream_name, load_command
    from ssmq_export.errors import ExportError

    if list_boards:
        if as_json:
            print_json({"boards": list(BOARDS)})
        else:
            console.print(_boards(BOARDS.values()))
        return
    if not name:
        raise ExportError("which board? give its name; --list names them")
    board = None if name == ZYNQ else find_board(name)
    if folder is None or out is None:
        raise ExportError(f"{name}: give a folder of `ssmq rtl`, and --out for the design")
    _refuse_numbers(folder)
    if board is None:
        write_axi(folder, out)
        say(
            f"{out}: sources behind AXI, package.tcl for Vivado, driver.py for PYNQ: neither run on hardware nor through Vivado"
        )
        return
    design = write_board(folder, board, out, baud)
    made = None
    if bitstream:
        with console.status("bitstream") as status:
            made = make_bitstream(out, seed, lambda what: status.update(f"bitstream: {what}"))
    if as_json:
        told = {} if made is None else {"bitstream": made.path.name, "used": made.used, "mhz": round(made.mhz, 2)}
        print_json({**design.model_dump(mode="json"), **told})
        return
    console.print(_table(out, board, design))
    say(f"run all of it in Verilator: ssmq host {out} --simulate")
    if made is None:
        say("make its bitstream: the same command with --bitstream")
    else:
        used = ", ".join(f"{count:,} {name}" for name, count in made.used.items())
        say(f"{made.path}: {used}; the clock might be {made.mhz:.1f} MHz")
    say(f"load it: {load_command(board, out / bitstream_name(board))}; then: ssmq host {out} --port /dev/ttyUSB0")
    say("not run on hardware")


def _refuse_numbers(folder: Path) -> None:
    """What a model of another task tells is no class, and the graph alone does not say so."""
    from ssmq_brevitas.config import parse_config
    from ssmq_brevitas.errors import SsmqError
    from ssmq_export.dataflow.keys import CONFIG_KEY, property_of
    from ssmq_export.rtl.comparison import graph_of

    config = property_of(graph_of(folder), CONFIG_KEY)
    if config is not None and not parse_config(settings_of(config, folder), origin=str(folder)).task.classifies:
        raise SsmqError(f"{folder}: its task is regression: a board design answers with classes")


def _boards(boards: Iterable[Board]) -> Table:
    table = Table(title="boards (known by their documents, not run on hardware)")
    for heading in ("name", "board", "part", "clock", "pins: clk rx tx led"):
        table.add_column(heading, overflow="fold")
    for board in boards:
        table.add_row(board.name, board.title, board.part, f"{board.clock_hz / 1e6:g} MHz", " ".join(board.pins.values()))
    return table


def _table(out: Path, board: Board, design: BoardDesign) -> Table:
    table = Table(title=f"{out}: {board.title}")
    for heading in ("part", "clock", "baud", "bytes a sequence", "sequences a second: line", "network"):
        table.add_column(heading, justify="left" if heading == "part" else "right", overflow="fold")
    table.add_row(
        board.part, f"{design.clock_hz / 1e6:g} MHz", f"{design.baud:,}", f"{design.payload:,}",
        f"{design.line_rate:,.1f}", f"{design.clock_hz / design.cycles:,.1f}",
    )  # fmt: skip
    return table
