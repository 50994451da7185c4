"""Signals: what is running ends, its children with it, and the exit code says how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_files import small_files
from ssmq_export import finn, hls4ml

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
SSMQ = [sys.executable, "-c", "from ssmq_cli.main import main; main()"]
ENDING = [signal.SIGTERM, signal.SIGHUP]
SECONDS = 120


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return small_files(tmp_path_factory.mktemp("signals") / "made", "small")


def started(*arguments: object, **options) -> subprocess.Popen:
    words = [*SSMQ, *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def until(happened):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError("did not happen")


def children(pid: int) -> set[int]:
    """All processes below ``pid`` that live, as far down as there are any."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            parents[int(status.parent.name)] = int(parent)
    found, waiting = set(), {pid}
    while waiting:
        waiting = {child for child, parent in parents.items() if parent in waiting} - found
        found |= waiting
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_a_signal_during_the_imports_is_no_traceback(tmp_path, number):
    """A module that the commands import sends it."""
    (tmp_path / "packaging.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n")
    paths = [str(tmp_path), *sys.path]
    process = started("--help", env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    out, told = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, told) == (128 + number, "", "error: interrupted\n")


def test_an_interrupt_during_a_workers_imports_is_heeded(tmp_path):
    """Whatever a module that it imports makes of it, which here is nothing."""
    text = f"import os, time\ntry:\n    os.kill(os.getpid(), {int(signal.SIGINT)})\nexcept KeyboardInterrupt:\n    pass\n"
    (tmp_path / "torch.py").write_text(f"{text}time.sleep(60)\n")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-m", "ssmq_study.worker", "out", "row"], env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == -signal.SIGINT


@pytest.mark.parametrize("number", ENDING)
def test_a_training_that_is_ended_goes_on_later(made, tmp_path, number):
    data = ["--dataset", f"npz:{made / 'data.npz'}", "--epochs", 100_000]
    process = started("train", "--preset", made / "own.toml", "--out", tmp_path / "a", *data)
    until((tmp_path / "a" / "float-state.safetensors").exists)
    process.send_signal(number)
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + number and told == "error: interrupted; the same command goes on from here\n"
    assert not (tmp_path / "a" / "float.safetensors").exists() and (tmp_path / "a" / "float-state.safetensors").exists()


COMMANDS = {
    # A row that trains for minutes: one that ends of itself would leave a result.
    "study": ["study", "paper", "--rows", "float-h64-s1", "--out", "OUT"],
    "finn": ["finn", "dataflow.onnx", "--out", "OUT"],
    "hls4ml": ["hls4ml", "step.onnx", "--out", "OUT", "--dataset", "npz:data.npz"],
}
INSTALLED = {"study": True, "finn": finn.available(), "hls4ml": hls4ml.available()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", COMMANDS)
def test_children_end_with_their_parent(made, tmp_path, command, number):
    if not INSTALLED[command]:
        pytest.skip(f"{command} is not installed")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = [word.replace("OUT", str(tmp_path / "out")) for word in COMMANDS[command]]
    process = started(*words, cwd=made, env={**os.environ, "TMPDIR": str(temporary)})
    found = until(lambda: children(process.pid) or process.poll() is not None and {0})
    assert found != {0}, process.communicate()
    time.sleep(1)  # a worker, or a compiler, at work
    found |= children(process.pid)
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    until(lambda: not any(map(lives, found)))
    # They were ended; what ended of itself would have left its work.
    assert not list((tmp_path / "out").rglob("result.json")) and (command == "study" or not (tmp_path / "out").exists())
    if number != signal.SIGKILL:
        left = {path.name for path in (*temporary.iterdir(), *tmp_path.glob(".*"))} - {".ses"}  # ONNX Runtime's own
        assert not left


def test_a_hangup_that_is_ignored_stays_ignored(made):
    process = started("view", made / "step.onnx", "--no-browser", "--port", 0, preexec_fn=ignore_hangup)
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 143 and not told


def ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.parametrize("words", [["check", "step.onnx", "--json"], ["check", "step.onnx"], ["--help"]])
def test_a_reader_that_has_enough_is_no_error(made, words):
    process = started(*words, cwd=made)
    process.stdout.close()
    with process:
        told = process.stderr.read()
        assert process.wait(timeout=SECONDS) != 0 and not told
