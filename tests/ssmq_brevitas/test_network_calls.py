"""Every way to write a call: it gives what the float network gives, or is refused by the name of its place."""

from __future__ import annotations

import copy
import operator

import pytest
import torch
from networks import settled
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.s4d import S4D
from torch import nn
from torch.nn import functional as F

WIDE = Scheme(bits=Bits(**{part: 14 for part in Bits.model_fields if part != "a_magnitude"}))


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


def twice(x, function):
    return x + function(x)


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn(8, 10, 6, generator=torch.Generator().manual_seed(0))


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
    "a limit above alone": (lambda m, x: torch.clamp(m.a(x), max=0.2),),
    "hardtanh by name": (lambda m, x: F.hardtanh(m.a(x), max_val=0.25),),
    "relu6 of large values": (lambda m, x: F.relu6(m.a(x) * 16),),
    "hardswish": (lambda m, x: F.hardswish(m.a(x) * 4),),
    "hardsigmoid": (lambda m, x: F.hardsigmoid(m.a(x) * 4),),
}  # fmt: skip


@pytest.mark.parametrize("case", WORKS.values(), ids=WORKS)
def test_a_call_gives_what_the_float_network_gives(case, batch):
    torch.manual_seed(0)
    network = settled(Called(*copy.deepcopy(case)), batch.clone())
    wanted, given = network(batch.clone()).detach(), batch.clone()
    found = quantize(network, WIDE, given)
    assert torch.equal(given, batch) and not any(module.training for module in found.modules())
    error = (found(batch.clone()).detach() - wanted).norm() / wanted.norm()
    assert error < 2e-3


@pytest.mark.parametrize("network", [nn.ReLU(), nn.Sequential(nn.Linear(6, 6)), nn.Sequential(nn.Linear(6, 3), S4D(3, 2))], ids=repr)
def test_sequences_of_one_step_are_sequences(network):
    batch = torch.randn(8, 1, 6)
    wanted = network(batch).detach()
    assert (quantize(network.eval(), WIDE, batch)(batch).detach() - wanted).norm() < 4e-3 * wanted.norm()


