"""Frames on the serial line: those of RFC 1662, with its FCS-16, for requests and answers alike.

A request is ``kind, tag, payload``; an answer ``status, tag, class, value`` (four bytes, low ones first). What bytes
between two flags say counts only if their FCS is right, so garbage ends with the next flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

VERSION = 1
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
# Around a payload: flag, kind, tag, FCS, flag.
FRAME_BYTES = 6
_ANSWER_BYTES = 7


class Kind(IntEnum):
    HELLO = 0
    IMAGE = 1


class Status(IntEnum):
    """What an answer is: the ``CLASS`` of a sequence and its margin, ``HELLO`` with version and identity, or an error.

    ``DAMAGED``: its FCS is wrong, or a byte has no stop bit; of the others the FCS is right. ``LENGTH``: not this design's;
    ``KIND``: unknown; ``BUSY``: no room for another sequence.
    """

    CLASS = 0
    HELLO = 1
    DAMAGED = 2
    LENGTH = 3
    KIND = 4
    BUSY = 5


@dataclass(frozen=True)
class Reply:
    """``label``: the class, or of a hello the version; ``value``: the margin, or the identity."""

    status: Status
    tag: int
    label: int
    value: int


def _table() -> list[int]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
        found.append(value)
    return found


_FCS = _table()


def fcs16(data: bytes) -> int:
    """The FCS that stands behind ``data``, low byte first (CRC-16/X-25).

    >>> hex(fcs16(b"123456789"))
    '0x906e'
    """
    fcs = 0xFFFF
    for byte in data:
        fcs = fcs >> 8 ^ _FCS[(fcs ^ byte) & 0xFF]
    return fcs ^ 0xFFFF


def frame(content: bytes) -> bytes:
    """``content`` between flags, with its FCS, stuffed."""
    whole = content + fcs16(content).to_bytes(2, "little")
    stuffed = whole.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return bytes([FLAG]) + stuffed + bytes([FLAG])


def request(kind: Kind, tag: int, payload: bytes = b"") -> bytes:
    return frame(bytes([kind, tag]) + payload)


def pack(codes: np.ndarray, bits: int) -> bytes:
    """Codes ``(T, C)`` of ``bits`` each, one behind the other, low bits first; the last byte ends with zeros."""
    planes = np.asarray(codes).reshape(-1, 1) >> np.arange(bits) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def reply_of(content: bytes | None) -> Reply | None:
    """An answer, or None if ``content`` is none that this version of the protocol has."""
    if content is None or len(content) != _ANSWER_BYTES or content[0] not in list(Status):
        return None
    return Reply(Status(content[0]), content[1], content[2], int.from_bytes(content[3:], "little"))


class Deframer:
    """Bytes as they come to what frames hold; None stands for a frame that is damaged."""

    def __init__(self, longest: int = 1 << 16):
        self._longest = longest
        self._held = bytearray()
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes | None]:
        found: list[bytes | None] = []
        for byte in data:
            if byte == FLAG:
                if self._held or self._escaped:
                    found.append(self._content())
                self._held.clear()
                self._escaped = False
            elif byte == ESCAPE:
                self._escaped = True
            else:
                if len(self._held) <= self._longest:
                    self._held.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
        return found

    def _content(self) -> bytes | None:
        content, fcs = bytes(self._held[:-2]), int.from_bytes(self._held[-2:], "little")
        whole = not self._escaped and 4 <= len(self._held) <= self._longest and fcs16(content) == fcs
        return content if whole else None
