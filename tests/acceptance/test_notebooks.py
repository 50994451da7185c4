"""The notebooks run from top to bottom, their committed outputs are whole, and they import what a user may."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
OURS = ("ssmq_brevitas", "ssmq_export", "ssmq_cli", "ssmq_study", "ssmq_jit")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def python(source: str) -> str:
    """A cell without Jupyter's own lines; nothing of a cell of the shell or of a file."""
    lines = [] if source.startswith("%%") else source.splitlines()
    return "\n".join("" if line.startswith(("%", "!")) else line for line in lines)


def internals(source: str) -> list[str]:
    """Names of ours that ``source`` imports and that are not public."""
    found = []
    for node in ast.walk(ast.parse(python(source))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in OURS]
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in OURS:
            public = getattr(importlib.import_module(node.module), "__all__", ()) if "." not in node.module else ()
            names = [alias.name for alias in node.names if alias.name not in public]
            found += [f"{node.module}.{name}" for name in names]
    return found


@each
def test_only_public_names_are_imported(path):
    assert [name for cell in code(path) for name in internals(cell.source)] == []


@pytest.mark.parametrize(
    "line",
    [
        "from ssmq_brevitas.config import Scheme",
        "from ssmq_brevitas import errors",
        "from ssmq_brevitas.data import load_npz",
        "import ssmq_export.lowering as lowering",
        "def f():\n    from ssmq_study import table",
    ],
)
def test_an_internal_name_is_found(line):
    assert internals(f"%env A=1\n{line}")


@each
def test_committed_outputs_are_whole(path):
    cells = code(path)
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert not [output for output in outputs if output.output_type == "error"]
    # Colours, progress and folders of the machine that it ran on.
    text = "".join(output.get("text", "") for output in outputs)
    assert "\x1b" not in text and "/tmp/" not in text and str(Path.home()) not in text


@each
def test_no_failing_command_is_passed_over(path):
    shell = [cell.source.splitlines() for cell in code(path) if cell.source.startswith("%%sh")]
    assert all(len(lines) == 2 or lines[1] == "set -e" for lines in shell)
    # The exit code of a line of `!` is lost.
    assert not [cell for cell in code(path) if "!ssmq" in cell.source]


@pytest.mark.slow
@each
def test_notebook_runs(path, tmp_path, monkeypatch):
    # Jupyter started from the environment finds its `ssmq`.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
