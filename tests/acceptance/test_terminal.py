"""What people see: names as they are, one line for whatever is wrong, numbers that are numbers, JSON that is JSON."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import time
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import ssmq
from onnx import TensorProto, helper
from rich.text import Text
from small_files import small_files
from ssmq_cli.output import Plain, json_text, show_warning
from ssmq_export.visible import visible

# Markup that is an error, markup that is swallowed, emoji codes, what clears a screen or sets its title, C1, direction.
HOSTILE = "m[/v2][bold]:smile:\x1b[2J\x1b]0;x\x07\x9b31m\u202e"
SHOWN = r"m[/v2][bold]:smile:\x1b[2J\x1b]0;x\x07\x9b31m\u202e"
STEERS = re.compile(r"[^\n -~\u00a0-\u200a\u2010-\u2029\u2030-\uffff]")
GRAPH = "[/g]\x1b[31m"


def judged_harmless(done) -> str:
    """All that was printed, if nothing in it steers a terminal and nothing is a traceback."""
    told = done.out + done.err
    assert not STEERS.search(told) and "Traceback" not in told, told
    return told


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder under a hostile name, of a model with one as hostile as a configuration takes, its graphs and data."""
    return small_files(tmp_path_factory.mktemp("made") / HOSTILE, "m[/v2][bold]:smile:")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return small_files(tmp_path_factory.mktemp("plain") / "plain", "plain")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "step.onnx"],
        ["lower", "step.onnx", "--out", "lowered.onnx"],
        ["estimate", "dataflow.onnx", "--target", "xc7z020"],
        ["footprint", "model.safetensors"],
        ["export", "model.safetensors", "--out", "graphs", "--images", "2", "DATA"],
        ["ptq", "float.safetensors", "--out", "ptq.safetensors", "--preset", "own.toml", "DATA"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_names_are_printed_as_they_are(made, arguments):
    data = ["--dataset", f"npz:{made / 'data.npz'}"]
    words = [word for part in arguments for word in (data if part == "DATA" else [made / part if "." in part else part])]
    if arguments[0] == "export":
        words[3] = made / "graphs"
    done = ssmq(*words)
    # A title may name the file's folder and the file only.
    assert SHOWN.rpartition("/")[2] in judged_harmless(done), done
    assert done.code == (1 if arguments[0] == "check" else 0), done


def test_names_in_a_foreign_graph_are_text(tmp_path):
    node = helper.make_node("Softmax", ["x"], [f"y{GRAPH}"], name=f"n{GRAPH}")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", f"y{GRAPH}")]
    onnx.save(helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:])), tmp_path / "g.onnx")
    done = ssmq("check", tmp_path / "g.onnx")
    assert r"n[/g]\x1b[31m" in judged_harmless(done) and done.code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", HOSTILE], ["lower", HOSTILE, "--out", "x"], ["estimate", HOSTILE, "--target", "xc7z020"],
        ["estimate", "x.onnx", "--target", HOSTILE], ["verify", HOSTILE], ["view", HOSTILE], ["finn", HOSTILE, "--out", "x"],
        ["footprint", HOSTILE], ["footprint", f"zoo:{HOSTILE}"], ["train", "--out", "x", "--preset", HOSTILE],
        ["train", "--out", "x", "--dataset", HOSTILE], ["sensitivity", "x", "--widths", HOSTILE],
        ["sensitivity", "x", "--plot", HOSTILE], ["finn", "x", "--out", "x", "--part", HOSTILE], [HOSTILE],
        ["check", f"--{HOSTILE}"], ["estimate", "x", "--fps", HOSTILE, "--target", "x"], ["report", "--results", HOSTILE],
    ],
    ids=lambda arguments: "-".join(word for word in arguments if word.isprintable()),
)  # fmt: skip
def test_errors_print_names_as_they_are(arguments):
    done = ssmq(*arguments)
    assert done.code in (1, 2) and done.err.startswith("error: ") and done.err.count("\n") == 1, done
    told = judged_harmless(done)
    assert SHOWN in told or repr(HOSTILE)[1:-1] in told, told


def test_a_name_that_is_no_text_is_printed_too(tmp_path):
    done = ssmq("check", tmp_path / os.fsdecode(b"\xff.onnx"))
    assert done.code == 1 and r"\udcff.onnx: no such file" in done.err


def test_a_library_s_warning_is_one_line_of_text(capfd):
    show_warning(UserWarning(f"Glyph\n{HOSTILE}"), UserWarning, "file.py", 1)
    assert capfd.readouterr().err == rf"warning: Glyph\n{SHOWN}" + "\n"


