"""Published S4D layers in a state dict, known by the names and shapes of their parameters alone.

A layer is the part of the state dict below its path: a kernel, ``D`` beside or above it, ``output_linear`` where there is
one. What cannot become our S4D is found too, with the reason. Names and conventions: state-spaces/s4, releases 2 to 4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch


@dataclass(frozen=True)
class Formulation:
    """How a release names the kernel's parameters.

    ``sign`` is that of the imaginary part of A, ``b`` None where B is 1. ``block``: the layer is what has the convolution as
    its ``layer``.
    """

    name: str
    dt: str
    real: str
    imag: str
    b: str | None
    sign: int
    unread: tuple[str, ...] = ()
    block: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.dt, self.real, self.imag, "C", *((self.b,) if self.b else ()))


FORMULATIONS = (
    Formulation("minimal S4D", "log_dt", "log_A_real", "A_imag", None, 1),
    Formulation("S4Block", "inv_dt", "A_real", "A_imag", "B", -1, block=True),
    # Its initial A is stored beside the parameters that it was taken apart into.
    Formulation("S4 of release 3", "log_dt", "inv_A_real", "A_imag", "B", 1, unread=("A",)),
    Formulation("S4D of release 2", "log_dt", "log_w_real", "w_imag", None, 1),
)
_FOREIGN = (
    ({"P", "C"}, "P: a diagonal state matrix plus low rank (DPLR, S4's own mode) is no S4D: train it with mode='s4d'"),
    ({"A_log"}, "A_log: a selective layer (Mamba), its state matrix depends on the input: use S4D in its place"),
    ({"Lambda", "log_step"}, "Lambda: an S5 layer, one state between two dense maps: use S4D in its place"),
    ({"Lambda_re", "Lambda_im"}, "Lambda_re: an S5 layer, one state between two dense maps: use S4D in its place"),
    ({"nu_log", "theta_log"}, "nu_log: an LRU layer, one state between two dense maps: use S4D in its place"),
    ({"log_dt", "w", "C"}, "w: a DSS kernel, scaled by the length of the sequence: train it with disc='zoh'"),
    ({"inv_dt", "A_real", "C"}, "A_imag is missing: a real state (is_real) is no S4D of complex modes: train it without"),
)
_PARTS = {
    "input_gate": "a gated block has a second branch, which is not converted: write it with layers of its own",
    "output_gate": "a gated block has a second branch, which is not converted: write it with layers of its own",
    "input_linear": "a bottleneck is not converted: put a Linear before a layer without one",
}
# Where the names of output_linear stand: with its activation behind it, or without.
OUTPUTS = ("output_linear.0", "output_linear")
UNKNOWN = Formulation("unknown", "", "", "", None, 1)


@dataclass(frozen=True)
class Found:
    """A layer. ``core`` has D, ``kernel`` the parameters of the recurrence: paths, as ``path`` is. ``refusal`` says why not."""

    path: str
    core: str = ""
    kernel: str = ""
    formulation: Formulation = UNKNOWN
    refusal: str | None = None
    heads: int = 0
    modes: int = 0
    # Full names: of D and of the kernel's tensors by the formulation's names, and of output_linear or None.
    tensors: dict[str, str] = field(default_factory=dict)
    output: str | None = None

    @property
    def place(self) -> str:
        return self.path or "the network"


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def recognise(state: Mapping[str, torch.Tensor]) -> list[Found]:
    """Every published layer in ``state``, ordered by place."""
    names = sorted(state)
    groups: dict[str, set[str]] = {}
    for name in state:
        path, _, leaf = name.rpartition(".")
        groups.setdefault(path, set()).add(leaf)
    found = []
    for path, leaves in groups.items():
        foreign = next((why for marks, why in _FOREIGN if marks <= leaves), None)
        formulation = next((one for one in FORMULATIONS if leaves.issuperset(one.names)), None)
        if formulation is not None and "P" not in leaves:
            found.append(_layer(state, names, path, formulation))
        elif foreign is not None:
            found.append(Found(path, refusal=foreign))
    return sorted(found, key=lambda one: [(len(part) if part.isdigit() else 0, part) for part in one.path.split(".")])


def _layer(state: Mapping[str, torch.Tensor], names: list[str], kernel: str, formulation: Formulation) -> Found:
    core = next((path for path in _above(kernel) if joined(path, "D") in state), None)
    if core is None:
        return Found(kernel, refusal="a kernel without the layer's D above it: convert a network that has the whole layer")
    parent, _, last = core.rpartition(".")
    # A block with final_act=None has nothing but its convolution.
    whole = _output(state, parent) or _below(names, parent) == _below(names, core)
    path = parent if formulation.block and last == "layer" and whole else core
    tensors = {name: joined(kernel, name) for name in formulation.names} | {"D": joined(core, "D")}
    output = _output(state, path)
    found = Found(path, core, kernel, formulation, tensors=tensors, output=output)
    own = _below(names, path)
    refusal = _unconverted(found, own) or _unfit(state, found, own) or _misshapen(state, found)
    if refusal:
        return replace(found, refusal=refusal)
    heads, modes = state[tensors["C"]].shape[-3:-1]
    return replace(found, heads=heads, modes=modes)


def _above(kernel: str) -> list[str]:
    """The path above a kernel, and the one above that: releases 2 and 3 have a kernel in a kernel."""
    parent = kernel.rpartition(".")[0]
    return [path for path in (parent, parent.rpartition(".")[0]) if kernel]


def _output(state: Mapping[str, torch.Tensor], path: str) -> str | None:
    return next((joined(path, name) for name in OUTPUTS if joined(path, f"{name}.weight") in state), None)


def _below(names: list[str], path: str) -> list[str]:
    """Those of the sorted ``names`` that start with ``path`` and a dot."""
    return names[bisect_left(names, f"{path}.") : bisect_left(names, f"{path}/")] if path else names


def _unconverted(found: Found, own: list[str]) -> str | None:
    """The first tensor of the layer that nothing here reads."""
    known = set(found.tensors.values()) | {joined(found.kernel, name) for name in found.formulation.unread}
    if found.output:
        known |= {f"{found.output}.weight", f"{found.output}.bias"}
    for name in own:
        if name not in known:
            part = name.removeprefix(f"{found.path}.")
            return f"{part}: {_PARTS.get(part.split('.')[0], 'no part of the published layer, and not converted')}"
    return None


def _unfit(state: Mapping[str, torch.Tensor], found: Found, own: list[str]) -> str | None:
    for name in own:
        tensor, part = state[name], name.removeprefix(f"{found.path}.")
        if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            return f"{part}: is of type {tensor.dtype}, not of floating point"
        if not tensor.isfinite().all():
            return f"{part}: holds values that are no finite numbers: did the training diverge?"
    return None


def _misshapen(state: Mapping[str, torch.Tensor], found: Found) -> str | None:
    """What the shapes tell of: H heads, N modes and S trained state matrices, each repeated for H / S heads."""
    form, shapes = found.formulation, {name: tuple(state[full].shape) for name, full in found.tensors.items()}
    c, d = shapes["C"], shapes["D"]
    if len(c) not in (3, 4) or c[-1] != 2 or len(d) not in (1, 2) or 0 in (*c, *d):
        return f"C has shape {c} and D {d}, not (1, H, N, 2) and (1, H)"
    channels, kernels, (heads, modes) = d[0] if len(d) == 2 else 1, c[0] if len(c) == 4 else 1, c[-3:-1]
    if channels > 1:
        return f"D: {channels} channels a head (shape {d}): only a layer with channels=1 is an S4D"
    if kernels > 1:
        return f"C: a bidirectional layer (shape {c}) reads what is yet to come: train it with bidirectional=False"
    if d[-1] != heads:
        return f"D has shape {d}, which does not fit the {heads} heads of C"
    fitting: tuple[tuple[int, ...], ...] = (heads,), (heads, 1), (heads, modes)
    if shapes[form.dt] not in fitting:
        return f"{form.dt} has shape {shapes[form.dt]}, not ({heads}, 1)"
    real = shapes[form.real]
    if len(real) != 2 or real[1] != modes or not real[0] or heads % real[0]:
        return f"{form.real} has shape {real}, not (S, {modes}) with S a divisor of {heads}"
    if shapes[form.imag] != real:
        return f"{form.imag} has shape {shapes[form.imag]}, not that of {form.real}, {real}"
    fitting = (*real, 2), (1, *real, 2)
    if form.b and shapes[form.b] not in fitting:
        return f"{form.b} has shape {shapes[form.b]}, not {(1, *real, 2)}"
    output = tuple(state[f"{found.output}.weight"].shape) if found.output else (heads, heads)
    if output[1:] not in ((heads,), (heads, 1)):
        return f"output_linear has weights of shape {output}, not (2 H, H) or (2 H, H, 1) with H = {heads}"
    return None
