"""Every way to write a call: it gives what the float network gives, or is refused by the name of its place."""

from __future__ import annotations

import copy

import pytest
import torch
from called import WORKS, Called
from networks import settled
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.s4d import S4D
from torch import nn
from torch.nn import functional as F

WIDE = Scheme(bits=Bits(**{part: 14 for part in Bits.model_fields if part != "a_magnitude"}))


def twice(x, function):
    return x + function(x)


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn(8, 10, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("case", WORKS.values(), ids=WORKS)
def test_a_call_gives_what_the_float_network_gives(case, batch):
    torch.manual_seed(0)
    network = settled(Called(*copy.deepcopy(case)), batch.clone())
    wanted, given = network(batch.clone()).detach(), batch.clone()
    found = quantize(network, WIDE, given)
    assert torch.equal(given, batch) and not any(module.training for module in found.modules())
    error = (found(batch.clone()).detach() - wanted).norm() / wanted.norm()
    assert error < 2e-3


@pytest.mark.parametrize(
    "network", [nn.Sequential(nn.ReLU()), nn.Sequential(nn.Linear(6, 6)), nn.Sequential(nn.Linear(6, 3), S4D(3, 2))], ids=repr
)
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
    "a number for a tensor": (lambda m, x: m.a(x) + m.b(2.0), "b: needs a tensor, not 2.0"),
    "two inputs of a layer": (lambda m, x: m.a(x, x), r"a \(Linear\): must be called with one tensor"),
    "one tensor side by side": (lambda m, x: torch.cat(m.a(x), -1), "cat: takes the tensors of a list, not one tensor"),
    "a sum of one": (lambda m, x: m.a(x).add(), "add: is called without other"),
    "a quotient of one": (lambda m, x: m.a(x).div(), "div: is called without other"),
    "parts of no size": (lambda m, x: m.a(x).chunk(dim=-1)[0], "chunk: is called without chunks"),
    "one axis for another": (lambda m, x: m.a(x).transpose(1), "transpose: is called without dim1"),
    "no order of axes": (lambda m, x: m.a(x).permute(), "permute: is called without dims"),
    "a limit that is a word": (lambda m, x: m.a(x).clamp("low"), "clamp: is called with arguments that are not numbers"),
    "what torch refuses": (lambda m, x: m.a(x).contiguous(3), r"the network cannot run the calibration batch \(8, 10, 6\): .*"),
    "several outputs": (lambda m, x: (m.a(x), m.b(x)), "the network must return one tensor, this one returns tuple"),
}  # fmt: skip


# torch.add(x, 2, y) is old and still taken by torch.
@pytest.mark.filterwarnings("ignore:This overload of add is deprecated")
@pytest.mark.parametrize("call, message", REFUSED.values(), ids=REFUSED)
def test_a_call_without_an_exact_form_is_refused_by_its_place(call, message, batch):
    with pytest.raises(SsmqError, match=f"^{message}") as refused:
        quantize(Called(call).eval(), WIDE, batch)
    assert "\n" not in str(refused.value) and "While executing" not in str(refused.value)


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
    "padding": (nn.Conv1d(10, 10, 1, padding=1), "p .Conv1d.*no padding"),
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


@pytest.mark.parametrize("trained", [True, False])
def test_a_tensor_of_the_modules_own_with_the_name_of_a_function_is_refused_as_any(trained):
    module = Called(lambda m, x: torch.relu(m.a(x)) * m.relu)
    if trained:
        module.relu = nn.Parameter(torch.ones(6))
    else:
        module.register_buffer("relu", torch.ones(6))
    with pytest.raises(SsmqError, match="^relu: is a tensor of the module's own"):
        quantize(module, Scheme(), torch.randn(4, 10, 6))
