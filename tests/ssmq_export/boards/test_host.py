"""The computer's side against a board of a few lines, which may lose what comes, complain of it or say something else."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from ssmq_export.boards import Answer, Host, SimulatedBoard
from ssmq_export.boards.design import BoardDesign
from ssmq_export.boards.host import open_line
from ssmq_export.boards.protocol import FLAG, VERSION, Deframer, Kind, Status, frame
from ssmq_export.errors import ExportError

DESIGN = BoardDesign(
    board="b", identity=2**31 + 5, clock_hz=10**6, divisor=10, steps=3, channels=1, code_bits=8, classes=5, payload=3, cycles=9
)
CODES = np.arange(30).reshape(10, 3)
EXPECTED = [Answer(int(row.sum()) % 5, int(row[0]) << 20) for row in CODES]


def answer(status: int, tag: int, label: int = 0, value: int = 0) -> bytes:
    return frame(bytes([status, tag, label]) + value.to_bytes(4, "little"))


class Board:
    """A line with a board behind it. ``instead`` gives what is sent in place of the answer to a request, by its number,
    or None; ``seen`` are the requests, ``most`` how many of their answers were waited for at once."""

    name, timeout = "/dev/board", 0.001

    def __init__(self, instead: Callable[[int, Kind, int], bytes | None] = lambda number, kind, tag: None):
        self.instead, self.seen, self.held, self.most, self._heard = instead, [], b"", 0, Deframer()

    @property
    def in_waiting(self) -> int:
        return len(self.held)

    def write(self, data: bytes) -> None:
        for content in self._heard.feed(data):
            kind, tag = Kind(content[0]), content[1]
            other = self.instead(len(self.seen), kind, tag)
            self.seen.append(kind)
            self.held += self.honest(kind, tag, content[2:]) if other is None else other
        self.most = max(self.most, self.held.count(FLAG) // 2)

    def honest(self, kind: Kind, tag: int, payload: bytes) -> bytes:
        if kind == Kind.HELLO:
            return answer(Status.HELLO, tag, VERSION, DESIGN.identity)
        return answer(Status.CLASS, tag, sum(payload) % 5, payload[0] << 20)

    def read(self, size: int) -> bytes:
        given, self.held = self.held[:size], self.held[size:]
        return given


def test_every_sequence_has_its_class_and_never_more_than_two_are_on_the_way():
    told, board = [], Board()
    host = Host(board, DESIGN)
    host.hello()
    assert host.classify(CODES, told.append) == EXPECTED and told == list(range(1, 11))
    assert host.classify(CODES[..., None]) == EXPECTED and host.classify(CODES[:0]) == []
    assert (host.resent, sum(host.errors.values()), board.most) == (0, 0, 2)


def test_more_sequences_than_there_are_tags():
    assert Host(Board(), DESIGN).classify(np.tile(CODES, (60, 1))) == EXPECTED * 60


def test_what_is_lost_is_sent_again_alone():
    board = Board(lambda number, kind, tag: b"" if number in (3, 4, 7) else None)
    host = Host(board, DESIGN)
    assert host.classify(CODES) == EXPECTED
    assert (host.resent, len(board.seen)) == (3, 13)


@pytest.mark.parametrize("status", [Status.DAMAGED, Status.LENGTH, Status.KIND, Status.BUSY])
def test_what_a_board_complains_of_is_counted_and_sent_again(status):
    board = Board(lambda number, kind, tag: answer(status, 0) if number == 2 else None)
    host = Host(board, DESIGN)
    assert host.classify(CODES) == EXPECTED
    assert host.errors == {s: int(s == status) for s in host.errors} and host.resent == 1 and len(board.seen) == 11


def test_answers_that_nobody_waits_for_are_none():
    """Of another tag, of none that this protocol has, damaged, and one that comes twice."""
    wrong = (answer(Status.CLASS, 250), frame(b"what is this"), b"\x7e\x01\x02\x03\x04\x05\x7e", answer(Status.HELLO, 1, 9))
    board = Board()
    board.instead = lambda number, kind, tag: (
        b"".join(wrong) + 2 * board.honest(kind, tag, CODES[number].astype(np.uint8).tobytes())
    )
    host = Host(board, DESIGN)
    assert host.classify(CODES) == EXPECTED and not host.resent


def test_a_sequence_that_never_has_a_class_ends_with_its_number():
    board = Board(lambda number, kind, tag: None if number < 2 else b"")
    with pytest.raises(ExportError, match="^/dev/board: no class of sequence 2 after 3 tries: see to the cable"):
        Host(board, DESIGN, tries=3).classify(CODES)
    assert len(board.seen) == 2 + 3 * 2


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        (VERSION + 1, DESIGN.identity, rf"speaks version {VERSION + 1} of the protocol, not {VERSION}"),
        (VERSION, DESIGN.identity - 1, "holds another design: load the bitstream"),
    ],
)
def test_a_board_that_is_another_one_is_refused(label, value, message):
    board = Board(lambda number, kind, tag: answer(Status.HELLO, tag, label, value))
    with pytest.raises(ExportError, match=f"^/dev/board: the board {message}"):
        Host(board, DESIGN).hello()


def test_a_hello_is_tried_again_and_what_was_on_the_way_before_is_forgotten():
    late = answer(Status.CLASS, 2, 4, 4) + answer(Status.HELLO, 99, VERSION, 1)
    board = Board()
    right = board.honest(Kind.HELLO, 3, b"")
    board.instead = lambda number, kind, tag: [b"", late, late + right + late, *[None] * 10][number]
    host = Host(board, DESIGN, tries=3)
    host.hello()
    assert board.seen == [Kind.HELLO] * 3 and board.held == b""
    assert host.classify(CODES) == EXPECTED and not host.resent


@pytest.mark.parametrize("said", [b"", b"\x7enoise"], ids=["nothing", "noise"])
def test_a_board_that_never_answers(said):
    board = Board(lambda number, kind, tag: said)
    with pytest.raises(ExportError, match="^/dev/board: no answer at 100,000 baud: load the bitstream"):
        Host(board, DESIGN, tries=2).hello()
    assert len(board.seen) == 2


def test_noise_without_end_is_no_answer():
    board = Board()
    board.read = lambda size: b"\x00"
    with pytest.raises(ExportError, match="no answer"):
        Host(board, DESIGN, tries=2).hello()


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_port_that_goes_away(way):
    def gone(data):
        raise OSError(5, "Input/output error")

    board = Board()
    setattr(board, way, gone)
    with pytest.raises(ExportError, match="^/dev/board: the serial port is gone: plug the board in again"):
        Host(board, DESIGN).classify(CODES)


@pytest.mark.parametrize("codes", [CODES[:, :2], CODES[..., None, None], CODES[..., None] * [1, 1], CODES * 1.0, CODES[0]])
def test_codes_of_another_shape_or_type_are_refused(codes):
    with pytest.raises(ExportError, match=r"^codes must be integers \(B, 3, 1\), not \("):
        Host(Board(), DESIGN).classify(codes)


@pytest.mark.parametrize(("said", "told"), [("echo no memory >&2", "no memory"), ("true", "it said nothing")])
def test_a_simulated_board_that_does_not_start(tmp_path, said, told):
    (tmp_path / "rtl").mkdir()
    (tmp_path / "board.json").write_text(DESIGN.model_dump_json())
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o700)
    with pytest.raises(ExportError, match=f"^the simulated board failed: {told}$"), SimulatedBoard(tmp_path, program=program):
        pass


def test_without_pyserial_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ExportError, match=r"^pyserial: not installed: pip install 'ssmq-brevitas\[hw\]'$"):
        open_line("/dev/board", 115_200, 0.1)
