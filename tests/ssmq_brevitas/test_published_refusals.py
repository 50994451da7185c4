"""What is no S4D is refused by its place and the name of the thing, before anything is converted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from published_layers import Block, MinimalS4D, Network, OldLayer
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.published import convert
from torch import nn


class Holder(nn.Module):
    """Parameters of those names and shapes, as a layer of somebody's has them."""

    def __init__(self, **shapes: tuple[int, ...]):
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))


def with_kernel(change: Callable[[nn.Module], None]) -> nn.Module:
    layer = Block(4, 3)
    change(layer.layer.kernel)
    return layer


def put(name: str, *shape: int) -> Callable[[nn.Module], None]:
    return lambda kernel: setattr(kernel, name, nn.Parameter(torch.ones(shape)))


def bidirectional() -> nn.Module:
    return with_kernel(put("C", 2, 4, 3, 2))


def several_channels() -> nn.Module:
    layer = with_kernel(put("C", 2, 4, 3, 2))
    layer.layer.D = nn.Parameter(torch.ones(2, 4))
    return layer


def without_channels() -> nn.Module:
    layer = Block(4, 3)
    layer.layer.D = nn.Parameter(torch.ones(0, 4))
    return layer


def mapped_elsewhere() -> nn.Module:
    layer = MinimalS4D(4, 3)
    layer.output_linear[0] = nn.Conv1d(4, 8, 3)
    return layer


def gated(name: str) -> nn.Module:
    layer = Block(4, 3)
    layer.add_module(name, nn.Linear(4, 4))
    return layer


def real_valued() -> nn.Module:
    return with_kernel(lambda kernel: delattr(kernel, "A_imag"))


def whole_numbers() -> nn.Module:
    layer = MinimalS4D(4, 3)
    layer.D = nn.Parameter(torch.ones(4, dtype=torch.int64), requires_grad=False)
    return layer


def without_d() -> nn.Module:
    layer = MinimalS4D(4, 3)
    del layer.D
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (with_kernel(put("P", 1, 4, 3, 2)), r"s4_layers\.1\.layer\.kernel: .*P: .*DPLR"),
        (bidirectional(), r"s4_layers\.1: .*C: a bidirectional layer"),
        (several_channels(), r"s4_layers\.1: .*D: 2 channels"),
        (without_channels(), r"s4_layers\.1: .*D \(0, 4\), not"),
        (mapped_elsewhere(), r"s4_layers\.1: .*output_linear has weights of shape \(8, 4, 3\)"),
        (gated("input_gate"), r"s4_layers\.1: .*input_gate\.bias: a gated block"),
        (gated("input_linear"), r"s4_layers\.1: .*input_linear\.bias: a bottleneck"),
        (gated("extra"), r"s4_layers\.1: .*extra\.bias: no part of the published layer"),
        (real_valued(), r"s4_layers\.1\.layer\.kernel: .*A_imag is missing"),
        (whole_numbers(), r"s4_layers\.1: .*D: is of type torch\.int64, not of floating point"),
        (without_d(), r"s4_layers\.1\.kernel: .*a kernel without the layer's D"),
        (Holder(A_log=(8, 4), D=(8,)), r"s4_layers\.1: .*A_log: a selective layer \(Mamba\)"),
        (Holder(Lambda=(4,), log_step=(4, 1), B=(4, 3, 2), D=(3,)), r"s4_layers\.1: .*Lambda: an S5 layer"),
        (Holder(Lambda_re=(4,), Lambda_im=(4,)), r"s4_layers\.1: .*Lambda_re: an S5 layer"),
        (Holder(nu_log=(4,), theta_log=(4,), gamma_log=(4,)), r"s4_layers\.1: .*nu_log: an LRU layer"),
        (Holder(log_dt=(4,), w=(4, 3, 2), C=(1, 4, 3, 2)), r"s4_layers\.1: .*w: a DSS kernel"),
        (with_kernel(put("A_imag", 2, 3)), r"s4_layers\.1: .*A_imag has shape \(2, 3\), not that of A_real, \(4, 3\)"),
        (with_kernel(put("A_real", 3, 3)), r"s4_layers\.1: .*A_real has shape \(3, 3\), not \(S, 3\) with S a divisor of 4"),
        (with_kernel(put("B", 1, 4, 2, 2)), r"s4_layers\.1: .*B has shape \(1, 4, 2, 2\), not \(1, 4, 3, 2\)"),
        (with_kernel(put("inv_dt", 4, 2)), r"s4_layers\.1: .*inv_dt has shape \(4, 2\), not \(4, 1\)"),
        (with_kernel(put("C", 4, 3)), r"s4_layers\.1: .*C has shape \(4, 3\)"),
        (with_kernel(put("C", 1, 5, 3, 2)), r"s4_layers\.1: .*D has shape \(1, 4\), which does not fit the 5 heads"),
    ],
)
def test_what_is_no_s4d_is_refused_by_place_and_name(layer, message):
    network = Network([MinimalS4D(4, 3), layer], 4)
    with pytest.raises(SsmqError, match=message) as caught:
        convert(network)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (MinimalS4D, "kernel.log_A_real"),
        (MinimalS4D, "output_linear.0.bias"),
        (Block, "layer.kernel.B"),
        (Block, "layer.D"),
        (lambda heads, modes: OldLayer(heads, modes, heads, 3), "kernel.kernel.C"),
    ],
)
def test_weights_that_are_no_numbers_are_refused_by_name(layer, name, value):
    made = layer(4, 3)
    made.get_parameter(name).data.view(-1)[-1] = value
    with pytest.raises(SsmqError, match=rf"s4_layers\.0: not converted: {name}: holds values that are no finite numbers"):
        convert(Network([made], 4))


