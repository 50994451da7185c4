"""Findings as SARIF 2.1.0, for code hosts and editors that show it.

Source: OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from .catalogue import RULES
from .finding import Finding

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def to_sarif(findings: list[Finding], graph: Path) -> dict:
    """One run with all rules of the catalogue; a result's logical location is its node or tensor."""
    index = {rule.id: number for number, rule in enumerate(RULES)}
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.why.split(": ")[0].splitlines()[0]},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.fix},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        }
        for rule in RULES
    ]
    driver = {"name": "ssmq check", "version": version("ssmq-brevitas"), "rules": rules}
    results = [
        {
            "ruleId": found.rule,
            "ruleIndex": index[found.rule],
            "level": _LEVELS[found.severity],
            "message": {"text": _literal(f"{found.message}. Fix: {found.fix}")},
            "locations": [_location(found, graph)],
        }
        for found in findings
    ]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _location(found: Finding, graph: Path) -> dict:
    named = [{"name": name, "kind": kind} for name, kind in ((found.node, "function"), (found.tensor, "variable")) if name]
    place = {"physicalLocation": {"artifactLocation": {"uri": _uri(graph)}}}
    return {**place, "logicalLocations": named} if named else place


def _literal(text: str) -> str:
    """A message without placeholders and links, whatever a foreign name in it looks like (3.11.5, 3.11.6)."""
    text = text.replace("{", "{{").replace("}", "}}")
    if "](" not in text:
        return text
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _uri(path: Path) -> str:
    """A relative path stays relative, to the folder that the reader takes for the root of the sources."""
    if path.is_absolute():
        return path.as_uri()
    return quote(os.fsencode(path.as_posix()))