def test_colours_that_are_forced_into_a_pipe_bring_no_spinner(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = io.StringIO()
    console = Plain(file=pipe)
    with console.status("export"):
        time.sleep(0.2)  # two frames
        console.print(Text("done", "red"))
    assert re.fullmatch(r"\x1b\[31mdone\x1b\[0m\n", pipe.getvalue())


def test_visible_leaves_text_alone():
    for text in ("plain", "Ā ö 漢 →", "two\nlines", "no\u00a0break\u2009space"):
        assert visible(text) == text
    for code in [*range(10), *range(11, 32), *range(127, 160), 0x202E, 0x2028, 0xFEFF, 0xD800]:
        assert visible(f"a{chr(code)}b").isascii() and visible(f"a{chr(code)}b").isprintable()


FILES = {
    "check": ["FILE"],
    "lower": ["FILE", "--out", "OUT"],
    "estimate": ["FILE", "--target", "xc7z020"],
    "finn": ["FILE", "--out", "OUT"],
    "hls4ml": ["FILE", "--out", "OUT"],
    "rtl": ["FILE", "--out", "OUT"],
    "simulate": ["FILE"],
    "view": ["FILE", "--no-browser", "--port", "0"],
    "verify": ["FILE"],
    "footprint": ["FILE"],
    "export": ["FILE", "--out", "OUT"],
    "import": ["FILE", "--layer", "0", "--out", "OUT"],
    "import list": ["FILE"],
    "ptq": ["FILE", "--out", "OUT"],
    "sensitivity": ["FILE"],
    "search": ["FILE", "--out", "OUT"],
    "evaluate": ["FILE"],
    "bench infer": ["FILE"],
    "train": ["--from", "FILE", "--out", "OUT"],
    "train npz": ["--dataset", "npz:FILE", "--out", "OUT"],
    "train preset": ["--preset", "FILE.toml", "--out", "OUT"],
    "run": ["--preset", "FILE.toml", "--out", "OUT"],
    "bench train": ["FILE.toml"],
    "study list": ["paper", "--out", "FILE"],
    "report": ["--results", "FILE", "--out", "OUT"],
}


def placed(folder: Path, kind: str, name: str) -> Path:
    path = folder / name
    if kind == "below a file":
        path.write_bytes(b"file")
        return path / "below"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_bytes({"empty": b"", "noise": np.random.default_rng(0).bytes(3000)}[kind])
    return path


KINDS = ("missing", "folder", "empty", "noise", "pipe", "below a file")
# Netron judges what it shows; a TOML file may leave everything as it is; a study's folder is made; results may be none.
ACCEPTED = {
    *(("view", kind) for kind in ("empty", "noise")),
    *((command, "empty") for command in ("train preset", "run", "bench train")),
    *(("study list", kind) for kind in ("missing", "folder")),
    ("report", "folder"),
}


@pytest.mark.parametrize(("command", "kind"), [pair for pair in product(FILES, KINDS) if pair not in ACCEPTED])
def test_a_file_that_cannot_be_read_ends_in_one_line(tmp_path, command, kind):
    words = FILES[command]
    ending = ".toml" if "FILE.toml" in words else ""
    path = placed(tmp_path, kind, f"given{ending}")
    words = [word.replace(f"FILE{ending}", str(path)).replace("OUT", str(tmp_path / "out")) for word in words]
    done = ssmq(*command.replace("npz", "").replace("preset", "").replace("list", "").split(), *words, cwd=tmp_path)
    assert done.code == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1, done
    assert str(path) in judged_harmless(done)
    assert {left.name for left in tmp_path.iterdir()} <= {f"given{ending}", "out"}
    assert not [left for left in tmp_path.glob("out/**/*") if left.is_file()]


OUTPUTS = {
    "export": ["model.safetensors", "--out", "OUT", "DATA"],
    "ptq": ["float.safetensors", "--out", "OUT", "--preset", "own.toml", "DATA"],
    "train": ["--preset", "own.toml", "--out", "OUT", "DATA"],
    "run": ["--preset", "own.toml", "--out", "OUT", "DATA"],
    "sensitivity": ["float.safetensors", "--plot", "OUT.png", "--widths", "4", "--images", "2", "DATA"],
    "search": ["float.safetensors", "--out", "OUT", "DATA"],
    "report": ["--results", "none", "--out", "OUT"],
    "study paper": ["--quick", "--rows", "*", "--out", "OUT"],
}


@pytest.mark.parametrize("where", ["below a file", "where nobody can write"])
@pytest.mark.parametrize("command", OUTPUTS)
def test_a_place_that_cannot_be_written_ends_in_one_line(plain, tmp_path, command, where):
    (tmp_path / "file").write_bytes(b"file")
    out = str(tmp_path / "file" / "out" if where == "below a file" else Path("/proc/out"))
    data = ["--dataset", f"npz:{plain / 'data.npz'}"]
    words = [part for word in OUTPUTS[command] for part in (data if word == "DATA" else [word.replace("OUT", out)])]
    done = ssmq(*command.split(), *words, cwd=plain)
    assert done.code == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1, done
    # What stands in the way is named: the place itself, or what is above it.
    assert str(Path(out).parent) in judged_harmless(done)
    assert (tmp_path / "file").read_bytes() == b"file"


@pytest.mark.parametrize("words", [["check", "step.onnx"], ["check", "step.onnx", "--json"], ["evaluate", "--list"]])
def test_a_full_disk_behind_standard_output_is_told_of(made, words):
    done = ssmq(*words, cwd=made, stdout="/dev/full")
    assert done.code == 1 and done.err.startswith("error: standard output: No space left on device"), done
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["estimate", "x", "--target", "xc7z020", "--fps"], "inf nan -1 0 1e12 1e400 x"),
        (["estimate", "x", "--target", "xc7z020", "--clock"], "inf nan -1 0 1e12 x"),
        (["finn", "x", "--out", "y", "--fps"], "inf nan 0 1e12"),
        (["import", "x", "--bandlimit"], "inf nan 0 -1 1e12 x"),
        (["finn", "x", "--out", "y", "--clock"], "inf nan 0 1e12"),
        (["finn", "x", "--out", "y", "--part"], "xcfoo xc7z020 ;exec xc7z020-1;x"),
        (["hls4ml", "x", "--out", "y", "--part"], "xcfoo {x}"),
        (["hls4ml", "x", "--out", "y", "--steps"], "0 1e3 10000000000000"),
        (["search", "x", "--out", "y", "--budget"], "inf nan 0 -5"),
        (["search", "x", "--out", "y", "--fps"], "inf nan"),
        (["search", "x", "--out", "y", "--widths"], "0 17 4,inf , 4;5 " + "9" * 5000),
        (["search", "x", "--out", "y", "--trials"], "-1 1000000000000"),
        (["sensitivity", "x", "--widths"], "nan 1.5 -4"),
        (["view", "x", "--port"], "-1 65536 nan"),
        (["verify", "x", "--slow-images"], "0 1000000000000"),
        (["bench", "infer", "--images"], "0 -1 1000000000000 " + "9" * 5000),
        *(
            ([*words, "--images"], "0 1000000000000 inf")
            for words in (["ptq", "x", "--out", "y"], ["export", "x", "--out", "y"])
        ),
        (["train", "--out", "x", "--permute"], "-1 4294967296"),
        (["train", "--out", "x", "--seed"], "-1 99999999999999999999"),
        (["train", "--out", "x", "--downsample"], "0 -1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_number_out_of_range_is_refused_by_its_option_s_name(words, option, tmp_path):
    for value in option.split(" "):
        done = ssmq(*words, value, cwd=tmp_path)
        assert done.code in (1, 2) and words[-1] in done.err and done.err.startswith("error: "), done
        assert done.err.count("\n") == 1 and not list(tmp_path.iterdir()), done


def test_json_is_json():
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = {"a": [float("inf"), (float("nan"), 1.5)], "b": np.float64("-inf"), "c": {"d": 10**30}, "e": "\x1b\ud800"}
    text = json_text(found)
    assert text.isascii() and json.loads(text, parse_constant=refuse) == {
        "a": [None, [None, 1.5]], "b": None, "c": {"d": 10**30}, "e": "\x1b\ud800",
    }  # fmt: skip


def test_the_zoo_is_listed_as_json():
    models = json.loads(ssmq("evaluate", "--list", "--json").out)["models"]
    table = ssmq("evaluate", "--list").out
    assert models and all(f"zoo:{model['name']}" in table for model in models)
    assert all(0 < entry["correct"] <= entry["images"] for model in models for entry in model["measured"])


def test_a_port_that_is_taken_is_named(made):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = ssmq("view", made / "step.onnx", "--no-browser", "--port", port)
    assert done.code == 1 and f"port {port}: Address already in use; give another --port" in done.err


@pytest.mark.parametrize("words", [["check"], ["estimate", "--target", "lfe5u-25f"]], ids=lambda words: words[0])
def test_a_narrow_terminal_breaks_words_and_cuts_none(plain, words):
    done = ssmq(words[0], plain / "dataflow.onnx", *words[1:], environment={"COLUMNS": "60"})
    assert not done.code and "│" in done.out and "…" not in done.out
