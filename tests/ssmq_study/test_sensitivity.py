"""Sensitivity: a tensor alone, ranked; and the memory of the modes by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.data import SequenceData
from ssmq_study.sensitivity import Effect, modes, ranking, sensitivity, tensors_of


@pytest.fixture(scope="module")
def data():
    """Codes that a small model labels itself, so that the wide model is right on all of them."""
    config = small_config(model={"layers": 2})
    floating, _ = small_model(config)
    x = small_codes(40, seed=3)
    with torch.no_grad():
        y = floating(x).argmax(1)
    return floating, config, SequenceData("noise", "test", x, y, x, y, x, y)


def test_wide_loses_nothing_and_narrow_costs(data):
    effects = list(sensitivity(*data, widths=[2, 12], images=40))
    wide = effects[0]
    assert (wide.tensor, wide.bits) == ("", 0) and wide.accuracy == 1 and wide.error < 0.02
    assert {e.tensor for e in effects[1:]} == set(tensors_of(data[1]))
    at = {(e.tensor, e.bits): e for e in effects}
    for tensor in tensors_of(data[1]):
        assert at[tensor, 2].error >= at[tensor, 12].error
    assert at["x", 2].error > 10 * at["x", 12].error


def test_one_layer_at_a_time(data):
    effects = [e for e in sensitivity(*data, widths=[2], images=10, by_layer=True) if e.tensor == "x"]
    assert [e.layer for e in effects] == [None, 0, 1]
    assert all(e.error > 0 for e in effects) and effects[1].error != effects[2].error


def test_the_ranking_is_by_accuracy_lost_then_by_error():
    rows = [("", 1.0, 0.0), ("a", 0.2, 0.5), ("b", 0.9, 0.1), ("c", 0.9, 0.3)]
    effects = [Effect(name, None, 4 if name else 0, accuracy, error) for name, accuracy, error in rows]
    assert [name for name, _ in ranking(effects)] == ["a", "c", "b"]


def test_memory_by_hand():
    """Two modes: one decays to 0.9 a step, one stays within a 1/128 of the circle, which 8 bits round onto it."""
    floating, _ = small_model(small_config(model={"layers": 1, "heads": 1, "modes": 2}))
    ssm = floating.blocks[0].ssm
    with torch.no_grad():
        ssm.log_dt.zero_()
        ssm.a_im.zero_()
        ssm.log_a_re.copy_(torch.log(-torch.log(torch.tensor([[0.9, 0.999]]))))
    (found,) = modes(floating, [8, 4])
    assert found.radius == pytest.approx(0.999) and found.memory == pytest.approx(1000, rel=1e-3)
    # 0.999 * 128 = 127.87 saturates to 127; 0.9 * 128 = 115.2 -> 115, whose memory is 128 / 13.
    assert found.outside == {8: 0, 4: 0}
    assert found.moved[8] == pytest.approx(np.sort([1000 / 128, 10 / (128 / 13)])[0], rel=1e-3)


def test_the_command(tmp_path, capsys, monkeypatch):
    from ssmq_brevitas.config import load_config
    from ssmq_brevitas.model import Classifier
    from ssmq_cli.main import main

    config = load_config("edge-2x16")
    config = config.model_copy(update={"model": config.model.model_copy(update={"length": 49, "layers": 1})})
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "float.safetensors", Classifier(config.model).eval(), config)
    options = ["--downsample", "4", "--images", "20", "--widths", "8,2", "--plot", str(tmp_path / "heat.png"), "--json"]
    monkeypatch.setattr("sys.argv", ["ssmq", "sensitivity", str(tmp_path / "float.safetensors"), *options])
    with pytest.raises(SystemExit, match="^0$"):
        main()
    found = json.loads(capsys.readouterr().out)
    assert {"effects", "ranking", "modes"} <= found.keys() and found["images"] == 20
    assert len(found["effects"]) == 1 + 2 * len(found["ranking"])
    assert (tmp_path / "heat.png").stat().st_size > 5000
    monkeypatch.setattr("sys.argv", ["ssmq", "sensitivity", str(tmp_path / "float.safetensors"), "--widths", "8,x"])
    with pytest.raises(SystemExit, match="^1$"):
        main()
    assert "give numbers separated by commas" in capsys.readouterr().err
