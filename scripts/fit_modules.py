"""export/ssmq_export/estimates/calibration.json: what one of each thing that a module is made of takes, by least squares.

    python scripts/fit_modules.py

From results/modules/FAMILY.json. Nothing takes less than none, and an instance weighs by the root of what it takes, so that a
few large ones do not decide. Prints by how much each module is off.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from ssmq_brevitas.files import write_whole
from ssmq_export.estimates import calibration
from ssmq_export.estimates.modules import made_of
from ssmq_export.estimates.parts import ECP5, ICE40, SERIES_7

MEASURED = Path(__file__).parents[1] / "results" / "modules"
FAMILIES = {"ecp5": ECP5, "ice40": ICE40, "xilinx": SERIES_7}


def fitted_to(amounts: list[dict], counts: list[int]) -> tuple[dict[str, float], np.ndarray]:
    """What one of each amount takes, and what the instances take by that."""
    names = sorted({name for one in amounts for name, count in one.items() if count})
    matrix = np.array([[one.get(name, 0) for name in names] for one in amounts], float)
    target = np.array(counts, float)
    weight = 1 / np.sqrt(target + 10)
    found = np.round(nnls(matrix * weight[:, None], target * weight)[0], 4)
    return {name: float(value) for name, value in zip(names, found, strict=True) if value}, matrix @ found


def _fit(key: str, module: str, measured: list[dict]) -> dict[str, dict[str, float]]:
    made = [made_of(module, row["parameters"], row["paced"], FAMILIES[key]) for row in measured]
    found = {}
    for place, resource in enumerate(("lut", "ff")):
        counts = [row[resource] for row in measured]
        found[resource], told = fitted_to([dict(calibration.columns(one)[place]) for one in made], counts)
        off = np.abs(told - counts)
        print(
            f"{key} {module:18} {resource:4} {sum(counts):6} off {off.sum() / max(sum(counts), 1):6.1%} worst {off.max():4.0f}"
        )
    differ = sum(row["bram"] != one.blocks for row, one in zip(measured, made, strict=True))
    if differ:
        print(f"{key} {module:18} bram differs in {differ} of {len(measured)}")
    return found


def main() -> None:
    every = {}
    for key in FAMILIES:
        path = MEASURED / f"{key}.json"
        rows = defaultdict(list)
        for row in json.loads(path.read_text()) if path.is_file() else ():
            rows[row["module"]].append(row)
        if rows:
            every[key] = {module: _fit(key, module, measured) for module, measured in rows.items()}
    path = Path(calibration.__file__).with_name(calibration.FILE)
    write_whole(path, (json.dumps(every, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
