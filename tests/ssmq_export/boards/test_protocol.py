"""Frames: what is sent is what is heard, whatever the bytes and however they come; damage is seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.boards.protocol import Deframer, Reply, Status, fcs16, frame, pack, reply_of

# Bytes that frames are made of come often.
contents = st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D]) | st.integers(0, 255), min_size=2, max_size=40).map(bytes)


def test_the_check_sequence_is_the_standards():
    """The check value of CRC-16/X-25, and RFC 1662's own: a frame with its FCS leaves 0xF0B8."""
    assert fcs16(b"123456789") == 0x906E
    assert fcs16(b"123456789" + fcs16(b"123456789").to_bytes(2, "little")) == 0xF0B8 ^ 0xFFFF


@given(st.lists(contents, max_size=5), st.integers(1, 9))
def test_frames_come_back_in_pieces_of_any_size(sent, size):
    stream = b"".join(map(frame, sent))
    assert all(0x7E not in frame(content)[1:-1] for content in sent)
    deframer, found = Deframer(), []
    for start in range(0, len(stream), size):
        found += deframer.feed(stream[start : start + size])
    assert found == sent


@given(contents, st.binary(max_size=60))
def test_a_frame_is_heard_after_any_garbage(content, garbage):
    assert Deframer().feed(garbage + frame(content))[-1] == content


@given(contents, st.data())
def test_one_flipped_bit_is_never_the_same_frame(content, data):
    sent = bytearray(frame(content))
    place = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[place // 8] ^= 1 << place % 8
    found = Deframer().feed(bytes(sent))
    assert not [one for one in found if one is not None and one != content]


def test_a_frame_that_never_ends_takes_no_memory():
    deframer = Deframer(longest=100)
    for _ in range(50):
        assert deframer.feed(bytes(1000)) == []
    assert len(deframer._held) <= 101
    assert deframer.feed(b"\x7e" + frame(b"ab")) == [None, b"ab"]


@given(st.integers(1, 16), st.lists(st.integers(0, 1 << 16), min_size=1, max_size=30))
def test_packed_codes_are_a_number_with_the_first_code_lowest(bits, values):
    codes = np.array(values) % (1 << bits)
    number = sum(int(code) << (bits * place) for place, code in enumerate(codes))
    assert pack(codes[:, None], bits) == number.to_bytes(-(-bits * len(codes) // 8), "little")


def test_negative_codes_are_twos_complement():
    assert pack(np.array([[-1], [-8], [7]]), 4) == bytes([0x8F, 0x07])


def test_what_is_no_answer_is_none():
    assert reply_of(bytes([0, 5, 3, 1, 1, 0, 0])) == Reply(Status.CLASS, 5, 3, 257)
    assert [reply_of(c) for c in (None, b"", bytes(6), bytes(8), bytes([6, *bytes(6)]))] == [None] * 5
