"""Findings as SARIF: names of foreign files are text, paths are URIs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from ssmq_export.checks.catalogue import RULES
from ssmq_export.checks.finding import Finding
from ssmq_export.checks.sarif import to_sarif

# RFC 3986: a relative reference, or one with the scheme of files.
REFERENCE = re.compile(r"(file://)?/?([A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-F]{2})+")


def finding(message: str = "m") -> Finding:
    return Finding(RULES[0].id, "error", "n", "", message, "f")


@pytest.mark.parametrize(
    "name", ["a b.onnx", "100%.onnx", "ö 漢.onnx", "b\\c.onnx", "#?.onnx", "c:d.onnx", os.fsdecode(b"\xff.onnx"), "[x].onnx"]
)
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
    [
        ("n", "t", [("n", "function"), ("t", "variable")]),
        ("n", "", [("n", "function")]),
        ("", "t", [("t", "variable")]),
        ("", "", None),
    ],
)
def test_a_result_names_its_node_and_its_tensor_as_far_as_it_has_them(node, tensor, named):
    found = Finding(RULES[0].id, "error", node, tensor, "m", "f")
    (place,) = to_sarif([found], Path("g.onnx"))["runs"][0]["results"][0]["locations"]
    expected = {"logicalLocations": [{"name": name, "kind": kind} for name, kind in named]} if named else {}
    assert {key: value for key, value in place.items() if key != "physicalLocation"} == expected
