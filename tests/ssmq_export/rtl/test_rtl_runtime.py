"""What Verilator compiles for every design is compiled once, for one compiler and one set of flags."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ssmq_export.rtl import runtime

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="apt install g++")


@pytest.fixture
def program(tmp_path, monkeypatch) -> Path:
    """A program with the source of its runtime, and an empty place for what is kept."""
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "package" / "runtime.py"))
    for folder in ("bin", "include", "package"):
        (tmp_path / folder).mkdir()
    (tmp_path / "include" / "verilated.cpp").write_text("// one version")
    return tmp_path / "bin" / "verilator"


def built(program: Path, folder: Path, flags: tuple[str, ...], content: str) -> str:
    """What make was told, in a build that compiles only what it does not find."""
    with runtime.runtime_kept(program, folder, flags) as told:
        if not told:
            (folder / "verilated.o").write_text(content)
        (folder / "design.o").write_text(content)
    return told


def test_an_object_serves_the_same_compiler_flags_and_version(program, tmp_path):
    assert built(program, tmp_path / "a", (), "first") == ""
    assert built(program, tmp_path / "b", (), "second") == "-o verilated.o"
    assert (tmp_path / "b" / "verilated.o").read_text() == "first" and (tmp_path / "b" / "design.o").read_text() == "second"
    assert built(program, tmp_path / "c", ("-CFLAGS", "-DTRACE"), "third") == ""
    (tmp_path / "include" / "verilated.cpp").write_text("// another version")
    assert built(program, tmp_path / "d", (), "fourth") == ""


def test_a_build_that_fails_keeps_nothing(program, tmp_path):
    with pytest.raises(OSError), runtime.runtime_kept(program, tmp_path / "a", ()):
        (tmp_path / "a" / "verilated.o").write_text("half")
        raise OSError
    assert built(program, tmp_path / "b", (), "whole") == ""


def test_where_nothing_can_be_written_it_is_compiled_every_time(program, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "include" / "verilated.cpp" / "runtime.py"))
    assert [built(program, tmp_path / name, (), name) for name in "ab"] == ["", ""]
