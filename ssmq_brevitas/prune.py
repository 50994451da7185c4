"""Fewer modes a head: the weakest of a trained float model go, the others stay as they are.

A mode's impulse response is 2 Re(C B̄ Ā^t); its energy, summed over all steps, is at most |C B̄|² / (1 - |Ā|²) times a
constant. That number ranks the modes of a head.
"""

from __future__ import annotations

import torch

from .model import Model
from .s4d import S4D


def pruned(floating: Model, modes: int) -> Model:
    """``floating`` with the ``modes`` strongest modes of every head, in their order, in evaluation mode."""
    shape = floating.shape.model_copy(update={"modes": modes})
    fewer = Model.floating(floating.config.model_copy(update={"model": shape}))
    weights = dict(floating.state_dict())
    with torch.no_grad():
        for path, layer in floating.named_modules():
            if not isinstance(layer, S4D):
                continue
            a, b, c = layer.discrete()
            energy = (b * c).abs().square() / (1 - a.abs().square()).clamp(min=1e-12)
            kept = energy.topk(modes, dim=1).indices.sort(dim=1).values
            for name in ("log_a_re", "a_im"):
                weights[f"{path}.{name}"] = weights[f"{path}.{name}"].gather(1, kept)
            weights[f"{path}.c"] = weights[f"{path}.c"].gather(1, kept[..., None].expand(-1, -1, 2))
        fewer.load_state_dict(weights)
    return fewer.eval()
