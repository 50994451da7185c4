"""One tensor of one layer narrow: a wide and a narrow model of one calibration, and a part of the narrow in the wide.

A scheme has one width for a tensor in all layers. Which of them needs it is told without giving schemes more widths.
"""

from __future__ import annotations

import copy

from ssmq_brevitas.model import Classifier
from ssmq_brevitas.post_training import settle_precision

# What is no layer's: the encoder's output and the biases of encoder and decoder; and tensors that no layer has.
OUTSIDE = "outside"
ONLY_OUTSIDE, ALSO_OUTSIDE = ("encoder", "decoder", "input", "pool"), ("u", "bias")


def places(tensor: str, layers: int) -> list[int | str]:
    """The layers, or ``OUTSIDE`` them, where a model of ``layers`` layers has this tensor."""
    if tensor in ONLY_OUTSIDE:
        return [OUTSIDE]
    return [*([OUTSIDE] if tensor in ALSO_OUTSIDE else []), *range(layers)]


def narrow_at(wide: Classifier, narrow: Classifier, place: int | str) -> Classifier:
    """``wide`` with layer ``place``, or all that is outside the layers, from ``narrow``.

    Both are the same float model, quantised by one calibration. The block of a layer has its output's quantiser, not
    its input's. Raises SsmqError if an accumulator of the mixture cannot be exact.
    """
    model = copy.deepcopy(narrow if place == OUTSIDE else wide)
    for k in range(len(wide.blocks)):
        model.blocks[k] = copy.deepcopy((narrow if place == k else wide).blocks[k])
    return settle_precision(model)
