"""The smallest model of the zoo, from its checkpoint to a bitstream, and its netlist of every family."""

from __future__ import annotations

import json

import pytest
from command_line import ssmq
from ssmq_export import rtl, synthesis

MODEL = "zoo:edge-4x10n4-w4a6"
MISSING = synthesis.missing(tuple(synthesis.tools.PROGRAMS))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING) or not rtl.available(), reason=synthesis.INSTALL)]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smallest")
    done = ssmq("export", MODEL, "-o", folder)
    assert not done.code, done.err
    return folder


def routed(graphs, part: str) -> dict:
    """What `ssmq synth` finds, its netlist run on a test image."""
    folding = ["--shape", "serial", "--fps", 380, "--clock", 48, "--target", part]
    done = ssmq("rtl", graphs / "sequence-dataflow.onnx", "-o", graphs / part, *folding)
    assert not done.code, done.err
    done = ssmq("synth", graphs / part, "--part", part, "--json")
    assert not done.code, done.err + done.out
    found = json.loads(done.out)
    seen = found["simulated"]
    assert (seen["sequences"], seen["codes"], seen["differing"], seen["cycles"]) == (1, 10, 0, seen["expected_cycles"])
    assert all(use["used"] <= use["available"] for use in found["uses"] if use["available"] is not None)
    return found


def test_the_smallest_model_becomes_a_bitstream_for_an_ecp5(graphs):
    found = routed(graphs, "lfe5u-25f")
    bits = (graphs / "lfe5u-25f" / "synthesis" / "lfe5u-25f-6" / found["bitstream"]).read_bytes()
    assert b"LFE5U-25F" in bits[:200] and len(bits) == found["bytes"]
    assert found["mhz"] * 1e6 / found["further"] == pytest.approx(found["sequences_per_second"], rel=1e-3)
    uses = {use["resource"]: use["used"] for use in found["uses"]}
    # Its block RAMs and multipliers are what the model of a netlist has to get right.
    assert uses["bram"] > 0 < uses["dsp"]


@pytest.mark.parametrize("part", ["ice40up5k", "gw1nr-9", "xc7a35t"])
def test_its_netlist_of_the_other_families_computes_the_same(graphs, part):
    found = routed(graphs, part)
    uses = {use["resource"]: use["used"] for use in found["uses"]}
    assert uses["bram"] > 0 < uses["dsp"] and bool(found["bitstream"]) == (part != "xc7a35t")
