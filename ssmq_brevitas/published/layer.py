"""A published layer out of plain parts: our S4D, the activation, the map over channels, and the transposes between."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from ..errors import SsmqError
from ..s4d import S4D
from .conventions import ACTIVATIONS, FINAL_ACTIVATIONS, Conventions, parameters
from .recognise import Found, joined


class ConvertedS4D(nn.Module):
    """What a published layer computes: ``(B, H, T)`` to ``(B, H, T)`` where that is ``transposed``, else ``(B, T, H)``.

    Gives what the published layer gives: ``(y, None)``, or ``y`` from one that was changed to. The parameters of
    ``output_linear`` keep their names; D and those of the kernel are in ``s4d``.
    """

    def __init__(self, s4d: S4D, activation: nn.Module, output_linear: nn.Module, transposed: bool, gives_state: bool):
        super().__init__()
        self.transposed, self.gives_state = transposed, gives_state
        self.d_output = s4d.heads  # networks of state-spaces/s4 ask a layer for it
        self.s4d = s4d
        # The published layers drop before the activation, after it, or both.
        self.drop: nn.Module = nn.Identity()
        self.activation = activation
        self.dropout: nn.Module = nn.Identity()
        self.output_linear = output_linear
        self.channels_first = any(isinstance(part, nn.Conv1d) for part in output_linear.modules())

    def __call__(self, u: torch.Tensor, *rest: None, **absent: None):
        """What follows ``u`` is what callers of the published layers name without giving it, as ``state=None``."""
        refuse_more(rest, absent, "a converted S4D layer")
        return super().__call__(u)

    def forward(self, u: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, None]:
        if self.transposed:
            u = u.transpose(-1, -2)
        y = self.activation(self.drop(self.s4d(u)))
        if self.channels_first:
            y = y.transpose(-1, -2)
        y = self.output_linear(self.dropout(y))
        if self.channels_first != self.transposed:
            y = y.transpose(-1, -2)
        return (y, None) if self.gives_state else y


def refuse_more(rest: tuple, named: Mapping[str, object], place: str) -> None:
    """Raise SsmqError if a layer is given more than its input: a state, lengths, a sampling rate."""
    told = [name for name, value in named.items() if value is not None]
    if told or any(value is not None for value in rest):
        what = ", ".join(told) or "a second argument"
        raise SsmqError(f"{place} starts from zero and takes one tensor, and is called with {what}: leave that out")


def s4d_of(found: Found, state: Mapping[str, torch.Tensor], conventions: Conventions) -> S4D:
    """The recurrence of a published layer as an S4D in float64."""
    tensors = parameters(found, state, conventions)
    with torch.random.fork_rng(devices=[]):  # what it starts from is written over
        s4d = S4D(found.heads, found.modes).to(tensors["d"])
    s4d.load_state_dict(tensors)
    with torch.no_grad():
        narrow = copy.deepcopy(s4d).float()
        numbers = (*narrow.continuous(), *narrow.discrete(), narrow.d)
    if not all(part.isfinite().all() for part in numbers):
        raise SsmqError(f"{found.place}: its recurrence is past what float32 holds, taken for {conventions.told()}")
    form = found.formulation
    published = {"log_dt": form.dt, "log_a_re": form.real, "a_im": form.imag, "c": "C", "d": "D"}
    for name, source in published.items():
        _train_as(s4d.get_parameter(name), state[found.tensors[source]])
    return s4d


def converted(
    network: nn.Module, found: Found, state: Mapping[str, torch.Tensor], conventions: Conventions, memo: dict
) -> ConvertedS4D:
    """The layer ``found`` in ``network`` out of our parts, in float64, giving ``(y, None)``.

    ``state`` is that of the network, its parameters as they are; ``memo``, as of ``copy.deepcopy``, what is copied already.
    """
    layer, core = network.get_submodule(found.path), network.get_submodule(found.core)
    own = getattr(core, "activation", None)
    if conventions.activation is None and isinstance(own, nn.Module):
        activation = copy.deepcopy(own, memo)
    else:
        activation = ACTIVATIONS[conventions.activation or "gelu"]()
    output = _output_linear(network, found, state, conventions, memo)
    made = ConvertedS4D(s4d_of(found, state, conventions), activation, output, bool(getattr(layer, "transposed", True)), True)
    made.drop = _dropout(getattr(core, "drop", None), False)
    after = getattr(layer, "dropout", getattr(layer, "drop", None) if layer is not core else None)
    made.dropout = _dropout(after, made.channels_first)
    return made.double().train(layer.training)


def _output_linear(
    network: nn.Module, found: Found, state: Mapping[str, torch.Tensor], conventions: Conventions, memo: dict
) -> nn.Module:
    """The map over channels with its activation, GLU on the axis where the channels are."""
    if found.output is None:
        return nn.Identity()
    weight, bias = state[f"{found.output}.weight"], state.get(f"{found.output}.bias")
    outputs, inputs, *kernel = weight.shape
    kind, sizes = (nn.Conv1d, (inputs, outputs, 1)) if kernel else (nn.Linear, (inputs, outputs))
    linear = nn.utils.skip_init(kind, *sizes, bias=bias is not None, dtype=weight.dtype, device=weight.device)
    given = (weight,) if bias is None else (weight, bias)
    for parameter, published in zip(linear.parameters(), given, strict=True):
        parameter.data.copy_(published)
        _train_as(parameter, published)
    if conventions.final_act is not None:
        behind = [FINAL_ACTIVATIONS[conventions.final_act]()]
    else:
        parts = network.get_submodule(joined(found.path, "output_linear")).children()
        behind = [copy.deepcopy(part, memo) for part in list(parts)[1:]]
    for part in behind:
        if isinstance(part, nn.GLU):
            part.dim = -2 if kernel else -1
    # With an activation behind it, or as a sequence of one, its parameters are those of part 0.
    return nn.Sequential(linear, *behind) if behind or found.output.endswith(".0") else linear


def _dropout(published: object, channels_first: bool) -> nn.Module:
    """Dropout of the same rate. Where channels come first, one that drops whole channels does so here too."""
    rate = getattr(published, "p", 0.0)
    if not rate:
        return nn.Identity()
    return nn.Dropout1d(rate) if channels_first and getattr(published, "tie", False) else nn.Dropout(rate)


def _train_as(parameter: nn.Parameter, published: torch.Tensor) -> None:
    """A buffer is not trained. ``_optim`` is how state-spaces/s4 tells an optimiser the rate and decay of a parameter."""
    parameter.requires_grad_(published.requires_grad)
    if hasattr(published, "_optim"):
        parameter._optim = published._optim  # type: ignore[attr-defined]  # theirs, no attribute of torch
