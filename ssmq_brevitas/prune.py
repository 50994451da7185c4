"""Fewer modes a head: the weakest of a trained float model go, the others stay as they are.

A mode's impulse response is 2 Re(C B̄ Ā^t); its energy, summed over all steps, is at most |C B̄|² / (1 - |Ā|²) times a
constant. That number ranks the modes of a head.
"""

from __future__ import annotations

import torch

from .model import Classifier


def pruned(floating: Classifier, modes: int) -> Classifier:
    """``floating`` with the ``modes`` strongest modes of every head, in their order, in evaluation mode."""
    fewer = Classifier(floating.model.model_copy(update={"modes": modes}), floating.task)
    weights = dict(floating.state_dict())
    with torch.no_grad():
        for k, block in enumerate(floating.blocks):
            a, b, c = block.ssm.discrete()
            energy = (b * c).abs().square() / (1 - a.abs().square()).clamp(min=1e-12)
            kept = energy.topk(modes, dim=1).indices.sort(dim=1).values
            for name in ("log_a_re", "a_im"):
                weights[f"blocks.{k}.ssm.{name}"] = weights[f"blocks.{k}.ssm.{name}"].gather(1, kept)
            c_name = f"blocks.{k}.ssm.c"
            weights[c_name] = weights[c_name].gather(1, kept[..., None].expand(-1, -1, 2))
        fewer.load_state_dict(weights)
    return fewer.eval()
