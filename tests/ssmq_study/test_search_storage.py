"""The storage of a search: killed anywhere and repeated it ends as if it had not been, and its address stays its own."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pytest
import torch
from conftest import small_codes, small_config, small_model
from optuna.trial import TrialState
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_study import optuna_search
from ssmq_study.allocation import guided_front
from ssmq_study.optuna_search import search
from ssmq_study.sensitivity import Bench, sensitivity
from ssmq_study.storage import open_study, sqlite

TRIALS, WIDTHS, KILLED = 13, [4, 8], 9  # past the ten that TPE draws at random


def data(seed: int = 0) -> SequenceData:
    parts = [part for k in range(3) for part in (small_codes(40, seed + k), torch.arange(40) % 3)]
    return SequenceData("noise", "made here", *parts)


@pytest.fixture(scope="module")
def known():
    config = small_config(model={"activation": "relu", "layers": 1}, scheme={"parameterisation": "frozen"})
    bench = Bench(small_model(config)[0], data(), 40)
    return bench, config, guided_front(bench, config, sensitivity(bench, config, WIDTHS, by_tensor=False), 3)


@pytest.fixture
def cheap(known, monkeypatch):
    """What a trial measures, drawn by its scheme: the search itself is looked at. Killed when ``left`` is used up."""
    calls = {"left": None, "count": 0}

    def candidate(bench, config, cost):
        calls["count"] += 1
        if calls["left"] is not None:
            calls["left"] -= 1
            if calls["left"] < 0:
                os._exit(KILLED)
        scheme = config.scheme.model_dump(mode="json")
        if scheme["bits"]["c"] == 4 and scheme["bits"]["d"] == 4:
            raise SsmqError("not to be built")
        drawn = np.random.default_rng(list(json.dumps(scheme).encode()))
        return {"scheme": scheme, "bytes": float(drawn.integers(100, 200)), "accuracy": drawn.random(), "error": 1.0}

    monkeypatch.setattr(optuna_search, "candidate", candidate)
    return calls


def found(known, storage: str, bench: Bench | None = None, trials: int = TRIALS, seed: int = 0) -> list[dict]:
    return search(bench or known[0], known[1], WIDTHS, trials, storage, seed, known[2])


def test_a_search_killed_at_any_trial_and_repeated_finds_the_same(known, cheap, tmp_path):
    verbosity = optuna.logging.get_verbosity()
    whole = found(known, sqlite(tmp_path / "whole.db"))
    assert optuna.logging.get_verbosity() == verbosity != optuna.logging.ERROR, "Optuna is as talkative as before"
    assert found(known, sqlite(tmp_path / "whole.db")) == whole and cheap["count"] == TRIALS, "nothing is tried again"
    for kill in (0, 3, TRIALS - 1):
        place = sqlite(tmp_path / f"{kill}.db")
        cheap["left"] = kill
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                found(known, place)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        (name,) = optuna.get_all_study_names(place)
        states = [trial.state for trial in open_study(name, place).trials]
        assert states.count(TrialState.RUNNING) == 1 and len(states) == len(known[2]) + kill + 1
        cheap["left"] = None
        assert found(known, place) == whole, kill
        assert TrialState.RUNNING not in {trial.state for trial in open_study(name, place).trials}


def test_other_data_of_equal_size_are_another_search(known, cheap, tmp_path):
    place = sqlite(tmp_path / "a.db")
    found(known, place, trials=2)
    found(known, place, Bench(known[0].floating, data(9), 40), trials=2)
    assert len(optuna.get_all_study_names(place)) == 2 and cheap["count"] == 4


@pytest.mark.parametrize("name", ["a?b=c", "50%20", "#1", "{x}", "a b", "\N{GREEK SMALL LETTER ALPHA}", "a:b@c"])
def test_a_folder_may_have_any_name(tmp_path, name):
    (tmp_path / name).mkdir()
    open_study("s", sqlite(tmp_path / name / "search.db"))
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name / "search.db").is_file()


# SQLAlchemy's own word on one of them.
@pytest.mark.filterwarnings("ignore:Query string argument")
@pytest.mark.parametrize(
    "storage",
    [
        "postgresql+nothing://user:hunter2@host/db", "mysql://user:hunter2@host:port/db", "hunter2", "{hunter2}://x",
        "sqlite:////no/such/folder/search.db?password=hunter2", "redis://:hunter2@host", "sqlite://u:hunter2@h/x",
    ],
)  # fmt: skip
def test_no_password_is_told(known, storage, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(SsmqError, match="the storage") as refused:
        found(known, storage)
    assert "hunter2" not in str(refused.value)


def test_what_is_planned_is_tried_by_one_of_two_that_share_a_storage(tmp_path):
    """In step with each other; what both have claimed, both give back."""
    plan = [{"c": number} for number in range(12)]
    address, together = sqlite(tmp_path / "shared.db"), threading.Barrier(2)
    open_study("s", address)

    def claims() -> list[dict]:
        study = optuna.load_study(study_name="s", storage=address)
        found = []
        for _ in plan:
            trial = study.ask()
            together.wait()
            found.append(optuna_search._claimed(trial, plan))
            together.wait()
            # Only what has an end is known not to be claimed any more.
            study.tell(trial, [0.0, 0.0] if found[-1] else None, state=TrialState.COMPLETE if found[-1] else TrialState.FAIL)
        return found

    with ThreadPoolExecutor(2) as threads:
        one, other = [worker.result() for worker in [threads.submit(claims) for _ in range(2)]]
    claimed = [found["c"] for found in (*one, *other) if found]
    assert sorted(claimed) == sorted(set(claimed)) and len(claimed) > 6
