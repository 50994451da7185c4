"""`check` says what FINN does: its verdict and that of FINN's own steps on graphs drawn over all operators that FINN converts."""

from __future__ import annotations

import pytest
from conversion_cases import conversions
from drawn_graphs import draw
from finn_oracle import Oracle
from foreign_cases import INTEGER
from ssmq_export import finn
from ssmq_export.checks import check_model

pytestmark = pytest.mark.skipif(not finn.available(), reason=finn.INSTALL)

SHORT, LONG, AGREEING = 60, 300, 0.98


@pytest.fixture(scope="module")
def oracle():
    with Oracle() as started:
        yield started


def difference(answer: tuple[bool, str], model) -> str:
    """What FINN and check say, empty if both call the graph legal or both do not."""
    mapped, said = answer
    errors = [f"{f.rule} at {f.node}: {f.message}" for f in check_model(model) if f.severity == "error"]
    return "" if mapped == (not errors) else f"FINN {'maps it' if mapped else said}, check says {errors or 'legal'}"


def test_finn_does_with_the_listed_graphs_what_they_say(oracle):
    said = {name: oracle.ask(model) for name, (model, _) in INTEGER.items()}
    assert {name: mapped for name, (mapped, _) in said.items()} == {name: not words for name, (_, words) in INTEGER.items()}, (
        said
    )


@pytest.mark.slow
def test_finn_does_with_each_operator_what_its_case_says(oracle):
    cases = conversions()
    said = {name: oracle.ask(model) for name, (model, _) in cases.items()}
    assert {name: said[name] for name, (_, words) in cases.items() if said[name][0] != (not words)} == {}


def test_check_agrees_with_finn_on_drawn_graphs(oracle):
    models = {seed: draw(seed) for seed in range(SHORT)}
    asked = {seed: oracle.ask(model) for seed, model in models.items()}
    differences = {seed: found for seed, model in models.items() if (found := difference(asked[seed], model))}
    assert differences == {}
    # A sample that FINN refuses throughout would agree with a check that refuses everything.
    assert SHORT / 4 < sum(mapped for mapped, _ in asked.values()) < SHORT * 3 / 4


@pytest.mark.slow
def test_check_agrees_with_finn_on_many_drawn_graphs(oracle):
    differences = {
        seed: found for seed in range(1000, 1000 + LONG) if (found := difference(oracle.ask(model := draw(seed)), model))
    }
    print(*differences.items(), sep="\n")
    assert len(differences) <= (1 - AGREEING) * LONG, differences
