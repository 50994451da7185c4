"""Estimates of RTL against the synthesis of designs that they are not fitted to; what they are fitted to; what is counted."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from conftest import small_config, small_model
from ssmq_export.estimates import calibration, estimate_graph, find_part
from ssmq_export.estimates.modules import MADE
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl import library, write_rtl

ROOT = Path(__file__).parents[2]
DESIGNS = [one for one in json.loads((ROOT / "results/modules/designs.json").read_text()) if not one["fits"]]
BOUNDS = {"lut": 0.10, "ff": 0.15, "dsp": 0.10, "bram": 0.10}


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("design", DESIGNS, ids=lambda one: f"{one['model']} {one['part']} {one['rtl']}")
def test_a_design_takes_what_is_estimated(design):
    part, cell_of = find_part(design["part"]), script("check_estimates").cell_of
    cost = calibration.total(map(cell_of, design["cells"]), part.family)
    for name, bound in BOUNDS.items():
        assert getattr(cost, name) == pytest.approx(design[name], rel=bound), name


def test_five_designs_of_ecp5_are_checked_and_none_is_fitted_to():
    every = json.loads((ROOT / "results/modules/designs.json").read_text())
    models = [{one["model"] for one in every if one["fits"] == fits} for fits in (True, False)]
    assert not models[0] & models[1]
    assert sum(one["part"].startswith("lfe5u") for one in DESIGNS) >= 5
    assert {one["shape"] for one in DESIGNS} == {"dataflow", "serial"}


def test_what_was_measured_gives_the_calibration_again():
    """As much in all of every module; which of two amounts that go together takes it may differ between releases of SciPy."""
    fit = script("fit_modules")
    for key, found in calibration.calibrations().items():
        rows: dict[str, list] = {}
        for row in json.loads((ROOT / f"results/modules/{key}.json").read_text()):
            rows.setdefault(row["module"], []).append(row)
        assert rows.keys() == found.modules.keys()
        for module, measured in rows.items():
            again = fit.fit(key, module, measured)
            made = [fit.made_of(module, row["parameters"], row["paced"], fit.FAMILIES[key]) for row in measured]
            for place, resource in enumerate(("lut", "ff")):
                amounts = [dict(fit.columns(one)[place]) for one in made]
                kept = fit.told(amounts, getattr(found.modules[module], resource)).sum()
                assert fit.told(amounts, again[resource]).sum() == pytest.approx(kept, rel=0.01), (key, module, resource)


def test_every_module_of_the_library_has_an_estimate():
    used = set(re.findall(r'"(ssmq_\w+)"', Path(library.__file__).read_text()))
    assert len(used) > 15 and used == MADE.keys()
    for found in calibration.calibrations().values():
        assert found.modules.keys() == used


@pytest.mark.parametrize("part", ["lfe5u-25f", "ice40up5k", "xc7a35t", "zu3eg"])
def test_an_estimate_counts_every_module_that_is_written(tmp_path, part):
    """Queues, forks and registers between the nodes included."""
    graph = collapse(lower(step_graph(small_model(small_config())[1].network)))
    manifest = write_rtl(graph, tmp_path / "rtl")
    cost = calibration.taken(manifest.design().cells, find_part(part))
    found = estimate_graph(graph, find_part(part)).as_dict()
    assert found["total"] == {name: getattr(cost, name) for name in BOUNDS} and min(cost.lut, cost.ff) > 100
    assert {node["name"] for node in found["nodes"]} == {node.name for node in graph.graph.node}
