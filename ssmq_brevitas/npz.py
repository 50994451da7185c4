"""Sequences of one's own: a NumPy file with ``x`` ``(n, T, channels)`` uint8 and ``y`` ``(n,)`` labels.

A model reads the code ``k`` as ``k * 2**-8``, as it does pixels. Other numbers are refused, for only their owner knows
which range deserves the 256 codes: ``np.clip(np.rint((v - low) / (high - low) * 255), 0, 255).astype(np.uint8)``.

``x_validation``, ``y_validation`` and ``x_test``, ``y_test`` are splits of their own; one that is missing is a tenth of
``x``, by seed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from .errors import SsmqError

Arrays = tuple[np.ndarray, np.ndarray]


def load_npz(path: Path, seed: int) -> dict[str, Arrays]:
    """``train``, ``validation``, ``test``: ``x`` uint8 ``(n, T)``, or ``(n, T, C)`` of several channels, and ``y``."""
    given = _read(path)
    if "train" not in given:
        raise SsmqError(f"{path}: holds no arrays x and y")
    first = given["train"][0].shape[1:]
    for split, (x, _) in given.items():
        if x.shape[1:] != first:
            raise SsmqError(f"{path}: x_{split} has (steps, channels) {x.shape[1:]}, x has {first}")
    x, y = given["train"]
    order = np.random.default_rng(seed).permutation(len(y))
    for split in ("validation", "test"):
        if split not in given:
            tenth, order = order[: len(y) // 10], order[len(y) // 10 :]
            given[split] = x[tenth], y[tenth]
    kept = np.sort(order)
    given["train"] = x[kept], y[kept]
    for split, (_, labels) in given.items():
        if not len(labels):
            raise SsmqError(f"{path}: no sequences are left for {split}: give at least 10, or a split of its own")
    squeeze = first[1] == 1
    return {split: (x[..., 0] if squeeze else x, y) for split, (x, y) in given.items()}


def _read(path: Path) -> dict[str, Arrays]:
    if not path.is_file():
        raise SsmqError(f"{path}: no such file for --dataset npz:FILE")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files} if hasattr(file, "files") else {}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SsmqError(f"{path}: not a readable .npz file of plain arrays ({error})") from error
    found = {}
    for split, suffix in (("train", ""), ("validation", "_validation"), ("test", "_test")):
        names = f"x{suffix}", f"y{suffix}"
        if any(name in arrays for name in names):
            missing = [name for name in names if name not in arrays]
            if missing:
                raise SsmqError(f"{path}: holds no array {missing[0]}")
            found[split] = _checked(path, names, arrays[names[0]], arrays[names[1]])
    return found


def _checked(path: Path, names: tuple[str, str], x: np.ndarray, y: np.ndarray) -> Arrays:
    if x.dtype != np.uint8:
        raise SsmqError(
            f"{path}: {names[0]} must be uint8 codes 0..255, not {x.dtype}: choose the range that they cover, as in "
            f"np.clip(np.rint((x - low) / (high - low) * 255), 0, 255).astype(np.uint8)"
        )
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise SsmqError(f"{path}: {names[0]} must be (sequences, steps, channels), not {x.shape}")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1] or (y.size and y.min() < 0):
        raise SsmqError(f"{path}: {names[1]} must be {len(x)} labels 0, 1, ..., one a sequence")
    return np.ascontiguousarray(x), y.astype(np.int64)
