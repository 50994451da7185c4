"""Models, widths and searches at their edges: they work, and what they write can be reported, or one message says why not."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import part, small_codes, small_config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_study import optuna_search
from ssmq_study.allocation import guided_front, guided_within
from ssmq_study.optuna_search import search
from ssmq_study.plots import heat_map
from ssmq_study.report.kinds import load_results
from ssmq_study.search_tables import write_front
from ssmq_study.sensitivity import Bench, sensitivity
from ssmq_study.storage import sqlite


def bench(change=lambda model: None, **model) -> tuple[Bench, object]:
    config = small_config(model=model)
    torch.manual_seed(0)
    floating = Model.floating(config).eval()
    change(floating)
    parts = [part for seed in range(3) for part in (small_codes(20, seed), torch.arange(20) % 3)]
    return Bench(floating, SequenceData("noise", "made here", *parts), 20), config


@pytest.mark.parametrize("widths", [[1], [16], [1, 2]])
def test_one_head_one_mode_and_widths_at_the_edges(tmp_path, widths):
    found, config = bench(layers=1, heads=1, modes=1)
    told = sensitivity(found, config, widths)
    heat_map(told, tmp_path / "map.png")
    (tmp_path / "sensitivity.json").write_text(json.dumps(told, allow_nan=False))
    first = guided_front(found, config, told, 2)
    candidates = search(found, config, widths, 2, sqlite(tmp_path / "a.db"), first=first)
    assert write_front(found, config, candidates, tmp_path)["front"]
    assert {result.kind for result in load_results(tmp_path) if result.text()} == {"sensitivity", "search"}
    with pytest.raises(SsmqError, match="a budget of 1 bytes is too small"):
        guided_within(found, config, told, 1)


def nothing(model) -> None:
    model.network.decoder.weight.data.zero_()
    model.network.decoder.bias.data.zero_()


def no_number(model) -> None:
    model.network.encoder.weight.data.fill_(float("nan"))


def too_large(model) -> None:
    model.network.encoder.weight.data.fill_(1e38)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nothing, "the float model's logits are all 0"),
        (no_number, "encoder.weight: holds values that are no finite numbers"),
        (too_large, "blocks.0.ssm_quant: the float network's values here are not finite"),
    ],
)
def test_a_model_that_says_nothing_is_refused(change, message):
    with pytest.raises(SsmqError, match=message):
        bench(change, layers=1)


def test_eigenvalues_on_the_circle_have_a_finite_memory():
    found, config = bench(layers=1)
    part(found.floating, "blocks.0.ssm").log_a_re.data.fill_(-60.0)
    told = sensitivity(found, config, [8])
    assert told["layers"][0]["memory"] == 2.0**52 and json.dumps(told, allow_nan=False)


def test_a_search_whose_trials_all_fail_ends_with_what_was_known(tmp_path, monkeypatch):
    found, config = bench(layers=1, heads=1, modes=1)
    first = guided_front(found, config, sensitivity(found, config, [4, 8]), 2)

    def refused(*arguments):
        raise SsmqError("not to be built")

    monkeypatch.setattr(optuna_search, "candidate", refused)
    assert search(found, config, [4, 8], 3, sqlite(tmp_path / "a.db"), first=first) == first
