"""What the checker says."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

from ..visible import visible

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One violation: which rule, where (node, tensor; empty where it does not apply), what is wrong, how to fix it."""

    rule: str
    severity: Severity
    node: str
    tensor: str
    message: str
    fix: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Findings(list[Finding]):
    """What the checker has to say of one graph, in the catalogue's order; as text, each with how to fix it, and the verdict.

    ``legal`` is whether nothing stands in the way: no finding is an error.
    """

    @property
    def legal(self) -> bool:
        return not any(finding.severity == "error" for finding in self)

    def __str__(self) -> str:
        lines = []
        for finding in self:
            place = finding.node or finding.tensor or "the graph"
            lines.append(f"{finding.severity} {finding.rule} at {place}: {finding.message}".replace("\n", "\\n"))
            lines.append(f"    {finding.fix}".replace("\n", "\\n"))
        counts = Counter(finding.severity for finding in self)
        told = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())
        lines.append(("legal" if self.legal else "illegal") + (f" ({told})" if told else ""))
        return visible("\n".join(lines))


def to_json(findings: list[Finding]) -> dict:
    """``{"findings": [{"rule", "severity", "node", "tensor", "message", "fix"}]}``"""
    return {"findings": [finding.as_dict() for finding in findings]}
