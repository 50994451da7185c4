"""Studies: declared rows, run once each, whatever happens to the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from ssmq_brevitas.config import Training, load_config, parse_config
from ssmq_brevitas.errors import Interrupted, SsmqError
from ssmq_study.row_files import Job, Settings, finished
from ssmq_study.rows import Row, load_study
from ssmq_study.runner import run_rows
from ssmq_study.study_tables import ranking, summary, tables

TINY = parse_config({"model": {"heads": 2, "modes": 1}, "train": {"float": {"epochs": 3, "batch": 512}}}, origin="test")
SETTINGS = Settings(test_images=50)
FLOAT = Row(name="float", seed=0, kind="float", config=TINY)
ALONE = Row(name="ptq-h16-a-8", seed=0, kind="paper-ptq", config=TINY, needs=FLOAT.id, quantiser={"component": "a", "bits": 8})
INTEGER = Row(name="ptq", seed=0, kind="ptq", config=TINY, needs=FLOAT.id)
BROKEN = Row(name="broken", seed=0, kind="ptq", config=TINY, needs="nobody-s0")
ROWS = {row.id: row for row in (FLOAT, ALONE, INTEGER, BROKEN)}


def test_the_declared_study_is_consistent():
    study = load_study("paper")
    rows = study.rows()
    assert len(rows) == sum(len(group.rows()) for group in study.groups), "two rows have one id"
    names = {row.name for row in rows.values()}
    assert set(study.paper) <= names and {entry.row for entry in study.headline} <= names
    assert all(row.needs is None or rows[row.needs].kind == "float" for row in rows.values())
    quick = study.selected(study.quick.rows)
    assert "float-h16-s0" in quick and not any("h64" in name for name in quick)
    bits = rows["qat-h64-continuous-a7-x6-s0"].config.scheme.bits
    assert (bits.a, bits.x, bits.linear, bits.activation, bits.bias) == (7, 6, 4, 6, 16)
    with pytest.raises(SsmqError, match="no row matches 'qat-h8-"):
        study.selected(["float-*", "qat-h8-*"])


def test_the_frontier_is_consistent():
    study = load_study("frontier")
    rows = study.rows()
    names = {row.name for row in rows.values()}
    assert len(rows) == sum(len(group.rows()) for group in study.groups), "two rows have one id"
    assert {row.needs for row in rows.values()} - {None} <= rows.keys()
    assert {entry.row for entry in study.figures} <= names
    assert {name for entry in study.ablations for name in (entry.row, entry.without)} <= names
    chain = study.selected(["2x16-staged-s0"])
    assert list(chain) == ["float-edge-2x16-s0", "2x16-wide-s0", "2x16-staged-s0"]
    for entry in study.ablations:
        pair = [rows[f"{name}-s0"].config for name in (entry.row, entry.without)]
        assert pair[0].model == pair[1].model and pair[0].train.qat.batch == pair[1].train.qat.batch


def test_a_row_starts_from_a_shipped_model_and_is_narrowed_by_the_next(tmp_path):
    shipped = load_config("edge-2x16")
    untrained = shipped.model_copy(update={"train": shipped.train.model_copy(update={"qat": Training(epochs=0)})})
    fewer = {**shipped.scheme.model_dump(), "bits": {"x": 6, "linear": 4}}
    narrow = parse_config({**untrained.model_dump(), "scheme": fewer}, origin="test")
    first = Row(name="float", seed=0, kind="float", config=shipped, pretrained=True)
    second = Row(name="wide", seed=0, kind="qat", config=untrained, needs=first.id)
    third = Row(name="narrow", seed=0, kind="ptq", config=narrow, needs=second.id)
    rows = {row.id: row for row in (first, second, third)}
    assert run_rows(rows, tmp_path, SETTINGS, None, 1) == []
    wide, less = (finished(tmp_path, rows[name], SETTINGS)["bytes"]["total"] for name in ("wide-s0", "narrow-s0"))
    assert less < wide


def test_rows_share_the_cores_unless_the_environment_says_how_many_threads(tmp_path, monkeypatch):
    started = []

    def start(*arguments, env, **options):
        started.append(env)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with pytest.raises(Interrupted):
        run_rows({FLOAT.id: FLOAT}, tmp_path, SETTINGS, None, 2)
    assert [(env["OMP_NUM_THREADS"], env["NUMBA_NUM_THREADS"]) for env in started] == [("3", "4")]


def test_rows_survive_a_kill_run_once_and_fail_alone(tmp_path):
    folder = tmp_path / FLOAT.id
    folder.mkdir()
    (folder / "job.json").write_text(Job(row=FLOAT, settings=SETTINGS).model_dump_json())
    log = folder / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", "ssmq_study.worker", tmp_path, FLOAT.id], stdout=file)
        until = time.monotonic() + 300
        while "epoch 1:" not in log.read_text() and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert finished(tmp_path, FLOAT, SETTINGS) is None and (folder / "state.safetensors").is_file()

    seen = []
    assert run_rows(ROWS, tmp_path, SETTINGS, None, 2, lambda *event: seen.append(event[:2])) == [BROKEN.id]
    told = log.read_text()
    assert told.count("epoch 1:") == told.count("epoch 3:") == 1, "it began again instead of going on"
    assert not (folder / "state.safetensors").exists()
    assert seen.index((FLOAT.id, "finished")) < seen.index((ALONE.id, "running"))
    assert "error:" in (tmp_path / BROKEN.id / "log.txt").read_text()

    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")}
    done = {name: row for name, row in ROWS.items() if row is not BROKEN}
    assert len(stamps) == 3 and run_rows(done, tmp_path, SETTINGS, None, 1) == []
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}

    results = [finished(tmp_path, row, SETTINGS) for row in done.values()]
    assert [result["images"] for result in results] == [50] * 3
    assert results[2]["engine"] == "integer" and results[1]["bytes"] is None
    found = json.loads(json.dumps(summary(load_study("paper"), results)))
    assert ranking(found) == ["a"] and {row["paper"] for row in found["rows"]} == {None, 72}
    assert tables(found)[0].rows[0][2].endswith("(72)")
    with pytest.raises(SsmqError, match="the result of another definition or other data"):
        finished(tmp_path, FLOAT, Settings())
