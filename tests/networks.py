"""Networks of a user's own that tests quantise: one of each idea, and any that hypothesis draws."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from ssmq_brevitas.s4d import S4D
from torch import nn


class ResidualBlock(nn.Module):
    """S4D, GELU, a convolution and GLU on (B, C, T), batch norm, a residual."""

    def __init__(self, heads: int, modes: int):
        super().__init__()
        self.s4d = S4D(heads, modes)
        self.activation = nn.GELU()
        self.mix = nn.Conv1d(heads, 2 * heads, 1)
        self.glu = nn.GLU(dim=1)
        self.norm = nn.BatchNorm1d(heads)
        self.dropout = nn.Dropout(0.1)

    def forward(self, u):
        y = self.activation(self.s4d(u)).transpose(1, 2)
        return u + self.dropout(self.norm(self.glu(self.mix(y)))).transpose(1, 2)


class Residual(nn.Module):
    """A classifier of sequences in the style of the published example."""

    def __init__(self, channels: int = 3, heads: int = 6, modes: int = 2, layers: int = 2, classes: int = 4):
        super().__init__()
        self.encoder = nn.Linear(channels, heads)
        self.blocks = nn.ModuleList(ResidualBlock(heads, modes) for _ in range(layers))
        self.decoder = nn.Linear(heads, classes)

    def forward(self, x):
        x = self.encoder(x)
        for block in self.blocks:
            x = block(x)
        return self.decoder(x.mean(dim=1))


def settled(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """``network`` in evaluation mode, its batch norms having seen ``batch``."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(batch)
    return network.eval()


ACTIVATIONS = {
    "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid, "hardtanh": lambda: nn.Hardtanh(-0.5, 0.75), "relu6": nn.ReLU6, "identity": nn.Identity,
}  # fmt: skip


class Channels(nn.Module):
    """A layer that works on (B, C, T), or on (B, C), of values whose channels are last."""

    def __init__(self, layer: nn.Module, steps: bool):
        super().__init__()
        self.layer, self.steps = layer, steps

    def forward(self, x):
        return self.layer(x.transpose(1, 2)).transpose(1, 2) if self.steps else self.layer(x)


class Gated(nn.Module):
    """A linear layer in halves, one of them a gate."""

    def __init__(self, heads: int, gate: nn.Module | None):
        super().__init__()
        self.linear, self.gate = nn.Linear(heads, 2 * heads), gate
        self.glu = nn.GLU(dim=-1) if gate is None else None

    def forward(self, x):
        mixed = self.linear(x)
        if self.gate is None:
            return self.glu(mixed)
        value, gate = mixed.chunk(2, dim=-1)
        return value * self.gate(gate)


class Join(nn.Module):
    """Branches of one input: their sum, difference, or channels side by side and mixed."""

    def __init__(self, how: str, branches: list[nn.Module], mix: nn.Module | None):
        super().__init__()
        self.how, self.branches, self.mix = how, nn.ModuleList(branches), mix

    def forward(self, x):
        parts = [branch(x) for branch in self.branches]
        if self.how == "cat":
            return self.mix(torch.cat(parts, dim=-1))
        return parts[0] + parts[1] if self.how == "add" else parts[0] - parts[1]


class Halves(nn.Module):
    """Half of the channels goes through a layer, the other passes by."""

    def __init__(self, heads: int, layer: nn.Module):
        super().__init__()
        self.heads, self.layer = heads, layer

    def forward(self, x):
        kept = self.heads // 2
        return torch.cat([x[..., :kept], self.layer(x[..., kept:])], dim=-1)


class Scaled(nn.Module):
    """A product with one number and a sum with another."""

    def __init__(self, gain: float, offset: float):
        super().__init__()
        self.gain, self.offset = gain, offset

    def forward(self, x):
        return x * self.gain + self.offset


class Ending(nn.Module):
    """What is left of time: the mean, the sum, the last step, or every step."""

    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def forward(self, x):
        if self.how == "mean":
            return x.mean(dim=1)
        if self.how == "sum":
            return x.sum(1)
        return x[:, -1] if self.how == "last" else x


