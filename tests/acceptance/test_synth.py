"""``ssmq synth``: a tiny classifier routed, its bitstream, and its netlist against the graph; parts that are too small."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
from command_line import ssmq
from conftest import LENGTH, small_config, small_model
from ssmq_export import rtl, synthesis
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl.comparison import graph_of
from ssmq_export.rtl.evaluate import evaluated
from ssmq_export.synthesis.measure import NETLIST_STAGE
from ssmq_export.synthesis.netlist_model import NetlistModel

MISSING = synthesis.missing(tuple(synthesis.tools.PROGRAMS))
needs_tools = pytest.mark.skipif(bool(MISSING) or not rtl.available(), reason=synthesis.INSTALL)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """RTL of a classifier of one layer with two modes, and data for it."""
    folder = tmp_path_factory.mktemp("synth")
    config = small_config(model={"heads": 2, "modes": 1, "layers": 1, "classes": 2})
    graph = collapse(lower(step_graph(small_model(config)[1].network, {"ssmq.config": config.model_dump_json()})))
    onnx.save(graph, folder / "sequence-dataflow.onnx")
    assert not ssmq("rtl", folder / "sequence-dataflow.onnx", "-o", folder / "rtl").code
    rng = np.random.default_rng(0)
    images = {f"x{split}": rng.integers(0, 256, (24, LENGTH, 1), np.uint8) for split in ("", "_test")}
    labels = {f"y{split}": rng.integers(0, 2, 24, np.uint8) for split in ("", "_test")}
    np.savez(folder / "data.npz", **images, **labels)
    return folder


def synth(tiny, part, *more, folder="rtl"):
    return ssmq("synth", tiny / folder, "--part", part, "--dataset", f"npz:{tiny / 'data.npz'}", *more)


@pytest.fixture(scope="module")
def routed(tiny):
    """On an ECP5, at a clock that it cannot have."""
    done = synth(tiny, "lfe5u-25f", "--clock", 900, "--json")
    assert done.code == 1 and done.out, done.err
    return json.loads(done.out)


@needs_tools
def test_a_routed_design_has_a_bitstream_and_a_netlist_that_computes_the_same(tiny, routed):
    home = tiny / "rtl" / "synthesis" / "lfe5u-25f-6"
    seen = routed["simulated"]
    assert (seen["sequences"], seen["codes"], seen["differing"]) == (1, 2, 0) and seen["cycles"] == seen["expected_cycles"]
    bits = (home / routed["bitstream"]).read_bytes()
    assert len(bits) == routed["bytes"] and b"LFE5U-25F" in bits
    assert routed["mhz"] == pytest.approx(1000 / sum(part["logic"] + part["routing"] for part in routed["path"]), rel=1e-3)
    uses = {use["resource"]: use for use in routed["uses"]}
    manifest = json.loads((tiny / "rtl" / "manifest.json").read_text())
    assert 0 < uses["dsp"]["used"] <= uses["dsp"]["available"] == 28 and uses["lut"]["used"] > 0 < uses["ff"]["used"]
    assert uses["dsp"]["estimated"] == uses["dsp"]["used"]
    assert all(uses[name]["estimated"] == pytest.approx(uses[name]["used"], rel=0.2) for name in ("lut", "ff"))
    given, result = (manifest["streams"][manifest[port]["stream"]] for port in ("given", "result"))
    around = 4 + given["lanes"] * given["bits"] + 3 + result["lanes"] * result["bits"]
    assert routed["harness"]["ff"] == around
    assert routed["sequences_per_second"] == pytest.approx(routed["mhz"] * 1e6 / manifest["further"], rel=1e-3)
    assert (home / "utilisation.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((home / "result.json").read_text()) == routed


@needs_tools
def test_what_is_there_is_not_done_again_and_a_clock_that_is_missed_says_where(tiny, routed):
    home = tiny / "rtl" / "synthesis" / "lfe5u-25f-6"
    before = {path: path.stat().st_mtime_ns for path in home.glob("*/made-from")}
    done = synth(tiny, "lfe5u-25f", "--clock", 900)
    assert before.keys() == {home / name / "made-from" for name in ("netlist", "seed-1")}
    assert done.code == 1 and {path: path.stat().st_mtime_ns for path in before} == before
    slowest = max(routed["path"], key=lambda part: part["logic"] + part["routing"])
    assert f"too slow: {routed['mhz']:g} MHz of 900; most of the path is in {slowest['instance']}" in done.out
    assert not [path.name for path in home.iterdir() if path.name.startswith(".")]


@needs_tools
def test_a_part_that_is_too_small_says_of_what_and_what_would_fit(tiny):
    """An UltraPlus has eight multipliers."""
    done = synth(tiny, "ice40up5k", "--images", 0)
    assert done.code == 1 and len(done.err.splitlines()) == 1
    assert re.search(
        r"ice40up5k is too small: \d+ multipliers are needed, \d more than its 8: by estimate `ssmq rtl --target", done.err
    )
    assert not [path.name for path in (tiny / "rtl" / "synthesis" / "ice40up5k").iterdir() if path.name != "netlist"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "xc9"), "unknown part"),
        (("--part", "xczu3eg"), "no open synthesis"),
        (("--part", "lfe5u-25f", "--speed", 9), "speed grades 6, 7, 8"),
        (("--part", "lfe5u-25f", "--images", 0), "manifest.json"),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_nothing(tmp_path, arguments, message):
    done = ssmq("synth", tmp_path, *arguments)
    assert done.code == 1 and message in done.err and len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@needs_tools
@pytest.mark.slow
def test_the_serial_shape_has_its_estimate_beside_it(tmp_path):
    """Two layers as one; what is estimated is not far off, although nothing was fitted to anything as small."""
    config = small_config(model={"heads": 2, "modes": 2, "layers": 2, "classes": 2})
    onnx.save(collapse(lower(step_graph(small_model(config)[1].network))), tmp_path / "sequence-dataflow.onnx")
    assert not ssmq("rtl", tmp_path / "sequence-dataflow.onnx", "-o", tmp_path / "rtl", "--shape", "serial").code
    done = ssmq("synth", tmp_path / "rtl", "--part", "xc7a35t", "--images", 0, "--json")
    uses = {use["resource"]: use for use in json.loads(done.out)["uses"]}
    assert uses["carry"]["estimated"] is None and uses["dsp"]["estimated"] == uses["dsp"]["used"] > 0
    for name in ("lut", "ff"):
        assert uses[name]["estimated"] == pytest.approx(uses[name]["used"], rel=0.2)


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("part", ["ice40hx8k", "gw1nr-9", "gw2ar-18", "xc7a35t"])
def test_the_netlist_of_every_family_computes_the_same(tiny, part):
    done = synth(tiny, part, "--json")
    found = json.loads(done.out)
    assert done.code == 0 and found["simulated"]["differing"] == 0
    assert bool(found["bitstream"]) == (part != "xc7a35t")


@needs_tools
@pytest.mark.slow
def test_every_folding_that_fits_is_explored(tiny):
    """Without a placement; the tiny classifier has few."""
    done = synth(tiny, "xc7a35t", "--images", 0, "--explore", "--json")
    found = json.loads(done.out)
    intervals = [one["interval"] for one in found]
    assert not done.code and intervals == sorted(intervals, reverse=True) and len(set(intervals)) == len(intervals)
    home = tiny / "rtl" / "synthesis" / "xc7a35t" / "explore"
    assert (home / "utilisation.png").is_file() and json.loads((home / "result.json").read_text()) == found


@needs_tools
@pytest.mark.slow
def test_a_netlist_with_a_fault_is_told_from_one_without(tiny, routed, tmp_path):
    """The lowest bit of every multiplier's first factor is stuck at 0."""
    home = tiny / "rtl" / "synthesis" / "lfe5u-25f-6" / NETLIST_STAGE
    text, device = (home / "netlist.v").read_text(), synthesis.DEVICES["lfe5u-25f"]
    spoiled = re.sub(r"(MULT18X18D #.*?\.A0)\([^)]*\)", r"\1(1'h0)", text, flags=re.DOTALL)
    codes = np.load(tiny / "data.npz")["x_test"][:3]
    expected = evaluated(DataflowGraph(graph_of(tiny / "rtl")), codes)
    for name, changed in (("same", text), ("wrong", spoiled)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "netlist.v").write_text(changed)
        found = NetlistModel(tiny / "rtl", tmp_path / name, device).forward(codes)
        assert np.array_equal(found, expected) == (name == "same")
