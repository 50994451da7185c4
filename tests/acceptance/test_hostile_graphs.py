"""Graphs that want something: nothing of theirs is run, opened, imported or looked up, by any command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import small_codes, small_config, small_model
from hostile import CANARY, TEXTS
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_export import finn, hls4ml
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.engines import run_steps
from ssmq_export.verification.hls_project import compare_project

SSMQ = str(Path(sys.executable).parent / "ssmq")
FORMS = ("step", "dataflow", "sequence-dataflow")
NEEDS_FINN = pytest.mark.skipif(not finn.available(), reason=finn.INSTALL)
MODEL = {"norm": "batch", "activation": "relu", "layers": 1, "length": 49, "classes": 10}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """What ``ssmq export`` leaves: a checkpoint and its graphs."""
    folder = tmp_path_factory.mktemp("exported")
    config = small_config(model=MODEL)
    _, model = small_model(config)
    save_checkpoint(folder / "model.safetensors", model)
    step = step_graph(model.network, {"ssmq.config": config.model_dump_json()})
    dataflow = lower(step)
    for form, graph in zip(FORMS, (step, dataflow, collapse(dataflow)), strict=True):
        onnx.save(graph, folder / f"{form}.onnx")
    return folder


def rewritten(source: Path, folder: Path, change) -> None:
    """A copy of the exported folder, ``change`` applied to each of its graphs."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes())
    for form in FORMS:
        model = onnx.load(source / f"{form}.onnx")
        change(model)
        onnx.save(model, folder / f"{form}.onnx")


def commands(folder: Path) -> list[list[str]]:
    found = [
        ["lower", f"{folder}/step.onnx", "--out", "lowered.onnx"],
        ["estimate", f"{folder}/dataflow.onnx", "--target", "xc7z020"],
        ["verify", str(folder), "--downsample", "4", "--images", "1", "--slow-images", "1"],
    ]
    if hls4ml.available():
        found.append(["hls4ml", f"{folder}/step.onnx", "--out", "hls", "--downsample", "4", "--images", "1"])
    if finn.available():
        found.append(["finn", f"{folder}/sequence-dataflow.onnx", "--out", "build"])
    return found


def sums_renamed(model: onnx.ModelProto) -> None:
    """``blocks.0.ssm.ax_re``, or the scan's result where it is inside, under a name that is C++."""
    text = TEXTS["C++ behind a newline"]
    old = next(name for name in ("blocks.0.ssm.ax_re", "blocks.0.ssm") if any(name in node.output for node in model.graph.node))
    for node in model.graph.node:
        for side in (node.input, node.output):
            side[:] = [text if name == old else name for name in side]
    for info in (*model.graph.value_info, *model.graph.quantization_annotation):
        if old in (getattr(info, "name", ""), getattr(info, "tensor_name", "")):
            setattr(info, "name" if hasattr(info, "name") else "tensor_name", text)


