"""Safetensors files of this program: finite floating-point tensors by name, and one JSON object that describes them.

No pickles. A file is read once and judged from memory: another process may put a newer one in its place meanwhile.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from .errors import SsmqError
from .files import read_whole, write_whole

METADATA = "ssmq"
# A file of this kind does not hold its network's code, which commands would need.
NETWORK = "ssmq-network"
ELSEWHERE = (
    "ssmq_brevitas.load reads it, with the module that was quantised; commands take the graphs that are exported from it"
)
MOST_BYTES = 2**29
# What torch.save writes: the names that it goes by, and how it starts: a zip of pickles, or a pickle of protocol 2 to 5.
PICKLES = (".pt", ".pth", ".pkl", ".ckpt", ".bin")
PICKLED = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))
# The last of these are what `load` raises for a type that torch or safetensors does not know.
DAMAGE = (SafetensorError, KeyError, TypeError, ValueError, RuntimeError)


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], kind: str, content: dict) -> None:
    """Write ``tensors`` with the JSON object ``content``; ``kind`` tells what the file is. Raises SsmqError for no JSON."""
    try:
        described = json.dumps({"kind": kind, **content}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SsmqError(
            f"{path} is not written: its note is no JSON ({error}): give text, finite numbers, lists and dicts of them"
        ) from error
    # One metadata entry: safetensors writes several in no fixed order, and equal models shall be equal files.
    metadata = {METADATA: described}
    write_whole(Path(path), save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=metadata))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors and the object. Raises SsmqError naming the file and what is wrong with it."""
    tensors, described = _decoded(path, read_whole(Path(path), MOST_BYTES, "checkpoint file"))
    content = _parsed(path, described)
    if content.get("kind") != kind:
        told = f": {ELSEWHERE}" if content.get("kind") == NETWORK else ""
        raise SsmqError(f"{path}: a safetensors file, but not a {kind} of this program{told}")
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            raise SsmqError(f"{path}: {name} is of type {tensor.dtype}, not float32 or float64: save it in one of these")
        if not tensor.isfinite().all():
            raise SsmqError(f"{path}: {name} holds numbers that are not finite: did the training diverge?")
    return tensors, content


def read_foreign(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of anybody's safetensors file, of any type and value.

    Raises SsmqError naming the file; of a pickle, with the lines that turn it into safetensors.
    """
    path = Path(path)
    whole = read_whole(path, MOST_BYTES, "checkpoint file")
    try:
        return _decoded(path, whole)[0]
    except SsmqError as error:
        if path.suffix not in PICKLES and not whole.startswith(PICKLED):
            raise
        new = str(path.with_suffix(".safetensors"))
        raise SsmqError(
            f"{path}: a pickle, which can run anything when it is read, is not read here: where you trust it, "
            f"`state = torch.load({str(path)!r}, weights_only=True)` and "
            f"`safetensors.torch.save_file(state, {new!r})` make safetensors of it (of its 'model' or 'state_dict', if it "
            f"has one)"
        ) from error


def _decoded(path: Path, whole: bytes) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors and what the file says of itself."""
    try:
        tensors = load(whole)
        header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
        return tensors, (header.get("__metadata__") or {}).get(METADATA, "{}")
    except DAMAGE as error:
        raise SsmqError(f"{path}: not a readable checkpoint, corrupt or truncated ({error}): copy or save it anew") from error


def _parsed(path: Path, described: str) -> dict:
    try:
        content = json.loads(described, parse_constant=_refuse_constant)
        if not isinstance(content, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise SsmqError(f"{path}: not a readable checkpoint, its description is damaged ({error}): save it anew") from error
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
