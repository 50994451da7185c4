"""The verdict on a graph, as text: how many findings of which kind, and whether one of them is in the way."""

from __future__ import annotations

import pytest
from ssmq_export.checks.finding import Finding, Findings


def found(severity: str, node: str = "n", tensor: str = "t") -> Finding:
    return Finding("a-rule", severity, node, tensor, "is\nwrong", "mend\nit")


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], "legal"),
        (["info"], "legal (1 info)"),
        (["info"] * 4, "legal (4 infos)"),
        (["warning", "info", "warning"], "legal (2 warnings, 1 info)"),
        (["error"], "illegal (1 error)"),
        (["info", "error", "error"], "illegal (1 info, 2 errors)"),
    ],
)
def test_the_last_line_is_the_verdict_and_counts_what_was_found(severities, verdict):
    findings = Findings(found(severity) for severity in severities)
    *told, last = str(findings).splitlines()
    assert last == verdict and findings.legal == (not verdict.startswith("illegal"))
    assert told == [line for s in severities for line in (f"{s} a-rule at n: is\\nwrong", "    mend\\nit")]


@pytest.mark.parametrize(("node", "tensor", "place"), [("n", "t", "n"), ("", "t", "t"), ("", "", "the graph")])
def test_a_finding_is_placed_at_its_node_or_its_tensor_or_the_graph(node, tensor, place):
    assert f"error a-rule at {place}: " in str(Findings([found("error", node, tensor)]))
