"""What a user's process has set is as it was after a call into the libraries, and changes nothing that they make."""

from __future__ import annotations

import os

import matplotlib
import pytest
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.plots import accuracy_against_bytes, picture
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.engines import run_steps, run_whole

ROWS = [{"stage": "float $x$", "accuracy": 0.9, "bytes": {"total": 14_000}}]
MINE = {"axes.facecolor": "black", "font.size": 20, "text.parse_math": True, "svg.hashsalt": "mine", "backend": "svg"}


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_picture_is_the_same_whatever_the_style_of_the_process_which_it_leaves(tmp_path, kind):
    accuracy_against_bytes(ROWS, "title", tmp_path / f"plain.{kind}")
    with matplotlib.rc_context(MINE):
        before = dict(matplotlib.rcParams)
        accuracy_against_bytes(ROWS, "title", tmp_path / f"styled.{kind}")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / f"plain.{kind}").read_bytes() == (tmp_path / f"styled.{kind}").read_bytes()


def test_a_picture_that_fails_is_not_written(tmp_path):
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "a.png", (1, 1)):
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir()) and dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("before", [None, "1"])
def test_engines_leave_the_environment(monkeypatch, before):
    monkeypatch.delenv("SANITIZE_QUANT_TENSORS", raising=False)
    if before is not None:
        monkeypatch.setenv("SANITIZE_QUANT_TENSORS", before)
    environment = dict(os.environ)
    step = step_graph(small_model(small_config(model={"layers": 1}))[1].network)
    codes = small_codes(2).numpy()
    run_steps(step, codes[:, :2], [])
    run_whole(collapse(lower(step)), codes, [])
    assert dict(os.environ) == environment
