"""What the metadata say: formats of tensors, states, length. Every number bounded, every name that of a tensor."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..dataflow.datatype import integer_range
from ..dataflow.keys import FORMATS_KEY, LENGTH_KEY, STATES_KEY
from ..dataflow.states import successor
from ..errors import ExportError
from .shapes import Tensor

ADVICE = "export the graph again"
# Far past what any model needs, and sums of several still leave doubles finite.
Exponent = Annotated[int, Field(ge=-200, le=200)]
Count = Annotated[int, Field(ge=1, le=1 << 16)]


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


class State(_Strict):
    """One state port; see ``states.state_layout``."""

    port: str
    next: str
    part: Literal["re", "im", "sum"]
    order: str
    shape: list[Count]
    initial: Literal[0]
    layer: Annotated[int, Field(ge=0, le=1 << 16)] | None = None


_FORMATS = TypeAdapter(dict[str, Coded])
_STATES = TypeAdapter(list[State])


def formats(properties: dict[str, str]) -> dict[str, Coded]:
    """The formats by tensor name, each with its width and sign."""
    found = _read(_FORMATS, FORMATS_KEY, properties[FORMATS_KEY])
    for name, entry in found.items():
        whole = entry.bits is not None and entry.signed is not None
        limits = integer_range(entry.datatype or "")
        if not whole and not (limits and limits[1] < 2**64):
            raise ExportError(f"{name}: its format in {FORMATS_KEY} says not how it is coded: {ADVICE}")
        if not whole:
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


def check_states(properties: dict[str, str], tensors: dict[str, Tensor], inputs: list[str], form: str) -> None:
    """If the metadata describe the states, they are those of the ports."""
    if STATES_KEY not in properties:
        return
    states = _read(_STATES, STATES_KEY, properties[STATES_KEY])
    if form != "sequence-dataflow" and {state.port for state in states} != {name for name in inputs if name != "u"}:
        raise ExportError(f"the states in {STATES_KEY} are not the input ports ({', '.join(inputs[:4])}, ...): {ADVICE}")
    parts = [(state.layer, state.part) for state in states]
    pairs = [(layer, part) for layer in sorted({state.layer for state in states} - {None}) for part in ("re", "im")]
    if sorted(parts, key=str) != sorted([*pairs, (None, "sum")], key=str):
        raise ExportError(f"the states in {STATES_KEY} are not a real and an imaginary part a layer and one sum: {ADVICE}")
    sizes = {}
    for state in states:
        size = 1
        for count in state.shape:
            size *= count
        fits = form == "sequence-dataflow" or size == tensors[state.port].shape[-1]
        rank = 1 if state.part == "sum" else 2
        if state.next != successor(state.port) or not fits or len(state.shape) != rank:
            raise ExportError(f"{state.port}: what {STATES_KEY} says of it is not so: {ADVICE}")
        if sizes.setdefault(state.layer, state.shape) != state.shape:
            raise ExportError(f"{state.port}: its other part has another shape in {STATES_KEY}: {ADVICE}")


def length(properties: dict[str, str]) -> int | None:
    """Steps of a sequence; None if the metadata do not say."""
    text = properties.get(LENGTH_KEY)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise ExportError(f"{LENGTH_KEY} is {text[:20]!r}, no number of steps: {ADVICE}")
    return int(text)


def _read(adapter: TypeAdapter, key: str, text: str):
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"][:3])
        where = f"{place}: " if place else ""
        raise ExportError(
            f"the graph's metadata {key} is missing or damaged ({where}{problem['msg'][:80]}): {ADVICE}"
        ) from error
