"""Networks with published S4D layers: what the converted one gives, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published_layers import Block, BlockLayer, MinimalS4D, Network, OldLayer
from ssmq_brevitas.config import Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.network.trace import trace
from ssmq_brevitas.published import ConvertedS4D, convert
from ssmq_brevitas.s4d import DynamicsParameter
from torch import nn

ROUNDING = 1e-13


def difference(one, other, u: torch.Tensor) -> float:
    """The largest difference of their outputs, of the largest output."""
    with torch.no_grad():
        y, z = (module.eval()(u) for module in (one, other))
    y, z = (found[0] if isinstance(found, tuple) else found for found in (y, z))
    assert y.shape == z.shape
    return float((y - z).abs().max() / y.abs().max().clamp_min(1e-9))


KINDS = {
    "minimal": lambda heads, modes, copies, transposed: MinimalS4D(heads, modes, 0.2, transposed),
    "block": lambda heads, modes, copies, transposed: Block(heads, modes, "glu", transposed, 0.2, copies=copies),
    "block, a step a mode": lambda heads, modes, copies, transposed: Block(
        heads, modes, "relu", transposed, copies=copies, tied=False
    ),
    "block, no map": lambda heads, modes, copies, transposed: Block(heads, modes, None, transposed, copies=copies),
    "convolution": lambda heads, modes, copies, transposed: BlockLayer(heads, modes, nn.ReLU(), 0.0, None, copies=copies),
    "release 3": lambda heads, modes, copies, transposed: OldLayer(heads, modes, copies, 3),
    "release 2": lambda heads, modes, copies, transposed: OldLayer(heads, modes, copies, 2),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.booleans(), st.integers(1, 40), st.integers(0, 2**31))
def test_a_layer_gives_what_it_gave_to_rounding(kind, copies, repeats, modes, transposed, steps, seed):
    torch.manual_seed(seed)
    heads = copies * repeats
    layer = KINDS[kind](heads, modes, copies, transposed).double()
    found = convert(layer)
    u = torch.randn((3, heads, steps) if layer.transposed else (3, steps, heads), dtype=torch.float64)
    # The kernel of release 2 is rounded to float32 by the layer itself.
    assert difference(layer, found, u) < (1e-6 if kind == "release 2" else ROUNDING)
    assert type(found) is ConvertedS4D and found(u)[1] is None


TRANSFORMS = {
    "real_transform": ("none", "relu", "sigmoid", "softplus"),
    "imag_transform": ("exp", "relu", "sigmoid", "softplus"),
    "dt_transform": ("none", "relu", "sigmoid", "softplus"),
}


@pytest.mark.parametrize(("argument", "transform"), [(name, one) for name, all_ in TRANSFORMS.items() for one in all_])
def test_a_transform_is_what_it_is_named(argument, transform):
    torch.manual_seed(1)
    layer = Block(6, 4, copies=2, **{argument: transform}).double()
    if argument == "imag_transform":
        layer.layer.kernel.A_imag.data.uniform_(-1, 1)  # frequencies of S4D-Lin are past what a sigmoid reaches
    found = convert(layer, **{argument: transform})
    assert difference(layer, found, torch.randn(2, 6, 50, dtype=torch.float64)) < ROUNDING
    with pytest.raises(SsmqError, match=f"the network: not converted: its outputs would differ by .*{argument}={transform!r}"):
        convert(layer)


@pytest.mark.parametrize("argument", ["real_transform", "dt_transform"])
def test_a_transform_that_gives_no_positive_number_is_refused(argument):
    # Logarithms of numbers below 1, which "none" takes for the numbers themselves.
    layer = Block(6, 4)
    name = {"real_transform": "A_real", "dt_transform": "inv_dt"}[argument]
    with pytest.raises(
        SsmqError, match=rf"the network: {name} does not stand for positive numbers: look at {argument} \('none'\)"
    ):
        convert(layer, **{argument: "none"})


@pytest.mark.parametrize(
    "made", [{}, {"tied": False, "copies": 2}, {"bandlimit": 0.2}, {"dt_fast": True, "real_transform": "softplus"}]
)
def test_a_bilinear_layer_is_the_hold_of_another_state_matrix(made):
    """From slow modes to those of a Δ |A| far above 1, where the bilinear Ā is nearly -1."""
    torch.manual_seed(1)
    layer = Block(6, 4, disc="bilinear", **made).double()
    given = {name: value for name, value in made.items() if name not in ("tied", "copies")}
    with torch.no_grad():
        dt = layer.layer.kernel.inv_dt
        dt.copy_((dt + torch.linspace(0, 4, 6)[:, None]) if not made.get("dt_fast") else dt)
    found = convert(layer, discretization="bilinear", **given)
    assert difference(layer, found, torch.randn(2, 6, 200, dtype=torch.float64)) < ROUNDING
    a_bar, *_ = found.s4d.discrete()
    assert a_bar.abs().max() < 1


def test_fast_steps_and_a_band_limit_are_arguments():
    torch.manual_seed(2)
    layer = Block(4, 16, dt_fast=True, bandlimit=0.2).double()
    assert difference(layer, convert(layer, dt_fast=True, bandlimit=0.2), torch.randn(2, 4, 60).double()) < ROUNDING
    kept = convert(layer, dt_fast=True, bandlimit=0.2).s4d.c.abs().sum(-1) > 0
    assert kept.any() and not kept.all(), "the drawn steps put no mode past the limit"
    for wrong in ({"dt_fast": True}, {"dt_fast": True, "bandlimit": 0.4}):
        with pytest.raises(SsmqError, match="differ by .* bandlimit"):
            convert(layer, **wrong)


@pytest.mark.parametrize(
    ("made", "given", "advice"),
    [
        ({"real_transform": "softplus"}, {}, "with real_transform='softplus' they agree"),
        ({}, {"dt_fast": True}, "with dt_fast=False they agree"),
        ({}, {"dt_transform": "sigmoid"}, "with dt_transform='exp' they agree"),
        ({}, {"activation": "relu"}, "with activation='gelu' they agree|with activation=None they agree"),
        ({}, {"final_act": "id"}, "with final_act=None they agree"),
        ({"disc": "bilinear"}, {}, "with discretization='bilinear' they agree"),
        ({}, {"discretization": "bilinear"}, "with discretization='zoh' they agree"),
        ({"longest": 20}, {}, "l_max"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_difference_and_what_to_look_at(made, given, advice):
    torch.manual_seed(3)
    network = Network([Block(4, 3), Block(4, 3, **made)], 4)
    first = 1 if made else 0
    with pytest.raises(SsmqError, match=rf"s4_layers\.{first}: not converted: its outputs would differ by .*({advice})"):
        convert(network, **given)


def test_a_kernel_that_is_cut_shows_in_an_example_that_is_longer():
    torch.manual_seed(4)
    network = Network([Block(4, 3, longest=120)], 4)
    convert(network, torch.randn(2, 120, 2))
    with pytest.raises(SsmqError, match="l_max"):
        convert(network, torch.randn(2, 130, 2))


def small_network(**call) -> Network:
    torch.manual_seed(5)
    network = Network([MinimalS4D(6, 3, dropout=0.2), Block(6, 3, copies=2, dropout=0.1), OldLayer(6, 3, 3, 3)], 6, **call)
    network(torch.randn(8, 30, 2))  # lively statistics
    return network


def test_all_else_of_a_network_keeps_its_names_and_values():
    network = small_network().double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = convert(network, torch.randn(2, 30, 2).double())
    after = found.state_dict()
    for name, value in before.items():
        if ".kernel." not in name and not name.endswith(".D"):
            assert torch.equal(after[name], value), name
    ours = {f"s4_layers.{k}.s4d.{name}" for k in range(3) for name in ("log_dt", "log_a_re", "a_im", "c", "d")}
    assert after.keys() - before.keys() == ours
    assert type(found) is Network and all(type(layer) is ConvertedS4D for layer in found.s4_layers)
    assert difference(network, found, torch.randn(2, 30, 2).double()) < ROUNDING


def test_the_original_stays_as_it_is_and_shares_nothing():
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.s4_layers[0].eval()
    modes, random_state = [part.training for part in network.modules()], torch.get_rng_state()
    found = convert(network, torch.randn(2, 30, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(random_state, torch.get_rng_state())
    assert [part.training for part in network.modules()] == modes
    assert not any(part._forward_pre_hooks for part in network.modules())
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    storage = {value.data_ptr() for value in network.state_dict().values()}
    assert not storage & {value.data_ptr() for value in found.state_dict().values()}
    assert not found.s4_layers[0].training and found.s4_layers[1].training and found.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters_stay_bit_for_bit_and_are_trained_as_before(dtype):
    torch.manual_seed(6)
    layer = MinimalS4D(5, 3, dropout=0.25).to(dtype)
    kernel = layer.kernel
    for name in ("log_dt", "log_A_real", "A_imag"):
        getattr(kernel, name)._optim = {"lr": 1e-3, "weight_decay": 0.0}
    frozen = kernel.A_imag.data
    del kernel.A_imag
    kernel.register_buffer("A_imag", frozen)  # what their lr=0 does
    found = convert(layer)
    names = {"log_dt": kernel.log_dt, "log_a_re": kernel.log_A_real, "a_im": kernel.A_imag, "c": kernel.C, "d": layer.D}
    for name, value in names.items():
        assert torch.equal(found.s4d.get_parameter(name), value) and found.s4d.get_parameter(name).dtype == dtype
    assert not found.s4d.a_im.requires_grad and found.s4d.c.requires_grad
    assert found.s4d.log_dt._optim == found.s4d.log_a_re._optim == {"lr": 1e-3, "weight_decay": 0.0}
    assert not hasattr(found.s4d.c, "_optim")
    assert all(type(found.s4d.get_parameter(name)) is DynamicsParameter for name in ("log_dt", "log_a_re", "a_im"))
    assert isinstance(found.dropout, nn.Dropout1d) and found.dropout.p == 0.25
    dropped = convert(Block(5, 3, dropout=0.25))
    assert isinstance(dropped.drop, nn.Dropout) and isinstance(dropped.dropout, nn.Dropout)


def test_a_converted_network_is_traced_and_trains():
    network = small_network(state=None)
    found = convert(network, torch.randn(2, 30, 2))
    u = torch.randn(4, 30, 2)
    assert torch.equal(trace(found.eval())(u), found(u))
    found.train()(u).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in found.parameters())


def test_a_converted_network_is_quantised():
    found = convert(small_network().eval())
    u = torch.randn(8, 30, 2)
    with torch.no_grad():
        y, codes = found(u), quantize(found, Scheme(), u)(u)
    assert (codes - y).abs().max() < 0.2 * y.abs().max()


def test_a_layer_at_two_places_stays_one():
    torch.manual_seed(7)
    layer = MinimalS4D(4, 2)
    found = convert(Network([layer, layer], 4))
    assert found.s4_layers[0] is found.s4_layers[1]


class Wrapper(nn.Module):
    """A layer of the user's own, whose parts are named as those of a block are."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer, self.output_linear = layer, nn.Linear(20, 20)

    def forward(self, u):
        return self.output_linear(self.layer(u)[0])


