"""Widths of single tensors: what the scheme says of a role, unless a pattern of ``scheme.tensors`` says otherwise.

    blocks.0.s4d.c                        C of one layer; a, a_magnitude, a_phase, b, c, d, x likewise
    blocks.*.s4d.parameterisation         and granularity: the grids of a layer
    decoder                               a linear layer's weight, decoder.bias its bias
    blocks.0.norm                         gain and offset of a batch norm
    blocks.1.add_quant                    a quantiser, by the name it has in the quantised module

``*`` stands for anything; of several patterns that fit the last one holds.
"""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase

from pydantic import ValidationError

from ..config import Bits, Scheme
from ..errors import SsmqError
from .needs import readers
from .operations import Operation

_LAYER = ("a", "a_magnitude", "a_phase", "b", "c", "d", "x")
_GRIDS = ("parameterisation", "granularity")
# Parts that only these grids of Ā have.
POLAR, POLAR_GRIDS = ("a_magnitude", "a_phase"), ("polar", "log_polar")


class Names:
    """The widths of a network's tensors, by name. ``operations`` are those of the float network."""

    def __init__(self, scheme: Scheme, operations: list[Operation]):
        self.scheme = scheme
        # What each tensor's width is called in ``Bits``, by its name.
        self.roles: dict[str, str] = {}
        self._asked: set[str] = set()
        self._known = {operation.name: operation for operation in operations}
        self._readers = readers(operations)
        self._linear = {operation.path: operation for operation in operations if operation.kind == "linear"}

    def _chosen(self, name: str, default: int | str):
        self._asked.add(name)
        # A width for everything of a layer says nothing of its grids, and a grid nothing of its widths.
        found = [
            value
            for pattern, value in self.scheme.tensors.items()
            if fnmatchcase(name, pattern) and (pattern == name or isinstance(value, type(default)))
        ]
        return found[-1] if found else default

    def quantizer(self, path: str, role: str) -> int:
        return self._width(path, role)

    def weight(self, path: str) -> int:
        return self._width(path, self._role(self._linear[path]))

    def bias(self, path: str) -> int:
        return self._width(f"{path}.bias", "bias")

    def norm(self, path: str) -> int:
        return self._width(path, "norm")

    def _width(self, name: str, role: str) -> int:
        self.roles[name] = role
        found = self._chosen(name, getattr(self.scheme.bits, role))
        try:
            return getattr(Bits.model_validate({role: found}), role)
        except ValidationError as error:
            raise SsmqError(f"scheme.tensors: {name}: {error.errors()[0]['msg']}, not {found!r}") from error

    def layer(self, path: str) -> Scheme:
        """The scheme of one S4D layer."""
        grids = {part: self._chosen(f"{path}.{part}", getattr(self.scheme, part)) for part in _GRIDS}
        try:
            Scheme.model_validate(grids)
        except ValidationError as error:
            problem = error.errors()[0]
            raise SsmqError(f"scheme.tensors: {path}.{problem['loc'][0]}: {problem['msg']}") from error
        absent = () if grids["parameterisation"] in POLAR_GRIDS else POLAR
        absent = (*absent, *(("b",) if self.scheme.equalise else ()))
        bits = {part: self._width(f"{path}.{part}", part) for part in _LAYER if part not in absent}
        return self.scheme.model_copy(update={**grids, "bits": self.scheme.bits.model_copy(update=bits)})

    def _role(self, layer: Operation) -> str:
        """``encoder`` of a layer that reads the input, ``decoder`` of one whose result is the output, else ``linear``."""
        source = self._known[layer.inputs[0]]
        while source.kind in ("same", "quantizer"):
            source = self._known[source.inputs[0]]
        if source.kind == "input":
            return "encoder"
        pending = [layer]
        while pending:
            reader = pending.pop()
            if reader.kind == "output":
                return "decoder"
            if reader is layer or reader.kind in ("same", "last", "quantizer"):
                pending += self._readers[reader.name]
        return "linear"

    def refuse_unused(self) -> None:
        """Raise SsmqError for a pattern that fits no tensor, with the nearest name."""
        for pattern in self.scheme.tensors:
            if not any(fnmatchcase(name, pattern) for name in self._asked):
                near = difflib.get_close_matches(pattern, sorted(self._asked), n=1, cutoff=0.3)
                hint = f"did you mean {near[0]!r}?" if near else f"tensors: {', '.join(sorted(self._asked)[:8])} ..."
                raise SsmqError(f"scheme.tensors: {pattern!r} is no tensor of this network; {hint}")