class Drawn(nn.Module):
    """Encoder, parts, ending, decoder."""

    def __init__(self, encoder: nn.Module, parts: list[nn.Module], ending: str, tail: list[nn.Module], decoder: nn.Module):
        super().__init__()
        self.encoder, self.parts, self.ending = encoder, nn.Sequential(*parts), Ending(ending)
        self.tail, self.decoder = nn.Sequential(*tail), decoder

    def forward(self, x):
        return self.decoder(self.tail(self.ending(self.parts(self.encoder(x)))))


def _layer(draw, heads: int, steps: bool, depth: int) -> nn.Module:
    kinds = ["linear", "activation", "norm", "gated", "scaled", "residual", "join", "halves"]
    kind = draw(st.sampled_from([*kinds, *["s4d"] * 5] if steps else kinds[:5]))
    if (kind in ("residual", "join", "halves") and depth == 0) or (kind == "halves" and heads < 2):
        kind = "s4d"
    if kind == "s4d":
        return S4D(heads, draw(st.integers(1, 3)))
    if kind == "linear":
        bias = draw(st.booleans())
        channels = steps and draw(st.booleans())
        return Channels(nn.Conv1d(heads, heads, 1, bias=bias), True) if channels else nn.Linear(heads, heads, bias=bias)
    if kind == "activation":
        return ACTIVATIONS[draw(st.sampled_from(sorted(ACTIVATIONS)))]()
    if kind == "norm":
        return Channels(nn.BatchNorm1d(heads, affine=draw(st.booleans())), steps)
    if kind == "gated":
        gate = draw(st.sampled_from([None, "sigmoid", "hardsigmoid", "tanh"]))
        return Gated(heads, gate and ACTIVATIONS[gate]())
    if kind == "scaled":
        return Scaled(draw(st.sampled_from([0.5, -1.0, 2.0, 0.3, -0.7])), draw(st.sampled_from([0.0, 0.0, 0.25, -0.1])))
    if kind == "halves":
        return Halves(heads, _chain(draw, heads - heads // 2, steps, depth - 1))
    branches = [_chain(draw, heads, steps, depth - 1)]
    if kind == "residual":
        return Join("add", [nn.Identity(), *branches], None)
    branches.append(_chain(draw, heads, steps, depth - 1))
    how = draw(st.sampled_from(["add", "sub", "cat"]))
    return Join(how, branches, nn.Linear(2 * heads, heads) if how == "cat" else None)


def _chain(draw, heads: int, steps: bool, depth: int) -> nn.Module:
    layers = [_layer(draw, heads, steps, depth) for _ in range(draw(st.integers(1, 2)))]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


@st.composite
def networks(draw) -> tuple[nn.Module, torch.Tensor]:
    """A network of the supported set in evaluation mode, lively batch norms, and a batch ``(B, T, C)`` of its input."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    channels, heads, outputs = (draw(st.integers(1, top)) for top in (3, 5, 3))
    heads += 1
    # What comes first reads the input itself: S4D, a norm, a function, a skip over any of them.
    bare = draw(st.booleans())
    channels = heads if bare else channels
    ending = draw(st.sampled_from(["mean", "sum", "last", "steps"]))
    parts = [_layer(draw, heads, True, 2) for _ in range(draw(st.integers(1, 4)))]
    tail = [_layer(draw, heads, False, 0) for _ in range(draw(st.integers(0, 1)))] if ending != "steps" else []
    decoder = nn.Linear(heads, outputs) if draw(st.booleans()) else nn.Identity()
    network = Drawn(nn.Identity() if bare else nn.Linear(channels, heads), parts, ending, tail, decoder)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d) and module.affine:
                module.weight.copy_(torch.randn_like(module.weight))
                module.bias.copy_(torch.randn_like(module.bias) / 4)
    batch = torch.randn(6, draw(st.integers(3, 12)), channels)
    batch = batch.abs() if draw(st.booleans()) else batch
    return settled(network, batch), batch
