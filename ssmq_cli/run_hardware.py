"""What ``ssmq run --hardware`` adds: the model as RTL, simulated, and on an ECP5, its netlist simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .output import console, json_text, say

if TYPE_CHECKING:
    import numpy as np
    from ssmq_export.rtl.comparison import Comparison
    from ssmq_export.synthesis import Result

    from .rtl import Shape

PART = "lfe5u-25f"
# Sequences through the RTL, and through its netlist, which is slower.
SIMULATED, OF_NETLIST = 4, 1
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "multipliers", "bram": "RAM"}


def require_hardware() -> None:
    """Raise ExportError, before any work is done, if something that --hardware needs is missing."""
    from ssmq_export.rtl import require_tools
    from ssmq_export.synthesis import find_device, require

    require_tools()
    require(find_device(PART)[0].flow.programs)


def hardware(graph: Path, codes: np.ndarray, out: Path) -> tuple[list[dict], dict]:
    """RTL of ``graph``, a sequence dataflow graph, in OUT/rtl, and what synthesis leaves of it in OUT/synthesis.

    One lane a node: the smallest folding. Returns a row of the agreement table for the RTL and one for the netlist, and
    what the summary says of the part. Raises ExportError where the part is too small.
    """
    from ssmq_brevitas.files import write_whole
    from ssmq_export.door.graph_file import load_graph
    from ssmq_export.rtl import has_layers, write_rtl
    from ssmq_export.rtl.comparison import compare_rtl
    from ssmq_export.synthesis import find_device, measure

    device, speed = find_device(PART)
    model, folder, home = load_graph(graph, "sequence-dataflow"), out / "rtl", out / "synthesis"
    shape: Shape = "serial" if has_layers(model) else "dataflow"
    with console.status("hardware: RTL") as status:

        def tell(what: str) -> None:
            status.update(f"hardware: {what}")

        manifest = write_rtl(model, folder, shape=shape, multipliers=device.part.dsp)
        say(f"hardware: {folder}, {len(manifest.files)} files of RTL, {shape}, {manifest.interval:,} cycles a step")
        simulated = compare_rtl(folder, model, codes[:SIMULATED], 0.0, None, tell)
        say(f"hardware: simulated, {simulated.differing} of {simulated.codes} codes differ")
        # Beside the RTL, which is written anew by every run: what was placed is kept.
        found = measure(folder, home, device, speed, codes=codes[:OF_NETLIST], tell=tell)
        say(f"hardware: {found.part}, {found.mhz:g} MHz, {found.bitstream} of {found.bytes:,} bytes in {home}")
    write_whole(home / "result.json", json_text(found.model_dump(mode="json")).encode())
    return _rows(shape, simulated, found), _described(shape, found)


def _rows(shape: str, rtl: Comparison, found: Result) -> list[dict]:
    netlist, of_shape = found.simulated, ", serial" if shape == "serial" else ""
    assert netlist is not None
    told = (
        (f"RTL in Verilator{of_shape}", rtl, rtl.first, rtl.run_seconds),
        (f"netlist in Verilator, {PART}", netlist, "", 0.0),
    )
    return [
        {
            "engine": name, "sequences": one.sequences, "codes": one.codes, "differing": one.differing,
            "first": first, "seconds": round(seconds, 2), "failed": _late(one),
        }
        for name, one, first, seconds in told
    ]  # fmt: skip


def _late(one) -> str:
    """Why a simulation with every code right is no success."""
    return "" if one.cycles == one.expected_cycles else f"{one.cycles:,} cycles, {one.expected_cycles:,} foretold"


def _described(shape: str, found: Result) -> dict:
    uses = {use.resource: use.used for use in found.uses}
    return {
        "part": found.part, "shape": shape, "cycles_a_step": found.interval, **{name: uses[name] for name in RESOURCES},
        "mhz": found.mhz, "microseconds": found.microseconds, "sequences_per_second": found.sequences_per_second,
        "bitstream_bytes": found.bytes,
    }  # fmt: skip


def hardware_lines(told: dict) -> Iterator[str]:
    """What stands below the tables."""
    counts = ", ".join(f"{told[name]:,} {shown}" for name, shown in RESOURCES.items())
    yield f"{told['part']}, routed, not run on hardware: {counts}, {told['mhz']:.1f} MHz"
    rate = told["sequences_per_second"]
    whole = f": {told['microseconds']:,.0f} µs a sequence, {rate:,.0f} sequences a second" if rate else ""
    yield f"{told['shape']}, {told['cycles_a_step']:,} cycles a step{whole}"
