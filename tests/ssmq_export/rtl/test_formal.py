"""Proofs of the library for every sequence of inputs, and that each can fail: on a copy with one small fault it does."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from ssmq_export.errors import ExportError
from ssmq_export.rtl.formal import prove as formal
from ssmq_export.rtl.formal.proofs import PROOFS
from ssmq_export.rtl.formal.prove import Proof, prove
from ssmq_export.rtl.names import LIBRARY

needs_tools = pytest.mark.skipif(not formal.available(), reason=formal.INSTALL)
BY_NAME = {proof.name: proof for proof in PROOFS}
# These run by default, the others are slow in sum.
FAST = ("round-8-3-s4", "register", "fifo", "fork", "widen", "sum")

# A proof, the file, what stands there once and the fault that takes its place, and the assertion that sees it.
BROKEN = [
    ("round-8-3-s4", "ssmq_round", "up[0] & ~tie", "up[0]", "assert_later"),
    ("register", "ssmq_register", "in_valid | ~in_ready", "in_valid", "owed"),
    ("fifo", "ssmq_fifo", "{~read[AW], read[AW-1:0]}", "{read[AW], read[AW-1:0]}", "writer.assert_patience"),
    ("fork", "ssmq_fork", "in_ready ? '0 : done", "done", "assert"),
    ("widen", "ssmq_widen", "take & full;", "take;", "assert"),
    ("sum", "ssmq_sum", "A_SIGNED != 0 &&", "A_SIGNED == 0 &&", "assert_right"),
]
MORE_BROKEN = [
    ("round-8-3-u4", "ssmq_round", "(ALL_SIGNED & (&above))", "(&above)", "assert_later"),
    ("round-6-1-s8", "ssmq_round", "wire signed [LEFT-1:0] even", "wire [LEFT-1:0] even", "assert_later"),
    ("round-8-0-s4", "ssmq_round", "wire signed [LEFT-1:0] up", "wire [LEFT-1:0] up", "assert_later"),
    ("round-6-4-s3", "ssmq_round", "~|biased[SHIFT-1:0]", "~|biased[SHIFT-2:0]", "assert_later"),
    ("register", "ssmq_register", "if (rst) out_valid", "if (1'b0) out_valid", "assert"),
    ("register", "ssmq_register", "if (~stalled) {out_last", "if (1'b1) {out_last", "assert"),
    ("register", "ssmq_register", "else if (~stalled) out_valid", "else if (out_ready) out_valid", "assert_offered"),
    ("fifo", "ssmq_fifo", "out_valid <= 1'b0;", "out_valid <= 1'b1;", "owed.assert_known"),
    ("fifo-4", "ssmq_fifo", "logic [AW:0] written", "logic [AW-1:0] written", "assert"),
    ("fifo-block", "ssmq_fifo", "else if (~found | ~out_valid", "else if (~out_valid", "assert"),
    ("fork-3", "ssmq_fork", "& ~served", "", "assert_offered"),
    ("widen-3", "ssmq_widen", "count <= full ? '0", "count <= full ? '1", "assert"),
    ("widen-3", "ssmq_widen", "= ~full | ~out_valid", "= full | ~out_valid", "assert_open"),
    ("narrow", "ssmq_narrow", "word >> BITS", "word << BITS", "assert_right"),
    ("narrow-3", "ssmq_narrow", "(out_ready & final_part)", "(out_ready)", "assert"),
    ("sum-mixed", "ssmq_sum", "{A_SHIFT{1'b0}}", "{A_SHIFT{1'b1}}", "assert_right"),
    ("difference", "ssmq_sum", "SUBTRACT != 0 ?", "SUBTRACT == 0 ?", "assert_right"),
    ("sum", "ssmq_sum", "en & b_valid,", "en,", "assert_together"),
    ("product", "ssmq_product", ".CYCLES(3)", ".CYCLES(2)", "assert_right"),
    ("product-unsigned", "ssmq_product", "B_SIGNED != 0 &&", "B_SIGNED == 0 &&", "assert_right"),
    ("argmax-unsigned", "ssmq_argmax", "IN_SIGNED != 0", "IN_SIGNED == 0", "assert_right"),
    ("table", "ssmq_table", "localparam int CW = BEATS > 1", "localparam int CW = BEATS < 1", "assert"),
    ("multiply", "ssmq_multiply", "logic signed [B_BITS-1:0] b_held", "logic [B_BITS-1:0] b_held", "assert_later"),
    ("multiply-rows", "ssmq_rows", "<= -even", "<= even", "assert_later"),
    ("multiply-even-rows", "ssmq_rows", "logic [PB-1:0] total", "logic [PB-2:0] total", "assert_later"),
    ("product-rows", "ssmq_rows", "even - odd", "even + odd", "assert_right"),
    ("tree-5", "ssmq_tree", "2 * i + 1 < GIVEN", "2 * i + 2 < GIVEN", "assert_later"),
    ("last-step", "ssmq_last_step", "out_ready | ~in_last", "out_ready | in_last", "assert"),
    ("running-sum", "ssmq_running_sum", "final_beat?'0", "final_beat?'1", "assert_right"),
    ("running-sum-1", "ssmq_running_sum", "fresh <= in_last", "fresh <= ~in_last", "assert"),
    ("running-sum-unsigned", "ssmq_running_sum", "in_ready = ~out_valid | out_ready", "in_ready = ~out_valid", "assert"),
    ("argmax", "ssmq_argmax", "x > best", "x >= best", "assert_right"),
    ("argmax", "ssmq_argmax", "wire signed [IN_BITS:0] x", "wire [IN_BITS:0] x", "assert_right"),
    ("replay", "ssmq_replay", "written != {~kept[AW], kept[AW-1:0]}", "written != {~read[AW], read[AW-1:0]}", "assert"),
    ("repeat", "ssmq_repeat", "(out_ready & final_beat)", "out_ready", "assert"),
    ("affine-powers", "ssmq_affine", "<< word[", ">> word[", "assert_right"),
    ("affine", "ssmq_words", "next | ~there", "next", "assert_right"),
    ("loop", "ssmq_loop", "fresh <= slot == SW'(SLOTS - 1)", "fresh <= slot == '0", "assert"),
    ("loop", "ssmq_loop", ".START((SLOTS + 1) * BEATS)", ".START(SLOTS * BEATS)", "assert"),
    ("loop", "ssmq_loop", "SLOTS-1:0], out_last}", "SLOTS-1:0], hollow}", "assert_right"),
    ("matvec", "ssmq_matvec", "first ? '0", "~first ? '0", "assert_right"),
    ("affine", "ssmq_affine", ".CYCLES(PRODUCT_LATENCY)", ".CYCLES(PRODUCT_LATENCY - 1)", "assert_right"),
    ("requantiser", "ssmq_round", "up[0] & ~tie", "up[0] & tie", "assert"),
    ("requantiser-common", "ssmq_affine", "* ALL + MORE", "* ALL - MORE", "assert_right"),
    ("scan-update", "ssmq_scan_update", "(re_re) - SUM", "(re_re) + SUM", "assert_later"),
    ("scan-output", "ssmq_scan_output", "'(re) - (PB", "'(re) + (PB", "assert_later"),
    ("scan-output-modes", "ssmq_scan_output", "first ? OUT", "~first ? OUT", "assert_later"),
    ("table", "ssmq_table", "HB'(beat) * HB'(LANES)", "HB'(beat) + HB'(LANES)", "assert_right"),
    ("search", "ssmq_search", ">= CB'(threshold)", "> CB'(threshold)", "assert_right"),
    ("search-unsigned", "ssmq_search", "CODE_SIGNED != 0", "CODE_SIGNED == 0", "assert_right"),
    ("search-final", "ssmq_search", "channel << KNOWN) |", "channel << KNOWN) &", "assert_right"),
    ("scan-loop", "ssmq_scan", "int LOOP = 10", "int LOOP = 9", "assert"),
    ("scan", "ssmq_scan", "(.BITS(1), .CYCLES(2)) to_9", "(.BITS(1), .CYCLES(3)) to_9", "assert_written"),
    ("scan", "ssmq_scan", "{valid_y & final_y,", "{valid_y & first_y,", "assert_due"),
    ("scan", "ssmq_scan_issue", "idle & (ROOM == 0 | has_room)", "idle", "assert"),
    ("scan-long", "ssmq_scan_issue", "fresh <= last_step[SLOTS-1];", "fresh <= in_last;", "assert_fresh"),
    ("product", "ssmq_flags", "else if (en) line <= {", "else line <= {", "assert"),
]


@needs_tools
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in BY_NAME])
def test_the_library_has_the_property(name):
    found = prove(BY_NAME[name])
    assert (found.ending, found.place) == ("passed", "")


def refuted(folder, name, file, right, fault, assertion):
    library = folder / "library"
    shutil.copytree(LIBRARY, library)
    text = (library / f"{file}.sv").read_text()
    assert text.count(right) == 1
    (library / f"{file}.sv").write_text(text.replace(right, fault))
    found = prove(BY_NAME[name], library)
    assert found.ending == "failed" and assertion in found.place and b"$enddefinitions" in found.trace


@needs_tools
@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_fault_refutes_the_property(tmp_path, case):
    refuted(tmp_path, *case)


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("case", MORE_BROKEN, ids=lambda case: f"{case[0]}-{case[3]}")
def test_more_faults_refute_the_property(tmp_path, case):
    refuted(tmp_path, *case)


# Widths that are one bit too narrow: what a sum may reach no longer fits.
NARROW = {
    "tree-5": "OUT_BITS", "running-sum": "OUT_BITS", "matvec": "OUT_BITS", "affine": "OUT_BITS", "sum": "OUT_BITS",
    "requantiser": "SUM_BITS", "scan-update": "SUM_BITS", "scan-output": "OUT_BITS",
}  # fmt: skip


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("name", NARROW)
def test_a_width_that_is_too_narrow_overflows(name):
    proof, width = BY_NAME[name], NARROW[name]
    narrow = {**proof.parameters, width: proof.parameters[width] - 1}
    found = prove(replace(proof, parameters=narrow))
    assert found.ending == "failed" and "assert_fits" in found.place


@needs_tools
def test_sources_that_yosys_refuses_are_an_error(tmp_path):
    library = tmp_path / "library"
    shutil.copytree(LIBRARY, library)
    (library / "ssmq_round.sv").write_text("module ssmq_round (")
    with pytest.raises(ExportError, match="round-8-3-s4: .*ssmq_round.sv"):
        prove(BY_NAME["round-8-3-s4"], library)


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setattr(formal, "available", lambda: False)
    with pytest.raises(ExportError, match="pip install"):
        prove(Proof("any", "prove_register"))
