"""Weights without code: a layer of somebody's safetensors checkpoint as a file of our S4D's tensors. No pickles."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from ..errors import SsmqError
from ..s4d import S4D
from ..tensor_file import read_foreign, read_tensors, write_tensors
from .conventions import Conventions
from .layer import s4d_of
from .recognise import Found, recognise

KIND = "ssmq-s4d-layer"


def layers_of(path: Path) -> list[Found]:
    """Every published layer in the checkpoint ``path``, those that are no S4D with the reason. Raises SsmqError."""
    return recognise(read_foreign(path))


def save_layer(checkpoint: Path, layer: str, out: Path, conventions: Conventions | None = None) -> Found:
    """Write the S4D at the path ``layer``, or the one below it, of ``checkpoint`` to ``out``; what was assumed stands in it.

    There is no code to run it against: ``conventions`` are believed. Raises SsmqError if that is no layer, or several.
    """
    conventions = conventions or Conventions()
    state = read_foreign(checkpoint)
    every = recognise(state)
    below = [found for found in every if found.path == layer or not layer or found.path.startswith(f"{layer}.")]
    if len(below) != 1:
        told = ", ".join(found.place for found in below or every) or "none"
        which = "several S4D layers, give one of" if below else "no S4D layer; the file has"
        raise SsmqError(f"{checkpoint}: at {layer!r} {which}: {told}")
    (found,) = below
    if found.refusal:
        raise SsmqError(f"{checkpoint}: {found.place}: not converted: {found.refusal}")
    s4d = s4d_of(found, state, conventions)
    if torch.float64 not in {state[name].dtype for name in found.tensors.values()}:
        s4d.float()
    assumed = {name: value for name, value in asdict(conventions).items() if name not in ("activation", "final_act")}
    about = {"layer": found.path, "formulation": found.formulation.name, "assumed": assumed}
    write_tensors(out, s4d.state_dict(), KIND, about)
    return found


def load_layer(path: Path) -> S4D:
    """The float S4D ``(B, T, H)`` to ``(B, T, H)`` that ``save_layer`` or ``ssmq import`` wrote. Raises SsmqError.

    from ssmq_brevitas.published import load_layer

    s4d = load_layer("layer.safetensors")
    """
    tensors, _ = read_tensors(path, KIND)
    shape = tensors["c"].shape if "c" in tensors else ()
    if len(shape) != 3 or 0 in shape:
        raise SsmqError(
            f"{path}: not a readable S4D layer, its tensor c is missing or has not the shape (H, N, 2): import it anew"
        )
    with torch.random.fork_rng(devices=[]):
        s4d = S4D(*shape[:2])
    if torch.float64 in {tensor.dtype for tensor in tensors.values()}:
        s4d.double()
    try:
        s4d.load_state_dict(tensors)
    except RuntimeError as error:
        raise SsmqError(f"{path}: not a readable S4D layer ({' '.join(str(error).split())}): import it anew") from error
    return s4d
