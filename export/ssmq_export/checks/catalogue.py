"""The ordered list of rules, filled by the decorator, and its page for readers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .conversion import TABLE
from .finding import Finding, Severity
from .tidy_view import TidyView

# What a rule yields: node label, tensor name, what is wrong.
Hit = tuple[str, str, str]


@dataclass(frozen=True)
class Rule:
    """``why`` is the rule's docstring: what FINN would do with such a graph."""

    id: str
    severity: Severity
    fix: str
    why: str
    hits: Callable[[TidyView], Iterator[Hit]]

    def findings(self, view: TidyView) -> Iterator[Finding]:
        for node, tensor, message in self.hits(view):
            yield Finding(self.id, self.severity, node, tensor, message, self.fix)


RULES: list[Rule] = []


def rule(id: str, severity: Severity, fix: str) -> Callable:
    """Register a rule; its function yields hits."""

    def register(hits: Callable[[TidyView], Iterator[Hit]]) -> Callable[[TidyView], Iterator[Hit]]:
        RULES.append(Rule(id, severity, fix, inspect.getdoc(hits) or "", hits))
        return hits

    return register


def catalogue_markdown() -> str:
    """The rules as the page ``docs/rules.md``."""
    lines = ["# Legality rules", "", "What `ssmq check` judges, in this order. Generated from the rules themselves.", ""]
    for found in RULES:
        lines += [f"## `{found.id}` ({found.severity})", "", found.why, "", f"Fix: {found.fix}", ""]
    lines += ["## Operators", "", "What finn-plus 1.6.1 converts, and when; `conversion` says what stands in the way.", ""]
    lines += ["| operator | becomes | when |", "|---|---|---|"]
    for op, converted in sorted(TABLE.items()):
        lines.append(f"| {op} | {converted.becomes} | {' '.join(converted.why.split())} |")
    lines.append("")
    return "\n".join(lines)
