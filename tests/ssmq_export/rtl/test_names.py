"""Identifiers: each once, none of Verilog's words, and nothing in them that tools could take for more than a name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.rtl.names import Names


@given(st.lists(st.text(max_size=90), max_size=12))
def test_any_text_becomes_a_name_of_its_own(texts):
    names = Names("network")
    found = [names.new(text) for text in texts]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,79}", name) for name in found)
    assert len({name.lower() for name in found}) == len(found)


@pytest.mark.parametrize("word", ["module", "Always", "in", "clk", "network", "in_valid", "sum", "g_lane"])
def test_words_that_are_taken_are_changed(word):
    assert Names("network").new(word).lower() != word.lower()


def test_wires_of_a_stream_are_no_names_of_others():
    names = Names()
    given = ["wave", "wave_valid", "wave", "wave.valid"]
    assert [names.new(name) for name in given] == ["wave", "wave_valid_2", "wave_2", "wave_valid_3"]


def test_readable_names_stay():
    assert [Names().new(name) for name in ("blocks.0.ssm.x_re", "u_0", "0.weight")] == [
        "blocks_0_ssm_x_re",
        "u_0",
        "t_0_weight",
    ]
