"""A network with its published S4D layers replaced by ours, everything else as it is."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping

import torch
from torch import nn

from ..errors import SsmqError
from .agree import gives_state
from .conventions import Conventions
from .layer import converted, refuse_more
from .recognise import FORMULATIONS, Found, recognise


def convert(
    module: nn.Module,
    example: torch.Tensor | None = None,
    *,
    discretization: str = "zoh",
    real_transform: str = "exp",
    imag_transform: str = "none",
    dt_transform: str = "exp",
    dt_fast: bool = False,
    bandlimit: float | None = None,
    activation: str | None = None,
    final_act: str | None = None,
) -> nn.Module:
    """A copy of ``module`` in which every published S4D layer is our :class:`~ssmq_brevitas.s4d.S4D`, weights kept.

    Layers are known by the names and shapes of their parameters, wherever they stand and whatever their class: the
    minimal S4D, and ``S4Block(mode="s4d")`` of releases 2 to 4 with one channel and one direction. A layer
    gives what it gave, ``(y, None)``, and becomes a :class:`ConvertedS4D` of parts that torch.fx traces; all else keeps its
    names and parameters. ``module`` stays as it is.

    ``example`` is an input of ``module``: each layer is then compared with the original on what it sees there, and on noise
    of that length; else on noise of 96 steps. A kernel cut at ``l_max`` shows only in a longer example.

    What parameters do not tell is named as the layers name it: ``discretization`` (``"zoh"``, or ``"bilinear"``, which becomes
    the zero-order hold of the same Ā and B̄, exactly, and is trained as that), ``real_transform``, ``imag_transform`` and
    ``dt_transform`` (``"exp"``, ``"none"``, ``"relu"``, ``"sigmoid"``, ``"softplus"``), ``dt_fast``, ``bandlimit``.
    ``activation`` and ``final_act`` are the layer's own modules where it has them, and named where they are functions.

    Dropout keeps its rate, that of kernels goes. Raises SsmqError naming the layer: one that is no S4D (DPLR, selective,
    S5, LRU, bidirectional, several channels, gated), weights that are no numbers, or outputs that differ from the
    original's by more than float rounding, with the argument to look at.
    Source: Gu et al., arXiv 2206.11893; names of state-spaces/s4.

    >>> import torch
    >>> from torch import nn
    >>> from ssmq_brevitas import convert
    >>> class Kernel(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         for name, shape in {"C": (2, 3, 2), "log_dt": (2,), "log_A_real": (2, 3), "A_imag": (2, 3)}.items():
    ...             setattr(self, name, nn.Parameter(torch.rand(shape) - 1))
    ...     def forward(self, steps):
    ...         A, dt = torch.complex(-self.log_A_real.exp(), self.A_imag), self.log_dt.exp()[:, None]
    ...         C = torch.view_as_complex(self.C) * ((dt * A).exp() - 1) / A
    ...         return 2 * (C[..., None] * (dt * A)[..., None].mul(torch.arange(steps)).exp()).sum(1).real
    >>> class Published(nn.Module):  # the minimal S4D: (B, H, T) to (y, None)
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.kernel, self.D = Kernel(), nn.Parameter(torch.ones(2))
    ...         self.activation, self.output_linear = nn.GELU(), nn.Sequential(nn.Conv1d(2, 4, 1), nn.GLU(dim=1))
    ...     def forward(self, u):
    ...         steps = u.shape[2]
    ...         spectrum = torch.fft.rfft(self.kernel(steps), 2 * steps) * torch.fft.rfft(u, 2 * steps)
    ...         y = torch.fft.irfft(spectrum, 2 * steps)[..., :steps] + self.D[:, None] * u
    ...         return self.output_linear(self.activation(y)), None
    >>> layer, u = Published().eval(), torch.randn(4, 2, 30)
    >>> torch.allclose(convert(layer, u)(u)[0], layer(u)[0], atol=1e-5)
    True
    """
    if not isinstance(module, nn.Module):
        raise SsmqError(f"only a torch.nn.Module is converted, not {type(module).__name__}")
    conventions = Conventions(
        discretization, real_transform, imag_transform, dt_transform, dt_fast, bandlimit, activation, final_act
    )
    state = module.state_dict(keep_vars=True)
    found = _layers(state)
    trial = _copy(module, {}).eval()
    seen = {} if example is None else _seen(_copy(trial, {}), found, example)
    memo: dict = {}
    for layer in found:
        build = functools.partial(_built, module, layer, state)
        made = converted(module, layer, state, conventions, memo)
        made.gives_state = gives_state(trial.get_submodule(layer.path), layer, build, conventions, seen.get(layer.path))
        memo[id(module.get_submodule(layer.path))] = made.to(state[layer.tensors["C"]].dtype)
    return _copy(module, memo)


def _built(module: nn.Module, layer: Found, state: Mapping[str, torch.Tensor], conventions: Conventions) -> nn.Module:
    return converted(module, layer, state, conventions, {})


def _layers(state: Mapping[str, torch.Tensor]) -> list[Found]:
    found = recognise(state)
    for layer in found:
        if layer.refusal:
            raise SsmqError(f"{layer.place}: not converted: {layer.refusal}")
    if not found:
        told = "; ".join(f"{form.name}: {', '.join(form.names)}" for form in FORMULATIONS)
        raise SsmqError(f"no published S4D layer in this network, by the names of its parameters ({told})")
    return found


def _copy(module: nn.Module, memo: dict) -> nn.Module:
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # whatever a module holds that cannot be copied
        raise SsmqError(f"the network cannot be copied ({error}): convert it as it was made, before it has run") from error


def _seen(trial: nn.Module, found: list[Found], example: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each layer is given when the network reads ``example``: two sequences of it. ``trial`` is a copy."""
    seen: dict[str, torch.Tensor] = {}

    def note(layer: Found, module: nn.Module, rest: tuple, named: dict) -> None:
        if not rest:
            raise SsmqError(f"{layer.place}: the network gives it its input by keyword: give it by position")
        refuse_more(rest[1:], named, f"{layer.place}: a converted layer")
        seen[layer.path] = rest[0][:2].detach().clone()

    for layer in found:
        trial.get_submodule(layer.path).register_forward_pre_hook(functools.partial(note, layer), with_kwargs=True)
    try:
        with torch.no_grad():
            trial(example)
    except SsmqError:
        raise
    except Exception as error:  # whatever the network's own code does with it
        raise SsmqError(f"the network does not run on the example ({error}): give an input of it") from error
    return seen
