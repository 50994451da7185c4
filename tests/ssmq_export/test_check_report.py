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
