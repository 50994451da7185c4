"""Trainings that must not go on: another command's folder, another process's, other data's model, no numbers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import load_config
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import sole_use
from ssmq_brevitas.zoo import locate
from ssmq_cli import export, footprint, run, train
from ssmq_cli.run import _float_model
from typer.testing import CliRunner

app = typer.Typer()
for module in (export, footprint, run, train):
    app.command(module.NAME)(module.command)
SSMQ = str(Path(sys.executable).parent / "ssmq")
TINY = """
[model]
heads = 2
modes = 2
length = 49
[train.float]
epochs = {epochs}
batch = 500
learning_rate = {rate}
"""


def ssmq(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments), "--downsample", "4"])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def presets(tmp_path) -> Path:
    for name, epochs, rate in (("a", 1, 0.01), ("b", 1, 0.02), ("long", 1000, 0.01), ("wild", 1, 1e5)):
        (tmp_path / f"{name}.toml").write_text(TINY.format(epochs=epochs, rate=rate))
    return tmp_path


def refused(done, message: str) -> None:
    assert isinstance(done.exception, SsmqError), done.output
    assert message in str(done.exception)


def test_a_folder_is_one_trainings(presets):
    out = presets / "out"
    assert ssmq("train", "--preset", presets / "a.toml", "--out", out).exit_code == 0
    before = contents(out)
    assert set(before) == {"float.safetensors", "log.csv"}
    other = ssmq("train", "--preset", presets / "b.toml", "--out", out)
    refused(other, "float.safetensors: belongs to a training with another training.learning_rate (0.01, not 0.02)")
    refused(
        ssmq("train", "--preset", presets / "a.toml", "--out", out, "--permute", "1"), "belongs to a training of other data"
    )
    refused(ssmq("run", "--preset", presets / "b.toml", "--out", out), "belongs to a training with another")
    with sole_use(out):
        refused(ssmq("train", "--preset", presets / "a.toml", "--out", out), "out: another process is at work in this folder")
    again = ssmq("train", "--preset", presets / "a.toml", "--out", out)
    assert again.exit_code == 0
    assert contents(out) == before


def test_a_stopped_training_is_not_gone_on_by_another_command(presets):
    out = presets / "out"
    command = [SSMQ, "train", "--preset", str(presets / "long.toml"), "--out", str(out), "--downsample", "4"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "float-state.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=240) == 130
    before = contents(out)
    refused(
        ssmq("train", "--preset", presets / "a.toml", "--out", out), "float-state.safetensors: belongs to a run of 9000 steps"
    )
    refused(
        ssmq("run", "--preset", presets / "b.toml", "--out", out), "float-state.safetensors: belongs to a training with another"
    )
    assert contents(out) == before


def test_a_training_that_diverges_ends_with_a_remedy_and_without_a_checkpoint(presets):
    done = ssmq("train", "--preset", presets / "wild.toml", "--out", presets / "out")
    refused(done, "training diverged at step")
    assert "lower learning_rate (100000)" in str(done.exception)
    assert not list((presets / "out").glob("*.safetensors"))


def test_a_model_that_is_there_is_given_its_data_and_no_advice_about_files(presets):
    refused(
        ssmq("export", "zoo:edge-4x10n4-w4a6", "--out", presets / "x"),
        "not 49 steps: give the data that it was trained on (--dataset",
    )
    refused(ssmq("train", "--out", presets / "x"), "not 49 steps: set length in a TOML file")
    table = CliRunner(env={"COLUMNS": "150"}).invoke(app, ["footprint", "zoo:edge-4x10n4-w4a6"])
    assert "zoo/edge-4x10n4-w4a6" in table.output and "edge-4x16" not in table.output


def test_a_shipped_float_model_serves_the_data_that_it_was_trained_on(tmp_path):
    config = load_config("edge-2x16")
    untrained = config.train.floating.model_copy(update={"epochs": 0})
    config = config.model_copy(update={"train": config.train.model_copy(update={"floating": untrained})})
    shipped = load_checkpoint(locate("zoo:edge-2x16"))[0].network.decoder.weight
    assert torch.equal(_float_model(config, load_data(), tmp_path / "a", 0).network.decoder.weight, shipped)
    assert not (tmp_path / "a").exists()
    assert not torch.equal(_float_model(config, load_data(permute=1), tmp_path / "b", 0).network.decoder.weight, shipped)
    assert (tmp_path / "b" / "float.safetensors").exists()
