"""The float layer: a convolution, a recurrence and a stream are one system."""

from __future__ import annotations

import pytest
import torch
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.s4d import S4D


def published(layer: S4D, u: torch.Tensor) -> torch.Tensor:
    """The convolution of the published layer, S4D of Gu et al. 2022, Listing 1: ``(B, H, L)`` to ``(B, H, L)``."""
    dt, a = layer.log_dt.exp(), -layer.log_a_re.exp() + 1j * layer.a_im
    dt_a, length = a * dt[:, None], u.shape[-1]
    c = torch.view_as_complex(layer.c) * (torch.exp(dt_a) - 1) / a
    kernel = 2 * torch.einsum("hn,hnl->hl", c, torch.exp(dt_a[..., None] * torch.arange(length))).real
    y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length), n=2 * length)[..., :length]
    return y + u * layer.d[:, None]


@pytest.mark.parametrize("length", [1, 2, 3, 17, 100, 787])
def test_it_is_the_published_layer_in_value_and_gradient(length):
    torch.manual_seed(0)
    layer = S4D(3, 4).double()
    u = torch.randn(2, length, 3, dtype=torch.float64, requires_grad=True)
    expected = published(layer, u.transpose(1, 2)).transpose(1, 2)
    weight, leaves = torch.randn(expected.shape, dtype=torch.float64), [u, *layer.parameters()]
    assert torch.allclose(layer(u), expected, rtol=1e-9, atol=1e-9)
    wanted = torch.autograd.grad((expected * weight).sum(), leaves)
    found = torch.autograd.grad((layer(u) * weight).sum(), leaves)
    for one, other in zip(wanted, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-8)


def test_it_can_be_differentiated_twice():
    torch.manual_seed(2)
    layer, u = S4D(2, 2).double(), torch.randn(2, 6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, u)


@pytest.mark.parametrize("steps", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_long_stream_is_the_convolution(steps):
    """Of float32, whose rounding is 6e-8: the slowest mode here remembers 4000 steps, each of which would add its own."""
    torch.manual_seed(1)
    layer, u = S4D(2, 3, dt_min=5e-4, dt_max=5e-4), torch.randn(1, steps, 2)
    with torch.no_grad():
        layer.d.zero_()
        expected, state, stream = layer(u), layer.initial_state(1), []
        for u_t in u.unbind(dim=1):
            y_t, state = layer.step(u_t, state)
            stream.append(y_t)
    found = torch.stack(stream, dim=1)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


def test_a_stream_can_be_trained_through():
    layer, u = S4D(2, 3).double(), torch.randn(1, 20, 2, dtype=torch.float64)
    state, last = layer.initial_state(1), 0
    for u_t in u.unbind(dim=1):
        last, state = layer.step(u_t, state)
    for one, other in zip(
        *(torch.autograd.grad(y.sum(), list(layer.parameters())) for y in (last, layer(u)[:, -1])), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_inputs_of_another_shape_are_refused():
    layer = S4D(3, 4)
    for u in (torch.zeros(2, 3, 5), torch.zeros(5, 3), torch.zeros(2, 0, 3)):
        with pytest.raises(SsmqError, match=r"S4D takes a tensor of the shape \(B, T, 3\), not"):
            layer(u)
    with pytest.raises(SsmqError, match=r"state takes a tensor of the shape \(2, 3, 4\), not \(1, 3, 4\)"):
        layer.step(torch.zeros(2, 3), layer.initial_state(1))


@pytest.mark.parametrize("sizes", [{"heads": 0}, {"modes": 0}, {"dt_min": 0.0}, {"dt_min": 0.2}, {"dt_max": float("nan")}])
def test_sizes_that_make_no_layer_are_refused(sizes):
    with pytest.raises(SsmqError, match="S4D needs heads and modes from 1"):
        S4D(**{"heads": 2, **sizes})
