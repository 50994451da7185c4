"""The main job as it stands in the README, minutes long, and what --hardware adds to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ssmq
from conftest import LENGTH
from ssmq_export import rtl, synthesis

needs_tools = pytest.mark.skipif(
    bool(synthesis.missing(("yosys", "nextpnr-ecp5", "ecppack"))) or not rtl.available(), reason=synthesis.INSTALL
)
TINY = f"""
[model]
heads = 2
modes = 1
layers = 2
classes = 2
length = {LENGTH}

[train.float]
epochs = 1

[train.qat]
epochs = 1
"""
SSMQ = str(Path(sys.executable).parent / "ssmq")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["edge-2x16", "paper-h16"])
def test_the_whole_way_on_the_embedded_data(preset, tmp_path):
    done = subprocess.run([SSMQ, "run", "--preset", preset, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    accuracy = {row["stage"]: row["accuracy"] for row in summary["rows"]}
    assert accuracy["float"] > 0.95
    assert accuracy["naive PTQ"] < 0.5, "8-bit post-training quantisation is expected to collapse"
    assert accuracy["QAT"] > 0.85
    assert summary["check"]["errors"] == 0
    for row in summary["verify"]:
        assert (row["sequences"], row["differing"]) == (100, 0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Words of a run that takes seconds, and its folder."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    images = {f"x{split}": rng.integers(0, 256, (24, LENGTH, 1), np.uint8) for split in ("", "_test")}
    labels = {f"y{split}": rng.integers(0, 2, 24, np.uint8) for split in ("", "_test")}
    np.savez(folder / "data.npz", **images, **labels)
    (folder / "tiny.toml").write_text(TINY)
    data = ["--preset", folder / "tiny.toml", "--dataset", f"npz:{folder / 'data.npz'}"]
    return ["run", *data, "--out", folder / "out", "--images", 2, "--hardware"], folder / "out"


@needs_tools
@pytest.mark.slow
def test_with_hardware_the_main_job_ends_in_a_bitstream(tiny):
    words, out = tiny
    done = ssmq(*words)
    assert not done.code, done.err + done.out
    summary = json.loads((out / "summary.json").read_text())
    rows = {row["engine"]: row for row in summary["verify"]}
    for engine in ("RTL in Verilator, serial", "netlist in Verilator, lfe5u-25f"):
        assert rows[engine]["codes"] > 0 == rows[engine]["differing"] and not rows[engine]["failed"]
    assert "RTL in Verilator" in done.out and "netlist in" in done.out
    told = summary["hardware"]
    assert told["part"] == "lfe5u-25f, speed 6" and told["shape"] == "serial" and 0 < told["dsp"] <= 28
    assert told["sequences_per_second"] > 0 < told["mhz"] and f"{told['mhz']:.1f}" in done.out
    (bits,) = (out / "synthesis").glob("seed-1/design.bit")
    assert bits.stat().st_size == told["bitstream_bytes"]


@needs_tools
@pytest.mark.slow
def test_what_was_placed_is_kept(tiny):
    words, out = tiny
    assert not ssmq(*words).code
    placed = (out / "synthesis" / "seed-1" / "made-from").stat().st_mtime_ns
    assert not ssmq(*words).code and (out / "synthesis" / "seed-1" / "made-from").stat().st_mtime_ns == placed


@pytest.mark.parametrize("program", ["perl", "g++"])
def test_what_hardware_needs_is_said_before_anything_begins(tiny, tmp_path, program):
    for name in {"make", "g++", "perl"} - {program}:
        (tmp_path / name).symlink_to("/bin/true")
    words, _ = tiny
    done = ssmq(*words[:-3], "--hardware", "--out", tmp_path / "none", environment={"PATH": str(tmp_path)})
    assert done.code == 1 and len(done.err.splitlines()) == 1 and not (tmp_path / "none").exists()
    assert re.match(rf"error: {re.escape(program)}: not installed: pip install 'ssmq-brevitas\[hw\]'", done.err)


@needs_tools
@pytest.mark.slow
def test_the_main_job_ends_in_a_bitstream(tmp_path):
    done = subprocess.run([SSMQ, "run", "--hardware", "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert not [row for row in summary["verify"] if row["differing"] or row["failed"]]
    assert summary["hardware"]["lut"] < 24_288 and (tmp_path / "synthesis" / "seed-1" / "design.bit").is_file()
