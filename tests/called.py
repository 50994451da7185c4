"""Networks of one idea each: every way to write a call that has an exact integer form."""

from __future__ import annotations

import operator

import torch
from ssmq_brevitas.s4d import S4D
from torch import nn
from torch.nn import functional as F


class Called(nn.Module):
    """``call(self, x)`` with layers ``a`` and ``b`` of 6 channels and what else is given."""

    def __init__(self, call, parts=()):
        super().__init__()
        self.call, self.a, self.b = call, nn.Linear(6, 6), nn.Linear(6, 6)
        for name, part in dict(parts).items():
            setattr(self, name, part)

    def forward(self, x):
        return self.call(self, x)


def halves(x, parts, *sizes):
    """The parts of ``x`` in reverse."""
    found = parts(x, *sizes, dim=-1)
    return torch.cat([found[1], found[0]], dim=-1)


WORKS = {
    "arguments by name": (lambda m, x: torch.mean(input=torch.add(input=m.a(x), other=m.b(x)), dim=1),),
    "a quotient by name": (lambda m, x: torch.div(m.a(x), other=-4),),
    "alpha of 1": (lambda m, x: torch.sub(m.a(x), m.b(x), alpha=1),),
    "a number minus a tensor": (lambda m, x: 1 - m.a(x),),
    "an in-place sum": (lambda m, x: operator.iadd(m.a(x), m.b(x)),),
    "an in-place method": (lambda m, x: m.a(x).add_(m.b(x)).relu_(),),
    "an in-place function": (lambda m, x: F.relu(m.a(x), inplace=True),),
    "an in-place module first of all": (lambda m, x: m.b(m.r(x)), {"r": nn.ReLU(inplace=True)}),
    "time from behind": (lambda m, x: m.b(m.a(x).mean(-2)),),
    "time in a tuple": (lambda m, x: m.b(m.a(x).sum((1,))),),
    "parts of given sizes": (lambda m, x: halves(m.a(x), torch.split, [2, 4]),),
    "an unequal last part": (lambda m, x: halves(m.a(x), torch.split, 4),),
    "fewer parts than asked for": (lambda m, x: m.a(x).chunk(4, -1)[2],),
    "the last part from behind": (lambda m, x: m.a(x).chunk(3, -1)[-1],),
    "channels from behind": (lambda m, x: m.a(x)[..., -2:],),
    "channels of (B, C, T)": (lambda m, x: m.a(x).transpose(1, 2)[:, 1:3],),
    "permute by name": (lambda m, x: m.a(x).permute(dims=(0, 2, 1)),),
    "one tensor side by side": (lambda m, x: torch.cat([m.a(x)], dim=-1),),
    "a tensor twice": (lambda m, x: torch.cat([x, x], dim=-1),),
    "a square": (lambda m, x: m.a(x) * m.a(x),),
    "a gain below 0": (lambda m, x: m.b(torch.sigmoid(m.a(x)) * -0.5),),
    "the input itself": (lambda m, x: x,),
    "an input scaled first": (lambda m, x: m.a((x - 0.13) / 0.31),),
    "an input clipped first": (lambda m, x: m.a(x.clamp(-1, max=1)),),
    "an input normalised first": (lambda m, x: m.n(x.transpose(1, 2)), {"n": nn.BatchNorm1d(6)}),
    "an input dropped first": (lambda m, x: m.a(m.d(x)), {"d": nn.Dropout(0.9)}),
    "dropout before the decoder": (lambda m, x: m.b(m.d(m.a(x).mean(1))), {"d": nn.Dropout(0.9)}),
    "dropout as a function": (lambda m, x: m.b(F.dropout(m.a(x), 0.9, m.training)),),
    "a norm without parameters": (lambda m, x: m.n(x.transpose(1, 2)), {"n": nn.BatchNorm1d(6, affine=False)}),
    "a layer twice": (lambda m, x: m.a(m.a(x) * 4),),
    "an S4D layer twice": (lambda m, x: m.s(m.s(x) * 4), {"s": S4D(6, 2)}),
    "a GLU twice": (lambda m, x: m.g(m.g(m.w(x))), {"w": nn.Linear(6, 12), "g": nn.GLU()}),
    "GLU as a function": (lambda m, x: F.glu(input=m.a(x), dim=-1),),
    "GLU of (B, C, T)": (lambda m, x: m.g(m.a(x).transpose(1, 2)), {"g": nn.GLU(1)}),
    "a Sequential in a ModuleList": (lambda m, x: m.l[0](x), {"l": nn.ModuleList([nn.Sequential(nn.Linear(6, 3), nn.Tanh())])}),
    "weights with a parametrisation": (lambda m, x: m.w(x), {"w": nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))}),
    "two limits": (lambda m, x: m.a(x).clamp(-1, 0.5).clamp(0, 1),),
    "the last step by its number": (lambda m, x: m.a(x)[:, 9],),
    "the last step of the input": (lambda m, x: m.b(x[:, -1]),),
    "a number less": (lambda m, x: m.a(x) - 0.25,),
    "a difference with an S4D layer": (lambda m, x: m.s(x) - m.a(x), {"s": S4D(6, 2)}),
    "hardswish as a module": (lambda m, x: m.h(m.a(x) * 4), {"h": nn.Hardswish()}),
    "a norm that is 1": (lambda m, x: m.n(m.a(x).mean(1)), {"n": nn.BatchNorm1d(6, momentum=0.0)}),
    "a limit above alone": (lambda m, x: torch.clamp(m.a(x), max=0.2),),
    "hardtanh by name": (lambda m, x: F.hardtanh(m.a(x), max_val=0.25),),
    "relu6 of large values": (lambda m, x: F.relu6(m.a(x) * 16),),
    "hardswish": (lambda m, x: F.hardswish(m.a(x) * 4),),
    "hardsigmoid": (lambda m, x: F.hardsigmoid(m.a(x) * 4),),
}  # fmt: skip
