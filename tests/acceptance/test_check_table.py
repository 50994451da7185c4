"""Findings in a terminal: names of foreign files are text, long lists are cut."""

from __future__ import annotations

import io
import re

from rich.console import Console
from ssmq_cli.check import ROWS, to_table
from ssmq_export.checks import RULES
from ssmq_export.checks.finding import Finding


def finding(severity: str = "error", name: str = "n", message: str = "m", rule: int = 0) -> Finding:
    return Finding(RULES[rule].id, severity, name, "", message, "f")


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
