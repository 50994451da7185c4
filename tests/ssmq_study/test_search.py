"""Allocation of widths: exact against enumeration, measured, and shared between processes."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from command_line import ssmq
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.config import Scheme, load_config, to_toml
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.estimates.calibration import taken
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl import serially_folded, write_rtl
from ssmq_export.rtl.manifest import load_manifest
from ssmq_study.allocation import allocate, guided_front, guided_within, pareto
from ssmq_study.cost import Luts, byte_table, total_bytes
from ssmq_study.knobs import single_tensors, with_bits
from ssmq_study.optuna_search import search
from ssmq_study.plots import front as plot_front
from ssmq_study.search_tables import front_table, write_front
from ssmq_study.sensitivity import Bench, sensitivity


@pytest.mark.parametrize("budget", [75, 90, 110, 200])
@pytest.mark.parametrize("decades", [0.3, 6])
def test_no_allocation_is_better_than_the_program_s(budget, decades):
    """However far apart the errors are: the sum of their squares may be far below the solver's tolerance."""
    rng = np.random.default_rng(budget)
    widths = (3, 4, 6, 8)
    errors = {name: dict(zip(widths, sorted(10 ** -rng.uniform(0, decades, 4), reverse=True), strict=True)) for name in "abcx"}
    per_bit = {name: float(rng.integers(1, 9)) for name in errors}
    added = {name: {w: (w - 3) * bit for w in widths} for name, bit in per_bit.items()}
    chosen = allocate(errors, 70.0, added, budget)

    def cost(bits) -> float:
        return sum(errors[name][w] ** 2 for name, w in zip(errors, bits, strict=True))

    def size(bits) -> float:
        return 70.0 + sum(added[name][w] for name, w in zip(errors, bits, strict=True))

    fitting = [bits for bits in itertools.product(widths, repeat=4) if size(bits) <= budget]
    assert cost(chosen.values()) == pytest.approx(min(map(cost, fitting)), rel=1e-6)
    assert size(chosen.values()) <= budget
    with pytest.raises(SsmqError, match="a budget of 69 bytes is too small: the cheapest widths need 70"):
        allocate(errors, 70.0, added, 69)


@pytest.mark.parametrize("parameterisation", ["discrete", "log_polar"])
def test_bytes_add_up(parameterisation):
    config = small_config(scheme={"parameterisation": parameterisation}, model={"norm": "batch"})
    names = ["a", "a_magnitude", "a_phase", "b", "c", "d", "x", "u", "linear", "encoder", "decoder", "bias", "pool"]
    base, added = byte_table(config, {name: [4, 7, 9] for name in names}, dict.fromkeys(names, 7))
    bits = dict(zip(names, itertools.cycle([9, 4, 7]), strict=False))
    assert total_bytes(with_bits(config, bits)) == pytest.approx(base + sum(added[n][w] for n, w in bits.items()))


def small_bench():
    config = small_config(model={"activation": "relu", "layers": 1}, scheme={"parameterisation": "frozen"})
    floating, _ = small_model(config)
    parts = [tensor for seed in range(3) for tensor in (small_codes(40, seed), torch.arange(40) % 3)]
    return Bench(floating, SequenceData("noise", "made here", *parts), 40), config


def test_budgets_give_schemes_that_fit_and_files_that_load(tmp_path):
    bench, config = small_bench()
    told = sensitivity(bench, config, [3, 6, 12], by_tensor=False)
    small, large = (guided_within(bench, config, told, budget) for budget in (170, 400))
    errors = {row["tensor"]: {int(w): e for w, e in row["error"].items()} for row in told["tensors"]}
    base, added = byte_table(config, {name: list(row) for name, row in errors.items()}, dict.fromkeys(errors, 6))
    for budget, found in ((170, small), (400, large)):
        program = with_bits(config, allocate(errors, base, added, budget))
        assert found["scheme"] == program.scheme.model_dump(mode="json"), "bytes add up: one solution is the solution"
    assert small["bytes"] <= 170 < large["bytes"] <= 400
    assert large["error"] < small["error"]
    assert pareto([large, small, {**large, "accuracy": -1.0}])[0] is small
    changed = with_bits(config, small["scheme"]["bits"])
    (tmp_path / "scheme.toml").write_text(to_toml(changed))
    assert load_config(tmp_path / "scheme.toml") == changed


