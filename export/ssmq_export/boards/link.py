"""What an accelerator's link is like: parameters of ``ssmq_link`` and ``ssmq_axi``, and designs that have none."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ExportError
from ..rtl.manifest import Manifest
from .catalogue import Board

# 1 Mbaud is a whole number of clocks on every board, and USB bridges know it.
BAUD = 1_000_000
# A receiver samples the middle of ten bits: half a bit at the end is 5 %, shared by two clocks and the edges.
TOLERANCE = 0.02
LEAST_DIVISOR = 4
CODE_BITS, LOGIT_BITS, CLASSES = 16, 31, 256
# One sequence is computed while the next one comes.
SEQUENCES = 2


@dataclass(frozen=True)
class Link:
    """``payload``: bytes of a sequence of ``steps`` times ``channels`` codes; ``depth``: bytes that may wait."""

    steps: int
    channels: int
    code_bits: int
    classes: int
    logit_bits: int
    logit_signed: bool

    @property
    def codes(self) -> int:
        return self.steps * self.channels

    @property
    def payload(self) -> int:
        return -(-self.codes * self.code_bits // 8)

    @property
    def depth(self) -> int:
        # A tag goes with every payload.
        return 1 << (SEQUENCES * (self.payload + 1) - 1).bit_length()

    def parameters(self) -> dict[str, int]:
        return {
            "BYTES": self.payload, "DEPTH": self.depth, "CODE_BITS": self.code_bits,
            "CODES": self.codes, "CHANNELS": self.channels, "CLASSES": self.classes, "LOGIT_BITS": self.logit_bits,
            "LOGIT_SIGNED": int(self.logit_signed),
        }  # fmt: skip


def link_of(manifest: Manifest) -> Link:
    """Raises ExportError for an accelerator that is no classifier of whole sequences, or one that is too wide."""
    given, result = (manifest.streams[port.stream] for port in (manifest.given, manifest.result))
    name, tensor = manifest.given.tensor, manifest.result.tensor
    if manifest.each_step:
        raise ExportError(f"{tensor}: an output at every step has no board design: give a model with one class a sequence")
    if manifest.length is None:
        raise ExportError(f"{name}: the graph does not say how long a sequence is: export it with `ssmq export`")
    if given.lanes != 1 or result.lanes != 1:
        raise ExportError(f"{manifest.top}: its ports carry several channels a beat: generate it again with `ssmq rtl`")
    if not 2 <= result.channels <= CLASSES:
        raise ExportError(f"{tensor}: {result.channels} outputs are no logits of 2 to {CLASSES} classes")
    if len(set(manifest.result.exponent)) > 1:
        raise ExportError(f"{tensor}: its classes have several scales, so that their codes cannot be compared")
    for what, bits, most in ((name, given.bits, CODE_BITS), (tensor, result.bits, LOGIT_BITS)):
        if bits > most:
            raise ExportError(f"{what}: {bits} bits, a board design carries {most}: give a narrower model")
    return Link(manifest.length, given.channels, given.bits, result.channels, result.bits, result.signed)


def refuse_large(link: Link, board: Board) -> None:
    """Raises ExportError for sequences that need more block RAM than half of what the board has."""
    if link.depth > board.ram // 2:
        raise ExportError(
            f"{SEQUENCES} sequences of {link.payload:,} bytes take {link.depth:,} bytes of RAM, more than half of the "
            f"{board.ram:,} on {board.name}: give a board with more, or shorter sequences"
        )


def divisor_of(board: Board, baud: int = BAUD) -> int:
    """Clocks a bit. Raises ExportError for a rate that is no whole part of the board's clock."""
    divisor = max(LEAST_DIVISOR, round(board.clock_hz / baud))
    found = board.clock_hz / divisor
    if abs(found / baud - 1) > TOLERANCE:
        near = board.clock_hz // divisor
        raise ExportError(
            f"{baud:,} baud is no whole part of the {board.clock_hz / 1e6:g} MHz of {board.name}: give {BAUD:,}, or {near:,}"
        )
    return divisor
