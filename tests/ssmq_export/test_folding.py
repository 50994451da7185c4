"""Foldings by enumeration, and nonsense refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.errors import ExportError
from ssmq_export.estimate import find_part
from ssmq_export.estimate.cost import Folding, cycles, latency, resources
from ssmq_export.estimate.folding import fold_for_rate, sequential, shortage, widened
from ssmq_export.estimate.primitives import Cost
from ssmq_export.estimate.timing import timing
from ssmq_export.estimate.work import Work

PART = find_part("xc7a35t")
DENSE = Work("d", "MatMul", "dense", 48, (6, 8), 8, 8, 20, stored=48, multiplications=48, inputs=("u",), output="y")
ADD = Work("a", "Add", "add", 6, (6,), 20, 8, 20, stored=6, inputs=("y",), output="z")


@pytest.mark.parametrize("lanes", [(0, 1), (1, 0), (-1, 1), (True, 1), (1.0, 1), (1, "2"), (2.5, 1), (None, 1), ()])
def test_lanes_are_whole_numbers_from_1(lanes):
    with pytest.raises(ExportError, match=r"lanes must be whole numbers from 1, not"):
        Folding(lanes)


@pytest.mark.parametrize("lanes", [(4, 1), (1, 3), (12, 8), (6, 16), (6,), (1, 1, 1)])
@pytest.mark.parametrize("use", [cycles, latency, lambda work, folding: resources(work, folding, PART.family)])
def test_lanes_divide_what_they_share(lanes, use):
    with pytest.raises(ExportError, match=r"node d: its lanes must be divisors of 6, 8, not"):
        use(DENSE, Folding(lanes))


def test_every_divisor_is_a_folding():
    for lanes in itertools.product((1, 2, 3, 6), (1, 2, 4, 8)):
        folding = Folding(lanes)
        assert folding.parallel * cycles(DENSE, folding) == 48
        resources(DENSE, folding, PART.family)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=2))
def test_widened_takes_the_next_multiple_that_divides_inputs_first(dims):
    work = Work("w", "MatMul", "dense", int(np.prod(dims)), tuple(dims), 8, 8, 20)
    (folding,) = sequential([work])
    seen = [folding.lanes]
    while (folding := widened(work, folding)) is not None:
        before, after = seen[-1], folding.lanes
        (axis,) = [k for k in range(len(dims)) if before[k] != after[k]]
        # Inputs are all parallel before the outputs begin.
        assert all(before[k] == dims[k] for k in range(axis + 1, len(dims)))
        larger = [n for n in range(before[axis] + 1, dims[axis] + 1) if dims[axis] % n == 0 and n % before[axis] == 0]
        assert after[axis] == min(larger)
        seen.append(after)
    assert seen[-1] == tuple(dims)


def test_totals_and_shortages():
    works, foldings = [DENSE, ADD], sequential([DENSE, ADD])
    one, two = (resources(w, f, PART.family) for w, f in zip(works, foldings, strict=True))
    found = one + two
    assert found == Cost(one.lut + two.lut, one.ff + two.ff, one.dsp + two.dsp, one.bram + two.bram)
    assert shortage(found, PART) is None
    assert shortage(Cost(lut=PART.lut), PART) is None and shortage(Cost(lut=PART.lut + 1), PART) == "lut"
    # Of several the one that is exceeded most.
    assert shortage(Cost(lut=2 * PART.lut, dsp=3 * PART.dsp), PART) == "dsp"


def test_a_rate_is_reached_with_no_lane_too_many():
    works = [DENSE, ADD]
    slow = 100e6 / timing(works, sequential(works)).per_sequence(10)
    assert fold_for_rate(works, PART, 10, 100, slow) == sequential(works)
    (dense, add) = fold_for_rate(works, PART, 10, 100, slow * 1.01)
    assert (dense.lanes, add.lanes) == ((1, 2), (1,))
    with pytest.raises(ExportError, match="d is fully parallel; raise --clock"):
        fold_for_rate([DENSE], PART, 10, 100, 1e12)
