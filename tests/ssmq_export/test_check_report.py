"""Findings as SARIF and as a table: names of foreign files are text, paths are URIs, long lists are cut."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from rich.console import Console
from ssmq_export.check.catalogue import RULES
from ssmq_export.check.finding import Finding
from ssmq_export.check.report import ROWS, to_table
from ssmq_export.check.sarif import to_sarif

# RFC 3986: a relative reference, or one with the scheme of files.
REFERENCE = re.compile(r"(file://)?/?([A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-F]{2})+")


def finding(severity: str = "error", name: str = "n", message: str = "m", rule: int = 0) -> Finding:
    return Finding(RULES[rule].id, severity, name, "", message, "f")


@pytest.mark.parametrize("name", ["a b.onnx", "100%.onnx", "ö 漢.onnx", "b\\c.onnx", "#?.onnx", "c:d.onnx", os.fsdecode(b"\xff.onnx"), "[x].onnx"])
@pytest.mark.parametrize("folder", ["", "g", "/g h"])
def test_a_path_is_a_uri(folder, name):
    path = Path(folder) / name
    (result,) = to_sarif([finding()], path)["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert REFERENCE.fullmatch(uri), uri
    parts = urlsplit(uri)
    assert unquote_to_bytes(parts.path) == os.fsencode(path) and not parts.query and not parts.fragment
    assert parts.scheme == ("file" if path.is_absolute() else "")


def test_a_message_has_no_links_and_no_placeholders():
    told = to_sarif([finding(message=r"\[here](https://evil.example) {0}"), finding(message="shape [1, 3]")], Path("g.onnx"))
    texts = [result["message"]["text"] for result in told["runs"][0]["results"]]
    assert texts == [r"\\\[here\](https://evil.example) {{0}}. Fix: f", "shape [1, 3]. Fix: f"]


def test_a_rule_is_described_in_short_by_how_its_reason_begins():
    for rule, told in zip(RULES, to_sarif([], Path("g.onnx"))["runs"][0]["tool"]["driver"]["rules"], strict=True):
        short = told["shortDescription"]["text"]
        assert rule.why.startswith(short) and short and "\n" not in short and ": " not in short


@pytest.mark.parametrize(
    "node, tensor, named",
    [("n", "t", [("n", "function"), ("t", "variable")]), ("n", "", [("n", "function")]), ("", "t", [("t", "variable")]), ("", "", None)],
)
def test_a_result_names_its_node_and_its_tensor_as_far_as_it_has_them(node, tensor, named):
    found = Finding(RULES[0].id, "error", node, tensor, "m", "f")
    (place,) = to_sarif([found], Path("g.onnx"))["runs"][0]["results"][0]["locations"]
    expected = {"logicalLocations": [{"name": name, "kind": kind} for name, kind in named]} if named else {}
    assert {key: value for key, value in place.items() if key != "physicalLocation"} == expected


def printed(findings: list[Finding]) -> str:
    stream = io.StringIO()
    Console(file=stream, width=400, force_terminal=True, color_system=None).print(to_table(findings))
    return stream.getvalue()


def test_a_long_table_is_cut_and_counted_errors_first():
    findings = [finding("warning", f"w{n}", rule=1) for n in range(20_000)] + [finding("error", "the one")]
    text = printed(findings)
    assert text.index("the one") < text.index("w0") and f"w{ROWS - 2} " in text and f"w{ROWS - 1} " not in text
    assert f"{20_001 - ROWS:,} more ({20_001 - ROWS:,} {RULES[1].id}): --json lists them all" in " ".join(text.split())
    assert "more (" not in printed(findings[:ROWS])


def test_names_in_a_table_are_text_on_any_console():
    text = printed([finding(name="[/n][bold]\x1b[2J\x07", message="[red]\x9b1m")])
    assert r"[/n][bold]\x1b[2J\x07" in text and r"[red]\x9b1m" in text and not re.search("[\x07\x1b\x9b]", text)


def test_a_table_has_a_row_with_headings_for_every_finding():
    text = printed([Finding(RULES[0].id, "error", "", "tensor", "what", "fix"), finding("warning", "node")])
    lines = text.splitlines()
    assert all(heading in lines[1] for heading in ("rule", "where", "what", "how to fix it"))
    (first,) = (line for line in lines if "error" in line)
    assert "tensor" in first and "what" in first and "fix" in first
    assert [line[0] for line in lines].count("├") == 1  # between the two
