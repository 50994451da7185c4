"""What the command line refuses of its own, word for word: one line, and nothing is written."""

from __future__ import annotations

import re
import shutil

import numpy as np
import onnx
import pytest
from command_line import ssmq
from small_files import small_files
from ssmq_export.lowering import collapse

TARGET = ("--target", "xc7z020")
REFUSED = [
    (["estimate", "dataflow.onnx", *TARGET, "--fps", "9", "--fastest"], "--fps and --fastest contradict each other: give one of them"),
    (["estimate", "dataflow.onnx", *TARGET, "--fps", "inf"], "Invalid value for '--fps': inf is no number from .* to .*"),
    (["evaluate"], "which model? give zoo:NAME or a checkpoint; --list names the zoo"),
    (["hls4ml", "foreign.onnx", "--out", "out"], "foreign.onnx: its metadata ssmq.config is no configuration; export it with `ssmq export`"),
    (["finn", "dataflow.onnx", "--out", "out", "--part", "xcfoo"], "Invalid value for '--part': xcfoo is no part with package and speed grade, .*"),
    (["import", "float.safetensors", "--layer", "0"], "--layer and --out go together: give both, or neither to list the layers"),
    (["ptq", "model.safetensors", "--out", "out", "DATA"], "model.safetensors: already quantised; ptq takes a float checkpoint"),
    (["ptq", "float.safetensors", "--out", "out", "--preset", "wide.toml", "DATA"], ".*: its architecture is not that of wide: give the preset it was made with"),
    (["train", "--preset", "own.toml", "--out", "out", "--dataset", "npz:two.npz"], "own is made for 1 input channels, the data has 2: .*"),
    (["train", "--preset", "own.toml", "--out", "out", "--dataset", "npz:long.npz"], "own is made for sequences of 20 steps, not 30 steps: .*"),
    (["export", "float.safetensors", "--out", "out", "DATA"], "float.safetensors: a float model has no codes: quantise it first .*"),
    (["sensitivity", "model.safetensors", "DATA"], "model.safetensors: already quantised; give the float checkpoint that it was made from"),
    (["sensitivity", "float.safetensors", "--plot", "map.gif", "DATA"], "map.gif: a picture's name must end in .png, .svg or .pdf"),
    (["sensitivity", "float.safetensors", "--plot", "nowhere/map.png", "DATA"], "nowhere/map.png: its folder does not exist: make it, or give another"),
    (["search", "float.safetensors", "--out", "out", "--fps", "9", "DATA"], "--target, --fps and --shape are for --objective lut: bytes depend on none of them"),
    (["search", "float.safetensors", "--out", "out", "--objective", "lut", "DATA"], "--objective lut needs a part: --target, as ssmq estimate takes it"),
    (["rtl", "sequence-dataflow.onnx", "--out", "out", "--fps", "9"], "--fps and --target belong together: .*"),
    (["study", "paper", "--rows", "nobody", "--out", "out"], "no row matches 'nobody': give a shell pattern of row ids, as --list names them"),
    (["verify", "nowhere"], "nowhere: no such folder: give one that ssmq run or ssmq export has written"),
    (["verify", "pair", "DATA"], "pair: 2 quantised checkpoints, one is needed: give a folder that .*"),
    (["report", "--results", "nowhere", "--out", "out"], "nowhere: no such folder of results: correct the path"),
    (["view", "nowhere.onnx"], "nowhere.onnx: no such file; give the path of an .onnx file"),
    (["bench", "infer", "--preset", "edge-2x16.toml"], "edge-2x16: the float checkpoint shipped under that name has another architecture: .*"),
    (["bench", "infer", "--preset", "own.toml"], "own: no float checkpoint is shipped for it; name a quantised CHECKPOINT"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = small_files(tmp_path_factory.mktemp("made") / "small", "small")
    preset = (folder / "own.toml").read_text()
    (folder / "wide.toml").write_text(preset.replace("heads = 4", "heads = 5"))
    shutil.copy(folder / "own.toml", folder / "edge-2x16.toml")
    rng = np.random.default_rng(0)
    for name, shape in (("two", (24, 20, 2)), ("long", (24, 30, 1))):
        np.savez(folder / f"{name}.npz", x=rng.integers(0, 256, shape, np.uint8), y=rng.integers(0, 3, 24))
    onnx.save(collapse(onnx.load(folder / "dataflow.onnx")), folder / "sequence-dataflow.onnx")
    (folder / "pair").mkdir()
    for name in ("step.onnx", "dataflow.onnx", "sequence-dataflow.onnx", "model.safetensors"):
        shutil.copy(folder / name, folder / "pair" / name)
    shutil.copy(folder / "model.safetensors", folder / "pair" / "other.safetensors")
    graph = onnx.load(folder / "step.onnx")
    next(entry for entry in graph.metadata_props if entry.key == "ssmq.config").value = "[1]"
    onnx.save(graph, folder / "foreign.onnx")
    return folder


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else value[0])
def test_a_refusal_says_what_and_what_to_do(made, tmp_path, words, message):
    folder = shutil.copytree(made, tmp_path / "small")
    before = sorted(folder.rglob("*"))
    data = ["--dataset", f"npz:{folder / 'data.npz'}"]
    done = ssmq(*(part for word in words for part in (data if word == "DATA" else [word])), cwd=folder)
    assert done.code in (1, 2) and not done.out and done.err.count("\n") == 1, done
    pattern = re.escape(message).replace(r"\.\*", ".*")
    assert re.fullmatch(rf"error: {pattern}(?: \(see ssmq .* --help\))?\n", done.err), done.err
    assert sorted(folder.rglob("*")) == before
