"""``ssmq board``: what is written for a board or a Zynq, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import onnx
import pytest
from board_files import BAUD, BOARD, small_board
from command_line import ssmq
from conftest import LENGTH
from ssmq_export import rtl
from ssmq_export.boards import BOARDS, find_board, load_design, write_axi, write_board
from ssmq_export.boards.link import link_of, refuse_large
from ssmq_export.errors import ExportError
from ssmq_export.rtl.manifest import load_manifest
from ssmq_export.synthesis import tools

pytest.importorskip("serial", reason="pip install 'ssmq-brevitas[hw]'")
needs_tools = pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_board(tmp_path_factory.mktemp("boards") / "files")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["board", "colorlight-i6", "{}/rtl", "-o", "out"], "did you mean colorlight-i5?"),
        (["board", "ulx3s", "{}/rtl", "-o", "out", "--baud", "3000000"], "3,000,000 baud is no whole part of the 25 MHz"),
        (["board", "ulx3s", "{}/none", "-o", "out"], "give a folder that `ssmq rtl` has written"),
        (["board", "ulx3s", "{}/rtl", "-o", "{}"], "holds no board's design"),
        (["board", "ulx3s"], "give a folder of `ssmq rtl`"),
        (["board"], "--list names them"),
        (["host", "{}/rtl", "--port", "x"], "give a folder that `ssmq board` has written"),
        (["host", "{}/board"], "give --port, or --simulate"),
        (["host", "{}/board", "--dataset", "npz:{}/data.npz", "--port", "/dev/ttyUSB99"], "cannot be opened as a serial port"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_line_and_leaves_nothing(small, tmp_path, arguments, message):
    done = ssmq(*(str(word).replace("{}", str(small)) for word in arguments), cwd=tmp_path)
    assert done.code == 1 and message in done.err and len(done.err.splitlines()) == 1, done.err
    assert not list(tmp_path.iterdir())


def test_a_design_is_written_and_says_what_it_is_not(small, tmp_path):
    assert json.loads(ssmq("board", "--list", "--json").out)["boards"] == list(BOARDS)
    for _ in range(2):
        done = ssmq("board", "tang-nano-9k", small / "rtl", "-o", tmp_path / "board")
        assert not done.code and "not run on hardware" in done.out and "openFPGALoader -b tangnano9k" in done.out, done.err
    design = load_design(tmp_path / "board")
    assert (design.payload, design.baud, design.identity) == (LENGTH, 1_000_000, load_design(small / "board").identity)
    assert [path.name for path in tmp_path.iterdir()] == ["board"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_pin_of_the_design_has_its_site(small, tmp_path, name):
    write_board(small / "rtl", BOARDS[name], tmp_path / "board")
    (placed,) = [path for path in (tmp_path / "board").iterdir() if path.stem == "pins"]
    top = (tmp_path / "board" / "rtl" / "ssmq_board.sv").read_text()
    ports = re.findall(r"^    (?:input|output) +wire (\w+)", top, re.MULTILINE)
    lines = placed.read_text().replace('"', "").splitlines()
    for port in ports:
        assert [line for line in lines if re.search(rf"\b{port}\b.*\b{BOARDS[name].pins[port]}\b", line)], port


def test_another_models_design_has_another_identity(small, tmp_path):
    other = tmp_path / "rtl"
    shutil.copytree(small / "rtl", other)
    path = sorted((other / "rtl").glob("*.mem"))[0]
    path.write_text(path.read_text()[:-2] + ("1" if path.read_text()[-2] == "0" else "0") + "\n")
    design = write_board(other, find_board(BOARD), tmp_path / "board", BAUD)
    assert design.identity != load_design(small / "board").identity


def refusal(manifest, **changes) -> str:
    """What is said of an accelerator that differs in this from the small one."""
    result = manifest.streams[manifest.result.stream].model_copy(update=changes.pop("result", {}))
    given = manifest.streams[manifest.given.stream].model_copy(update=changes.pop("given", {}))
    streams = {**manifest.streams, manifest.result.stream: result, manifest.given.stream: given}
    with pytest.raises(ExportError) as error:
        refuse_large(link_of(manifest.model_copy(update={"streams": streams, **changes})), find_board(BOARD))
    return str(error.value)


def test_what_is_no_classifier_of_sequences_or_too_wide_is_refused(small):
    manifest = load_manifest(small / "rtl")
    assert link_of(manifest).classes == 3
    assert "an output at every step" in refusal(manifest, each_step=True)
    assert "how long a sequence is" in refusal(manifest, length=None)
    assert "1 outputs are no logits" in refusal(manifest, result={"channels": 1})
    assert "carry several channels a beat" in refusal(manifest, given={"lanes": 2})
    assert "17 bits, a board design carries 16" in refusal(manifest, given={"bits": 17})
    assert "32 bits, a board design carries 31" in refusal(manifest, result={"bits": 32})
    assert "more than half of the 15,360" in refusal(manifest, length=3000, given={"bits": 16})
    scales = manifest.result.model_copy(update={"exponent": [-3, -3, -2]})
    with pytest.raises(ExportError, match="several scales"):
        link_of(manifest.model_copy(update={"result": scales}))


def test_what_tells_numbers_is_no_classifier(small, tmp_path):
    shutil.copytree(small / "rtl", tmp_path / "rtl")
    graph = onnx.load(tmp_path / "rtl" / "graph.onnx")
    (config,) = [entry for entry in graph.metadata_props if entry.key == "ssmq.config"]
    config.value = json.dumps({**json.loads(config.value), "task": {"kind": "regression"}})
    onnx.save(graph, tmp_path / "rtl" / "graph.onnx")
    done = ssmq("board", "ulx3s", tmp_path / "rtl", "-o", tmp_path / "out")
    assert done.code == 1 and "its task is regression: a board design answers with classes" in done.err
    assert len(done.err.splitlines()) == 1 and not (tmp_path / "out").exists()


@needs_tools
def test_behind_axi_there_is_a_top_level_and_a_driver(small, tmp_path):
    done = ssmq("board", "zynq", small / "rtl", "-o", tmp_path / "zynq")
    assert not done.code and "neither run on hardware nor through Vivado" in done.out, done.err
    sources = tmp_path / "zynq" / "rtl"
    lint = [rtl.simulator.verilator(), "--lint-only", "-Wall", "--top-module", "ssmq_axi_top", *sorted(sources.glob("*.sv"))]
    done = subprocess.run(lint, cwd=sources, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    driver = (tmp_path / "zynq" / "driver.py").read_text()
    compile(driver, "driver.py", "exec")
    assert f"IDENTITY, STEPS, CHANNELS, DTYPE = 0x{load_design(small / 'board').identity:08X}, {LENGTH}, 1, np.uint8" in driver


@pytest.mark.slow
@pytest.mark.skipif(bool(tools.missing(("yosys",))), reason=tools.INSTALL)
@pytest.mark.parametrize("top", ["ssmq_board", "ssmq_axi_top"])
def test_yosys_takes_every_module(small, tmp_path, top):
    write_axi(small / "rtl", tmp_path / "zynq")
    folder = {"ssmq_board": small / "board", "ssmq_axi_top": tmp_path / "zynq"}[top] / "rtl"
    names = " ".join(sorted(path.name for path in folder.glob("*.sv")))
    script = f"read_verilog -sv -defer {names}; hierarchy -check -top {top}; proc; check -assert"
    tools.run("yosys", ["-q", "-p", script], folder)


@pytest.mark.slow
@pytest.mark.skipif(bool(tools.missing(("yosys", "nextpnr-ecp5"))), reason=tools.INSTALL)
def test_a_bitstream_with_the_boards_pins(small, tmp_path):
    done = ssmq("board", "ulx3s-25f", small / "rtl", "-o", tmp_path / "board", "--bitstream", "--json")
    assert not done.code, done.err
    told, whole = json.loads(done.out), (tmp_path / "board" / "ssmq_board.bit").read_bytes()
    assert b"LFE5U-25F" in whole[:200] and told["mhz"] > 25 and told["used"]["lut"] > 1000
    # What was placed is kept, and a part that is too small is said.
    kept = (tmp_path / "board" / "synthesis" / "seed-1" / "made-from").stat().st_mtime_ns
    assert not ssmq("board", "ulx3s-25f", small / "rtl", "-o", tmp_path / "board", "--bitstream").code
    assert (tmp_path / "board" / "synthesis" / "seed-1" / "made-from").stat().st_mtime_ns == kept
    small_part = ssmq("board", "icebreaker", small / "rtl", "-o", tmp_path / "other", "--bitstream")
    assert small_part.code == 1 and "ice40up5k is too small" in small_part.err and len(small_part.err.splitlines()) == 1
