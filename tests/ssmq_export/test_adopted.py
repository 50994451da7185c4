"""Networks written with Brevitas' layers export by the same path: every engine gives the module's own codes."""

from __future__ import annotations

import re
from collections import Counter

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.quant import Int8WeightPerTensorFixedPoint
from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint
from brevitas_networks import SIGNED, UNSIGNED, Detector, codes_of, networks
from hypothesis import Phase, given, settings
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.adopt import adopt
from ssmq_brevitas.network.brevitas_layers import plain
from ssmq_brevitas.network.footprint import footprint
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_export.dataflow.ports import ports_of, values_of
from ssmq_export.from_network import export, network_spec, trace
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_sequence, run_steps
from torch import fx, nn


def differing(module: nn.Module, network: fx.GraphModule, codes: np.ndarray) -> list[int]:
    """Codes in which the network and its graphs differ from ``module`` itself: network, step, sequence, dataflow."""
    reference = trace(network, codes, "reference")
    step = network_graph(network_spec(network))
    dataflow = lower(step)
    with torch.no_grad():
        values = torch.from_numpy(values_of(codes, ports_of(step).input.format.exponent))
        wanted = plain(module.eval()(values.to(next(module.parameters()).dtype))).numpy()
    output = next(reversed(reference))
    tensors = [name for name, values in reference.items() if values.ndim == 3]
    some = {name: values[:2] for name, values in reference.items()}
    found = [
        compare("step", some, run_steps(step, codes[:2], tensors)),
        compare("sequence", reference, run_sequence(sequence_graph(step), codes)),
        compare("dataflow", reference, IntegerModel(dataflow).trace(codes, tensors)),
    ]
    assert all(one.codes for one in found)
    wanted = wanted.transpose(0, 2, 1) if wanted.shape != reference[output].shape else wanted
    return [int((reference[output] != wanted).sum()), *(one.differing for one in found)]


def test_a_network_trained_by_a_plain_loop_exports_with_its_own_codes():
    torch.manual_seed(0)
    network = Detector()
    x = torch.rand(32, 20, 2)
    labels = (x[:, :, 0].mean(dim=1) > x[:, :, 1].mean(dim=1)).long() + (x[:, -1, 0] > 0.5)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    adopted = adopt(network, x)
    codes = codes_of(6, 20, 2)
    assert len(np.unique(trace(adopted, codes, "fused")["head"])) > 8
    assert differing(network, adopted, codes) == [0, 0, 0, 0]


class Halves(nn.Module):
    """An input that is turned before it is quantised, and two halves of one layer whose outputs have scales of their own."""

    def __init__(self):
        super().__init__()
        self.sensor = qnn.QuantIdentity(act_quant=SIGNED, bit_width=10)
        self.both = qnn.QuantConv1d(3, 8, 1, bias=False, weight_quant=Int8WeightPerChannelFixedPoint)
        self.left, self.right = (qnn.QuantIdentity(act_quant=SIGNED) for _ in range(2))

    def forward(self, x):
        left, right = self.both(self.sensor(x.transpose(1, 2))).chunk(2, dim=1)
        return self.left(left) + self.right(right)


def test_parts_of_a_layer_with_a_scale_an_output_export_and_so_does_every_step():
    torch.manual_seed(0)
    network, x = Halves(), torch.randn(4, 9, 3)
    with torch.no_grad():
        network.both.weight *= torch.exp2(torch.arange(8.0)).view(-1, 1, 1) / 16
        network(x)
    assert len(network.both.quant_weight().scale.unique()) > 4
    assert differing(network, adopt(network.eval(), x), codes_of(3, 9, 3, -512, 511)) == [0, 0, 0, 0]


class Normed(nn.Module):
    """S4D, a batch norm of torch, a residual sum that is a layer, and a norm of the mean."""

    def __init__(self):
        super().__init__()
        self.sensor = qnn.QuantIdentity(act_quant=UNSIGNED, return_quant_tensor=True)
        self.u = qnn.QuantLinear(2, 4, weight_quant=Int8WeightPerTensorFixedPoint, bias=False, output_quant=SIGNED)
        self.s4d, self.norm, self.relu = QuantS4D(4, 2), nn.BatchNorm1d(4), qnn.QuantReLU(act_quant=UNSIGNED)
        self.add = qnn.QuantEltwiseAdd(SIGNED, SIGNED, input_bit_width=6)
        self.last, self.pool = nn.BatchNorm1d(4), qnn.QuantIdentity(act_quant=SIGNED)

    def forward(self, x):
        u = self.u(self.sensor(x))
        y = self.relu(self.norm(self.s4d(u).transpose(1, 2))).transpose(1, 2)
        return self.pool(self.last(self.add(u, y).sum(dim=1)))


def test_batch_norms_and_sums_that_are_layers_export(tmp_path):
    torch.manual_seed(0)
    network, x = Normed(), torch.rand(16, 9, 2)
    with torch.no_grad():
        for norm in (network.norm, network.last):
            norm.weight.copy_(torch.tensor([-1.0, 0.7, 1.3, 2.0]))
        for _ in range(20):
            network(x)
    codes = codes_of(20, 9, 2)
    own, *graphs = differing(network, adopted := adopt(network.eval(), x), codes)
    # Of the module itself a code may differ: its norms are not on the grid, and nearly tie.
    assert graphs == [0, 0, 0] and own <= 2
    assert len(np.unique(trace(adopted, codes, "fused")["pool"])) > 8
    exported = export(adopted, tmp_path, x)
    assert all(found.codes and not found.differing for found in exported.agreements)
    assert footprint(adopted).parameters > 4 * 2 * 16 / 8


BY_HEAD = Int8WeightPerChannelFixedPoint.let(narrow_range=False)


@pytest.mark.parametrize(
    "options",
    [
        {"a_quant": BY_HEAD, "b_quant": BY_HEAD, "c_quant": BY_HEAD, "d_quant": BY_HEAD},
        {"parameterisation": "log_polar", "state_bit_width": 6},
        {"output_quant": SIGNED, "output_bit_width": 6, "return_quant_tensor": True},
    ],
    ids=["a scale a head", "polar", "output"],
)
def test_every_way_to_quantise_s4d_exports(options):
    torch.manual_seed(0)
    network, x = Detector(**options), torch.rand(8, 12, 2)
    with torch.no_grad():
        network(x)
    assert differing(network, adopt(network.eval(), x), codes_of(3, 12, 2)) == [0, 0, 0, 0]


def outcomes(count: int, **limits) -> Counter:
    """Draw ``count`` networks: each exports without a differing code, or is refused by the path of a submodule."""
    found: Counter[str] = Counter()

    @settings(max_examples=count, phases=[Phase.generate], **limits)
    @given(networks())
    def check(drawn) -> None:
        network, x = drawn
        try:
            adopted = adopt(network, x)
        except SsmqError as error:
            paths = [path for path, _ in network.named_modules() if path]
            assert any(re.search(rf"\b{re.escape(path)}\b", str(error)) for path in paths), str(error)
            found["refused"] += 1
            return
        fmt = ports_of(network_graph(network_spec(adopted))).input.format
        assert differing(network, adopted, codes_of(3, *x.shape[1:], fmt.low, fmt.high)) == [0, 0, 0, 0]
        found["exported"] += 1

    check()
    return found


def test_drawn_networks_export_with_their_own_codes_or_are_refused_by_name():
    found = outcomes(12)
    assert found["exported"] >= 4 and found["refused"] >= 1


@pytest.mark.slow
def test_many_drawn_networks_export_with_their_own_codes_or_are_refused_by_name():
    found = outcomes(200)
    assert found["exported"] >= 80
