"""The modules of a link, simulated, against what the computer's side makes of the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_export import rtl
from ssmq_export.boards.project import LIBRARY
from ssmq_export.boards.protocol import Deframer, Kind, Status, frame, pack, reply_of, request
from ssmq_export.rtl.netlist import Stream
from ssmq_export.rtl.simulator import Pins, compiled

pytestmark = pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)
PAYLOAD, KEPT = 5, 8
INPUTS = {"bytes": (8, False), "full": (8, False), "message": (56, False), "packed": (8, False), "logit": (6, True)}
INPUTS |= {"filled": (8, False), "axis": (8, False), "access": (42, False), "level": (1, False)}
OUTPUTS = {"verdict": (12, False), "told": (12, False), "kept": (8, False), "framed": (8, False), "code": (5, False)}
OUTPUTS |= {"whole": (5, False)}
OUTPUTS |= {"best": (40, False), "class": (64, False), "given": (5, True), "read": (32, False), "heard": (9, False)}


def pins(ports) -> list[Pins]:
    return [Pins(name, Stream(name, 1, 1, bits, signed)) for name, (bits, signed) in ports.items()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("link")
    sources = [
        *(Path(__file__).with_name(f"{name}_bench.sv") for name in ("link", "axi", "unpack")),
        *sorted(LIBRARY.glob("*.sv")),
    ]
    simulator = compiled("link_bench", folder, sources, pins(INPUTS), pins(OUTPUTS), folder / "build", optimise="-O0")

    def run(counts: dict[str, int], stall: float = 0, **given: list[int]) -> dict[str, list[int]]:
        """What comes at the outputs for what is given at some of the inputs; ``stall`` as of ``Simulator.run``."""
        beats = [np.asarray(given.get(name, []), np.int64).reshape(-1, 1) for name in INPUTS]
        flags = [
            np.asarray(given.get(f"{name}_last", np.zeros(len(b))), np.int64) for name, b in zip(INPUTS, beats, strict=True)
        ]
        wanted = [counts.get(name, 0) for name in OUTPUTS]
        found = simulator.run(list(zip(beats, flags, strict=True)), wanted, stall=stall, patience=2000)
        run.last = dict(zip(OUTPUTS, (beats.last for beats in found), strict=True))
        return {name: beats.elements[:, 0].tolist() for name, beats in zip(OUTPUTS, found, strict=True)}

    return run


def verdicts(stream: bytes) -> list[tuple[int, int]]:
    """What the hardware must say: its verdict, and the tag where that can be trusted."""
    found = []
    for content in Deframer().feed(stream):
        if content is None:
            found.append((Status.DAMAGED, None))
        elif content[0] == Kind.IMAGE:
            found.append((KEPT if len(content) == 2 + PAYLOAD else Status.LENGTH, content[1]))
        elif content[0] == Kind.HELLO:
            found.append((Status.HELLO if len(content) == 2 else Status.LENGTH, content[1]))
        else:
            found.append((Status.KIND, content[1]))
    return found


# Of few different bytes, those among them that frames are made of.
few = st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D, 0x00, 0x01, 0xFF]), max_size=PAYLOAD + 6).map(bytes)
images = st.lists(st.integers(0, 255), min_size=PAYLOAD, max_size=PAYLOAD).map(bytes)
requests = st.builds(request, st.sampled_from([0, 1, 2]), st.integers(0, 255), images)


@st.composite
def flipped(draw):
    """A request with one bit changed."""
    found = bytearray(draw(requests))
    found[draw(st.integers(0, len(found) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(found)


hellos = st.builds(request, st.just(Kind.HELLO), st.integers(0, 255))
pieces = st.one_of(few, few.map(frame), requests, flipped(), hellos)


@settings(max_examples=40)
@given(parts=st.lists(pieces, min_size=10, max_size=60))
def test_frames_are_what_the_computer_takes_them_for(bench, parts):
    stream = b"".join(parts) + b"\x7e"
    expected = verdicts(stream)
    found = bench({"verdict": len(expected)}, bytes=list(stream))["verdict"]
    assert [word >> 8 for word in found] == [status for status, _ in expected]
    tags = [(word & 0xFF, tag) for word, (_, tag) in zip(found, expected, strict=True) if tag is not None]
    assert all(found == wanted for found, wanted in tags)


def test_every_verdict_is_reached(bench):
    sent = [request(Kind.IMAGE, 1, bytes(PAYLOAD)), request(Kind.HELLO, 2), b"\x7e\x01\x02\x7e", b"\x7d"]
    sent += [request(Kind.IMAGE, 3, bytes(PAYLOAD + extra)) for extra in (-1, 1, 2, 300)] + [request(Kind.HELLO, 4, b"x")]
    sent += [request(2, 5, bytes(PAYLOAD))]
    words = bench({"verdict": 10}, bytes=[byte for one in sent for byte in one])["verdict"]
    statuses = [KEPT, Status.HELLO, Status.DAMAGED, Status.DAMAGED, *[Status.LENGTH] * 5, Status.KIND]
    assert [word >> 8 for word in words] == statuses


def test_a_byte_without_its_stop_bit_damages_its_frame_alone(bench):
    stream = request(Kind.IMAGE, 1, bytes(PAYLOAD))
    for place in range(1, len(stream) - 1):
        last = [0] * (3 * len(stream))
        last[len(stream) + place] = 1
        found = bench({"verdict": 3}, bytes=list(stream * 3), bytes_last=last)["verdict"]
        assert [word >> 8 for word in found] == [KEPT, Status.DAMAGED, KEPT]


def test_a_full_queue_refuses_whole_packets_and_overwrites_none(bench):
    """Two packets of six bytes fit, a third does not; what is dropped leaves room for what follows."""
    images = [bytes([tag, *range(16 * tag, 16 * tag + PAYLOAD)]) for tag in range(12)]
    damaged = bytearray(frame(bytes([Kind.IMAGE]) + images[1]))
    damaged[4] ^= 1
    frames = [frame(bytes([Kind.IMAGE]) + image) for image in images]
    frames[1] = bytes(damaged)
    found = bench({"told": 12, "kept": 36}, full=list(b"".join(frames)))
    expected = [KEPT, Status.DAMAGED, KEPT, *[Status.BUSY] * 5, *[KEPT] * 4]
    assert [word >> 8 for word in found["told"]] == expected
    kept = [image for image, verdict in zip(images, expected, strict=True) if verdict == KEPT]
    assert bytes(found["kept"]) == b"".join(kept)


def test_answers_are_frames_on_the_line(bench):
    rng = np.random.default_rng(0)
    some = [[0, 0x7E, 0x7D, 0x7E, 0x7D, 0, 0], [1] * 7, *rng.integers(0, 256, (40, 7)).tolist()]
    messages = [bytes([row[0] % 6, *row[1:]]) for row in some]
    expected = b"".join(map(frame, messages))
    found = bench({"framed": len(expected)}, message=[int.from_bytes(m, "little") for m in messages])["framed"]
    assert bytes(found) == expected
    assert [reply_of(content) for content in Deframer().feed(bytes(found))] == [reply_of(m) for m in messages]


def levels(data: bytes, stop: int = 1) -> list[int]:
    """A line at four clocks a bit: start, eight bits, stop."""
    return [bit for byte in data for bit in (0, *(byte >> k & 1 for k in range(8)), stop) for _ in range(4)]


def test_a_line_is_heard_again_after_a_glitch_and_after_a_break(bench):
    rest, glitch, held = [1] * 40, [0], [0] * 200
    line = rest + glitch + rest + levels(b"ab") + held + rest + levels(b"cd") + levels(b"e", stop=0) + rest + levels(b"f")
    found = bench({"heard": 7}, level=line)["heard"]
    assert found == [*b"ab", 0x100, *b"cd", 0x100 | ord("e"), ord("f")]


@pytest.mark.parametrize("stall", [0, 0.9])
@pytest.mark.parametrize(("port", "output", "steps"), [("packed", "code", 5), ("filled", "whole", 4)])
def test_packed_codes_come_out_one_by_one_and_the_next_packet_waits_for_the_answer(bench, stall, port, output, steps):
    """However long a code waits: the packets behind it are there already."""
    codes = np.random.default_rng(1).integers(0, 32, (6, steps, 2))
    given = b"".join(bytes([number]) + pack(sequence, 5) for number, sequence in enumerate(codes))
    assert bench({output: codes.size}, stall, **{port: list(given)})[output] == codes.reshape(-1).tolist()
    flags = bench.last[output].reshape(codes.shape)
    assert np.all(flags[:, -1] == 1) and not np.any(flags[:, :-1])


def test_the_largest_logit_is_the_first_of_equal_ones(bench):
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.integers(-32, 32, (40, 4)), rng.integers(-2, 2, (40, 4)), [[-32] * 4, [31, -32, -32, -32]]])
    ordered = np.sort(logits, axis=1)
    expected = [int(p) << 32 | int(m) for p, m in zip(logits.argmax(1), ordered[:, -1] - ordered[:, -2], strict=True)]
    assert bench({"best": len(logits)}, logit=logits.reshape(-1).tolist())["best"] == expected


IDENTITY, VERSION, CONTROL, FAULTS, SEQUENCES, CYCLES, CODES, SHAPE = range(0, 32, 4)


def access(register: int, after: int = 0, write: int | None = None) -> int:
    """A read of a register, or a write, when so many classes are out."""
    return after << 38 | (write is not None) << 37 | register << 32 | (write or 0)


def test_behind_axi_sequences_become_classes_and_registers_count_them(bench):
    codes = np.random.default_rng(3).integers(-16, 16, (5, 6))
    last = np.zeros(codes.shape, int)
    last[:, -1] = 1
    given = {"axis": (codes & 0xFF).reshape(-1).tolist(), "axis_last": last.reshape(-1)}
    reads = [access(IDENTITY), access(VERSION), access(CODES), access(SHAPE), access(SEQUENCES, 5), access(FAULTS, 5)]
    found = bench({"class": 5, "given": 30, "read": 6}, access=reads, **given)
    assert found["read"] == [0xDEADBEEF, 1, 6, 3 << 16 | 5, 5, 0]
    assert found["given"] == codes.reshape(-1).tolist()
    assert bench.last["given"].reshape(5, 6).tolist() == [[0, 0, 0, 0, 1, 1]] * 5
    ordered = np.sort(codes[:, 3:], axis=1)
    expected = zip(codes[:, 3:].argmax(axis=1).tolist(), (ordered[:, -1] - ordered[:, -2]).tolist(), strict=True)
    assert found["class"] == [margin << 32 | place for place, margin in expected]


def test_behind_axi_a_misplaced_end_is_a_fault_until_it_is_cleared(bench):
    last = [0, 0, 1, 0, 0, 1, *[0] * 5, 1]
    reads = [access(FAULTS, 2), access(FAULTS, 2, write=0), access(FAULTS, 2)]
    assert bench({"class": 2, "given": 12, "read": 2}, access=reads, axis=[1] * 12, axis_last=last)["read"] == [1, 0]


def test_behind_axi_a_reset_forgets_half_a_sequence_and_the_counts(bench):
    reads = [access(SEQUENCES, 1), access(CONTROL, 1, write=1), access(CONTROL, 1), access(SEQUENCES, 1)]
    reads += [access(CONTROL, 1, write=0), access(CONTROL, 1)]
    found = bench({"class": 1, "given": 6, "read": 4}, access=reads, axis=[1] * 6, axis_last=[0] * 5 + [1])
    assert found["read"] == [1, 1, 0, 0]
