"""Products in hardware multipliers as far as the part has them, in LUTs beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import small_config, small_model
from hand_graphs import dataflow
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.door import admit
from ssmq_export.errors import ExportError
from ssmq_export.estimates import find_part
from ssmq_export.estimates.choice import Folded, fitted, fold_for_rate, sequential
from ssmq_export.estimates.cost import resources
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower

# So many LUTs that only the multipliers are short.
PART = replace(find_part("xczu7ev"), lut=10**9, ff=10**9)


@pytest.fixture(scope="module")
def folded() -> Folded:
    return sequential(DataflowGraph(lower(step_graph(small_model(small_config())[1].network))))


def spent(folded: Folded) -> int:
    return sum(cost.dsp for cost in folded.costs(PART.family))


def test_no_product_leaves_the_multipliers_that_needs_not(folded):
    """Added up anew: what is chosen fits, with one product fewer moved it would not, and narrow ones move first."""
    all_in, operations = spent(folded), folded.graph.operations
    assert all_in > 10
    bits = [(max(part.left * part.right for part in o.parts), index) for index, o in enumerate(operations)]
    for available in range(all_in + 2):
        nodes = list(fitted(folded, replace(PART, dsp=available or 1)).nodes)
        assert spent(replace(folded, nodes=tuple(nodes))) <= max(available, 1)
        moved = [bits[i] for i, folding in enumerate(nodes) if not folding.use_dsp]
        kept = [bits[i] for i, f in enumerate(nodes) if f.use_dsp and resources(operations[i], f, PART.family).dsp]
        if available >= all_in:
            assert not moved
            continue
        assert max(moved) < min(kept, default=(10**9, 0))
        last = max(moved)[1]
        nodes[last] = replace(nodes[last], use_dsp=True)
        assert spent(replace(folded, nodes=tuple(nodes))) > max(available, 1)


def two_scales(g) -> None:
    """Products with factors of 20 bits and of 9, either worth a multiplier."""
    g.node("Mul", [g.input("u", 4), g.constant("w", ((2**19 + 1, 3, 5, 7),))], "wide", 4)
    g.node("Mul", ["u", g.constant("n", ((257, 3, 5, 7),))], "narrow", 4)
    g.output(g.node("Add", ["wide", "narrow"], "y", 4), 4)


def of_two_scales() -> DataflowGraph:
    return DataflowGraph(admit(dataflow(two_scales, u="UINT8", wide="UINT28", narrow="UINT17", y="UINT29").model(), "dataflow"))


def test_a_rate_for_which_the_part_is_too_small_is_named_with_it():
    now = sequential(of_two_scales())
    used = sum(cost.lut for cost in now.costs(PART.family))
    rate = 100e6 / now.timing.of_sequence(20)[1]
    assert fold_for_rate(now.graph, replace(PART, lut=used), 100, rate).nodes == now.nodes
    told = rf"{1.1 * rate:g} sequences a second at 100 MHz are out of reach \({rate:.4g} with the last folding\): xczu7ev has {used} LUT"
    with pytest.raises(ExportError, match=f"^{told}".replace("+", "[+]")):
        fold_for_rate(now.graph, replace(PART, lut=used), 100, 1.1 * rate)


def test_what_moved_into_luts_is_named_where_they_are_short():
    """One multiplier: the narrow product, 8 x 9 LUTs of it, moves and is then the largest node."""
    with pytest.raises(ExportError, match="has 100 LUT and .* are needed, most of them by Mul_narrow; take"):
        fitted(sequential(of_two_scales()), replace(PART, dsp=1, lut=100))
