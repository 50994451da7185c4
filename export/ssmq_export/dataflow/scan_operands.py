"""What a ``DiagonalScan`` must be given: names and order of its inputs, and what may be wrong about them.

One place for the operator that computes and for the checker that judges, which must not need qonnx or numba.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

INPUTS = ("u", "a_re", "a_im", "b_re", "b_im", "c_re", "c_im", "d", "shift")
WIDEST_STATE, LARGEST_SHIFT = 32, 40


def unfit_shapes(channels: int, shapes: Mapping[str, Sequence[int]]) -> str | None:
    """What is wrong with the shapes of the parameters for ``u`` of ``channels`` channels."""
    size = tuple(shapes["a_re"])
    if len(size) != 2 or size[0] != channels or not size[1]:
        return f"a_re has the shape {size}, not (channels, modes) of {channels} channels"
    allowed = {**dict.fromkeys(INPUTS[2:7], (size,)), "d": (size[:1],), "shift": ((1,), size)}
    for name, fitting in allowed.items():
        if tuple(shapes[name]) not in fitting:
            return f"{name} has the shape {tuple(shapes[name])} where a_re has {size}"
    return None


def unfit_state(bits: object) -> str | None:
    """What is wrong with the width of a state."""
    fits = isinstance(bits, int) and 2 <= bits <= WIDEST_STATE
    return None if fits else f"state_bits is {bits}, not 2 to {WIDEST_STATE}"


def unfit_shift(shift: np.ndarray) -> str | None:
    """What is wrong with the shifts."""
    if np.all((shift >= 0) & (shift <= LARGEST_SHIFT) & (shift == np.rint(shift))):
        return None
    return f"a shift is no integer from 0 to {LARGEST_SHIFT}"
