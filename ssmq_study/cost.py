"""What a scheme costs, in the unit of a budget: bytes of parameters and state, or the LUTs of its RTL.

Cycles are no third unit. A step takes the operations of its slowest node over that node's lanes, whatever the widths,
so a budget of cycles (clock / fps of them for a sequence) is met by folding, and what widths decide is how many LUTs
the folding takes. LUTs are therefore counted at a stated rate, on a stated part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ssmq_brevitas.config import Config
from ssmq_brevitas.model import Model
from ssmq_export.errors import ExportError
from ssmq_export.estimates import Part, estimate_graph
from ssmq_export.estimates.serial import estimate_serial
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl.project import Shape

from .knobs import with_bits
from .sensitivity import Bench

# What the tables of a search show of the costs, by its unit: key and heading.
COLUMNS = {
    "bytes": {"bytes": "bytes"},
    "lut": {"lut": "LUT", "dsp": "DSP", "bram": "BRAM18", "bytes": "bytes"},
}
Table = tuple[float, dict[str, dict[int, float]]]


class CostModel(Protocol):
    """``unit`` is the key in ``measured`` of what a budget counts."""

    unit: str

    def measured(self, model: Model) -> dict[str, float]:
        """Costs of a quantised model by name. Raises ExportError if the part cannot hold it."""

    def table(self, bench: Bench, config: Config, widths: dict[str, list[int]], around: dict[str, int]) -> Table:
        """The cost of the widths ``around``, and what each width of each tensor adds to it.

        Widths that the part cannot hold are left out.
        """

    def about(self) -> dict:
        """What the costs hold for, for the result file."""


class Bytes:
    """Parameters and state. Every stored number has the width of its tensor, so the table is exact."""

    unit = "bytes"

    def measured(self, model: Model) -> dict[str, float]:
        return {"bytes": model.footprint().total}

    def table(self, bench: Bench, config: Config, widths: dict[str, list[int]], around: dict[str, int]) -> Table:
        return byte_table(config, widths, around)

    def about(self) -> dict:
        return {"objective": self.unit}


BYTES = Bytes()


def total_bytes(config: Config) -> float:
    """Parameters and state of a model of this scheme."""
    return Model.empty(config).footprint().total


def byte_table(config: Config, widths: dict[str, list[int]], around: dict[str, int]) -> Table:
    """Bytes of everything ``around``, and what each width of each tensor adds to that."""
    base = total_bytes(with_bits(config, around))
    added = {}
    for tensor, choice in widths.items():
        bit = total_bytes(with_bits(config, around | {tensor: around[tensor] + 1})) - base
        added[tensor] = {width: bit * (width - around[tensor]) for width in choice}
    return base, added


@dataclass(frozen=True)
class Luts:
    """LUTs of the RTL in a ``shape``, as `ssmq estimate` and `ssmq synth` estimate them: on ``part``, folded for ``fps``
    sequences a second at ``clock_mhz``, or with one operation a cycle in every node if that is None.

    A product takes LUTs or a hardware multiplier by both its widths, so LUTs do not add up over tensors: a table holds
    for one tensor changed at a time.
    """

    part: Part
    fps: float | None = None
    clock_mhz: float = 100.0
    shape: Shape = "dataflow"
    unit = "lut"

    def measured(self, model: Model) -> dict[str, float]:
        graph = collapse(lower(step_graph(model.graph)))
        if self.shape == "serial":
            spent = estimate_serial(graph, self.part, fps=self.fps, clock_mhz=self.clock_mhz)
        else:
            spent = estimate_graph(graph, self.part, fps=self.fps, clock_mhz=self.clock_mhz).as_dict()
        return {"bytes": model.footprint().total, **spent["total"], "cycles": spent["cycles_between_sequences"]}

    def table(self, bench: Bench, config: Config, widths: dict[str, list[int]], around: dict[str, int]) -> Table:
        def luts(bits: dict[str, int], build=bench.quantized) -> float:
            return self.measured(build(with_bits(config, bits)))["lut"]

        # Fitted read-outs have other weights: what is built is counted as it is, differences without the fit.
        base, plain = luts(around, bench.fitted), luts(around)
        added: dict[str, dict[int, float]] = {tensor: {} for tensor in widths}
        for tensor, choice in widths.items():
            for width in choice:
                try:
                    added[tensor][width] = luts(around | {tensor: width}) - plain if width != around[tensor] else 0.0
                except ExportError:
                    continue
        return base, added

    def about(self) -> dict:
        hardware = {"target": self.part.name, "shape": self.shape, "fps": self.fps, "clock_mhz": self.clock_mhz}
        return {"objective": self.unit, **hardware}
