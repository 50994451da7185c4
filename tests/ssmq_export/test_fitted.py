"""Products in hardware multipliers as far as the part has them, in LUTs beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import small_config, small_model
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.estimate import find_part
from ssmq_export.estimate.choice import Folded, fitted, sequential
from ssmq_export.estimate.cost import resources
from ssmq_export.from_model import describe
from ssmq_export.graphs.step_graph import step_graph
from ssmq_export.lower import lower

# So many LUTs that only the multipliers are short.
PART = replace(find_part("xczu7ev"), lut=10**9, ff=10**9)


@pytest.fixture(scope="module")
def folded() -> Folded:
    return sequential(DataflowGraph(lower(step_graph(describe(small_model(small_config())[1])))))


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
