"""Files that appear whole: kills, full disks, planted links; folders that one process works in."""

from __future__ import annotations

import os
import resource
import select
import signal
from pathlib import Path

import pytest
from ssmq_brevitas import files
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import read_whole, sole_use, write_whole


def in_a_child(work) -> int:
    """The process id of a child that does ``work`` and exits with 0, or 1 if it raises."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_clears_up(tmp_path, monkeypatch):
    path = tmp_path / "model"
    write_whole(path, b"old")
    (tmp_path / ".model.notes").write_bytes(b"a user's")

    def killed():
        files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_whole(path, b"new")

    _, status = os.waitpid(in_a_child(killed), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert path.read_bytes() == b"old" and len(names(tmp_path)) == 3
    write_whole(path, b"newer")
    assert path.read_bytes() == b"newer" and names(tmp_path) == {"model", ".model.notes"}


def test_a_writer_at_work_is_not_taken_for_a_left_over(tmp_path):
    path, (ready, go), (there, told) = tmp_path / "model", os.pipe(), os.pipe()
    replace = os.replace

    def slow():
        def wait(*names):
            os.write(told, b".")
            os.read(ready, 1)
            replace(*names)

        files.os.replace = wait
        write_whole(path, b"slow")

    child = in_a_child(slow)
    os.read(there, 1)
    write_whole(path, b"fast")
    os.write(go, b".")
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_bytes() == b"slow" and names(tmp_path) == {"model"}


def test_a_planted_link_is_neither_followed_nor_removed(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"kept")
    link = tmp_path / ".model.0123abcd"
    link.symlink_to(tmp_path / "secret")
    write_whole(tmp_path / "model", b"one")
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "0123abcd")
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "model", b"two")
    assert caught.value.filename == str(tmp_path / "model")
    assert (tmp_path / "secret").read_bytes() == b"kept" and link.is_symlink()
    assert (tmp_path / "model").read_bytes() == b"one"


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "model"
    write_whole(path, b"old")

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_whole(path, bytes(2000))
        except OSError as error:
            os._exit(0 if error.filename == str(path) else 2)
        os._exit(3)

    assert os.waitpid(in_a_child(full), 0)[1] == 0
    assert path.read_bytes() == b"old" and names(tmp_path) == {"model"}


def test_a_folder_in_use_is_refused_until_the_process_is_gone(tmp_path):
    folder, (there, told) = tmp_path / "out", os.pipe()

    def hold():
        with sole_use(folder):
            os.write(told, b".")
            signal.pause()

    child = in_a_child(hold)
    os.read(there, 1)
    with pytest.raises(SsmqError, match="out: another process is at work in this folder"), sole_use(folder):
        pass

    def wait():
        with sole_use(folder, wait=True):
            os.write(told, b"w")

    waiting = in_a_child(wait)
    assert not select.select([there], [], [], 0.2)[0], "it waits"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.read(there, 1) == b"w"
    os.waitpid(waiting, 0)
    with sole_use(folder):
        assert names(folder) == set()


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "large").write_bytes(bytes(11))
    for name, message in (
        ("missing", "no such thing"),
        ("", "no such thing"),
        ("large", "11 bytes are more than the 10"),
        ("x" * 5000, r"cannot be read \(File name too long\)"),
    ):
        with pytest.raises(SsmqError, match=message):
            read_whole(tmp_path / name, 10, "thing")
