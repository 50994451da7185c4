"""What the checker says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

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


def to_json(findings: list[Finding]) -> dict:
    """``{"findings": [{"rule", "severity", "node", "tensor", "message", "fix"}]}``"""
    return {"findings": [finding.as_dict() for finding in findings]}
