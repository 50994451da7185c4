"""Result files from anywhere: what loads is shown and drawn, the rest ends in one message; nothing of it is markup."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from ssmq_brevitas.errors import SsmqError
from ssmq_study.json_file import LIMIT
from ssmq_study.report.kinds import KINDS, load_result, load_results
from ssmq_study.report.page import draw, rendered, write_page, write_pages
from ssmq_study.table import Table, escaped

RESULTS = Path(__file__).parents[2] / "results"
HOSTILE = [
    "one\ntwo\r\nthree", "a|b||c", "<script>alert(1)</script>", "[x](javascript:alert(1))", "](http://x.y)", "`|`",
    "a ` b `` c", "--> <!-- /own -->", "<!-- /own -->", "![x](y)", "**bold** _it_ ~no~", "\\| \\", "&lt;b&gt;", "$x^$",
    "# head", "1. one", "- item", "<http://x.y>", "| --- |\n| --- |", "```\n# x",
]  # fmt: skip


def seen(text: str) -> str:
    """What a reader sees of ``text``: spaces are all alike, and backticks around code are not seen."""
    return " ".join(text.split()).replace("`", "")


def test_hostile_texts_are_shown_as_they_are_and_nothing_more(tmp_path):
    for number, text in enumerate(HOSTILE):
        own = {"kind": "table", "title": text, "headings": [text, "n"], "rows": [[text, 1]], "note": text}
        (tmp_path / f"own-{number}.json").write_text(json.dumps({**own, "heading": text}))
    results = load_results(tmp_path)
    write_page(tmp_path / "report.html", results)
    page = (tmp_path / "report.html").read_text()
    allowed = {t for n in "h2 p div table thead tbody tr th td code".split() for t in (n, f"/{n}")}
    for number, text in enumerate(HOSTILE):
        section = page.split(f'<h2 id="own-{number}">')[1].split("</table>")[0]
        assert {re.sub(r"\s.*", "", tag) for tag in re.findall(r"<(/?[^>]+)>", section)} <= allowed, text
        assert section.count("<td") == section.count("<th>") + section.count("<th ") == 2, text
        parts = re.split(r"</?(?:h2|p|th|td)\b[^>]*>", re.sub("</?code>", "", section))
        # Heading, note, heading of the column and cell; backticks around code are not seen.
        assert [seen(html.unescape(part)) for part in parts].count(seen(text)) == 4, text
        readme = f"<!-- own-{number} -->\n<!-- /own-{number} -->\nkept\n"
        done = rendered(readme, results)
        assert rendered(done, results) == done and done.endswith(f"<!-- /own-{number} -->\nkept\n")
        assert done.count("<") == 2, text


@settings(max_examples=200)
@given(st.text(alphabet="a_*`[]()<>|\\&#! \n\t-.", max_size=12))
def test_a_cell_is_one_line_and_one_cell(text):
    line = Table("", ["h", "n"], [[text, "1"]]).markdown().split("\n")
    assert len(line) == 3 and len(re.findall(r"(?<!\\)(?:\\\\)*\|", line[2])) == 3 and "<" not in escaped(text)


def test_a_section_is_filled_by_the_result_of_exactly_its_name(tmp_path):
    for name in ("run", "r.n", "rXn"):
        shutil.copy(RESULTS / "zoo-graphs.json", tmp_path / f"{name}.json")
    shutil.copy(RESULTS / "run.json", tmp_path / "run.json")
    readme = "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in ("run", "r.n", "rXn"))
    done = rendered(readme, load_results(tmp_path))
    sections = re.findall(r"<!-- (\S+) -->\n\n(.*?)\n\n<!-- /\1 -->", done, flags=re.DOTALL)
    assert [name for name, _ in sections] == ["run", "r.n", "rXn"]
    assert "| stage |" in sections[0][1] and "FINN maps" in sections[1][1] == sections[2][1]


@pytest.mark.parametrize("name", ["a b", "-->", "a'b", "..x", "\N{GREEK SMALL LETTER ALPHA}", "x" * 121])
def test_a_result_has_a_name_that_is_safe_on_a_page(tmp_path, name):
    shutil.copy(RESULTS / "run.json", tmp_path / f"{name}.json")
    with pytest.raises(SsmqError, match="the name of a result has letters"):
        load_results(tmp_path)


def test_the_same_report_twice_is_the_same_files(tmp_path):
    written = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "docs").mkdir(parents=True)
        (folder / "README.md").write_text('<!-- run --><!-- /run --><img src="docs/run-accuracy-bytes.png">')
        results = [load_result(RESULTS / f"{name}.json") for name in ("run", "search-edge-2x16", "bench-scan")]
        write_pages(folder / "README.md", results)
        write_page(folder / "report.html", results)
        draw(results[:1], folder, ".pdf", only={"run-accuracy-bytes.pdf"})
        written.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert written[0] == written[1] and len(written[0]) == 4
    assert not any(b"matplotlib.org" in content for path, content in written[0].items() if path.suffix == ".png")


def test_a_run_to_a_bitstream_shows_its_part(tmp_path):
    values = json.loads((RESULTS / "run.json").read_text())
    counts = {"cycles_a_step": 1024, "lut": 1953, "ff": 2126, "dsp": 25, "bram": 14}
    rates = {"mhz": 105.66, "microseconds": 7600.4, "sequences_per_second": 131.6}
    for told, shown in ((rates, "105.7 | 7,600 | 132 |"), (rates | {"sequences_per_second": None}, "105.7 | 7,600 | – |")):
        values["hardware"] = {"part": "lfe5u-25f, speed 6", "shape": "serial", **counts, **told, "bitstream_bytes": 1}
        (tmp_path / "run.json").write_text(json.dumps(values))
        text = load_result(tmp_path / "run.json").text()
        assert f"| lfe5u-25f, speed 6 | serial | 1,024 | 1,953 | 2,126 | 25 | 14 | {shown}" in text


def test_a_number_that_cannot_be_shown_is_named(tmp_path):
    values = json.loads((RESULTS / "run.json").read_text())
    for change, told in (
        (lambda v: v["rows"][1].update(accuracy=float("nan")), "rows.1.accuracy"),
        (lambda v: v["rows"][1].update(accuracy=True), "rows.1.accuracy"),
        (lambda v: v["rows"][0]["bytes"].update(total=0), "rows.0.bytes.total"),
        (lambda v: v["data"].update(name="a\x1b[31m"), "data.name"),
        (lambda v: v.update(rows=[]), "rows"),
        (lambda v: v["verify"][0].update(codes=10**30), "verify.0.codes"),
        (lambda v: v.pop("graphs"), "graphs"),
    ):
        changed = json.loads(json.dumps(values))
        change(changed)
        (tmp_path / "run.json").write_text(json.dumps(changed))
        with pytest.raises(SsmqError, match=rf"run.json: not a result that can be shown: {re.escape(told)}"):
            load_result(tmp_path / "run.json")


def by_luts(values: dict) -> None:
    values["objective"] = "lut"
    for entry in (*values["candidates"], *values["front"]):
        entry.update(lut=100, dsp=1, bram=1)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sensitivity-edge-2x16", lambda v: v["tensors"][0]["error"].popitem(), "tensors.0: accuracy and error have the same"),
        ("search-edge-2x16", lambda v: v["candidates"][0].pop("bytes"), "candidates: each has 'bytes', which the objective is"),
        ("search-edge-2x16", lambda v: v["front"][0].pop("bytes"), "front: each entry has 'bytes'"),
        ("search-edge-2x16", by_luts, "target: the part whose LUTs are counted is missing"),
        ("own", lambda v: v.update(rows=[["a", 1], ["b"]]), "rows.1: has 1 cells under 2 headings"),
        ("own", lambda v: v.update(kind="tabel"), "kind: is none of "),
        ("second-dataset", lambda v: v["commands"].append("ssmq <!-- x"), "commands: a command has no '<!--'"),
        ("verify", lambda v: v["models"].update(other=[]), "models.other: has not the engines and sequences of the first"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused_by_what_does(tmp_path, name, change, told):
    own = {"kind": "table", "title": "own", "headings": ["a", "n"], "rows": []}
    values = json.loads((RESULTS / f"{name}.json").read_text()) if name != "own" else own
    change(values)
    (tmp_path / f"{name}.json").write_text(json.dumps(values))
    with pytest.raises(SsmqError, match=f"{name}.json: not a result that can be shown: {re.escape(told)}"):
        load_result(tmp_path / f"{name}.json")


def test_a_file_too_large_too_deep_or_with_a_number_too_long_is_refused(tmp_path):
    path = tmp_path / "run.json"
    for content in (b'{"rows":' * 100_000, b'{"rows": ' + b"9" * 5000 + b"}", b'{"rows": "\xff"}'):
        path.write_bytes(content)
        with pytest.raises(SsmqError, match="run.json: not a result that can be shown"):
            load_result(path)
    path.write_bytes(b" " * (LIMIT + 1))
    with pytest.raises(SsmqError, match="run.json: .* bytes are more than"):
        load_result(path)


# One of each kind, small, so that a mutation often meets what matters.
SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def small(value, longest: int = 3):
    if isinstance(value, dict):
        return {key: small(part) for key, part in value.items()}
    return [small(part) for part in value[:longest]] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_stored_results_of_every_kind_load_and_a_part_of_them_too(tmp_path, name):
    (tmp_path / f"{name}.json").write_text(json.dumps(small(SAMPLES[name])))
    draw([load_result(tmp_path / f"{name}.json")], tmp_path, ".svg", only=pictures(name))


def test_a_dollar_in_a_title_is_no_formula(tmp_path):
    values = SAMPLES["run"] | {"data": SAMPLES["run"]["data"] | {"name": "$\\frac{$"}}
    (tmp_path / "run.json").write_text(json.dumps(values))
    draw([load_result(tmp_path / "run.json")], tmp_path, ".svg", only=pictures("run"))
    assert (tmp_path / "run-accuracy-bytes.svg").is_file()


def pictures(name: str) -> set[str]:
    """The pictures of one result alone."""
    kind = SAMPLES.get(name, {}).get("kind", name if name in KINDS else "run")
    return {f"{name}-{picture}.svg" for picture in KINDS[kind].pictures}


@pytest.mark.parametrize("name", ["run", "second-dataset", "study-frontier", "study-paper", "sensitivity-edge-2x16"]
                         + ["search-edge-2x16", "zoo-graphs", "check", "verify", "bench-scan", "bench-train"]
                         + ["bench-infer", "finn", "estimate"])  # fmt: skip
def test_what_loads_is_shown_and_drawn(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("mutated")
    path, values = folder / f"{name}.json", small(SAMPLES[name])
    drawn = 0

    @settings(max_examples=60)
    @given(mutated(values))
    def tried(content: bytes):
        nonlocal drawn
        path.write_bytes(content)
        try:
            result = load_result(path)
        except SsmqError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            return
        assert f"<!-- /{name} -->" not in result.text() and result.title
        if drawn < 4:
            drawn += 1
            draw([result], folder, ".svg", only={f"{name}-{picture}.svg" for picture in KINDS[result.kind].pictures})

    tried()
