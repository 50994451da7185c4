"""The classifier: encoder, blocks of S4D and mixing, mean pooling, decoder; float and quantised alike.

Both are the same module. What stands in ``quantizers`` is an identity in the float model, an observer during
calibration, a Brevitas quantiser in the quantised model. Checkpoints call them sites. Those of a block:

    u  --> S4D --> [batch norm] --> y --> activation --> mix_in --> Linear --> value * gate --> + u --> next u

``y`` exists only before a non-monotone activation: a monotone one goes straight from the exact sum to its codes.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .activations import ACTIVATIONS, GATES, MONOTONE
from .config import ModelConfig, Scheme
from .norm import PositiveBatchNorm
from .s4d import S4D
from .task import Task


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
    """Codes ``(B, T)``, or of several channels ``(B, T, C)``, to logits ``(B, classes)``; of a task that counts at each step
    without pooling, to ``(B, T, classes)``.

    Pooling sums over time and scales by the power of two nearest to 1/T, a constant shift in hardware.
    ``scheme`` is what the quantisers were made by (see ``quantize``), None in a float model.
    """

    scheme: Scheme | None = None

    def __init__(self, model: ModelConfig, task: Task = Task()):
        super().__init__()
        self.model, self.task = model, task
        self.encoder: nn.Module = nn.Linear(model.channels, model.heads)
        with torch.no_grad():
            if model.input is None:
                # The usual normalisation of MNIST, (k/255 - 0.1307) / 0.3081, as the encoder's starting point.
                self.encoder.bias -= self.encoder.weight.sum(dim=1) * (0.1307 / 0.3081)
                self.encoder.weight *= 256 / 255 / 0.3081
            else:
                # Another range is brought to about -1 .. 1.
                self.encoder.weight /= model.input.format.magnitude * 2.0**model.input.exponent
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.decoder: nn.Module = nn.Linear(model.heads, model.classes)
        names = ("input", "u") if task.each_step else ("input", "u", "pool")
        self.sites = nn.ModuleDict({name: nn.Identity() for name in names})

    @property
    def quantized(self) -> bool:
        return self.scheme is not None

    @property
    def quantizers(self) -> nn.ModuleDict:
        return self.sites

    @property
    def decoder_input(self) -> nn.Module:
        """What stands before the decoder."""
        return self.blocks[-1].quantizers["u"] if self.task.each_step else self.quantizers["pool"]

    @property
    def pool_exponent(self) -> int:
        return -round(math.log2(self.model.length))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        dtype = self.decoder.weight.dtype
        values = (codes if codes.dim() == 3 else codes[..., None]).to(dtype) * 2.0**self.model.input_format.exponent
        u = self.quantizers["u"](self.encoder(self.quantizers["input"](values)))
        for block in self.blocks:
            u = block(u)
        if self.task.each_step:
            return self.decoder(u)
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