def test_a_layer_s_own_name_makes_no_block_of_what_holds_it():
    torch.manual_seed(10)
    module, u = Wrapper(MinimalS4D(4, 2)), torch.randn(2, 4, 20)
    found = convert(module)
    assert type(found) is Wrapper and type(found.layer) is ConvertedS4D
    assert difference(module, found, u) < 1e-5


class Bare(MinimalS4D):
    """Gives y alone, and applies its activation as a function."""

    def __init__(self, *shape: int):
        super().__init__(*shape)
        del self.activation, self.transposed

    def forward(self, u):
        self.activation, self.transposed = torch.tanh, True
        try:
            return super().forward(u)[0]
        finally:
            del self.activation, self.transposed


def test_a_changed_layer_keeps_its_contract():
    torch.manual_seed(8)
    layer, u = Bare(4, 2).double(), torch.randn(2, 4, 20).double()
    with pytest.raises(SsmqError, match="with activation='tanh' they agree"):
        convert(layer)
    found = convert(layer, activation="tanh")
    assert isinstance(found(u), torch.Tensor) and difference(layer, found, u) < ROUNDING


class Clipped(MinimalS4D):
    def forward(self, u, **ignored):
        return super().forward(u.clamp(-9, 9))


def test_what_a_layer_does_to_the_data_alone_is_found_on_an_example():
    network = Network([Clipped(4, 2)], 4)
    convert(network)
    with pytest.raises(SsmqError, match=r"s4_layers\.0: not converted: its outputs would differ"):
        convert(network, torch.full((2, 20, 2), 100.0))


class Single(MinimalS4D):
    """Runs in float32 alone: a constant of it is of that type."""

    def forward(self, u, **ignored):
        return super().forward(u @ torch.eye(u.shape[-1]))


def test_a_layer_that_runs_in_one_precision_is_compared_in_that():
    torch.manual_seed(9)
    layer, u = Single(4, 2), torch.randn(2, 4, 20)
    assert difference(layer, convert(layer), u) < 1e-5
    with pytest.raises(SsmqError, match="with activation=None they agree"):
        convert(layer, activation="relu")


def test_a_converted_layer_refuses_what_it_would_ignore():
    found = convert(MinimalS4D(4, 2))
    with pytest.raises(SsmqError, match="called with state: leave that out"):
        found(torch.randn(1, 4, 9), state=torch.zeros(1, 4, 2))
    network = Network([Block(4, 2)], 4, lengths=torch.tensor([9]))
    with pytest.raises(SsmqError, match=r"s4_layers\.0: .* called with lengths: leave that out"):
        convert(network, torch.randn(1, 9, 2))
