"""The report: every result file appears, by itself, in one page that needs nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from ssmq_brevitas.errors import SsmqError
from ssmq_study.report.kinds import load_results
from ssmq_study.report.page import draw, rendered, write_page
from ssmq_study.rows import load_study
from ssmq_study.study_tables import summary

RESULTS = Path(__file__).parents[2] / "results"
DATA = {"name": "MNIST", "source": "torchvision", "train": 50_000, "validation": 10_000, "test": 10_000}


def row(name: str, accuracy: float, size: float | None, epochs: list[float]) -> dict:
    bytes_ = size and {"parameters": size, "state": 0.0, "total": size, "fp32_total": 20_000.0}
    about = {"name": name, "seed": 0, "engine": "integer", "images": 10_000, "data": DATA}
    return {**about, "accuracy": accuracy, "bytes": bytes_, "epochs": epochs}


@pytest.fixture
def folder(tmp_path) -> Path:
    """The stored results, a study and a table of somebody's own."""
    for path in RESULTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    rows = [row(f"ptq-h16-{part}-{bits}", 0.4 + 0.01 * bits, None, []) for part in "ab" for bits in (8, 4)]
    rows += [row(f"qat-h16-frozen-a{a}-x8", 0.9 + a / 100, 3000 + a, [0.5, 0.8, 0.9]) for a in (6, 8)]
    (tmp_path / "my-study.json").write_text(json.dumps(summary(load_study("paper"), rows)))
    own = {"kind": "table", "title": "Mine", "headings": ["|what|", "much"], "rows": [["tea & <milk>", 7]]}
    (tmp_path / "own.json").write_text(json.dumps({**own, "note": "A note."}))
    return tmp_path


def test_every_result_is_in_one_page_that_needs_no_other_file(folder):
    results = load_results(folder)
    write_page(folder / "report.html", results)
    page = (folder / "report.html").read_text()
    for path in folder.glob("*.json"):
        assert f'id="{path.stem}"' in page, path.stem
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(source.startswith(("data:image/svg+xml;base64,", "#")) for source in sources)
    assert "url(" not in page and "<script" not in page
    assert "<td>tea &amp; &lt;milk&gt;</td>" in page and "|what|</th>" in page and "98.00" in page
    assert page.count("<table>") > 12 and "|---" not in page


def test_pictures_are_drawn_from_what_a_result_has(folder):
    drawn = draw(load_results(folder), folder, ".png")
    assert [path.name for path in drawn["my-study"]] == [
        "my-study-width.png", "my-study-parameterisation.png", "my-study-curves.png",
    ]  # fmt: skip
    assert "bench-train" not in drawn and {path.name for path in drawn[""]} == {
        "report-overview.png",
        "report-grids.png",
    }


def test_a_page_gets_the_sections_it_asks_for(folder):
    results = load_results(folder)
    page = "# Mine\n<!-- own -->\nold\n<!-- /own -->\n<!-- unknown -->\nkept\n<!-- /unknown -->\n"
    done = rendered(page, results)
    assert "| tea &amp; &lt;milk&gt; | 7 |" in done and "old" not in done and "kept" in done
    assert rendered(done, results) == done


@pytest.mark.parametrize("content", ["[1, 2]", "not json", '{"rows": []}', '{"kind": "novel", "rows": []}'])
def test_a_file_that_is_no_result_is_named(folder, content):
    (folder / "odd.json").write_text(content)
    with pytest.raises(SsmqError, match="odd.json: not a result that can be shown"):
        load_results(folder)