def test_steps_past_what_numbers_hold_are_refused():
    layer = MinimalS4D(4, 3)
    layer.kernel.log_dt.data[1] = 200.0
    with pytest.raises(SsmqError, match="past what float32 holds"):
        convert(layer)


def test_a_bilinear_mode_that_forgets_all_in_one_step_has_no_hold():
    layer = Block(4, 3, disc="bilinear", real_transform="none")
    with torch.no_grad():  # ΔA = -2 of mode 0: its Ā is 0, the exponential of nothing
        layer.layer.kernel.inv_dt.fill_(0.0)
        layer.layer.kernel.A_real[:, 0] = 2.0
        layer.layer.kernel.A_imag[:, 0] = 0.0
    with pytest.raises(SsmqError, match="past what float32 holds, taken for discretization bilinear"):
        convert(layer, discretization="bilinear", real_transform="none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discretization": "dss"}, "discretization='dss': scales its outputs by the length of the sequence"),
        ({"discretization": "euler"}, "discretization must be one of 'zoh', 'bilinear', not 'euler'"),
        ({"real_transform": "cube"}, "real_transform must be one of 'exp', 'none', .*, not 'cube'"),
        ({"activation": "mish"}, "activation must be one of None, 'id', .*, not 'mish'"),
        ({"dt_fast": "yes"}, "dt_fast must be one of False, True, not 'yes'"),
        *(
            ({"bandlimit": value}, "bandlimit must be a number above 0")
            for value in (0, -1.0, float("nan"), float("inf"), True, "1")
        ),
    ],
)
def test_an_argument_that_is_none_is_refused(arguments, message):
    with pytest.raises(SsmqError, match=message):
        convert(MinimalS4D(4, 3), **arguments)


class Failing(Network):
    def forward(self, x):
        raise KeyError("lengths")


class Named(Network):
    def forward(self, x):
        return self.s4_layers[0](u=self.encoder(x).mT)[0]


class Stateful(MinimalS4D):
    def forward(self, u, **ignored):
        return super().forward(u)[0], u


class Flipped(MinimalS4D):
    def forward(self, u, **ignored):
        return super().forward(u.mT)


class Uncopied(MinimalS4D):
    def __deepcopy__(self, memo):
        raise TypeError("a socket\n  cannot be copied")


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), None, "no published S4D layer in this network, by the names"),
        ("model", None, "only a torch.nn.Module is converted, not str"),
        (Failing([MinimalS4D(4, 3)], 4), torch.zeros(1, 5, 2), "does not run on the example .*lengths"),
        (Network([MinimalS4D(4, 3)], 4), torch.zeros(1, 5, 3), "does not run on the example"),
        (
            Named([MinimalS4D(4, 3)], 4),
            torch.zeros(1, 5, 2),
            "s4_layers.0.*: the network gives it its input by keyword: give it",
        ),
        (Stateful(4, 3), None, r"gives neither \(y, None\) nor y"),
        (Flipped(4, 3), None, r"does not run on an input of shape \(2, 4, 96\)"),
        (Uncopied(4, 3), None, "cannot be copied .*a socket cannot be copied"),
    ],
)
def test_what_cannot_be_run_or_copied_is_told_of_in_one_line(module, example, message):
    with pytest.raises(SsmqError, match=message) as refused:
        convert(module, example)
    assert "\n" not in str(refused.value)
