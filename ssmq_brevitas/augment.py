"""Training sequences moved by a few steps; an image by a few rows and columns.

A pure function of seed and step, so that an interrupted training sees the same sequences when it goes on.
"""

from __future__ import annotations

import torch


def shifted(x: torch.Tensor, most: int, row: int, seed: int, step: int) -> torch.Tensor:
    """``x`` ``(B, T)`` or ``(B, T, C)``, each sequence moved by up to ``most`` rows of ``row`` steps either way.

    With ``row`` above 1 the steps are an image's pixels, row by row, and it moves by up to ``most`` columns too. Zeros
    come in at the ends; a column that leaves on one side comes in on the other, as far as the border is not empty.
    """
    if most == 0:
        return x
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    rows, columns = torch.randint(-most, most + 1, (2, len(x)), generator=generator)
    offset = rows * row + (columns if row > 1 else 0)
    source = torch.arange(x.shape[1])[None] - offset[:, None]
    inside = (source >= 0) & (source < x.shape[1])
    index = source.clamp(0, x.shape[1] - 1)
    if x.dim() == 3:
        index, inside = index[..., None].expand_as(x), inside[..., None]
    return x.gather(1, index) * inside
