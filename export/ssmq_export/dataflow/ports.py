"""The ports of a graph, as its metadata say them: nothing is recognised by its name.

One input, what is kept from step to step (states of a recurrence, running sums), and one output: a value a step, or one a
sequence, which is the value after the last step. A port that is kept has a successor among the graph's outputs, which is
what it holds in the next step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import onnx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ExportError
from .datatype import range_of
from .format import Format
from .keys import PORTS_KEY, formats_of, property_of

Kind = Literal["input", "state", "sum", "output"]
Part = Literal["re", "im"]
PARTS: tuple[Part, Part] = ("re", "im")
KEPT = ("state", "sum")
Count = Annotated[int, Field(ge=1, le=1 << 16)]


class PortEntry(BaseModel):
    """One port in the metadata.

    ``shape`` is that of its channels: ``(heads, modes)`` of a state, one head after another; everything kept starts at
    ``initial``. The two states of a ``recurrence`` are its real and imaginary ``part``. An output that counts in
    ``each_step`` says so; of any other only the value after the last step counts.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    kind: Kind
    shape: Annotated[list[Count], Field(min_length=1, max_length=4)]
    successor: str | None = None
    initial: Literal[0] | None = None
    recurrence: str | None = None
    part: Part | None = None
    each_step: Literal[True] | None = None


class KeptEntry(PortEntry):
    """Of what is kept."""

    successor: str


@dataclass(frozen=True, eq=False)
class Port:
    """As ``PortEntry``, with its ``format``: ``code * 2**exponent``, the exponent one number or one a channel."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    format: Format
    successor: str = ""
    initial: int | None = None
    recurrence: str = ""
    part: str = ""
    each_step: bool = False

    @property
    def channels(self) -> int:
        return int(np.prod(self.shape))

    @property
    def kept(self) -> bool:
        """Whether it is a state or a running sum."""
        return self.kind in KEPT


_ENTRIES = TypeAdapter(list[PortEntry])


def input_port(name: str, channels: int) -> PortEntry:
    return PortEntry(name=name, kind="input", shape=[channels])


def output_port(name: str, channels: int, each_step: bool = False) -> PortEntry:
    return PortEntry(name=name, kind="output", shape=[channels], each_step=each_step or None)


def sum_port(name: str, successor: str, channels: int) -> KeptEntry:
    """A running sum over time."""
    return KeptEntry(name=name, kind="sum", shape=[channels], successor=successor, initial=0)


def state_port(name: str, successor: str, shape: tuple[int, int], recurrence: str, part: Part) -> KeptEntry:
    """One part of a diagonal recurrence's state, ``shape`` (heads, modes)."""
    return KeptEntry(
        name=name, kind="state", shape=list(shape), successor=successor, initial=0, recurrence=recurrence, part=part
    )


def written(entries: Iterable[PortEntry]) -> str:
    """The text of ``PORTS_KEY``."""
    return json.dumps([entry.model_dump(exclude_none=True) for entry in entries])


def entries_of(text: str) -> list[PortEntry]:
    """The entries of ``PORTS_KEY``. Raises pydantic's ValidationError."""
    return _ENTRIES.validate_json(text)


class Ports:
    """The ports of a model: ``input``, ``kept`` (states and sums) and ``output``; ``all`` in the order of the metadata."""

    def __init__(self, ports: list[Port]):
        self.all = ports
        self.kept = [port for port in ports if port.kept]
        self.input = next(port for port in ports if port.kind == "input")
        self.output = next(port for port in ports if port.kind == "output")

    @property
    def successors(self) -> dict[str, str]:
        """Name of what is kept -> name of what it becomes."""
        return {port.name: port.successor for port in self.kept}

    @property
    def sums(self) -> list[Port]:
        return [port for port in self.kept if port.kind == "sum"]

    @property
    def recurrences(self) -> dict[str, tuple[Port, Port]]:
        """Name -> real and imaginary state, in the order of the metadata."""
        parts: dict[str, dict[str, Port]] = {}
        for port in self.kept:
            if port.kind == "state":
                parts.setdefault(port.recurrence, {})[port.part] = port
        return {name: (found["re"], found["im"]) for name, found in parts.items()}


def ports_of(model: onnx.ModelProto) -> Ports:
    """The ports of a model that was admitted, or that this program has just made."""
    text = property_of(model, PORTS_KEY)
    try:
        entries = entries_of(text or "")
        formats = formats_of(model)
        ports = [
            Port(
                **{
                    **entry.model_dump(exclude_none=True),
                    "shape": tuple(entry.shape),
                    "format": format_from(formats[entry.name]),
                }
            )
            for entry in entries
        ]
        return Ports(ports)
    except (ValidationError, ValueError, KeyError, StopIteration) as error:
        raise ExportError(f"the graph does not say what its ports are ({PORTS_KEY}): export it again") from error


def format_from(entry: dict) -> Format:
    """A format as ``FORMATS_KEY`` holds it: with ``bits`` and ``signed``, or with a ``datatype``."""
    exponent = np.asarray(entry["exponent"], np.int64)
    if "datatype" not in entry:
        return Format(entry["bits"], entry["signed"], exponent)
    low, high = range_of(entry["datatype"])
    return Format((high - low).bit_length(), low < 0, exponent)


def values_of(codes: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """What ``codes`` stand for, float64."""
    return np.ldexp(np.asarray(codes).astype(np.float64), exponent)