def test_single_tensors_have_widths_of_their_own_and_never_lose_to_roles(tmp_path):
    """The program over single tensors may give all tensors of a role one width, so at a budget it errs no more, by its model."""
    config = small_config(model={"activation": "relu"}, scheme={"parameterisation": "frozen"})
    parts = [tensor for seed in range(3) for tensor in (small_codes(40, seed), torch.arange(40) % 3)]
    bench = Bench(small_model(config)[0], SequenceData("noise", "made here", *parts), 40)
    told = sensitivity(bench, config, [3, 12], by_role=False)
    found = guided_within(bench, config, told, 300)
    scheme = Scheme.model_validate(found["scheme"])
    # A tensor that is the only one of its role is named by that.
    assert (
        scheme.tensors.keys() == single_tensors(config).keys() - {"encoder", "decoder"} and len({*scheme.tensors.values()}) > 1
    )
    assert (
        found["bytes"] <= 300 and found["bytes"] == bench.fitted(config.model_copy(update={"scheme": scheme})).footprint().total
    )
    errors = {row["tensor"]: {int(w): e for w, e in row["error"].items()} for row in told["by_tensor"]}
    base, added = byte_table(config, {name: list(row) for name, row in errors.items()}, dict.fromkeys(errors, 6))
    assert with_bits(config, allocate(errors, base, added, 300)).scheme == scheme
    front = write_front(bench, config, [found], tmp_path, per_tensor=True)
    assert "blocks.0.ssm.x=" in front_table(front).rows[0][1]
    assert load_config(tmp_path / f"scheme-{found['bytes']:.0f}.toml").scheme == scheme


def test_optuna_searches_single_tensors_on_both_grids(tmp_path):
    bench, config = small_bench()
    first = guided_front(bench, config, sensitivity(bench, config, [4, 8], by_role=False), 2)
    found = search(bench, config, [4, 8], 3, f"sqlite:///{tmp_path / 'a.db'}", first=first, per_tensor=True)
    schemes = [Scheme.model_validate(entry["scheme"]) for entry in found]
    assert {scheme.parameterisation for scheme in schemes} == {"frozen", "log_polar"} and len(found) == len(first) + 3
    for scheme in schemes:
        assert ("blocks.0.ssm.a_phase" in scheme.tensors) == (scheme.parameterisation == "log_polar")
        on_grid = config.model_copy(update={"scheme": scheme})
        assert scheme.tensors.keys() == single_tensors(on_grid).keys() - {"encoder", "decoder"}


def test_luts_are_those_of_the_estimate_and_a_budget_of_them_is_kept(tmp_path):
    bench, config = small_bench()
    part, told = find_part("lfe5u-25f"), sensitivity(bench, config, [3, 8], by_tensor=False)
    # Each tensor is a lowering for every table; those of the products and sums are enough.
    told["tensors"] = [row for row in told["tensors"] if row["tensor"] in ("a", "c", "x", "linear")]
    cost = Luts(part, fps=5_000)
    front = guided_front(bench, config, told, 4, cost)
    cheapest, dearest = min(entry["lut"] for entry in front), max(entry["lut"] for entry in front)
    assert dearest > 1.1 * cheapest
    within = guided_within(bench, config, told, (cheapest + dearest) / 2, cost)
    assert within["lut"] <= (cheapest + dearest) / 2
    graph = collapse(lower(step_graph(bench.fitted(with_bits(config, within["scheme"]["bits"])).network)))
    estimate = estimate_graph(graph, part, fps=5_000)
    assert within["lut"] == estimate.as_dict()["total"]["lut"] and estimate.sequences_per_second >= 5_000
    with pytest.raises(SsmqError, match=f"a budget of {cheapest / 2:,.0f} lut is too small: the cheapest scheme found"):
        guided_within(bench, config, told, cheapest / 2, cost)
    with pytest.raises(ExportError, match="are out of reach .*; raise the clock"):
        guided_front(bench, config, told, 8, Luts(part, fps=1e7))
    found = json.loads(json.dumps(write_front(bench, config, [*front, within], tmp_path, cost)))
    assert "LUT" in front_table(found).headings and "lfe5u-25f at 100 MHz, folded for 5000" in front_table(found).title
    assert {path.name for path in tmp_path.glob("*.toml")} == {f"scheme-{e['lut']:.0f}.toml" for e in found["front"]}
    plot_front(found, tmp_path / "front.png")


