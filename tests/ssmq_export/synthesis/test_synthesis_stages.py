"""A stage is whole or not there, and done again when what it was made from has changed."""

from __future__ import annotations

import pytest
from ssmq_export.errors import ExportError
from ssmq_export.synthesis import tools
from ssmq_export.synthesis.flow import Sources
from ssmq_export.synthesis.stages import stage


def test_a_stage_is_kept_until_its_inputs_change(tmp_path):
    made = []

    def make(work):
        made.append((work / "given").read_bytes())
        (work / "result").write_bytes(made[-1].upper())

    for content, about in ((b"a", "1"), (b"a", "1"), (b"b", "1"), (b"b", "2"), (b"b", "2")):
        stage(tmp_path / "stage", {"given": content}, about, make)
    assert made == [b"a", b"b", b"b"]
    assert (tmp_path / "stage" / "result").read_bytes() == b"B"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_what_fails_leaves_what_was_there(tmp_path):
    def fails(work):
        (work / "result").write_bytes(b"half")
        raise ExportError("no")

    stage(tmp_path / "stage", {}, "1", lambda work: (work / "result").write_bytes(b"whole"))
    for about in ("2", "1"):
        if about == "2":
            with pytest.raises(ExportError):
                stage(tmp_path / "stage", {}, about, fails)
        assert (tmp_path / "stage" / "result").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
    assert not stage(tmp_path / "stage", {}, "1", fails)


def test_a_missing_program_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(tools.PROGRAMS, "icepack", ("yowasp-nothing", "yowasp_nothing", "run"))
    with pytest.raises(ExportError, match=r"^yowasp-nothing: not installed: pip install 'ssmq-brevitas\[hw\]'$"):
        tools.require(("icepack",))


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
REFUSED = "import sys; print('Info: x'); print('ERROR: no such bel'); sys.exit(1)"


@pytest.mark.parametrize(("text", "message"), [(KILLED, "ended by SIGKILL"), (REFUSED, "no such bel")])
def test_a_program_that_is_killed_or_fails_is_one_line(tmp_path, monkeypatch, text, message):
    (tmp_path / "broken_tool.py").write_text(f"def run(words):\n    exec({text!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(tools.PROGRAMS, "icepack", ("broken", "broken_tool", "run"))
    with pytest.raises(ExportError) as error:
        tools.run("icepack", [], tmp_path)
    assert str(error.value) == f"icepack: {message}"


@pytest.mark.parametrize("name", ["a.sv; exec x", "../a.sv", "a b.sv", "a.tcl", "-a.sv"])
def test_a_name_that_is_no_sources_reaches_no_script(name):
    with pytest.raises(ExportError, match="no name of a source"):
        Sources("top", {name: b""})
