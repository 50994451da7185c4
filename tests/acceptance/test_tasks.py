"""Data of a sensor and every task as a user types them: floats and what is to be told of them, from a file to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import ssmq
from conftest import LENGTH
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.input_format import InputFormat
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower

TASKS = {"sequence": "", "step": "", "regression": "", "steps": "every_step = true"}
PRESET = """
[task]
kind = "{kind}"
{rest}
[model]
heads = 4
modes = 3
channels = 2
classes = 2
length = {length}
dt_min = 0.1
dt_max = 1.0
[train.float]
epochs = 8
batch = 16
learning_rate = 2e-2
[train.qat]
epochs = 1
batch = 16
"""


def made(folder: Path, task: str, kind: str = "regression", low: float = 0.0) -> list:
    """A preset and floats from ``low`` to 5, of which a tenth is held out; what is to be told of them. Options for both."""
    rng = np.random.default_rng(0)
    x = rng.uniform(low, 5, (240, LENGTH, 2)).astype(np.float32)
    bright = x[..., 0] + x[..., 1] > 5 + low
    y = {
        "sequence": (x.mean((1, 2)) > (5 + low) / 2).astype(np.int64),
        "step": bright.astype(np.int8),
        "regression": x.mean(1) / 5,
        "steps": x / 5,
    }[task]
    np.savez(folder / "data.npz", x=x, y=y)
    name = task if task in ("sequence", "step") else kind
    (folder / "own.toml").write_text(PRESET.format(kind=name, rest=TASKS[task], length=LENGTH))
    return ["--dataset", f"npz:{folder / 'data.npz'}", "--preset", folder / "own.toml"]


@pytest.mark.parametrize("task", ["sequence", "regression"])
def test_floats_are_trained_on_and_evaluated_on_integers(tmp_path, task):
    """The range 0 .. 5 takes 8 bits with steps of 1/32: 255/64 < 5."""
    chosen = made(tmp_path, task)
    done = ssmq("train", *chosen, "--out", tmp_path)
    assert done.code == 0 and "inputs of 8 bits unsigned times 2^-5" in done.out
    assert ("RMSE 0." in done.out and "MAE 0." in done.out) == (task == "regression")
    again = ssmq("train", *chosen, "--out", tmp_path, "--from", tmp_path / "float.safetensors")
    assert again.code == 0, again.err
    model, _ = load_checkpoint(tmp_path / "qat.safetensors")
    assert model.shape.input == InputFormat(bits=8, signed=False, exponent=-5) and model.task.kind == task
    about = ["evaluate", tmp_path / "qat.safetensors", *chosen[:2]]
    found = json.loads(ssmq(*about, "--json").out)
    told = {"sequence": {"images", "correct", "accuracy", "bytes"}, "regression": {"images", "rmse", "mae", "r2", "bytes"}}[
        task
    ]
    assert set(found) == told and found["images"] == 24
    assert ssmq(*about, "--card", "ssmq train").code == 0
    assert "exactly as its card says" in ssmq(*about).out
    card = json.loads((tmp_path / "qat.json").read_text())
    if task == "regression":
        assert card["measured"][0]["errors"] == {key: found[key] for key in ("rmse", "mae", "r2")} and found["r2"] > 0
        card["measured"][0]["errors"]["rmse"] *= 2
    else:
        assert card["measured"][0]["correct"] == found["correct"] and found["accuracy"] > 0.7
        card["measured"][0]["correct"] -= 1
    (tmp_path / "qat.json").write_text(json.dumps(card))
    other = ssmq(*about)
    assert other.code == 1 and "its card says of this data: " in other.err and other.err.count("\n") == 1
    port = ports_of(lower(step_graph(model.network))).input
    assert (port.format.bits, port.format.signed, int(np.ravel(port.format.exponent)[0])) == (8, False, -5)


def trained_on_steps(tmp_path: Path, task: str) -> list:
    """-5 .. 5 takes 12 bits with steps of 1/256: 2047/512 < 5. Options for the data."""
    chosen = made(tmp_path, task, low=-5.0)
    preset = (tmp_path / "own.toml").read_text()
    (tmp_path / "own.toml").write_text(preset + "[scheme.bits]\ninput = 12\n")
    for words in (["train"], ["train", "--from", tmp_path / "float.safetensors"]):
        done = ssmq(*words, *chosen, "--out", tmp_path)
        assert done.code == 0 and "inputs of 12 bits signed times 2^-8" in done.out, done.err
    return chosen


@pytest.mark.parametrize("task", ["step", "steps"])
def test_every_step_is_trained_on_floats_with_a_sign_evaluated_and_exported(tmp_path, task):
    chosen = trained_on_steps(tmp_path, task)
    assert ssmq("ptq", tmp_path / "float.safetensors", *chosen, "--out", tmp_path / "ptq.safetensors").code == 0
    found = json.loads(ssmq("evaluate", tmp_path / "qat.safetensors", *chosen[:2], "--json").out)
    if task == "step":
        assert found["steps"] == 24 * LENGTH and found["accuracy"] == found["correct"] / found["steps"] > 0.7
    else:
        assert found["images"] == 24 and found["rmse"] < 0.5 and found["r2"] > 0.5
    done = ssmq("export", tmp_path / "qat.safetensors", *chosen[:2], "--out", tmp_path / "graphs")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_every_engine_tells_the_same_at_every_step(tmp_path):
    """FINN's operators and hls4ml's C++ too, where they are installed."""
    chosen = trained_on_steps(tmp_path, "step")
    assert ssmq("export", tmp_path / "qat.safetensors", *chosen[:2], "--out", tmp_path / "graphs").code == 0
    rows = json.loads(ssmq("verify", tmp_path / "graphs", *chosen[:2], "--images", 4, "--slow-images", 1, "--json").out)[
        "engines"
    ]
    assert len(rows) >= 7 and all(row["codes"] and not row["differing"] and not row["failed"] for row in rows), rows


def test_what_was_not_trained_for_these_data_is_refused(tmp_path):
    chosen = made(tmp_path, "sequence")
    assert ssmq("train", *chosen, "--out", tmp_path, "--epochs", 1).code == 0
    preset = (tmp_path / "own.toml").read_text()
    cases = {
        "another task": (preset.replace('"sequence"', '"regression"'), "y are classes, which is not what task.kind"),
        "too few classes": (preset.replace("classes = 2", "classes = 1"), "model.classes is 1"),
    }
    for text, message in cases.values():
        (tmp_path / "own.toml").write_text(text)
        done = ssmq("train", *chosen, "--out", tmp_path / "other")
        assert done.code == 1 and message in done.err and done.err.count("\n") == 1
    (tmp_path / "own.toml").write_text(preset + "[model.input]\nbits = 8\nsigned = false\nexponent = -4\n")
    other = ssmq("train", *chosen, "--out", tmp_path, "--epochs", 1)
    assert other.code == 1 and "belongs to a training with another model.input.exponent (-5, not -4)" in other.err
    other = ssmq("train", *chosen, "--out", tmp_path, "--from", tmp_path / "float.safetensors")
    assert other.code == 1 and "has not the architecture" in other.err


def test_codes_of_16_bits_are_not_cut_to_8_unasked(tmp_path):
    chosen = made(tmp_path, "sequence", low=-5.0)
    with np.load(tmp_path / "data.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    np.savez(tmp_path / "data.npz", x=np.rint(1000 * x).astype(np.int16), y=y)
    done = ssmq("train", *chosen, "--out", tmp_path, "--epochs", 1)
    assert done.code == 1 and "keeps 8 bits of an input, the data has 16: set scheme.bits.input" in done.err
    preset = (tmp_path / "own.toml").read_text()
    for text in ("[scheme.bits]\ninput = 16\n", "[model.input]\nbits = 14\nsigned = true\nexponent = -10\n"):
        (tmp_path / "own.toml").write_text(preset + text)
        done = ssmq("train", *chosen, "--out", tmp_path / text.split()[0][1:-1], "--epochs", 1)
        assert done.code == 0, done.err
    assert "inputs of 14 bits signed times 2^-10" in done.out
