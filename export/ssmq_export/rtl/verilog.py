"""A design as the text of its top level."""

from __future__ import annotations

from . import library
from .netlist import Cell, Stream
from .timing import Through

WIRES = ("valid", "ready", "data", "last")


def top_level(cells: list[Cell], given: dict[str, Stream], result: dict[str, Stream], name: str, heading: str) -> str:
    """The module ``name``: its streams by the prefix of their ports, those inside, and an instance a cell."""
    outer = {stream.name: port for port, stream in {**given, **result}.items()}
    inside = [stream for cell in cells for stream in cell.outputs.values() if stream.name not in outer]
    lines = [*(f"// {line}" for line in heading.splitlines()), f"module {name} ("]
    lines += ["    input  wire clk,", "    input  wire rst,"]
    for port, stream in given.items():
        lines += _ports(port, stream, "input ", "output")
    for port, stream in result.items():
        lines += _ports(port, stream, "output", "input ")
    lines[-1] = lines[-1].rstrip(",")
    lines.append(");")
    for stream in inside:
        lines.append(f"  wire {stream.name}_valid, {stream.name}_ready, {stream.name}_last;")
        lines.append(f"  wire {_range(stream.width)}{stream.name}_data;")
    paced = [stream.name for stream in inside if stream.paced]
    if paced:
        lines += _paced(paced)
    for cell in cells:
        lines += ["", *_instance(cell, outer)]
    return "\n".join([*lines, "endmodule", ""])


def _paced(names: list[str]) -> list[str]:
    """Streams whose reader always takes a beat, as the schedule has it: ready need not be asked for, and simulation checks."""
    lines = ["", "  // Paced: their readers are never busy when a beat comes."]
    for name in names:
        lines.append(f"  wire {name}_taken;")
        lines.append(f"  assign {name}_ready = 1'b1;")
    lost = " | ".join(f"({name}_valid & ~{name}_taken)" for name in names)
    lines += ["`ifndef SYNTHESIS", f"  wire lost = {lost};", "  always @(posedge clk) if (~rst) assert (~lost);", "`endif"]
    return [*lines, f"  wire unused_paced = &{{1'b0, {', '.join(f'{name}_taken' for name in names)}}};"]


def with_taps(text: str, streams: list[Stream]) -> str:
    """A top level with outputs ``tap_*`` that show the handshakes of ``streams`` inside it."""
    ports, wires = [], []
    for stream in streams:
        for wire in WIRES:
            width = _range(stream.width) if wire == "data" else ""
            ports.append(f",\n    output wire {width}tap_{stream.name}_{wire}")
            wires.append(f"  assign tap_{stream.name}_{wire} = {stream.name}_{wire};\n")
    head, tail = text.split("\n);\n", 1)
    return head + "".join(ports) + "\n);\n" + tail.removesuffix("endmodule\n") + "".join(wires) + "endmodule\n"


def _range(width: int) -> str:
    return f"[{width - 1}:0] "


def _ports(name: str, stream: Stream, forward: str, backward: str) -> list[str]:
    comment = (
        f"// {stream.channels} channels, {stream.lanes} a beat, {'signed' if stream.signed else 'unsigned'} {stream.bits} bits"
    )
    return [
        f"    {comment}",
        f"    {forward} wire {name}_valid,",
        f"    {backward} wire {name}_ready,",
        f"    {forward} wire {_range(stream.width)}{name}_data,",
        f"    {forward} wire {name}_last,",
    ]


def _instance(cell: Cell, outer: dict[str, str]) -> list[str]:
    settings = [f"      .{key}({value})" for key, value in cell.parameters.items()]
    settings += [f'      .{key}("{rom.name}.mem")' for key, rom in cell.roms.items()]
    outputs = [outer.get(stream.name, stream.name) for stream in cell.outputs.values()]
    pins = [
        f"      .{port}_{wire}({outer.get(stream.name, stream.name)}_{'taken' if stream.paced and wire == 'ready' else wire})"
        for port, stream in cell.inputs.items()
        for wire in WIRES
    ]
    if cell.module == "ssmq_fork":
        first = outputs[0]
        pins += [f"      .out_{wire}({{{', '.join(f'{name}_{wire}' for name in reversed(outputs))}}})" for wire in WIRES[:2]]
        pins += [f"      .out_{wire}({first}_{wire})" for wire in WIRES[2:]]
    else:
        named = zip(cell.outputs, outputs, strict=True)
        pins += [f"      .{port}_{wire}({name}_{wire})" for port, name in named for wire in WIRES]
    if cell.module not in library.WIRED:
        pins += ["      .clk(clk)", "      .rst(rst)"]
    copies = outputs[1:] if cell.module == "ssmq_fork" else []
    others = [f"  assign {{{name}_last, {name}_data}} = {{{outputs[0]}_last, {outputs[0]}_data}};" for name in copies]
    return [
        f"  // {_told(cell)}",
        f"  {cell.module} #(",
        ",\n".join(settings),
        f"  ) {cell.name} (",
        ",\n".join(pins),
        "  );",
        *others,
    ]


def _told(cell: Cell) -> str:
    timing: Through = cell.timing
    given, made = (" and ".join(stream.name for stream in streams.values()) for streams in (cell.inputs, cell.outputs))
    return f"{given} -> {made}: latency {timing.latency}, interval {cell.interval}"
