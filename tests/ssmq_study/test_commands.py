"""The study's commands as they are called; what they compute is tested beside."""

from __future__ import annotations

import json

import pytest
from conftest import small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.zoo import zoo_models
from ssmq_cli.commands import app
from ssmq_cli.options import refuse_picture
from ssmq_export.errors import ExportError
from ssmq_study.cards import load_card
from typer.testing import CliRunner


def ssmq(*arguments) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_evaluate_lists_measures_and_refuses_another_number(tmp_path):
    name = next(iter(zoo_models()))
    assert f"zoo:{name} " in ssmq("evaluate", "--list")
    found = json.loads(ssmq("evaluate", f"zoo:{name}", "--json"))
    card = load_card(zoo_models()[name])
    (embedded,) = (entry for entry in card.measured if entry.data["source"] == "embedded")
    assert found == {
        "images": 1000, "correct": embedded.correct, "accuracy": embedded.correct / 1000, "bytes": card.bytes["total"],
    }  # fmt: skip
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(zoo_models()[name].read_bytes())
    ssmq("evaluate", mine, "--card", "ssmq train")
    written = tmp_path / "mine.json"
    assert load_card(mine).command == "ssmq train"
    written.write_text(written.read_text().replace(f'"correct": {embedded.correct}', '"correct": 1'))
    with pytest.raises(
        SsmqError, match=f"its card says of this data: 1 of 1,000 test images, 0.10 %; not {embedded.correct} of"
    ):
        ssmq("evaluate", mine, "--json")


def test_a_name_of_the_zoo_stands_for_a_checkpoint(tmp_path):
    name = next(iter(zoo_models()))
    assert json.loads(ssmq("footprint", f"zoo:{name}", "--json")) == load_card(zoo_models()[name]).bytes
    floating = json.loads(ssmq("footprint", "zoo:edge-2x16", "--json"))
    assert floating["total"] == floating["fp32_total"]
    with pytest.raises(SsmqError, match="a float model has no codes"):
        ssmq("export", "zoo:edge-2x16", "--out", tmp_path / "never")
    with pytest.raises(SsmqError, match=r"the model to start from \(edge-4x16\) has not the architecture of edge-2x16"):
        ssmq("train", "--from", f"zoo:{name}", "--preset", "edge-2x16", "--out", tmp_path / "never")
    with pytest.raises(SsmqError, match="zoo:nobody: not in the zoo"):
        ssmq("export", "zoo:nobody", "--out", tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_report_writes_the_page_and_the_readme(tmp_path):
    (tmp_path / "README.md").write_text("<!-- zoo -->\n<!-- /zoo -->\n")
    (tmp_path / "results").mkdir()
    ssmq("report", "--results", tmp_path / "results", "--out", tmp_path / "r.html", "--readme", tmp_path / "README.md")
    name = next(iter(zoo_models()))
    assert name in (tmp_path / "README.md").read_text() and name in (tmp_path / "r.html").read_text()


def test_study_names_its_rows(tmp_path):
    told = ssmq("study", "paper", "--rows", "qat-h64-w4a6-a8-x8-*", "--list", "--out", tmp_path / "none")
    assert "float-h64-s2" in told and "qat-h64-w4a6-a8-x8-s2" in told and "h16" not in told
    assert not (tmp_path / "none").exists()
    with pytest.raises(SsmqError, match="--quick uses the embedded data"):
        ssmq("study", "paper", "--quick", "--data-root", tmp_path, "--out", tmp_path / "none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--widths", "4,x"], "--widths must be numbers from 1 to 16"),
        (["--plot", "map.gif"], "map.gif: a picture's name must end in"),
        (["--plot", "nowhere/map.png"], "its folder does not exist"),
        ([], "already quantised; give the float checkpoint"),
    ],
)
def test_sensitivity_refuses_before_it_works(tmp_path, arguments, message):
    config = small_config()
    save_checkpoint(tmp_path / "m.safetensors", small_model(config)[1])
    with pytest.raises(SsmqError, match=message):
        ssmq("sensitivity", tmp_path / "m.safetensors", *arguments)


def test_a_picture_in_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    # Whoever runs the tests may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SsmqError, match=r"map\.png: its folder cannot be written: give another"):
        refuse_picture(tmp_path / "map.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "lut"], "--objective lut needs a part: --target"),
        (["--objective", "lut", "--target", "xc7z999"], "unknown part 'xc7z999'"),
        (["--fps", "100"], "--target, --fps and --shape are for --objective lut"),
    ],
)
def test_search_refuses_before_it_works(tmp_path, arguments, message):
    with pytest.raises((SsmqError, ExportError), match=message):
        ssmq("search", tmp_path / "none.safetensors", "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()