REFUSED = {
    "alpha": (lambda m, x: torch.add(m.a(x), m.b(x), alpha=2), "add: alpha=2"),
    "alpha of a method": (lambda m, x: m.a(x).sub(m.b(x), alpha=2), "sub: alpha=2"),
    "three addends": (lambda m, x: torch.add(m.a(x), 2, m.b(x)), "add: "),
    "rounding": (lambda m, x: torch.div(m.a(x), 0.5, rounding_mode="floor"), "div: rounding_mode='floor'"),
    "a quotient of tensors": (lambda m, x: m.a(x) / m.b(x), "truediv: only a division by a number"),
    "a quotient by 0": (lambda m, x: m.a(x) / 0, "truediv: only a division by a number"),
    "an infinite offset": (lambda m, x: m.a(x) + float("inf"), "add: .*finite numbers, not inf"),
    "a sum of another type": (lambda m, x: m.a(x).sum(1, dtype=torch.int32), "sum: dtype=torch.int32"),
    "a mean over channels": (lambda m, x: m.a(x).transpose(1, 2).mean(dim=-2), "sum: .*axis -2 .*time"),
    "a mean over all": (lambda m, x: m.a(x).mean(), "sum: .*axis None .*time"),
    "a mean that keeps time": (lambda m, x: m.a(x).mean(1, keepdim=True), "sum: keepdim"),
    "no parts": (lambda m, x: m.a(x).chunk(0, -1)[0], "chunk: .*parts of 0"),
    "half a part": (lambda m, x: m.a(x).split(1.5, -1)[0], "split: .*parts of 1.5"),
    "too few channels in parts": (lambda m, x: m.a(x).split([2, 3], -1)[0], r"split: .*\[2, 3\].*6 channels"),
    "parts of time": (lambda m, x: m.a(x).chunk(2, 1)[0], "chunk: .*axis 1 .*channels"),
    "a part too many": (lambda m, x: m.a(x).chunk(3, -1)[3], "getitem: takes part 3 of 3"),
    "all parts together": (lambda m, x: torch.cat(m.a(x).chunk(2, -1), -1), "cat: takes the parts of chunk together"),
    "side by side in time": (lambda m, x: torch.cat([m.a(x), m.b(x)], 1), "cat: .*axis 1 .*channels"),
    "other axes side by side": (lambda m, x: torch.cat([m.a(x), m.b(x).mean(1)], -1), "cat: .*different axes"),
    "channels that differ": (lambda m, x: m.a(x) + x[..., :1], "add: joins a .*6 channels.* of 1 channels"),
    "limits of a tensor": (lambda m, x: m.a(x).clamp(min=m.b(x)), "clamp: .*not numbers"),
    "limits the other way round": (lambda m, x: m.a(x).clamp(1, 0), "clamp: its limits 1 and 0"),
    "a GELU by tanh": (lambda m, x: F.gelu(m.a(x), approximate="tanh"), "gelu: .*approximation 'tanh'"),
    "a function in place": (lambda m, x: twice(m.a(x), lambda y: F.relu(y, inplace=True)), "relu: changes in place"),
    "a method in place": (lambda m, x: twice(m.a(x), lambda y: y.mul_(2)), "mul_: changes in place"),
    "a view in place": (lambda m, x: twice(m.a(x), lambda y: y.transpose(1, 2).relu_().transpose(1, 2)), "relu_: changes"),
    "weights of its own": (lambda m, x: x @ m.a.weight, "a.weight: is a tensor of the module's own"),
    "a product of matrices": (lambda m, x: m.a(x) @ m.b(x).transpose(1, 2), "matmul: .*no exact integer form"),
    "attention as a function": (lambda m, x: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention: .*no exact"),
    "softmax as a function": (lambda m, x: F.softmax(m.a(x), -1), "softmax: .*no exact integer form"),
    "axes that are none": (lambda m, x: m.a(x).transpose(1, 5), r"transpose: \(B, T, C\) has no axis 5"),
    "an order of too few axes": (lambda m, x: m.a(x).permute(0, 2), r"permute: \(0, 2\) is no order of \(B, T, C\)"),
    "the batch behind": (lambda m, x: m.a(x).transpose(0, 1), r"transpose: gives axes \(T, B, C\)"),
    "the first step": (lambda m, x: m.a(x)[:, 0], "getitem: only the last step"),
    "the last step as a sequence": (lambda m, x: m.a(x)[:, -1:], "getitem: only the last step"),
    "every second channel": (lambda m, x: m.a(x)[..., ::2], "getitem: only the last step"),
    "one sequence": (lambda m, x: m.a(x)[0], "getitem: only the last step"),
    "dropout that stays on": (lambda m, x: F.dropout(m.a(x), 0.5), "dropout: drops values in evaluation too"),
    "several outputs": (lambda m, x: (m.a(x), m.b(x)), "the network must return one tensor, this one returns tuple"),
}  # fmt: skip


@pytest.mark.parametrize("call, message", REFUSED.values(), ids=REFUSED)
def test_a_call_without_an_exact_form_is_refused_by_its_place(call, message, batch):
    with pytest.raises(SsmqError, match=f"^{message}"):
        quantize(Called(call).eval(), WIDE, batch)


def hooked() -> nn.Module:
    layer = nn.Linear(6, 6)
    layer.register_forward_hook(lambda module, given, found: 2 * found)
    return layer


PARTS = {
    "GRU": (nn.GRU(6, 6), "p .GRU.*use S4D"),
    "LSTM": (nn.LSTM(6, 6), "p .LSTM.*use S4D"),
    "attention": (nn.MultiheadAttention(6, 2), "p .MultiheadAttention.*use S4D"),
    "embedding": (nn.Embedding(6, 2), "p .Embedding.*one-hot"),
    "group norm": (nn.GroupNorm(2, 6), "p .GroupNorm.*BatchNorm1d"),
    "log-softmax": (nn.LogSoftmax(-1), "p .LogSoftmax.*logits"),
    "a leaky ReLU": (nn.LeakyReLU(), "p .LeakyReLU.*no exact integer form"),
    "a norm of each batch": (nn.Sequential(nn.BatchNorm1d(10, track_running_stats=False)), "p.0: .*track_running_stats"),
    "a hook": (hooked(), "p .Linear.*hooks"),
    "weight norm by a hook": (nn.utils.weight_norm(nn.Linear(6, 6)), "p .Linear.*hooks"),
    "a strided convolution": (nn.Conv1d(10, 10, 1, stride=2), "p .Conv1d.*stride 1"),
    "groups": (nn.Conv1d(10, 10, 1, groups=2), "p .Conv1d.*one group"),
    "an S4D layer of other heads": (S4D(4, 2), "p: reads 4 channels, but is given 6"),
    "a bad GELU": (nn.GELU("tanh"), "p: GELU's approximation 'tanh'"),
}  # fmt: skip


@pytest.mark.parametrize("part, message", PARTS.values(), ids=PARTS)
def test_a_submodule_without_an_exact_form_is_refused_by_its_path(part, message, batch):
    axes = any(isinstance(module, (nn.Conv1d, nn.BatchNorm1d)) for module in part.modules())
    batch = torch.randn(4, 6, 10) if axes else batch
    call = (lambda m, x: m.p(x.transpose(1, 2))) if axes else (lambda m, x: m.p(x))
    with pytest.raises(SsmqError, match=f"^{message}"):
        quantize(Called(call, {"p": part}).eval(), WIDE, batch)


class Loud(nn.Module):
    """What depends on its input, in a submodule."""

    def forward(self, x):
        return -x if x.amax() > 1 else x


def test_where_data_decide_is_said_with_file_and_line(batch):
    line = Loud.forward.__code__.co_firstlineno + 1
    with pytest.raises(SsmqError, match=rf"^p\.0: cannot be traced \({__file__}:{line}: .*x\.amax.*depends on the data"):
        quantize(Called(lambda m, x: m.p(x), {"p": nn.Sequential(Loud())}), WIDE, batch)


def test_what_is_no_module_is_refused(batch):
    with pytest.raises(SsmqError, match="must be a torch.nn.Module, not builtin"):
        quantize(torch.relu, WIDE, batch)
