"""Post-training sensitivity: every tensor narrowed alone, all others wide, on validation sequences.

The paper's Fig. 2 (arXiv 2506.12480) narrows one component at a time and finds Ā and the state first. Here all tensors
stay on the project's own power-of-two grids. ``modes`` says why: an eigenvalue close to the unit circle remembers for
1 / (1 - |Ā|) steps, and a grid step that moves it out, or further in, changes that memory by a multiple of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from ssmq_brevitas.calibrate import calibrate
from ssmq_brevitas.config import Bits, Config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.model import Classifier
from ssmq_brevitas.quantize import quantise

# Wide enough to lose nothing measurable, narrow enough for every accumulator to be exact in 53 bits.
WIDE = {"a": 16, "x": 16, "b": 12, "c": 12, "d": 12, "u": 12, "y": 12, "activation": 12, "linear": 12}
WIDE |= {"encoder": 12, "decoder": 12, "pool": 12, "bias": 20}
BATCH = 250


@dataclass(frozen=True)
class Effect:
    """``tensor`` (a field of ``Bits``) at ``bits``, in ``layer`` only or in all (None). ``error``: relative error of the
    logits against the float model, root mean square."""

    tensor: str
    layer: int | None
    bits: int
    accuracy: float
    error: float

    def as_dict(self) -> dict:
        return asdict(self)


def tensors_of(config: Config) -> list[str]:
    """Tensors that exist in the model and have a width of their own."""
    names = [name for name in WIDE if name != "y" or config.model.activation in ("gelu", "hard_gelu")]
    polar = config.scheme.parameterisation in ("polar", "log_polar")
    return [*names, *(["a_magnitude", "a_phase"] if polar else [])]


def sensitivity(
    floating: Classifier,
    config: Config,
    data: SequenceData,
    widths: list[int],
    images: int = 500,
    by_layer: bool = False,
    told: Callable[[str, int], None] = lambda tensor, bits: None,
) -> Iterator[Effect]:
    """Effects of every tensor and width; the first is the wide model itself, tensor ``""``.

    ``images`` of the validation set are classified. With ``by_layer`` tensors of the blocks are narrowed in one layer at
    a time too.
    """
    calibration = calibrate(floating, data.x_train[:256])
    x, y = data.x_validation[:images], data.y_validation[:images]
    reference = logits(floating, x)

    def at(**bits: int) -> Classifier:
        widened = Bits(**{**config.scheme.bits.model_dump(), **WIDE, "input": 8, **bits})
        scheme = config.scheme.model_copy(update={"bits": widened})
        return quantise(floating, config.model_copy(update={"scheme": scheme}), calibration)

    def effect(model: Classifier, tensor: str, layer: int | None, bits: int) -> Effect:
        found = logits(model, x)
        error = float((found - reference).norm() / reference.norm())
        return Effect(tensor, layer, bits, float((found.argmax(1) == y).float().mean()), error)

    yield effect(at(), "", None, 0)
    for tensor in tensors_of(config):
        for bits in widths:
            told(tensor, bits)
            narrow = at(**{tensor: bits})
            yield effect(narrow, tensor, None, bits)
            if by_layer and tensor not in ("encoder", "decoder", "pool") and len(narrow.blocks) > 1:
                for layer, block in enumerate(narrow.blocks):
                    mixed = at()
                    mixed.blocks[layer] = block
                    yield effect(mixed.to(mixed.decoder.weight.dtype), tensor, layer, bits)


def logits(model: Classifier, x: torch.Tensor) -> torch.Tensor:
    """Float64 logits ``(n, classes)`` of ``x`` uint8 ``(n, T)``, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(x[start : start + BATCH]).double() for start in range(0, len(x), BATCH)])


def ranking(effects: list[Effect]) -> list[tuple[str, float]]:
    """Tensors in the order in which they deserve bits: by accuracy lost, summed over widths, then by output error."""
    wide = next(effect for effect in effects if not effect.tensor)
    whole = [effect for effect in effects if effect.tensor and effect.layer is None]
    losses = {
        name: (
            sum(wide.accuracy - effect.accuracy for effect in whole if effect.tensor == name),
            sum(effect.error for effect in whole if effect.tensor == name),
        )
        for name in dict.fromkeys(effect.tensor for effect in whole)
    }
    return [(name, loss) for name, (loss, _) in sorted(losses.items(), key=lambda item: item[1], reverse=True)]


@dataclass(frozen=True)
class Modes:
    """Eigenvalues of one layer. ``radius``: largest |Ā|; ``memory``: its 1 / (1 - |Ā|) in steps, and that of the median
    mode. By width of a Cartesian grid: ``outside`` modes on or beyond the unit circle, ``moved``: the median factor by
    which rounding changes a mode's memory (infinite where it leaves the disk)."""

    layer: int
    radius: float
    memory: float
    median_memory: float
    outside: dict[int, int]
    moved: dict[int, float]

    def as_dict(self) -> dict:
        return asdict(self)


def modes(floating: Classifier, widths: list[int]) -> list[Modes]:
    """The memory of every layer and what grids of ``widths`` bits do to it."""
    found = []
    for layer, block in enumerate(floating.blocks):
        a = block.ssm.discrete()[0].detach().to(torch.complex128)
        memory = 1 / (1 - a.abs())
        outside, moved = {}, {}
        for bits in widths:
            scale = 2.0 ** (1 - bits)
            codes = torch.view_as_real(a).div(scale).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            rounded = torch.view_as_complex(codes * scale).abs()
            outside[bits] = int((rounded >= 1).sum())
            kept = torch.where(rounded < 1, 1 / (1 - rounded.clamp(max=1 - 1e-12)), torch.inf)
            factor = torch.maximum(kept / memory, memory / kept)
            moved[bits] = float(factor.flatten().median())
        largest = float(a.abs().max())
        found.append(Modes(layer, largest, float(memory.max()), float(memory.flatten().median()), outside, moved))
    return found
