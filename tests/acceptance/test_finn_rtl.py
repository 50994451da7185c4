"""``DiagonalScan_rtl`` through FINN's own steps up to where Vivado begins: its modules, simulated, give every code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import small_config, small_model
from finn_scans import Scan, simulator
from ssmq_export import finn, rtl
from ssmq_export.dataflow.datatype import integer_range, integer_type
from ssmq_export.dataflow.diagonal_scan import output_range
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.synthesis import tools

sys.path.insert(0, str(Path(__file__).parents[1] / "ssmq_export" / "rtl"))
from bench import elements  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not finn.available(), reason=finn.INSTALL),
    pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL),
]
SEQUENCES = 3
# Heads, modes, PE, steps, type of u, width of a state, largest number of b, shifts.
CASES = [(4, 3, 6, 5, "INT4", 6, 8, (4, 4)), (3, 4, 2, 7, "UINT8", 8, 1, (3, 6)), (2, 2, 4, 1, "INT7", 12, 21, (0, 0))]
MORE = [
    (4, 3, 1, 5, "INT4", 6, 8, (4, 4)),
    (4, 2, 8, 3, "INT7", 8, 21, (2, 2)),
    (1, 1, 1, 9, "UINT1", 4, 8, (1, 1)),
    (2, 5, 5, 6, "INT8", 32, 21, (9, 9)),
    (3, 8, 8, 4, "UINT3", 5, 1, (0, 5)),
]


def drawn(rng, heads, modes, parallel, steps, given, state_bits, b, shifts):
    """A case, and its numbers: coefficients so large that states saturate, shifts so small that ties are frequent."""
    shape = heads, modes
    numbers = {name: rng.integers(-40, 41, shape) for name in ("a_re", "a_im", "b_re", "b_im")}
    numbers |= {name: rng.integers(-b, b + 1, shape) for name in ("b_re", "b_im")}
    numbers |= {name: rng.integers(-8, 8, shape) for name in ("c_re", "c_im")}
    numbers |= {"d": rng.integers(-8, 8, heads), "shift": rng.integers(shifts[0], shifts[1] + 1, shape)}
    low, high = integer_range(given)
    codes = rng.integers(low, high + 1, (SEQUENCES, steps, heads))
    codes[0] = np.where(codes[0] % 2, low, high)
    made = integer_type(*output_range(numbers, low, high, state_bits))
    case = {"PE": parallel, "steps": steps, "input": given, "output": made, "state_bits": state_bits}
    return case, {**numbers, "codes": codes}


def through_finn(folder: Path, cases: list, **more) -> Path:
    """What FINN's steps leave in ``folder``, in a process of its own."""
    rng = np.random.default_rng(0)
    found = [drawn(rng, *case) for case in cases]
    (folder / "cases.json").write_text(json.dumps([{**case, "simulated": False, **more} for case, _ in found]))
    arrays = {f"{n}/{name}": array for n, (_, numbers) in enumerate(found) for name, array in numbers.items()}
    np.savez(folder / "cases.npz", **arrays)
    command = [sys.executable, Path(__file__).with_name("finn_scans.py"), folder]
    environment = {**os.environ, "FINN_BUILD_DIR": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert not done.returncode, done.stderr
    return folder


def scans_in(folder: Path) -> list[Scan]:
    return [Scan(**entry) for entry in json.loads((folder / "scans.json").read_text())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a whole network beside the scans, on a part that FINN knows and our table of parts does not."""
    place = tmp_path_factory.mktemp("scans")
    model = small_model(small_config(model={"norm": "batch", "activation": "relu", "gate": "hard_sigmoid", "layers": 1}))[1]
    onnx.save(collapse(lower(step_graph(model.network))), place / "whole.onnx")
    found = finn.compile_graph(place / "whole.onnx", "xczu9eg-ffvb1156-2-e", 100.0, 10.0, place / "network")
    assert found.ours is None and found.resources["DSP"] > 0
    return through_finn(place, CASES)


def check(folder: Path) -> None:
    """Every code under random stalls, and sequences as far apart as FINN expects them from the folding."""
    codes, expected = (np.load(folder / name) for name in ("cases.npz", "scans.npz"))
    scans = scans_in(folder)
    given = [elements(codes[f"{n}/codes"]) for n in range(len(scans))]
    given = [(u.reshape(-1, scan.lanes), last[:: scan.lanes]) for (u, last), scan in zip(given, scans, strict=True)]
    driver = simulator(scans, folder / "bench")
    for pauses in ({}, {"gap": 0.3, "stall": 0.5, "seed": 1}, {"gap": 0.6, "stall": 0.1, "seed": 2}):
        found = driver.run(given, [len(beats) for beats, _ in given], **pauses)
        for n, beats in enumerate(found):
            np.testing.assert_array_equal(beats.elements.reshape(expected[f"{n}"].shape), expected[f"{n}"])
            if not pauses:
                ends = beats.cycles.reshape(SEQUENCES, -1)[:, -1]
                assert set(np.diff(ends)) == {scans[n].cycles}


def test_the_modules_give_every_code(folder):
    check(folder)


@pytest.mark.slow
def test_more_modules_give_every_code_and_finns_own_simulation_packs_as_they_do(tmp_path):
    check(through_finn(tmp_path, MORE, simulated=True))
    expected = np.load(tmp_path / "scans.npz")
    for n in range(len(MORE)):
        np.testing.assert_array_equal(expected[f"{n}/finn"], expected[f"{n}"])


def test_finn_writes_code_for_every_node_of_a_network(folder):
    nodes = onnx.load(folder / "network" / "finn.onnx").graph.node
    written = json.loads((folder / "network.json").read_text())
    assert [name for name, _ in written] == [node.name for node in nodes] and all(files for _, files in written)
    ((name, files),) = [(name, files) for name, files in written if name.startswith("DiagonalScan_rtl")]
    assert files == [f"{name}.v", *(f"{name}_{numbers}.dat" for numbers in "acd")]


def test_the_stitched_project_is_written_up_to_where_vivado_begins(folder):
    found = json.loads((folder / "chain.json").read_text())
    assert found["said"] == "FileNotFoundError: vivado not found in PATH"
    converted = ["Thresholding_rtl", "StreamingDataWidthConverter_rtl", "DiagonalScan_rtl", "StreamingDataWidthConverter_rtl"]
    assert [op for op in found["nodes"] if op != "StreamingFIFO_rtl"] == [*converted, "Thresholding_rtl"]
    lines = found["script"].splitlines()
    assert "create_bd_cell -type module -reference DiagonalScan_rtl_0 DiagonalScan_rtl_0" in lines
    for pin in ("in0_V", "out0_V"):
        (joined,) = [line for line in lines if f"DiagonalScan_rtl_0/{pin}]" in line]
        assert joined.startswith("connect_bd_intf_net") and joined.count("StreamingFIFO_rtl") == 1
    assert {f"add_files -norecurse {path}" for path in found["scan"]["files"]} <= set(lines)
    # It ends with the packaging of the whole.
    assert (
        any(line.startswith("ipx::package_project") for line in lines) and lines.index("validate_bd_design") < len(lines) - 20
    )
    wrapper = Path(found["scan"]["files"][-1]).read_text()
    images = re.findall(r'_FILE\("(.*)"\)', wrapper)
    assert len(images) == 3 and all(Path(image).is_absolute() and Path(image).is_file() for image in images)


@pytest.mark.skipif(bool(tools.missing(("yosys",))), reason=tools.INSTALL)
def test_the_module_is_plain_verilog_and_yosys_reads_its_core(folder, tmp_path):
    scans = scans_in(folder)
    for path in scans[0].files:
        shutil.copy(path, tmp_path)
    wrapper = tmp_path / f"{scans[0].top}.v"
    for image in re.findall(r'_FILE\("(.*)"\)', wrapper.read_text()):
        shutil.copy(image, tmp_path)
        wrapper.write_text(wrapper.read_text().replace(image, Path(image).name))
    core = " ".join(Path(path).name for path in scans[0].files[:-1])
    # Without -sv, as Vivado takes the top of a block design.
    script = f"read_verilog -sv -defer {core}; read_verilog {wrapper.name}; hierarchy -check -top {scans[0].top}; proc; check -assert"
    tools.run("yosys", ["-q", "-p", script], tmp_path)


def test_what_has_no_module_is_refused_in_one_message(folder):
    said = json.loads((folder / "refused.json").read_text())
    wanted = {
        "lanes": "PE 5 neither divides its 3 modes nor makes whole heads of its 4",
        "no lanes": "PE 0 neither divides its 3 modes",
        "heads": "PE 9 neither divides its 3 modes nor makes whole heads of its 4",
        "state": "DiagonalScan_rtl_0: state_bits is 33, not 2 to 32",
        "sums": "its sums need more than 63 bits",
        "bipolar": "u is BIPOLAR",
        "shift": "a shift is no integer from 0 to 40",
        "length": "a sequence of 2,147,483,648 steps has 4,294,967,296 beats",
        "name": "node 'two words DiagonalScan_rtl_0': no name for a module: run GiveUniqueNodeNames first",
        "stream": "DiagonalScan_rtl_0: c_re: not constant, so no memory of the module",
        "folder": "FINN takes no path with spaces",
    }
    assert said.keys() == wanted.keys()
    for name, words in wanted.items():
        assert said[name].startswith("FINNUserError: ") and words in said[name] and "\n" not in said[name], said[name]
