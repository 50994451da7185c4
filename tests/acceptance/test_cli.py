"""The commands as a user types them, on sequences of 49 steps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import onnx
import pytest
from command_line import Done
from command_line import ssmq as forked
from ssmq_export import finn, hls4ml, rtl

SSMQ = str(Path(sys.executable).parent / "ssmq")
TINY = """
[model]
heads = 4
modes = 4
layers = 2
length = 49
norm = "batch"
activation = "relu"

[scheme.bits]
linear = 6

[train.float]
epochs = 1
learning_rate = 1e-2

[train.qat]
epochs = 1
"""
SMALL_IMAGES = ["--downsample", "4"]
ENGINES = [
    "eager Brevitas", "fused recurrence", "qonnx step", "ONNX Runtime Scan", "dataflow graph", "dataflow graph (DiagonalScan)",
    "integer model",
]  # fmt: skip
RTL = ("RTL in Verilator", "RTL in Verilator, serial")
TOOLS = {"FINN hardware ops": finn, "hls4ml C++": hls4ml, **dict.fromkeys(RTL, rtl)}
FOREIGN = [name for name, tool in TOOLS.items() if tool.available()]
SLOW = ["qonnx step", "dataflow graph", *FOREIGN]


def ssmq(*arguments: object, code: int = 0, **options) -> Done:
    done = forked(*arguments, **options)
    assert done.code == code, done.err + done.out
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished tiny run."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.toml").write_text(TINY)
    done = ssmq("run", "--preset", folder / "tiny.toml", "--out", folder / "run", "--images", 5, *SMALL_IMAGES)
    (folder / "stdout.txt").write_text(done.out)
    return folder


def test_run_leaves_what_it_promises(folder):
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["data"] == {
        "name": "MNIST subset", "source": "embedded", "downsample": 4, "train": 4500, "validation": 500, "test": 1000,
    }  # fmt: skip
    assert [row["stage"] for row in summary["rows"]] == ["float", "naive PTQ", "equalised PTQ", "reconstructed PTQ", "QAT"]
    for row in summary["rows"]:
        assert 0 <= row["accuracy"] <= 1
        sizes = row["bytes"]
        assert sizes["total"] == sizes["parameters"] + sizes["state"] <= sizes["fp32_total"]
    assert [row["engine"] for row in summary["verify"]] == ENGINES
    for row in summary["verify"]:
        few = 4 if row["engine"] in SLOW else 5
        assert (row["sequences"], row["differing"]) == (few, 0)
        states = 0 if "DiagonalScan" in row["engine"] else 2 * 2 * 16  # inside that operator
        assert row["codes"] > few * 49 * (states + 2 * 4)
    assert summary["check"] == {"errors": 0, "warnings": 0}
    assert summary["seconds"] > 0
    left = {path.name for path in (folder / "run").iterdir()}
    assert left == {
        "summary.json", "step.onnx", "sequence.onnx", "dataflow.onnx", "sequence-dataflow.onnx",
        "float.safetensors", "qat.safetensors",
        "float-log.csv", "qat-log.csv", "eigenvalues.png", "accuracy-bytes.png",
    }  # fmt: skip
    assert "MNIST subset (embedded): 4500 training" in (folder / "stdout.txt").read_text()


def test_train_ptq_footprint_export_check(folder):
    scheme = ["--preset", folder / "tiny.toml"]
    float_checkpoint = folder / "run" / "float.safetensors"
    assert "test" in ssmq("ptq", float_checkpoint, "--out", folder / "ptq.safetensors", *scheme, *SMALL_IMAGES).out
    found = ssmq("train", *scheme, "--from", folder / "ptq.safetensors", "--out", folder / "qat", *SMALL_IMAGES)
    assert "4500 training, 1000 test images" in found.out
    checkpoint = folder / "qat" / "qat.safetensors"
    bytes_ = json.loads(ssmq("footprint", checkpoint, "--json").out)
    assert set(bytes_) == {"parameters", "state", "total", "fp32_total"}
    assert bytes_ == json.loads((folder / "run" / "summary.json").read_text())["rows"][-1]["bytes"]
    ssmq("export", checkpoint, "--out", folder / "graphs", *SMALL_IMAGES)
    assert "legal" in ssmq("check", folder / "graphs" / "dataflow.onnx").out
    done = ssmq("check", folder / "graphs" / "step.onnx", "--json", code=1)
    (finding,) = json.loads(done.out)["findings"]
    assert finding["rule"] == "not-lowered" and set(finding) == {
        "rule", "severity", "node", "tensor", "message", "fix",
    }  # fmt: skip


def test_the_same_command_twice_gives_the_same_codes(folder):
    scheme = ["--preset", folder / "tiny.toml", "--from", folder / "run" / "float.safetensors", *SMALL_IMAGES]
    contents = []
    for name in ("one", "two"):
        ssmq("train", *scheme, "--out", folder / name)
        ssmq("export", folder / name / "qat.safetensors", "--out", folder / name, *SMALL_IMAGES)
        contents.append([(folder / name / f).read_bytes() for f in ("step.onnx", "dataflow.onnx")])
        left = [path.name for path in (folder / name).glob("*.safetensors")]
        assert left == ["qat.safetensors"], "exported where it lies, a checkpoint is not doubled: verify wants one"
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["footprint", "damaged.safetensors"], "damaged.safetensors: not a readable checkpoint"),
        (["export", "missing.safetensors", "--out", "x"], "missing.safetensors: no such checkpoint file"),
        (["export", "float.safetensors", "--out", "x", *SMALL_IMAGES], "a float model has no codes: quantise it first"),
        (["export", "qat.safetensors", "--out", "x"], "is made for sequences of 49 steps, not 784"),
        (["check", "damaged.safetensors"], "damaged.safetensors: not an ONNX file"),
        (["run", "--preset", "typo.toml", "--out", "x"], "unknown key 'scheme.bits.linaer'; did you mean 'linear'?"),
        (["run", "--preset", "paper-h15"], "did you mean 'paper-h16'?"),
        (["train", "--out", "x", "--data-root", "nowhere"], "data folder nowhere does not exist: correct --data-root"),
        (["ptq", "qat.safetensors", "--out", "x"], "already quantised"),
        (["verify", "nowhere"], "nowhere: no such folder"),
        (["view", "missing.onnx"], "missing.onnx: no such file"),
        (["estimate", "dataflow.onnx", "--target", "xc7z021"], "unknown part 'xc7z021': did you mean xc7z020?"),
        (["estimate", "dataflow.onnx", "--target", "zu3eg", "--fps", "1e9"], "a state is back only after"),
        (["estimate", "damaged.safetensors", "--target", "zu3eg"], "damaged.safetensors: not an ONNX file"),
        (["finn", "damaged.safetensors", "--out", "x"], "damaged.safetensors: not an ONNX file"),
        (["hls4ml", "dataflow.onnx", "--out", "x"], "holds a dataflow graph; give the step.onnx"),
        (["hls4ml", "damaged.safetensors", "--out", "x"], "damaged.safetensors: not an ONNX file"),
    ],
)
def test_bad_input_ends_in_one_line(folder, tmp_path, arguments, message):
    for name in ("float.safetensors", "qat.safetensors", "dataflow.onnx"):
        (tmp_path / name).symlink_to(folder / "run" / name)
    whole = (folder / "run" / "qat.safetensors").read_bytes()
    (tmp_path / "damaged.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "typo.toml").write_text("[scheme.bits]\nlinaer = 4\n")
    before = {path.name for path in tmp_path.iterdir()}
    done = ssmq(*arguments, code=1, cwd=tmp_path)
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert message in done.err
    assert {path.name for path in tmp_path.iterdir()} == before  # nothing half-written


def test_interrupted_training_is_resumable(folder, tmp_path):
    command = ["train", "--preset", folder / "tiny.toml", "--out", tmp_path / "a", "--epochs", "4", *SMALL_IMAGES]
    process = subprocess.Popen([SSMQ, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "a" / "float-state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:  # written at the end of the first epoch
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=240)
    assert process.returncode == 130
    assert message == "error: interrupted; the same command goes on from here\n"
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"float-state.safetensors", "log.csv"}
    ssmq(*command)
    command[command.index(tmp_path / "a")] = tmp_path / "b"
    ssmq(*command)
    resumed, straight = ((tmp_path / name / "float.safetensors").read_bytes() for name in "ab")
    assert resumed == straight


def test_view_serves_netron_on_loopback(folder):
    process = subprocess.Popen(
        [SSMQ, "view", str(folder / "run" / "dataflow.onnx"), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        address = ""
        while "http://" not in address:
            address = process.stdout.readline()
            assert address, "view ended without an address"
        url = address[address.index("http://") :].split()[0]
        assert url.startswith("http://127.0.0.1:")
        page = urllib.request.urlopen(url, timeout=10).read().decode()
        assert "netron" in page.lower() and "dataflow.onnx" in page
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.usefixtures("forked_workers")
def test_verify_tells_which_engine_and_tensor_differ(folder, tmp_path):
    images = ["--images", 4, "--slow-images", 1, *SMALL_IMAGES]
    rows = json.loads(ssmq("verify", folder / "run", "--json", *images).out)["engines"]
    assert [row["engine"] for row in rows] == ENGINES + FOREIGN
    for row in rows:
        assert set(row) == {"engine", "sequences", "codes", "differing", "first", "seconds", "failed"}
        assert (row["sequences"], row["differing"], row["failed"]) == (1 if row["engine"] in SLOW else 4, 0, "")
    for name in ("step.onnx", "dataflow.onnx", "sequence-dataflow.onnx", "qat.safetensors"):
        (tmp_path / name).write_bytes((folder / "run" / name).read_bytes())
    graph = onnx.load(tmp_path / "dataflow.onnx")
    weight = next(c for c in graph.graph.initializer if "blocks.1.ssm.bu_re" in c.name)
    weight.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(weight), weight.name))
    onnx.save(graph, tmp_path / "dataflow.onnx")
    (tmp_path / "qat-state.safetensors").write_bytes(b"what a killed training leaves")
    done = ssmq("verify", tmp_path, "--json", "--images", 1, "--slow-images", 1, *SMALL_IMAGES, code=1)
    differing = {row["engine"]: row["first"] for row in json.loads(done.out)["engines"] if row["differing"]}
    assert set(differing) == {"dataflow graph", "integer model", *FOREIGN} - {"hls4ml C++", *RTL}
    assert all(first.startswith("blocks.1.ssm.x_re_next, sequence") for first in differing.values())


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.skipif(not hls4ml.available(), reason="hls4ml and g++")
def test_an_engine_that_fails_is_a_row_and_no_agreement(folder, tmp_path):
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho 'ssmq_step.cpp:1:2: error: no such thing'\nexit 1\n")
    compiler.chmod(0o755)
    around = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "250"}
    done = ssmq("verify", folder / "run", "--images", 1, "--slow-images", 1, *SMALL_IMAGES, code=1, environment=around)
    assert "Traceback" not in done.err
    lines = [line for line in done.out.splitlines() if any(engine in line for engine in ENGINES + FOREIGN)]
    assert len(lines) == len(ENGINES + FOREIGN)
    assert ["failed: hls4ml failed: ssmq_step.cpp:1:2: error: no such thing" in line for line in lines].count(True) == 1


def test_bench_measures_and_prints_json(folder, tmp_path):
    scan = json.loads(ssmq("bench", "scan", "--quick", "--plot", tmp_path / "growth.png", "--json").out)
    assert set(scan) == {"machine", "rows"} and (tmp_path / "growth.png").stat().st_size > 0
    sizes = {"heads", "modes", "batch", "length"}
    for row in scan["rows"]:
        assert set(row) == sizes | {"fused_s", "float_fft_s", "brevitas_loop_s"} and min(row.values()) > 0
    (row,) = json.loads(ssmq("bench", "float", "--quick", "--json").out)["rows"]
    assert set(row) == sizes | {"ours_s", "published_s"} and min(row.values()) > 0
    infer = json.loads(ssmq("bench", "infer", folder / "run" / "qat.safetensors", "--images", 70, "--json", *SMALL_IMAGES).out)
    assert infer["images"] == 70 and min(infer["integer_s"], infer["onnxruntime_s"]) > 0
    (row,) = json.loads(ssmq("bench", "train", folder / "tiny.toml", "--json").out)["rows"]
    assert min(row[key] for key in ("float_fft_s", "fused_s", "brevitas_loop_s")) > 0


def test_estimate_counts_every_node_and_reaches_a_rate(folder):
    graph = folder / "run" / "dataflow.onnx"
    found = json.loads(ssmq("estimate", graph, "--target", "xc7z020clg400-1", "--json").out)
    assert {"nodes", "total", "cycles_per_step", "cycles_per_sequence"} <= set(found)
    assert set(found["nodes"][0]) >= {"name", "op", "cycles", "lut", "ff", "dsp", "bram"}
    # One product a cycle: the decoder has most, 4 heads x 10 classes; a layer's 4 heads x 4 modes are done before it.
    assert found["cycles_per_step"] == 4 * 10 and found["slowest"] == "MatMul_decoder.product"
    rate = 2 * found["sequences_per_second"]
    faster = json.loads(ssmq("estimate", graph, "--target", "lfe5u-25f", "--fps", f"{rate:.0f}", "--json").out)
    assert faster["sequences_per_second"] >= rate - 1 and faster["total"]["lut"] > 0
    table = ssmq("estimate", graph, "--target", "zu3eg", environment={"COLUMNS": "200"}).out
    assert "State_blocks.0.ssm.x_re" in table and "cycles a step" in table


def test_an_estimate_keeps_its_folding_in_the_graph(folder, tmp_path):
    graph = tmp_path / "dataflow.onnx"
    shutil.copy(folder / "run" / "dataflow.onnx", graph)
    chosen = json.loads(ssmq("estimate", graph, "--target", "zu3eg", "--fastest", "--write", "--json").out)
    assert max(node["lanes"] for node in chosen["nodes"]) > 1
    kept = json.loads(ssmq("estimate", graph, "--target", "zu3eg", "--json").out)
    assert kept["nodes"] == chosen["nodes"] and kept["cycles_per_sequence"] == chosen["cycles_per_sequence"]
    assert "legal" in ssmq("check", graph).out


def test_help_names_every_command():
    text = ssmq("--help").out
    for command in (
        "run", "train", "import", "ptq", "footprint", "export", "check", "verify", "estimate", "finn", "hls4ml", "rtl",
        "simulate", "view", "bench",
    ):  # fmt: skip
        assert command in text
        assert "--help" in ssmq(command, "--help").out
