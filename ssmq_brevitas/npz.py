"""Sequences of one's own: a NumPy file with ``x`` ``(n, T, channels)`` uint8 and ``y`` ``(n,)`` labels.

A model reads the code ``k`` as ``k * 2**-8``, as it does pixels. Other numbers are refused, for only their owner knows
which range deserves the 256 codes: ``np.clip(np.rint((v - low) / (high - low) * 255), 0, 255).astype(np.uint8)``.

``x_validation``, ``y_validation`` and ``x_test``, ``y_test`` are splits of their own; one that is missing is a tenth of
``x``, by seed.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from .errors import SsmqError
from .files import read_whole

SPLITS = {"train": "", "validation": "_validation", "test": "_test"}
# What an archive unpacks to; the arrays lie in the memory, twice while they are split.
MOST_BYTES = 2**30
MOST_LABEL = 2**16 - 1

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
    arrays = _arrays(path)
    found = {}
    for split, suffix in SPLITS.items():
        names = f"x{suffix}", f"y{suffix}"
        if any(name in arrays for name in names):
            missing = [name for name in names if name not in arrays]
            if missing:
                raise SsmqError(f"{path}: holds no array {missing[0]}")
            found[split] = _checked(path, names, arrays[names[0]], arrays[names[1]])
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that are asked for, by name; a size is looked at before it is taken."""
    content = read_whole(path, MOST_BYTES, "file of sequences")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # what a damaged archive raises is no closed list
        hint = "one array: np.savez saves several" if content.startswith(b"\x93NUMPY") else error
        raise SsmqError(f"{path}: not a readable .npz file of plain arrays ({hint})") from error
    wanted = [f"{kind}{suffix}" for suffix in SPLITS.values() for kind in "xy"]
    members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    members = {name: members[name] for name in wanted if name in members}
    size = sum(entry.file_size for entry in members.values())
    if size > MOST_BYTES:
        raise SsmqError(f"{path}: its arrays have {size:,} bytes, more than the {MOST_BYTES:,} that are read")
    return {name: _array(path, name, archive, entry) for name, entry in members.items()}


def _array(path: Path, name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    try:
        with archive.open(entry) as file:
            if np.lib.format.read_magic(file) == (1, 0):
                shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
            if dtype.hasobject or min(shape, default=0) < 0:
                raise ValueError("Python objects" if dtype.hasobject else f"shape {shape}")
            expected = math.prod(shape) * dtype.itemsize
            content = file.read()
        if len(content) != expected:
            raise ValueError(f"{len(content):,} bytes, where shape {shape} of {dtype} needs {expected:,}")
        return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    except Exception as error:  # nor is this: zipfile's, zlib's, NumPy's
        raise SsmqError(f"{path}: not a readable .npz file of plain arrays ({name}: {error})") from error


def _checked(path: Path, names: tuple[str, str], x: np.ndarray, y: np.ndarray) -> Arrays:
    if x.dtype != np.uint8:
        raise SsmqError(
            f"{path}: {names[0]} must be uint8 codes 0..255, not {x.dtype}: choose the range that they cover, as in "
            f"np.clip(np.rint((x - low) / (high - low) * 255), 0, 255).astype(np.uint8)"
        )
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise SsmqError(f"{path}: {names[0]} must be (sequences, steps, channels), not {x.shape}")
    if y.dtype.kind not in "iu":
        raise SsmqError(f"{path}: {names[1]} must be integer labels, not {y.dtype}: {names[1]}.astype(np.int64)")
    low, high = (int(y.min()), int(y.max())) if y.size else (0, 0)
    if y.shape != x.shape[:1] or low < 0 or high > MOST_LABEL:
        about = f"not {y.shape} from {low} to {high}"
        raise SsmqError(f"{path}: {names[1]} must be {len(x)} labels 0, 1, ... up to {MOST_LABEL}, one a sequence, {about}")
    return np.array(x, order="C"), y.astype(np.int64)
