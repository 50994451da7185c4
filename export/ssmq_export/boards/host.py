"""The computer's side of the serial line: sequences out, classes back, and again what was damaged on the way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import ExportError
from .design import BoardDesign
from .link import SEQUENCES
from .protocol import VERSION, Deframer, Kind, Reply, Status, pack, reply_of, request

if TYPE_CHECKING:
    from serial import Serial

TRIES = 8


class Line(Protocol):
    """What ``serial.Serial`` has: ``read`` gives nothing where nothing comes for ``timeout``, the host's patience."""

    name: str
    timeout: float | None

    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes) -> int | None: ...

    @property
    def in_waiting(self) -> int: ...


@dataclass(frozen=True)
class Answer:
    """``margin``: how far the next largest logit is below that of ``label``, in codes."""

    label: int
    margin: int


def patience(design: BoardDesign) -> float:
    """Seconds after which nothing comes any more: twice the longest way there and back, and what USB adds."""
    return 2 * design.turnaround / design.clock_hz + 0.1


def open_line(port: str, baud: int, timeout: float) -> Serial:
    """The serial port ``port``. Raises ExportError if it is not there or cannot be opened."""
    try:
        import serial
    except ImportError as error:
        raise ExportError("pyserial: not installed: pip install 'ssmq-brevitas[hw]'") from error
    try:
        return serial.Serial(port, baud, timeout=timeout, write_timeout=30 + timeout)
    except (serial.SerialException, ValueError, OSError) as error:
        raise ExportError(f"{port}: cannot be opened as a serial port at {baud:,} baud: {_ports(serial)}") from error


def _ports(serial) -> str:
    from serial.tools.list_ports import comports

    found = ", ".join(port.device for port in comports())
    return f"there are {found}" if found else "there is none on this computer: is the board plugged in?"


class Host:
    """Speaks with the board behind ``line``, which must hold ``design``.

    ``resent`` counts sequences that were sent again, ``errors`` what the board had to say against frames, by status.
    """

    def __init__(self, line: Line, design: BoardDesign, tries: int = TRIES):
        self.line, self.design, self.tries = line, design, tries
        self.resent = 0
        self.errors = dict.fromkeys((Status.DAMAGED, Status.LENGTH, Status.KIND, Status.BUSY), 0)
        self._deframer = Deframer()
        self._replies: deque[Reply] = deque()
        self._tag = 0

    def hello(self) -> None:
        """Comes first. Raises ExportError if no board answers, or one with another design."""
        for _ in range(self.tries):
            tag = self._send(Kind.HELLO)
            while (reply := self._reply()) is not None:
                if (reply.status, reply.tag) != (Status.HELLO, tag):
                    continue
                if reply.label != VERSION:
                    raise ExportError(
                        f"{self.line.name}: the board speaks version {reply.label} of the protocol, not {VERSION}"
                    )
                if reply.value != self.design.identity:
                    raise ExportError(f"{self.line.name}: the board holds another design: load the bitstream of this folder")
                # Answers to what another program has asked before may still be on the way.
                while self._reply() is not None:
                    pass
                return
        raise ExportError(
            f"{self.line.name}: no answer at {self.design.baud:,} baud: load the bitstream of this folder, and see that no "
            "other program has the port"
        )

    def classify(self, codes: np.ndarray, tell: Callable[[int], None] = lambda done: None) -> list[Answer]:
        """An answer for every sequence of ``codes`` ``(B, T, C)`` or ``(B, T)``; ``tell`` hears how many are there.

        After an error it sends nothing new until each that is on the way has its answer, or nothing comes any more: which
        of them was damaged, a damaged frame cannot tell. What has no class then is sent again.
        """
        payloads = [pack(sequence, self.design.code_bits) for sequence in self._admitted(codes)]
        tries, waiting = [0] * len(payloads), deque(range(len(payloads)))
        found: dict[int, Answer] = {}
        sent: dict[int, int] = {}
        errors = 0
        while len(found) < len(payloads):
            while waiting and len(sent) < SEQUENCES and not errors:
                number = waiting.popleft()
                self._count(number, tries)
                sent[self._send(Kind.IMAGE, payloads[number])] = number
            reply = self._reply()
            if reply is not None and reply.status == Status.CLASS and reply.tag in sent:
                found[sent.pop(reply.tag)] = Answer(reply.label, reply.value)
                tell(len(found))
            elif reply is not None and reply.status in self.errors:
                self.errors[reply.status] += 1
                errors += 1
            if reply is None or errors >= len(sent):
                waiting.extendleft(reversed(sent.values()))
                sent.clear()
                errors = 0
        return [found[number] for number in range(len(payloads))]

    def _count(self, number: int, tries: list[int]) -> None:
        if tries[number] == self.tries:
            raise ExportError(f"{self.line.name}: no class of sequence {number} after {self.tries} tries: see to the cable")
        self.resent += tries[number] > 0
        tries[number] += 1

    def _send(self, kind: Kind, payload: bytes = b"") -> int:
        """Send a request under a tag of its own, so that a late answer to an earlier one is none to this."""
        self._tag = (self._tag + 1) % 256
        try:
            self.line.write(request(kind, self._tag, payload))
        except OSError as error:
            raise self._gone() from error
        return self._tag

    def _reply(self) -> Reply | None:
        """The next answer that is whole; None if nothing comes."""
        quiet = time.monotonic() + 4 * (self.line.timeout or 1)
        while not self._replies:
            try:
                data = self.line.read(max(1, self.line.in_waiting))
            except OSError as error:
                raise self._gone() from error
            # Noise without end is no answer either.
            if not data or time.monotonic() > quiet:
                return None
            self._replies.extend(reply for one in self._deframer.feed(data) if (reply := reply_of(one)) is not None)
        return self._replies.popleft()

    def _gone(self) -> ExportError:
        return ExportError(f"{self.line.name}: the serial port is gone: plug the board in again")

    def _admitted(self, codes: np.ndarray) -> np.ndarray:
        codes, design = np.asarray(codes), self.design
        codes = codes[..., None] if codes.ndim == 2 and design.channels == 1 else codes
        if codes.ndim != 3 or codes.shape[1:] != (design.steps, design.channels) or codes.dtype.kind not in "iu":
            raise ExportError(f"codes must be integers (B, {design.steps}, {design.channels}), not {codes.shape}")
        return codes.astype(np.int64)
