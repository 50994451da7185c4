"""The files of a row, and the processes that make them: whose result it is, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from mutations import mutated
from ssmq_brevitas.config import parse_config
from ssmq_brevitas.errors import SsmqError
from ssmq_study import worker
from ssmq_study.report.kinds import load_result
from ssmq_study.row_files import Job, Settings, finished, read_job, start_hash
from ssmq_study.rows import Row, load_study
from ssmq_study.study_tables import summary

CONFIG = parse_config({"model": {"heads": 2, "modes": 1}}, origin="test")
ROW = Row(name="narrow", seed=0, kind="ptq", config=CONFIG, needs="wide-s0")
SETTINGS = Settings(data_hash="abc", test_images=50)
RESULT = {
    "id": ROW.id, "name": ROW.name, "seed": 0, "engine": "integer", "accuracy": 0.5, "validation": 0.5, "images": 50,
    "data": {"name": "MNIST", "source": "embedded", "train": 5, "validation": 5, "test": 50},
    "bytes": {"parameters": 10.0, "state": 2.0, "total": 12.0, "fp32_total": 40.0}, "epochs": [0.25, 0.5],
    "seconds": 1.5, "start": None, "row": ROW.model_dump(mode="json"), "settings": SETTINGS.model_dump(mode="json"),
}  # fmt: skip


def written(out, **changes) -> None:
    (out / ROW.id).mkdir(exist_ok=True)
    (out / ROW.id / "result.json").write_text(json.dumps({**RESULT, **changes}))


def test_a_result_belongs_to_definition_data_and_start(tmp_path):
    written(tmp_path)
    assert finished(tmp_path, ROW, SETTINGS)["accuracy"] == 0.5
    for row, shared in (
        (ROW, SETTINGS.model_copy(update={"data_hash": "abd"})),
        (ROW.model_copy(update={"reconstruct": True}), SETTINGS),
    ):
        with pytest.raises(SsmqError, match="the result of another definition or other data"):
            finished(tmp_path, row, shared)
    (tmp_path / "wide-s0").mkdir()
    (tmp_path / "wide-s0" / "model.safetensors").write_bytes(b"one")
    written(tmp_path, start=start_hash(tmp_path, ROW))
    assert finished(tmp_path, ROW, SETTINGS)
    (tmp_path / "wide-s0" / "model.safetensors").write_bytes(b"two")
    with pytest.raises(SsmqError, match="the result of another model to start from"):
        finished(tmp_path, ROW, SETTINGS)


def test_a_row_is_not_run_on_other_data_than_the_study_s(tmp_path, capsys):
    row = Row(name="float", seed=0, kind="float", config=CONFIG)
    (tmp_path / row.id).mkdir()
    job = Job(row=row, settings=Settings(data_hash="0" * 64))
    (tmp_path / row.id / "job.json").write_text(job.model_dump_json())
    assert worker.main(tmp_path, row.id) == 1
    assert "not what the study was started with" in capsys.readouterr().out
    assert not (tmp_path / row.id / "result.json").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\nb", "..", "", ".x", "a..b", "x" * 200])
def test_a_row_s_name_stays_in_its_folder(tmp_path, name):
    with pytest.raises(ValueError, match="name"):
        Row(name=name, seed=0, kind="float", config=CONFIG)
    (tmp_path / "good-s0").mkdir()
    job = Job(row=Row(name="good", seed=0, kind="float", config=CONFIG), settings=SETTINGS)
    text = job.model_dump_json()
    (tmp_path / "good-s0" / "job.json").write_text(text.replace('"good"', json.dumps(name)))
    with pytest.raises(SsmqError, match="job.json: not the job of a row: row.name"):
        read_job(tmp_path, "good-s0")
    (tmp_path / "good-s0" / "job.json").write_text(text.replace('"good"', '"other"'))
    with pytest.raises(SsmqError, match="job.json: the job of the row other-s0"):
        read_job(tmp_path, "good-s0")


def test_a_configuration_that_its_task_refuses_is_told_with_the_file(tmp_path):
    (tmp_path / ROW.id).mkdir()
    job = json.loads(Job(row=ROW, settings=SETTINGS).model_dump_json())
    job["row"]["config"]["task"]["kind"] = "step"
    job["row"]["config"]["train"]["qat"]["shift"] = 1
    (tmp_path / ROW.id / "job.json").write_text(json.dumps(job))
    with pytest.raises(SsmqError, match="job.json: not the job of a row: shift moves sequences, .*: set it to 0"):
        read_job(tmp_path, ROW.id)


def test_a_result_says_of_which_row_it_is(tmp_path):
    written(tmp_path, name="other")
    with pytest.raises(SsmqError, match="result.json: not a result of a study .*: id, name and seed are those of the row"):
        finished(tmp_path, ROW, SETTINGS)


def test_a_damaged_job_is_one_line_in_the_log(tmp_path, capsys):
    folder = tmp_path / ROW.id
    folder.mkdir()

    @settings(max_examples=100)
    @given(mutated(json.loads(Job(row=ROW, settings=SETTINGS).model_dump_json())))
    def tried(content: bytes):
        (folder / "job.json").write_bytes(content)
        try:
            read_job(tmp_path, ROW.id)
        except SsmqError as error:
            assert "job.json" in str(error) and "\n" not in str(error)

    tried()
    assert worker.main(tmp_path, "nowhere-s0") == 1
    assert "nowhere-s0/job.json: no such file" in capsys.readouterr().out


def test_a_damaged_result_is_refused_or_makes_tables(tmp_path):
    written(tmp_path)
    study = load_study("frontier")

    @settings(max_examples=100)
    @given(mutated(RESULT))
    def tried(content: bytes):
        (tmp_path / ROW.id / "result.json").write_bytes(content)
        try:
            found = finished(tmp_path, ROW, SETTINGS)
        except SsmqError as error:
            assert "result.json" in str(error) and "\n" not in str(error)
            return
        (tmp_path / "study.json").write_text(json.dumps(summary(study, [found]), allow_nan=False))
        assert "| row |" in load_result(tmp_path / "study.json").text() or found["bytes"] is None

    tried()


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str({parent})], stdout=sys.stdout, start_new_session=True)
time.sleep({seconds})
"""
CHILD = """
import os, sys, time
from ssmq_study.ending import end_with_parent
try:
    end_with_parent(int(sys.argv[1]))
    print("working", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's end on Linux alone")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_ends_with_its_study_however_that_ends(sent):
    script = PARENT.format(parent="__import__('os').getpid()", seconds=60)
    with subprocess.Popen([sys.executable, "-c", script, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "working\n"
        parent.send_signal(sent)
        # The child has the other end of the pipe: it is read to its end when both are gone.
        assert parent.stdout.read() == "ended\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's end on Linux alone")
def test_a_worker_whose_study_ended_before_it_began_ends_too():
    script = PARENT.format(parent=1 if os.getpid() != 1 else 2, seconds=60)
    with subprocess.Popen([sys.executable, "-c", script, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "ended\n"
        parent.kill()


def test_what_does_not_end_is_killed_with_all_that_it_started(monkeypatch):
    from ssmq_study import ending

    monkeypatch.setattr(ending, "PATIENCE", 1.0)
    deaf = "import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    deaf += "subprocess.Popen(['sleep', '60']); print('working', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    ending.end_all([process])
    assert process.returncode == -signal.SIGKILL and process.stdout.read() == b"", "its child holds the pipe no more"
    process.stdout.close()
