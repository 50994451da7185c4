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
from ssmq_export.estimates.amounts import PRODUCTS
from ssmq_export.estimates.calibration import columns
from ssmq_export.estimates.modules import made_of
from ssmq_export.estimates.parts import ECP5, ICE40, SERIES_7, find_part

MEASURED = Path(__file__).parents[1] / "results" / "modules"
FAMILIES = {"ecp5": ECP5, "ice40": ICE40, "xilinx": SERIES_7}


def least(amounts: list[dict[str, float]], counts: np.ndarray) -> dict[str, float]:
    """What one of each amount takes."""
    names = sorted({name for one in amounts for name, count in one.items() if count})
    if not names:
        return {}
    matrix = np.array([[one.get(name, 0) for name in names] for one in amounts], float)
    weight = 1 / np.sqrt(np.maximum(counts, 0) + 10)
    found = np.round(nnls(matrix * weight[:, None], counts * weight)[0], 4)
    return {name: float(value) for name, value in zip(names, found, strict=True) if value}


def told(amounts: list[dict[str, float]], found: dict[str, float]) -> np.ndarray:
    return np.array([sum(each * one.get(name, 0) for name, each in found.items()) for one in amounts])


def fitted_to(amounts: list[dict[str, float]], counts: np.ndarray, in_luts: np.ndarray) -> dict[str, float]:
    """Of products in LUTs, which dwarf all else, only what is left by the rest."""
    plain = [{name: count for name, count in one.items() if name not in PRODUCTS} for one in amounts]
    products = [{name: count for name, count in one.items() if name in PRODUCTS} for one in amounts]
    base = [one for one, luts in zip(plain, in_luts, strict=True) if not luts]
    found = least(base, counts[~in_luts])
    rest = counts - told(plain, found)
    return found | least([one for one, luts in zip(products, in_luts, strict=True) if luts], rest[in_luts])


def fit(key: str, module: str, measured: list[dict]) -> dict[str, dict[str, float]]:
    made = [made_of(module, row["parameters"], row["paced"], FAMILIES[key]) for row in measured]
    in_luts = np.array([bool(row["parameters"].get("STYLE")) for row in measured])
    found = {}
    for place, resource in enumerate(("lut", "ff")):
        counts = np.array([row[resource] for row in measured], float)
        amounts = [dict(columns(one)[place]) for one in made]
        found[resource] = fitted_to(amounts, counts, in_luts)
        for kind, rows in (("", ~in_luts), (" in LUTs", in_luts)):
            off = (told(amounts, found[resource]) - counts)[rows]
            if total := counts[rows].sum():
                name = f"{key} {module.removeprefix('ssmq_')}{kind}"
                print(
                    f"{name:24} {resource:3} {total:6.0f} off {np.abs(off).sum() / total:6.1%}, in all {off.sum() / total:+.1%}"
                )
    differ = sum(row["bram"] != one.blocks for row, one in zip(measured, made, strict=True))
    if differ:
        print(f"{key} {module.removeprefix('ssmq_')}: RAM differs in {differ} of {len(measured)}")
    return found


def together(key: str, modules: dict[str, dict[str, dict[str, float]]]) -> list[float]:
    """What is left of modules in a design, by those designs that are there for it."""
    shares: list[float] = []
    every = json.loads((MEASURED / "designs.json").read_text())
    designs = [one for one in every if one["fits"] and find_part(one["part"]).family.measured == key]
    for place, resource in enumerate(("lut", "ff")):
        ratios = []
        for design in designs:
            made = [
                (one["module"], made_of(one["module"], one["parameters"], one["paced"], FAMILIES[key]))
                for one in design["cells"]
            ]
            alone = sum(told([dict(columns(of)[place])], modules[name][resource])[0] for name, of in made)
            ratios.append(alone / design[resource])
            print(f"{key} {design['model']} {design['shape']}: {resource} alone {alone:.0f}, together {design[resource]}")
        ratio = np.array(ratios or [1.0])
        shares.append(round(float(ratio.sum() / (ratio**2).sum()), 4))
    return shares


def main() -> None:
    every = {}
    for key in FAMILIES:
        path = MEASURED / f"{key}.json"
        rows = defaultdict(list)
        for row in json.loads(path.read_text()) if path.is_file() else ():
            rows[row["module"]].append(row)
        if rows:
            modules = {module: fit(key, module, measured) for module, measured in rows.items()}
            every[key] = {"together": together(key, modules), "modules": modules}
    path = Path(calibration.__file__).with_name(calibration.FILE)
    write_whole(path, (json.dumps(every, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
