"""Networks that are rarely drawn, but written: one idea each, every code the same in every engine."""

from __future__ import annotations

import pytest
import torch
from networks import ACTIVATIONS
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.s4d import S4D
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.from_network import network_spec
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.lowering import lower
from test_networks import agree
from torch import nn


class Written(nn.Module):
    """A forward in one line, over layers of any name."""

    def __init__(self, forward, **layers: nn.Module):
        super().__init__()
        self.does = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.does(self, x)


def channels_first(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return net.norm(x.transpose(1, 2)).transpose(1, 2)


ODD = {
    "names that are numbers": lambda: nn.Sequential(nn.Linear(2, 2), S4D(2, 1), nn.ReLU(), nn.Linear(2, 1, bias=False)),
    "names of other letters": lambda: Written(
        lambda net, x: net.größe(x) + net.gr__e(x), größe=nn.Linear(2, 2), gr__e=S4D(2, 1)
    ),
    "the input in a function": lambda: Written(lambda net, x: net.s4d(torch.relu(x)), s4d=S4D(2, 1)),
    "the input in a batch norm": lambda: Written(channels_first, norm=nn.BatchNorm1d(2)),
    "the input times a number": lambda: Written(lambda net, x: net.linear(0.3 * x), linear=nn.Linear(2, 2)),
    "dropout, the input in a function": lambda: nn.Sequential(nn.Dropout(), nn.Hardtanh(-1, 1), S4D(2, 1)),
    "no parameters, 1 less the input": lambda: Written(lambda net, x: 1 - x),
    "no parameters, a table": lambda: nn.Sequential(ACTIVATIONS["gelu"]()),
    "the input itself": lambda: nn.Sequential(nn.Identity()),
    "one head, one mode": lambda: Written(lambda net, x: net.s4d(x[..., :1]), s4d=S4D(1, 1)),
    "a square": lambda: Written(lambda net, x: twice(net, x, torch.mul), linear=nn.Linear(2, 2)),
    "a sum with itself": lambda: Written(lambda net, x: twice(net, x, torch.add), linear=S4D(2, 1)),
    "a difference from itself": lambda: Written(lambda net, x: twice(net, x, torch.sub), linear=nn.Linear(2, 2)),
}


def twice(net: nn.Module, x: torch.Tensor, join) -> torch.Tensor:
    y = net.linear(x)
    return join(y, y)


def made(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return ODD[name]().eval(), torch.randn(6, 7, 2)


@pytest.mark.parametrize("name", ODD)
def test_odd_networks_agree_in_every_engine(name):
    network, batch = made(name)
    agree(network, Scheme(), batch)


@pytest.mark.parametrize("name", ["a square", "a sum with itself", "a difference from itself"])
def test_no_operator_reads_a_tensor_twice(name):
    """FINN stops at one (ElementwiseBinaryOperation.lift_to_rank1), and its own streams have one reader."""
    network, batch = made(name)
    graph = lower(network_graph(network_spec(quantize(network, Scheme(), batch)))).graph
    assert all(len(set(node.input)) == len(node.input) for node in graph.node)


@pytest.mark.parametrize("layer", [nn.Linear(2, 2), S4D(2, 1), nn.GELU()], ids=lambda layer: type(layer).__name__)
def test_a_layer_alone_is_told_to_be_put_into_a_network(layer):
    with pytest.raises(SsmqError, match=f"^{type(layer).__name__} is a layer, not a network: put it into one"):
        quantize(layer, Scheme(), torch.randn(4, 5, 2))


@pytest.mark.parametrize("kept", [2, 5, 8])
def test_codes_that_lose_places_are_taken_as_they_are(kept):
    """The graph's port has the format of the codes; how many bits of them are kept is the network's own affair."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2), S4D(2, 1), nn.ReLU(), nn.Linear(2, 1))
    given = InputFormat(bits=8, signed=True, exponent=-5)
    codes = torch.randint(-128, 128, (6, 12, 2), generator=torch.Generator().manual_seed(1))
    scheme, batch = Scheme(bits=Bits(input=kept)), codes * 2.0**-5
    port = ports_of(network_graph(network_spec(quantize(net, scheme, batch, given)))).input
    assert (port.format.bits, port.format.signed, int(port.format.exponent)) == (8, True, -5)
    agree(net, scheme, batch, given)


@pytest.mark.parametrize("join", [torch.add, torch.sub], ids=["sum", "difference"])
@pytest.mark.parametrize("swapped", [False, True])
def test_signed_and_unsigned_are_joined_in_the_order_that_finn_sizes_right(join, swapped):
    """FINN's ElementwiseAdd and ElementwiseSub give a signed and, after it, an unsigned operand of equal widths one bit less
    than their result needs (finn-plus 1.6.1, ``_derive_out_dtype``)."""
    torch.manual_seed(0)
    net = Written(
        lambda net, x: net.c(join(*[net.a(x), torch.sigmoid(net.b(x))][:: -1 if swapped else 1]).relu()),
        a=nn.Linear(2, 3), b=nn.Linear(2, 3), c=nn.Linear(3, 2),
    )  # fmt: skip
    batch = torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(0))
    scheme = Scheme(bits=Bits(activation=3, u=3))
    agree(net, scheme, batch)
    graph = lower(network_graph(network_spec(quantize(net, scheme, batch)))).graph
    types = {a.tensor_name: a.quant_parameter_tensor_names[0].value for a in graph.quantization_annotation}
    constants = {tensor.name for tensor in graph.initializer}
    joins = [n for n in graph.node if n.op_type in ("Add", "Sub") and not constants & {*n.input}]
    assert joins
    for node in joins:
        assert not (types[node.input[0]].startswith("INT") and types[node.input[1]].startswith("UINT")), node.name