def test_luts_of_the_serial_shape_are_those_of_its_rtl(tmp_path):
    """What is searched for is what `ssmq rtl --shape serial` writes at that rate, with the multipliers of the part."""
    config, part = small_config(model={"layers": 2}), find_part("ice40up5k")
    model = small_model(config)[1]
    found = Luts(part, fps=20_000, clock_mhz=48, shape="serial").measured(model)
    graph = serially_folded(collapse(lower(step_graph(model.graph))), 20_000, 48)
    write_rtl(graph, tmp_path / "rtl", shape="serial", multipliers=part.dsp)
    manifest = load_manifest(tmp_path / "rtl")
    cost = taken(manifest.design().cells, part)
    assert [found[name] for name in ("lut", "dsp", "bram")] == [cost.lut, cost.dsp, cost.bram]
    assert found["cycles"] == manifest.further <= 48e6 / 20_000 and 0 < cost.dsp <= 8
    with pytest.raises(ExportError, match="ice40up5k has 5 LUT and [0-9,]+ are needed; take a larger part"):
        Luts(replace(part, lut=5), shape="serial").measured(model)
    with pytest.raises(ExportError, match="gw1nr-9: the serial shape has no estimate on Gowin"):
        Luts(find_part("gw1nr-9"), shape="serial").measured(model)


def test_the_rate_is_kept_by_folding_whatever_the_widths():
    bench, config = small_bench()
    narrow, wide = (with_bits(config, dict.fromkeys(("a", "b", "c", "d", "x", "linear"), bits)) for bits in (3, 8))
    cycles = [Luts(find_part("xc7z020"), fps=5_000).measured(bench.quantized(c))["cycles"] for c in (narrow, wide)]
    assert max(cycles) <= 100e6 / 5_000 and cycles[0] == pytest.approx(cycles[1], rel=0.05)


def test_optuna_tries_the_polar_grid_where_the_program_was_best(tmp_path):
    bench, config = small_bench()
    first = guided_front(bench, config, sensitivity(bench, config, [4, 8], by_tensor=False), 3)
    found = search(bench, config, [4, 8], 4, f"sqlite:///{tmp_path / 'a.db'}", first=first)
    kinds = {entry["scheme"]["parameterisation"] for entry in found}
    assert kinds == {"frozen", "log_polar"} and len(found) == len(first) + 4
    best = pareto(first)[-1]["scheme"]["bits"]
    twin = found[len(first)]["scheme"]["bits"]
    assert twin == {**best, "a": 8, "a_phase": best["a"], "a_magnitude": 4}


def test_two_processes_share_one_storage(tmp_path):
    """Each adds its own trials to one study; the front each writes is of them all so far."""
    config = small_config(model={"heads": 2, "modes": 2, "layers": 1})
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "float.safetensors", Model.floating(config))
    x, y = small_codes(120)[..., None].numpy(), np.arange(120, dtype=np.uint8) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y, x_test=x, y_test=y)
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    arguments = ["--dataset", f"npz:{tmp_path / 'data.npz'}", "--widths", "4,8", "--trials", 4, "--storage", storage]
    with ThreadPoolExecutor(2) as threads:
        command = ("search", tmp_path / "float.safetensors", *arguments, "--out")
        told = [threads.submit(ssmq, *command, tmp_path / name) for name in ("one", "two")]
    assert [worker.result().code for worker in told] == [0, 0], [worker.result() for worker in told]
    (summary,) = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
    schemes = [json.dumps(trial.user_attrs["candidate"]["scheme"]) for trial in study.trials]
    assert len(study.trials) > 8 + 2 and len(set(schemes)) > 8, "the program's, and four of each worker"
    for name in ("one", "two"):
        front = json.loads((tmp_path / name / "front.json").read_text())
        files = {path.name for path in (tmp_path / name).glob("scheme-*.toml")}
        assert files == {f"scheme-{entry['bytes']:.0f}.toml" for entry in front["front"]}
        assert front["front"] == pareto(front["front"]) and len(front["candidates"]) > 4