def domain_of_a_module(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = CANARY


def values_outside(model: onnx.ModelProto) -> None:
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    Path("weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


HOSTILE = {
    "a name that is C++": (sums_renamed, "the tensor name 'x\\nstatic"),
    "a domain that is a module beside it": (domain_of_a_module, f"domain '{CANARY}'"),
    "values in another file": (values_outside, "stored outside the file, which is never opened"),
}
LIKELY = {
    "a name that is C++": ("verify", "hls4ml"),
    "a domain that is a module beside it": ("finn",),
    "values in another file": ("lower",),
}
EVERY = [(kind, name) for kind in HOSTILE for name in ("lower", "estimate", "verify", "hls4ml", "finn")]


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) if n in LIKELY[k] else pytest.param(k, n, marks=pytest.mark.slow) for k, n in EVERY]
)
def test_no_command_does_what_a_graph_wants(kind, name, exported, tmp_path, monkeypatch):
    change, message = HOSTILE[kind]
    monkeypatch.chdir(tmp_path)
    rewritten(exported, tmp_path / "given", change)
    (tmp_path / f"{CANARY}.py").write_text(f"open({CANARY!r}, 'w').close()\n")
    before = {path.name for path in tmp_path.iterdir()}
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}
    for arguments in (found for found in commands(tmp_path / "given") if found[0] == name):
        done = subprocess.run([SSMQ, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert message in done.stderr, done.stderr
        assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == before


@NEEDS_FINN
def test_nothing_of_a_file_is_in_the_build_folder_but_its_graph(exported, tmp_path):
    """Metadata and doc strings stay out of what FINN writes and of what is written for Vivado. Batch and order do not
    matter either."""
    model = transformed(onnx.load(exported / "sequence-dataflow.onnx"), "batch size")
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    text = CANARY + TEXTS["Tcl brackets"]
    model.doc_string = model.graph.doc_string = model.producer_name = text
    for entry in (*model.graph.node, *model.graph.input, *model.graph.initializer):
        entry.doc_string = text
    model.metadata_props.add(key="folder", value=text)
    onnx.save(model, tmp_path / "graph.onnx")
    before = set(Path(tempfile.gettempdir()).iterdir())
    found = finn.compile_graph(tmp_path / "graph.onnx", "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert found.unmapped == [] and found.partitions == 1
    written = [path for path in (tmp_path / "build").rglob("*") if path.is_file()]
    assert len(written) > 6 and not [path for path in written if CANARY.encode() in path.read_bytes()]
    left = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert not [path for path in left if list(path.glob("report"))], "FINN's own folder"


@pytest.mark.parametrize("part", ["xcfoo", "xc7z020; exec touch x", "", "xc7z020\n", "lfe5u-25f", "x" * 99])
def test_a_part_is_the_name_of_a_part(part, exported, tmp_path):
    step = load_graph(exported / "step.onnx", "step")
    with pytest.raises(ExportError, match="as Vitis does: give a full name such as xc7z020clg400-1"):
        finn.compile_graph(exported / "dataflow.onnx", part, 100.0, 10.0, tmp_path / "build")
    if hls4ml.available():
        with pytest.raises(ExportError, match="as Vitis does: give a full name such as xc7z020clg400-1"):
            compare_project(step, np.zeros((1, 1)), tmp_path / "hls", part)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fps", "clock"), [(float("inf"), 10.0), (1e12, 10.0), (float("nan"), 10.0), (100.0, 0.0)])
def test_finn_is_asked_for_finite_rates(fps, clock, exported, tmp_path):
    with pytest.raises(ExportError, match="cannot be asked for: give finite numbers"):
        finn.compile_graph(exported / "dataflow.onnx", "xc7z020clg400-1", fps, clock, tmp_path / "build")


def transformed(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """``model`` after another tool."""
    from onnx import version_converter
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation import change_batchsize, fold_constants, general, infer_shapes, remove
    from qonnx.util.cleanup import cleanup_model

    if name == "opset conversion":
        return version_converter.convert_version(model, 21)
    wrapper = ModelWrapper(model)
    if name == "qonnx-cleanup":
        return cleanup_model(wrapper).model
    passes = {
        "readable tensor names": [general.GiveReadableTensorNames()],
        "unique node names": [general.GiveUniqueNodeNames(), general.GiveUniqueParameterTensors()],
        "batch size": [change_batchsize.ChangeBatchSize(8), infer_shapes.InferShapes()],
        "folded constants": [fold_constants.FoldConstants(exclude_op_types=[])],
        "no identities": [remove.RemoveIdentityOps(), general.RemoveUnusedTensors(), general.RemoveStaticGraphInputs()],
        "sorted": [general.SortGraph()],
    }
    for transformation in passes[name]:
        wrapper = wrapper.transform(transformation)
    return wrapper.model


ACCEPTED = ["unique node names", "batch size", "folded constants", "no identities", "sorted"]


@pytest.mark.parametrize("name", [*ACCEPTED, "opset conversion"])
def test_our_graphs_after_other_tools_mean_what_they_meant(name, exported):
    codes = np.resize(small_codes(2).numpy(), (2, 49))
    whole = {form: load_graph(exported / f"{form}.onnx", form) for form in FORMS}
    changed = {form: transformed(onnx.load(exported / f"{form}.onnx"), name) for form in FORMS}
    expected = IntegerModel(whole["dataflow"]).forward(codes)
    assert np.array_equal(IntegerModel(lower(changed["step"])).forward(codes), expected)
    names = ["blocks.0.ssm.x_re_next", "sum"]
    before, after = (run_steps(step, codes[:, :3], names) for step in (whole["step"], changed["step"]))
    assert all(np.array_equal(before[name], after[name]) for name in names)
    if name == "opset conversion":
        for form in FORMS[1:]:
            with pytest.raises(
                ExportError, match="lost its integer types .quantization annotations., as onnx.version_converter"
            ):
                estimate_graph(changed[form], find_part("xc7z020"))
        return
    assert np.array_equal(IntegerModel(changed["dataflow"]).forward(codes), expected)
    for form in FORMS[1:]:
        found, was = (estimate_graph(graphs[form], find_part("xc7z020")).as_dict() for graphs in (changed, whole))
        assert found["total"] == was["total"] and found["bytes"] == was["bytes"] and was["bytes"]["state"] > 0


@pytest.mark.parametrize("name", ["qonnx-cleanup", "readable tensor names"])
def test_what_renaming_loses_is_named(name, exported, tmp_path):
    for form in FORMS:
        onnx.save(transformed(onnx.load(exported / f"{form}.onnx"), name), tmp_path / f"{form}.onnx")
        with pytest.raises(ExportError, match="global_in.*another tool has renamed its tensors .qonnx-cleanup does.; give"):
            load_graph(tmp_path / f"{form}.onnx", form)
    for arguments in (["lower", "step.onnx", "--out", "x.onnx"], ["estimate", "dataflow.onnx", "--target", "zu3eg"]):
        done = subprocess.run([SSMQ, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1 and "another tool has renamed its tensors" in done.stderr


WORKER = """
import os, pathlib, subprocess, sys
from ssmq_export.child import end_with_parent
end_with_parent()
inner = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids.new").write_text(f"{os.getpid()} {inner.pid}")
os.replace("pids.new", "pids")
inner.wait()
"""
STARTER = "import pathlib; from ssmq_export.child import run_worker; run_worker('lingering_worker', [], pathlib.Path.cwd())"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_a_worker_and_its_children_end_with_their_parent(number, tmp_path):
    (tmp_path / "lingering_worker.py").write_text(WORKER)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}
    parent = subprocess.Popen([sys.executable, "-c", STARTER], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "pids").exists())
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(running, pids))
    parent.send_signal(number)
    parent.wait(30)
    until(lambda: not any(map(running, pids)))


def until(holds) -> None:
    """A guard against hanging, far longer than it takes."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static void note(const char *text) {
    int file = open(getenv("LOOKED_UP"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (write(file, text, strlen(text)) < 0 || write(file, "\n", 1) < 0) abort();
    close(file);
}
extern "C" int getaddrinfo(const char *host, const char *, const struct addrinfo *, struct addrinfo **) {
    note(host ? host : "(any)");
    return EAI_FAIL;
}
extern "C" struct hostent *gethostbyname(const char *host) { note(host); return nullptr; }
extern "C" int connect(int socket, const struct sockaddr *to, socklen_t length) {
    if (to->sa_family == AF_INET || to->sa_family == AF_INET6) note("(connect)");
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(socket, to, length);
}
"""


@pytest.fixture(scope="module")
def recorder(tmp_path_factory) -> Path:
    """A library that notes every host that a process or its children look up, and finds none."""
    folder = tmp_path_factory.mktemp("resolver")
    (folder / "resolver.cpp").write_text(RESOLVER)
    library = folder / "resolver.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", library, folder / "resolver.cpp", "-ldl"], check=True)
    return library


def watched(command: list, recorder: Path, home: Path) -> tuple[set[str], list[str]]:
    """What ``command`` looked up, and the files it left in the user's folder besides fonts and machine code."""
    home.mkdir()
    log = home.parent / "looked-up"
    env = {**os.environ, "HOME": str(home), "LD_PRELOAD": str(recorder), "LOOKED_UP": str(log)}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "NUMBA_CACHE_DIR"):
        env.pop(name, None)
    done = subprocess.run(command, cwd=home.parent, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    left = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    left = [path for path in left if "matplotlib" not in path and not path.endswith((".nbi", ".nbc"))]
    return set(log.read_text().split()) if log.exists() else set(), left


needs_compiler = pytest.mark.skipif(not hls4ml.available(), reason="g++")


@needs_compiler
def test_the_recorder_records(recorder, tmp_path):
    script = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass"
    assert watched([sys.executable, "-c", script], recorder, tmp_path / "home") == ({"example.org"}, [])


@needs_compiler
def test_lowering_looks_nothing_up_and_keeps_no_record(exported, recorder, tmp_path):
    """It runs ONNX Runtime by itself and through qonnx."""
    command = [SSMQ, "lower", exported / "step.onnx", "--out", tmp_path / "lowered.onnx"]
    assert watched(command, recorder, tmp_path / "home") == (set(), [])


TRAIN = "[model]\nheads = 4\nmodes = 4\nlength = 49\nnorm = 'batch'\nactivation = 'relu'\n"


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "verify", "finn", "hls4ml", "check", "estimate"])
def test_no_command_looks_anything_up(name, exported, recorder, tmp_path):
    (tmp_path / "tiny.toml").write_text(TRAIN)
    command = {arguments[0]: arguments for arguments in commands(exported)} | {
        "run": ["run", "--preset", "tiny.toml", "--out", "run", "--images", "5", "--downsample", "4"],
        "check": ["check", f"{exported}/dataflow.onnx"],
    }
    found, left = watched([SSMQ, *command[name]], recorder, tmp_path / "home")
    assert (found, left) == (set(), [])
