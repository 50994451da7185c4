"""What the metadata say: formats of tensors, ports, length. Every number bounded, every name that of a tensor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..dataflow.datatype import integer_range
from ..dataflow.keys import FORMATS_KEY, LENGTH_KEY, PORTS_KEY
from ..dataflow.ports import KEPT, PortEntry, entries_of
from ..errors import ExportError
from .names import refuse_names
from .shapes import Tensor

ADVICE = "export the graph again"
# Far past what any model needs, and sums of several still leave doubles finite.
Exponent = Annotated[int, Field(ge=-200, le=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Coded(_Strict):
    """Format of a tensor: ``bits`` and ``signed`` in a step graph, ``datatype`` in an integer one."""

    exponent: Exponent | list[Exponent]
    bits: Annotated[int, Field(ge=1, le=64)] | None = None
    signed: bool | None = None
    datatype: Annotated[str, Field(max_length=16)] | None = None

    @property
    def exponents(self) -> list[int]:
        return self.exponent if isinstance(self.exponent, list) else [self.exponent]

    @property
    def width(self) -> tuple[int, bool]:
        """Bits and sign, which ``formats`` sees to."""
        assert self.bits is not None and self.signed is not None
        return self.bits, self.signed


_FORMATS = TypeAdapter(dict[str, Coded])


def formats(properties: dict[str, str]) -> dict[str, Coded]:
    """The formats by tensor name, each with its width and sign."""
    found = _read(_FORMATS.validate_json, FORMATS_KEY, properties[FORMATS_KEY])
    for name, entry in found.items():
        if entry.bits is not None and entry.signed is not None:
            continue
        limits = integer_range(entry.datatype or "")
        if limits is None or limits[1] >= 2**64:
            raise ExportError(f"{name}: its format in {FORMATS_KEY} says not how it is coded: {ADVICE}")
        width = (limits[1] - limits[0]).bit_length()
        found[name] = entry.model_copy(update={"bits": width, "signed": limits[0] < 0})
    return found


def written(text: str, formats: dict[str, Coded]) -> str:
    """The formats of a step graph with widths and signs where ``text``, as after a pass of the lowering, has datatypes."""
    if all(entry.datatype is None for entry in formats.values()):
        return text
    return json.dumps({name: entry.model_dump(include={"bits", "signed", "exponent"}) for name, entry in formats.items()})


def check_formats(found: dict[str, Coded], tensors: dict[str, Tensor], ports: list[str]) -> None:
    """Every port has one, and none has more exponents than channels."""
    lost = [name for name in ports if name not in found]
    if lost:
        raise ExportError(
            f"{', '.join(lost[:3])}: the metadata ({FORMATS_KEY}) say nothing of this port, {_renamed(found, tensors)}"
        )
    for name, entry in found.items():
        if name in tensors and len(entry.exponents) not in (1, (tensors[name].shape or (1,))[-1]):
            raise ExportError(f"{name}: {len(entry.exponents)} exponents in {FORMATS_KEY} for its channels: {ADVICE}")


def _renamed(found: dict[str, Coded], tensors: dict[str, Tensor]) -> str:
    gone = [name for name in found if name not in tensors]
    if not gone:
        return ADVICE
    return (
        f"and {len(gone)} names that they do know ({', '.join(gone[:3])}{', ...' if len(gone) > 3 else ''}) are not in the "
        f"graph: another tool has renamed its tensors (qonnx-cleanup does); give the file as it was exported, or leave "
        f"GiveReadableTensorNames out"
    )


def ports(properties: dict[str, str]) -> list[PortEntry]:
    """The ports by the metadata: one input, one output, and of each recurrence a real and an imaginary state."""
    if PORTS_KEY not in properties:
        raise ExportError(f"the graph does not say what its ports are ({PORTS_KEY}): {ADVICE}")
    found = _read(entries_of, PORTS_KEY, properties[PORTS_KEY])
    names = [entry.name for entry in found]
    refuse_names(names, "port")
    kinds = Counter(entry.kind for entry in found)
    if len(set(names)) < len(names) or kinds["input"] != 1 or kinds["output"] != 1:
        raise ExportError(
            f"{PORTS_KEY} names {kinds['input']} inputs and {kinds['output']} outputs, or a port twice, where one of each "
            f"is read: {ADVICE}"
        )
    parts: dict[str, dict[str, PortEntry]] = {}
    for entry in found:
        kept, state = entry.kind in KEPT, entry.kind == "state"
        whole = (entry.successor is not None, entry.initial is not None) == (kept, kept)
        streamed = entry.each_step is not None and entry.kind != "output"
        if not whole or streamed or (entry.recurrence is not None, entry.part is not None) != (state, state):
            raise ExportError(f"{entry.name}: what {PORTS_KEY} says of it is no {entry.kind}: {ADVICE}")
        if len(entry.shape) != (2 if state else 1):
            raise ExportError(f"{entry.name}: a shape of {len(entry.shape)} dimensions in {PORTS_KEY}: {ADVICE}")
        if state:
            refuse_names([entry.recurrence], "recurrence")
            parts.setdefault(entry.recurrence, {})[entry.part] = entry
    states = sum(entry.kind == "state" for entry in found)
    if states != 2 * len(parts) or any(len(both) < 2 for both in parts.values()):
        raise ExportError(f"the states in {PORTS_KEY} are not a real and an imaginary part of each recurrence: {ADVICE}")
    for both in parts.values():
        if both["re"].shape != both["im"].shape:
            raise ExportError(f"{both['im'].name}: its other part has another shape in {PORTS_KEY}: {ADVICE}")
    return found


def check_ports(found: list[PortEntry], tensors: dict[str, Tensor], inputs: list[str], outputs: list[str], form: str) -> None:
    """They are the graph's own: what is kept goes in and out, in a sequence graph nothing is."""
    kept = [entry for entry in found if entry.kind in KEPT]
    if form == "sequence-dataflow" and kept:
        raise ExportError(f"{kept[0].name}: a sequence graph keeps its states inside, and {PORTS_KEY} names this one: {ADVICE}")
    successors = {entry.name: entry.successor for entry in kept if entry.successor is not None}
    sides = (
        ("inputs", inputs, [entry.name for entry in found if entry.kind != "output"]),
        ("outputs", outputs, [*successors.values(), *(e.name for e in found if e.kind == "output")]),
    )
    for side, have, wanted in sides:
        if sorted(have) != sorted(wanted):
            odd = sorted(set(have) ^ set(wanted))[:4]
            raise ExportError(f"{', '.join(odd) or 'a port'}: the {side} of the graph are not those in {PORTS_KEY}: {ADVICE}")
    for entry in found:
        if prod(entry.shape) != tensors[entry.name].shape[-1]:
            raise ExportError(
                f"{entry.name}: has {tensors[entry.name].shape[-1]} channels, not {entry.shape} of {PORTS_KEY}: {ADVICE}"
            )
    steps = next(tensors[entry.name].shape[1] for entry in found if entry.kind == "input")
    for entry in found:
        if form == "sequence-dataflow" and entry.each_step and tensors[entry.name].shape[1] != steps:
            raise ExportError(f"{entry.name}: {PORTS_KEY} calls it an output of each step, and it has one step: {ADVICE}")
    for name, successor in successors.items():
        if tensors[name] != tensors[successor]:
            raise ExportError(f"{name}: its shape or type is not that of {successor}, which follows it: {ADVICE}")


def length(properties: dict[str, str]) -> int | None:
    """Steps of a sequence; None if the metadata do not say."""
    text = properties.get(LENGTH_KEY)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise ExportError(f"{LENGTH_KEY} is {text[:20]!r}, no number of steps: {ADVICE}")
    return int(text)


def _read(read: Callable[[str], Any], key: str, text: str):
    try:
        return read(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"][:3])
        where = f"{place}: " if place else ""
        raise ExportError(
            f"the graph's metadata {key} is missing or damaged ({where}{problem['msg'][:80]}): {ADVICE}"
        ) from error
