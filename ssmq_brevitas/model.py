"""The classifier: encoder, blocks of S4D and mixing, mean pooling, decoder; float and quantised alike.

Both are the same module. What stands in ``quantizers`` is an identity in the float model, an observer during
calibration, a Brevitas quantiser in the quantised model. Checkpoints call them sites. Those of a block:

    u  --> S4D --> [batch norm] --> y --> activation --> mix_in --> Linear --> value * gate --> + u --> next u

``y`` exists only before a non-monotone activation: a monotone one goes straight from the exact sum to its codes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from .activations import ACTIVATIONS, GATES, MONOTONE
from .config import ModelConfig, Scheme
from .formats import Format, covering_exponent
from .s4d import S4D

INPUT_EXPONENT = -8
# An exponent of batch norm's gain or offset is stored as what it lacks to the layer's largest.
NORM_EXPONENT_BITS = 4


class PositiveBatchNorm(nn.Module):
    """Batch norm over ``(B, T, H)`` with gain |γ|, so that it is monotone and folds into thresholds.

    No generality is lost: the sign of a channel can go into C and D. Evaluation is one product and one sum a value,
    in that order, which is what the exported graph does. With ``bits``, gain and offset are stored as codes of so many
    bits and an exponent of 4 bits each. ``frozen``, it trains as it evaluates: statistics stay, and what is trained is
    what is stored (straight-through), as in Krishnamoorthi, arXiv 1806.08342.
    """

    frozen = False

    def __init__(self, heads: int, bits: int | None = None, momentum: float = 0.05, eps: float = 1e-5):
        super().__init__()
        self.bits, self.momentum, self.eps = bits, momentum, eps
        self.weight = nn.Parameter(torch.ones(heads))
        self.bias = nn.Parameter(torch.zeros(heads))
        self.register_buffer("mean", torch.zeros(heads))
        self.register_buffer("variance", torch.ones(heads))

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain and offset ``(H)`` used in evaluation."""
        gain = self.weight.abs() / torch.sqrt(self.variance + self.eps)
        offset = self.bias - self.mean * gain
        if self.bits is None:
            return gain, offset
        return _rounded(gain, self.bits, least=1), _rounded(offset, self.bits)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        if self.frozen or not self.training:
            gain, offset = self.affine()
            return torch.add(torch.mul(y, gain), offset)
        variance, mean = torch.var_mean(y, dim=(0, 1), correction=0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return (y - mean) * (self.weight.abs() / torch.sqrt(variance + self.eps)) + self.bias


def _rounded(values: torch.Tensor, bits: int, least: int | None = None) -> torch.Tensor:
    """``values`` as signed codes of ``bits`` bits, at least ``least``, each with an exponent of its own.

    Channels differ: the gain of one that hardly moves is a hundred times that of another.
    """
    found = values.detach().cpu().numpy()
    exponent = covering_exponent(np.abs(found), bits, True)
    exponent = np.maximum(exponent, exponent.max() - (2**NORM_EXPONENT_BITS - 1))
    fmt = Format(bits, True, exponent)
    rounded = torch.from_numpy(fmt.values(np.maximum(fmt.codes(found), fmt.low if least is None else least))).to(values)
    return rounded + (values - values.detach())  # straight-through; the zero added is exact


class Block(nn.Module):
    """One layer, ``(B, T, H)`` to ``(B, T, H)``."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        heads = model.heads
        self.ssm: nn.Module = S4D(heads, model.modes, model.dt_min, model.dt_max)
        self.norm = PositiveBatchNorm(heads) if model.norm == "batch" else nn.Identity()
        self.activation = ACTIVATIONS[model.activation]()
        self.linear: nn.Module = nn.Linear(heads, heads if model.gate == "none" else 2 * heads)
        self.gate = None if model.gate == "none" else GATES[model.gate]()
        names = [] if model.activation in MONOTONE else ["y"]
        names += ["mix_in"] + ([] if self.gate is None else ["value", "gate"]) + ["u"]
        self.sites = nn.ModuleDict({name: nn.Identity() for name in names})

    @property
    def quantizers(self) -> nn.ModuleDict:
        return self.sites

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.ssm(u))
        if "y" in self.quantizers:
            y = self.quantizers["y"](y)
        mixed = self.linear(self.quantizers["mix_in"](self.activation(y)))
        if self.gate is not None:
            value, gate = mixed.chunk(2, dim=-1)
            mixed = self.quantizers["value"](value) * self.quantizers["gate"](self.gate(gate))
        return self.quantizers["u"](u + mixed)


class Classifier(nn.Module):
    """Sequence classifier: uint8 codes ``(B, T)``, or of several channels ``(B, T, C)``, to logits ``(B, classes)``.

    Pooling sums over time and scales by the power of two nearest to 1/T, a constant shift in hardware.
    ``scheme`` is what the quantisers were made by (see ``quantize``), None in a float model.
    """

    scheme: Scheme | None = None

    def __init__(self, model: ModelConfig):
        super().__init__()
        self.model = model
        self.encoder: nn.Module = nn.Linear(model.channels, model.heads)
        with torch.no_grad():
            # The usual normalisation of MNIST, (k/255 - 0.1307) / 0.3081, as the encoder's starting point.
            self.encoder.bias -= self.encoder.weight.sum(dim=1) * (0.1307 / 0.3081)
            self.encoder.weight *= 256 / 255 / 0.3081
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.decoder: nn.Module = nn.Linear(model.heads, model.classes)
        self.sites = nn.ModuleDict({name: nn.Identity() for name in ("input", "u", "pool")})

    @property
    def quantized(self) -> bool:
        return self.scheme is not None

    @property
    def quantizers(self) -> nn.ModuleDict:
        return self.sites

    @property
    def pool_exponent(self) -> int:
        return -round(math.log2(self.model.length))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        dtype = self.decoder.weight.dtype
        values = (codes if codes.dim() == 3 else codes[..., None]).to(dtype) * 2.0**INPUT_EXPONENT
        u = self.quantizers["u"](self.encoder(self.quantizers["input"](values)))
        for block in self.blocks:
            u = block(u)
        return self.decoder(self.quantizers["pool"](u.sum(dim=1) * 2.0**self.pool_exponent))

    def use_engine(self, engine: str) -> None:
        """``"fused"``: one kernel for a recurrence or a quantiser; ``"reference"``: Brevitas, op by op. Same codes."""
        for module in self.modules():
            if hasattr(module, "engine"):
                module.engine = engine

    def quantizer_names(self) -> dict[str, nn.ModuleDict]:
        """Every quantiser's full name (``u``, ``0.y``, ``0.u``, ``pool`` ...) and the dictionary that holds it."""
        names = {name: self.quantizers for name in self.quantizers}
        for k, block in enumerate(self.blocks):
            names |= {f"{k}.{name}": block.quantizers for name in block.quantizers}
        return names
