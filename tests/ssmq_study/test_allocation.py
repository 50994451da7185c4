"""Widths under a budget: the integer program against trying everything; one Optuna study shared by two processes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.config import load_config
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Classifier
from ssmq_study.allocation import allocate, total_bytes
from ssmq_study.sensitivity import Effect

CONFIG = small_config(model={"layers": 1})
SSMQ = [sys.executable, "-c", "from ssmq_cli.main import main; main()"]


@settings(max_examples=15)
@given(st.lists(st.floats(1e-4, 1), min_size=9, max_size=9), st.floats(0, 1))
def test_no_scheme_within_the_budget_has_a_smaller_expected_error(errors, share):
    tensors, widths = ("a", "x", "linear"), (4, 6, 8)
    effects = [Effect("", None, 0, 1.0, 0.0)]
    effects += [Effect(t, None, w, 0.5, e) for (t, w), e in zip(itertools.product(tensors, widths), errors, strict=True)]
    error = {(e.tensor, e.bits): e.error for e in effects}
    schemes = {}
    for chosen in itertools.product(widths, repeat=3):
        bits = CONFIG.scheme.bits.model_copy(update=dict(zip(tensors, chosen, strict=True)))
        schemes[chosen] = total_bytes(CONFIG, bits), sum(error[t, w] ** 2 for t, w in zip(tensors, chosen, strict=True))
    sizes = [size for size, _ in schemes.values()]
    budget = min(sizes) + share * (max(sizes) - min(sizes))
    found = allocate(effects, CONFIG, budget)
    assert found.bytes <= budget
    best = min(loss for size, loss in schemes.values() if size <= budget)
    assert schemes[tuple(getattr(found.bits, t) for t in tensors)][1] == pytest.approx(best, rel=1e-6)


def test_a_budget_out_of_reach_is_refused():
    effects = [Effect("", None, 0, 1.0, 0.0), Effect("a", None, 4, 0.5, 0.1)]
    with pytest.raises(SsmqError, match="10 bytes are too few: the narrowest widths tried take [0-9]+"):
        allocate(effects, CONFIG, 10)


@pytest.fixture
def checkpoint(tmp_path):
    config = load_config("edge-2x16")
    shape = {"length": 49, "layers": 1, "heads": 4, "modes": 2}
    config = config.model_copy(update={"model": config.model.model_copy(update=shape)})
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "float.safetensors", Classifier(config.model).eval(), config)
    return tmp_path / "float.safetensors"


def ssmq(*arguments):
    return [*SSMQ, *map(str, arguments)]


DATA = ("--downsample", 4, "--images", 20, "--widths", "8,4")


def test_found_schemes_are_presets(checkpoint, tmp_path):
    out = tmp_path / "found"
    done = subprocess.run(
        ssmq("search", checkpoint, "--out", out, "--budget", 300, "--budget", 400, *DATA), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    front = json.loads((out / "front.json").read_text())["front"]
    assert 0 < front[0]["bytes"] <= 300 and front[-1]["bytes"] <= 400 and (out / "front.png").exists()
    for row in front:
        (preset,) = [path for path in out.glob("*.toml") if path.stem == f"{row['bytes']:.0f}-bytes"]
        config = load_config(preset)
        assert config.scheme.bits.model_dump() == row["bits"]
        assert total_bytes(config, config.scheme.bits) == row["bytes"]


def test_two_processes_share_one_study(checkpoint, tmp_path):
    import optuna

    url = f"sqlite:///{tmp_path / 'study.db'}"
    name = load_config("edge-2x16").name
    optuna.create_study(study_name=name, storage=url, directions=["maximize", "minimize"])
    commands = [
        ssmq("search", checkpoint, "--out", tmp_path / f"out{k}", "--trials", 3, "--storage", url, "--seed", k, *DATA)
        for k in (0, 1)
    ]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) for command in commands]
    assert [worker.wait() for worker in workers] == [0, 0], [worker.stderr.read() for worker in workers]
    study = optuna.load_study(study_name=name, storage=url)
    assert len(study.trials) == 6 and all(trial.values is not None for trial in study.trials)
    assert Path(tmp_path / "out1" / "front.json").exists()
