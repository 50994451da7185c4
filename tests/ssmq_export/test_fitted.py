"""Products in hardware multipliers as far as the part has them, in LUTs beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import small_config, small_model
from ssmq_export.estimate import find_part
from ssmq_export.estimate.cost import resources
from ssmq_export.estimate.folding import fitted, sequential
from ssmq_export.estimate.primitives import Cost
from ssmq_export.estimate.work import work_of
from ssmq_export.from_model import describe
from ssmq_export.graphs.step_graph import step_graph
from ssmq_export.lower import lower

# So many LUTs that only the multipliers are short.
PART = replace(find_part("xczu7ev"), lut=10**9, ff=10**9)


@pytest.fixture(scope="module")
def works():
    return work_of(lower(step_graph(describe(small_model(small_config())[1]))))


def spent(works, foldings) -> Cost:
    return sum((resources(w, f, PART.family) for w, f in zip(works, foldings, strict=True)), Cost())


def test_no_product_leaves_the_multipliers_that_needs_not(works):
    """Added up anew: what is chosen fits, with one product fewer moved it would not, and narrow ones move first."""
    all_in = spent(works, sequential(works)).dsp
    assert all_in > 10
    for available in range(all_in + 2):
        foldings = fitted(works, sequential(works), replace(PART, dsp=available or 1))
        assert spent(works, foldings).dsp <= max(available, 1)
        bits = [(work.left * work.right, index) for index, work in enumerate(works)]
        moved = [bits[i] for i, folding in enumerate(foldings) if not folding.use_dsp]
        kept = [bits[i] for i, f in enumerate(foldings) if f.use_dsp and resources(works[i], f, PART.family).dsp]
        if available >= all_in:
            assert not moved
            continue
        assert max(moved) < min(kept, default=(10**9, 0))
        last = max(moved)[1]
        foldings[last] = replace(foldings[last], use_dsp=True)
        assert spent(works, foldings).dsp > max(available, 1)
