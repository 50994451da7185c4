"""Widths under a budget, exactly: an integer program over measured sensitivities.

    minimise   Σ e[t, w]² z[t, w]                  e: output error with tensor t alone at width w
    such that  base + Σ cost[t, w] z[t, w] <= budget,  Σ_w z[t, w] = 1 for every t,  z in {0, 1}

Bytes add up exactly (every stored number has the width of its tensor). LUTs do not (``cost``): their table holds where
it was made, so under a budget it is made again around what was chosen. Errors add up as variances do if the tensors'
errors are independent: that is the model's one assumption, so what it chooses is measured before it is believed.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from ssmq_brevitas.config import Config
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

from .cost import BYTES, CostModel
from .knobs import with_bits
from .sensitivity import Bench

# How many tables are made for one budget.
ROUNDS = 5


def allocate(
    errors: dict[str, dict[int, float]],
    base: float,
    added: dict[str, dict[int, float]],
    budget: float,
    unit: str = "bytes",
) -> dict[str, int]:
    """The width of every tensor with the least error within ``budget``, among those that ``added`` has.

    Raises SsmqError if none fits.
    """
    pairs = [(tensor, width) for tensor, row in added.items() for width in row]
    least = base + sum(min(row.values()) for row in added.values())
    if least > budget:
        raise SsmqError(f"a budget of {budget:,.0f} {unit} is too small: the cheapest widths need {least:,.0f}")
    costs = np.array([added[tensor][width] for tensor, width in pairs])
    widths = np.array([width for _, width in pairs])
    squares = np.array([errors[tensor][width] ** 2 for tensor, width in pairs])
    once = np.array([[float(tensor == name) for tensor, _ in pairs] for name in added])
    constraints = [LinearConstraint(costs[None], ub=budget - base), LinearConstraint(once, 1, 1)]
    # The solver is content within 1e-6 of the least sum, however small that is: it counts in units of the sum that it found
    # last, without the widths that alone err more, until the unit is of the sum's size.
    scale = squares.max() or 1.0
    while True:
        # Between widths of equal error the narrower one: a last place that the error does not see.
        program = {"c": 1e4 * squares / scale + 1e-5 * widths, "bounds": Bounds(0, squares <= scale)}
        found = milp(**program, constraints=constraints, integrality=np.ones(len(pairs)), options={"mip_rel_gap": 0.0})
        assert found.x is not None, found.message  # the cheapest widths are an answer
        chosen = found.x > 0.5
        total = squares[chosen].sum()
        if total == 0 or total >= scale / 2:
            return {tensor: width for (tensor, width), taken in zip(pairs, chosen, strict=True) if taken}
        scale = total


def guided_within(bench: Bench, config: Config, sensitivities: dict, budget: float, cost: CostModel = BYTES) -> dict:
    """The best scheme found that keeps ``budget``, measured (``candidate``). Raises SsmqError if none does.

    The program is solved with a table around what it chose last, at first around the middle widths, until it chooses a
    scheme again: at once where costs add up.
    """
    errors = _errors(sensitivities)
    tried: list[dict[str, int]] = []
    fitting: list[dict[str, int]] = []
    around, least = _middle(errors), np.inf
    while around not in tried and len(tried) < ROUNDS:
        tried.append(around)
        try:
            base, added = cost.table(bench, config, _widths(errors), around)
        except ExportError:
            # The part cannot hold what the last table promised: go by what was found before.
            if len(tried) == 1:
                raise
            break
        least = min(least, base)
        if base <= budget:
            fitting.append(around)
        try:
            around = allocate(errors, base, added, budget + 1e-6, cost.unit)
        except SsmqError:
            around = {tensor: min(row, key=row.__getitem__) for tensor, row in added.items()}
    if not fitting:
        needed = f"the cheapest scheme found needs {least:,.0f}"
        raise SsmqError(f"a budget of {budget:,.0f} {cost.unit} is too small: {needed}")
    best = min(fitting, key=lambda bits: sum(errors[tensor][width] ** 2 for tensor, width in bits.items()))
    return candidate(bench, with_bits(config, best), cost)


def guided_front(bench: Bench, config: Config, sensitivities: dict, count: int, cost: CostModel = BYTES) -> list[dict]:
    """Schemes for ``count`` budgets by one table, evenly spaced in ratio, each measured (``candidate``).

    Those that the part cannot hold are left out. Raises ExportError if it can hold none.
    """
    errors = _errors(sensitivities)
    base, added = cost.table(bench, config, _widths(errors), _middle(errors))
    least, most = (base + sum(end(row.values()) for row in added.values()) for end in (min, max))
    schemes: list[dict[str, int]] = []
    for limit in np.geomspace(least, most, count):
        bits = allocate(errors, base, added, limit + 1e-6, cost.unit)
        if bits not in schemes:
            schemes.append(bits)
    found = []
    for bits in schemes:
        try:
            found.append(candidate(bench, with_bits(config, bits), cost))
        except ExportError as error:
            refused = error
    if not found:
        raise refused
    return found


def _errors(sensitivities: dict) -> dict[str, dict[int, float]]:
    return {
        row["tensor"]: {int(w): e for w, e in row["error"].items()}
        for row in sensitivities["tensors"] or sensitivities["by_tensor"]
    }


def _widths(errors: dict[str, dict[int, float]]) -> dict[str, list[int]]:
    return {tensor: list(row) for tensor, row in errors.items()}


def _middle(errors: dict[str, dict[int, float]]) -> dict[str, int]:
    """The middle one of each tensor's widths."""
    return {tensor: sorted(row)[(len(row) - 1) // 2] for tensor, row in errors.items()}


def candidate(bench: Bench, config: Config, cost: CostModel = BYTES) -> dict:
    """A scheme measured: its costs, accuracy and error on validation images, of the model that `ssmq ptq` makes by it.

    Raises SsmqError or ExportError if it cannot be built.
    """
    model = bench.fitted(config)
    costs = cost.measured(model)
    accuracy, error = bench.judge(model)
    return {"scheme": config.scheme.model_dump(mode="json"), **costs, "accuracy": accuracy, "error": error}


def pareto(candidates: list[dict], unit: str = "bytes") -> list[dict]:
    """Those that no other beats in cost and accuracy both, the cheapest first."""
    front: list[dict] = []
    for entry in sorted(candidates, key=lambda c: (c[unit], -c["accuracy"], c["error"])):
        if not front or entry["accuracy"] > front[-1]["accuracy"]:
            front.append(entry)
    return front
