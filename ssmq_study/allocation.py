"""Widths under a byte budget, exactly: an integer program over measured sensitivities.

    minimise   Σ e[t, w]² z[t, w]        e: output error with tensor t alone at width w
    such that  Σ bytes[t, w] z[t, w] <= budget,  Σ_w z[t, w] = 1 for every t,  z in {0, 1}

Bytes add up exactly (every stored number has the width of its tensor). Errors add up as variances do if the tensors'
errors are independent: that is the model's one assumption, so what it chooses is measured before it is believed.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from ssmq_brevitas.config import Config
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.footprint import footprint
from ssmq_brevitas.quantize import empty_quantised

from .sensitivity import with_bits


def total_bytes(config: Config) -> float:
    """Parameters and state of a model of this scheme."""
    return footprint(empty_quantised(config)).total


def byte_table(config: Config, widths: dict[str, list[int]]) -> tuple[float, dict[str, dict[int, float]]]:
    """Bytes of everything at its least width, and what each width of each tensor adds to that."""
    least = {tensor: min(choice) for tensor, choice in widths.items()}
    base = total_bytes(with_bits(config, least))
    added = {}
    for tensor, choice in widths.items():
        span = max(choice) - least[tensor]
        whole = total_bytes(with_bits(config, least | {tensor: max(choice)})) - base if span else 0.0
        added[tensor] = {width: whole * (width - least[tensor]) / span if span else 0.0 for width in choice}
    return base, added


def allocate(errors: dict[str, dict[int, float]], base: float, added: dict[str, dict[int, float]], budget: float):
    """The width of every tensor with the least error within ``budget`` bytes. Raises SsmqError if none fits."""
    pairs = [(tensor, width) for tensor, row in errors.items() for width in row]
    if base + sum(min(row.values()) for row in added.values()) > budget:
        raise SsmqError(f"a budget of {budget:,.0f} bytes is too small: the narrowest widths need {base:,.0f}")
    costs = np.array([added[tensor][width] for tensor, width in pairs])
    squares = np.array([errors[tensor][width] ** 2 for tensor, width in pairs])
    # Between widths of equal error the narrower one: a last place that the error does not see.
    squares = squares + 1e-9 * squares.max() * np.array([width for _, width in pairs])
    once = np.array([[float(tensor == name) for tensor, _ in pairs] for name in errors])
    constraints = [LinearConstraint(costs[None], ub=budget - base), LinearConstraint(once, 1, 1)]
    options = {"mip_rel_gap": 0.0}
    found = milp(
        squares, constraints=constraints, integrality=np.ones(len(pairs)), bounds=Bounds(0, 1), options=options
    )
    if found.x is None:
        raise SsmqError(f"no allocation within {budget:,.0f} bytes was found ({found.message})")
    return {tensor: width for (tensor, width), chosen in zip(pairs, found.x, strict=True) if chosen > 0.5}


def guided(bench, config: Config, sensitivities: dict, budgets: list[float] | int) -> list[dict]:
    """Allocations for ``budgets`` bytes (or for so many, evenly spaced in ratio), each measured on validation images.

    Each is what ``candidate`` returns.
    """
    errors = {row["tensor"]: {int(w): e for w, e in row["error"].items()} for row in sensitivities["tensors"]}
    base, added = byte_table(config, {tensor: list(row) for tensor, row in errors.items()})
    if isinstance(budgets, int):
        most = base + sum(max(row.values()) for row in added.values())
        budgets = list(np.geomspace(base, most, budgets))
    chosen = []
    for budget in budgets:
        bits = allocate(errors, base, added, budget + 1e-6)
        if bits not in chosen:
            chosen.append(bits)
    return [candidate(bench, with_bits(config, bits)) for bits in chosen]


def candidate(bench, config: Config) -> dict:
    """A scheme measured: accuracy and error on validation images, bytes."""
    accuracy, error, model = bench.measure(config)
    scheme = config.scheme.model_dump(mode="json")
    return {"scheme": scheme, "bytes": footprint(model).total, "accuracy": accuracy, "error": error}


def pareto(candidates: list[dict]) -> list[dict]:
    """Those that no other beats in bytes and accuracy both, the smallest first."""
    front: list[dict] = []
    for entry in sorted(candidates, key=lambda c: (c["bytes"], -c["accuracy"], c["error"])):
        if not front or entry["accuracy"] > front[-1]["accuracy"]:
            front.append(entry)
    return front
