"""Findings as SARIF 2.1.0, for code hosts and editors that show it.

Source: OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

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
            "message": {"text": f"{found.message}. Fix: {found.fix}"},
            "locations": [_location(found, graph)],
        }
        for found in findings
    ]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _location(found: Finding, graph: Path) -> dict:
    named = [{"name": name, "kind": kind} for name, kind in ((found.node, "function"), (found.tensor, "variable")) if name]
    place = {"physicalLocation": {"artifactLocation": {"uri": graph.as_posix()}}}
    return {**place, "logicalLocations": named} if named else place
