"""Sequences of one's own: a NumPy file with ``x`` ``(n, T, channels)`` and what is to be told of them, ``y``.

``x`` are integers of 8 or 16 bits, codes as they are, or floats, which become codes of a format that covers the training
split (see ``input_format``). ``y`` are classes: integers ``(n,)``, or ``(n, T)`` of every step, -1 where nothing is to be
told; or numbers: floats ``(n,)`` or ``(n, K)``, of every step ``(n, T)`` or ``(n, T, K)``.

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
from .input_format import FLOATS, INTEGERS, InputFormat, codes_of, covering_format, own_format, refuse_beyond
from .task import IGNORED

SPLITS = {"train": "", "validation": "_validation", "test": "_test"}
# What an archive unpacks to; the arrays lie in the memory, twice while they are split.
MOST_BYTES = 2**30
MOST_LABEL = 2**16 - 1

Arrays = tuple[np.ndarray, np.ndarray]


def load_npz(path: Path, seed: int, given: InputFormat | None, bits: int) -> tuple[dict[str, Arrays], InputFormat]:
    """``train``, ``validation``, ``test``: codes ``x`` ``(n, T)``, or ``(n, T, C)`` of several channels, and ``y``.

    And the format of the codes: ``given``, or that of their type, or of floats one of ``bits`` bits.
    """
    splits = _read(path)
    if "train" not in splits:
        raise SsmqError(f"{path}: holds no arrays x and y: numpy.savez(path, x=..., y=...)")
    first = [_kind(array) for array in splits["train"]]
    for split, arrays in splits.items():
        for name, array, wanted in zip("xy", arrays, first, strict=True):
            if _kind(array) != wanted:
                raise SsmqError(
                    f"{path}: {name}_{split} has {_named(_kind(array), name)}, {name} has {_named(wanted, name)}: give all "
                    f"splits one shape and type"
                )
    x, y = splits["train"]
    order = np.random.default_rng(seed).permutation(len(y))
    for split in ("validation", "test"):
        if split not in splits:
            tenth, order = order[: len(y) // 10], order[len(y) // 10 :]
            splits[split] = x[tenth], y[tenth]
    kept = np.sort(order)
    splits["train"] = x[kept], y[kept]
    for split, (_, labels) in splits.items():
        if not len(labels):
            raise SsmqError(f"{path}: no sequences are left for {split}: give at least 10, or a split of its own")
        if labels.dtype == np.int64 and not (labels != IGNORED).any():
            raise SsmqError(f"{path}: every label for {split} is {IGNORED}, so there is nothing to tell: label some")
    return _coded(path, splits, given, bits)


def _kind(array: np.ndarray) -> tuple:
    return array.shape[1:], array.dtype


def _named(kind: tuple, name: str) -> str:
    shape, dtype = kind
    return f"(steps, channels) {shape} of {dtype}" if name == "x" else f"{shape} of {dtype} for each sequence"


def _coded(
    path: Path, splits: dict[str, Arrays], given: InputFormat | None, bits: int
) -> tuple[dict[str, Arrays], InputFormat]:
    train = splits["train"][0]
    try:
        if train.dtype in FLOATS:
            found = given or covering_format(train, bits)
            splits = {split: (codes_of(x, found), y) for split, (x, y) in splits.items()}
        else:
            found = given or own_format(train.dtype)
            for x, _ in splits.values():
                refuse_beyond(x, found)
            # torch hardly computes with this type.
            splits = {split: (x.astype(np.int32) if x.dtype == np.uint16 else x, y) for split, (x, y) in splits.items()}
    except SsmqError as error:
        raise SsmqError(f"{path}: x: {error}") from error
    squeeze = train.shape[2] == 1
    return {split: (x[..., 0] if squeeze else x, y) for split, (x, y) in splits.items()}, found


def _read(path: Path) -> dict[str, Arrays]:
    arrays = _arrays(path)
    found = {}
    for split, suffix in SPLITS.items():
        names = f"x{suffix}", f"y{suffix}"
        if any(name in arrays for name in names):
            missing = [name for name in names if name not in arrays]
            if missing:
                raise SsmqError(f"{path}: holds no array {missing[0]}: give both of a split, or none")
            found[split] = _checked(path, names, arrays[names[0]], arrays[names[1]])
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that are asked for, by name; a size is looked at before it is taken."""
    content = read_whole(path, MOST_BYTES, "file of sequences")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # what a damaged archive raises is no closed list
        hint = "one array: np.savez saves several" if content.startswith(b"\x93NUMPY") else error
        raise SsmqError(f"{path}: not a readable .npz file of plain arrays ({hint}): write it by numpy.savez") from error
    wanted = [f"{kind}{suffix}" for suffix in SPLITS.values() for kind in "xy"]
    members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    members = {name: members[name] for name in wanted if name in members}
    size = sum(entry.file_size for entry in members.values())
    if size > MOST_BYTES:
        raise SsmqError(f"{path}: its arrays have {size:,} bytes, more than the {MOST_BYTES:,} that are read: leave some out")
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
        raise SsmqError(
            f"{path}: not a readable .npz file of plain arrays ({name}: {error}): write it by numpy.savez"
        ) from error


def _checked(path: Path, names: tuple[str, str], x: np.ndarray, y: np.ndarray) -> Arrays:
    where = f"{path}: {names[0]}"
    x = x.astype(x.dtype.newbyteorder("="), order="C")
    if x.dtype not in INTEGERS + FLOATS:
        *most, last = map(str, INTEGERS + FLOATS)
        types = f"{', '.join(most)} or {last}"
        raise SsmqError(f"{where} must be of {types}, not {x.dtype}: if they are codes, {names[0]}.astype(np.int16)")
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise SsmqError(f"{where} must be (sequences, steps, channels), not {x.shape}")
    if x.dtype in FLOATS and not np.isfinite(x).all():
        raise SsmqError(f"{where} holds NaN or infinity: leave these sequences out, or say what they are")
    return x, _told(f"{path}: {names[1]}", x, y)


def _told(where: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if y.dtype.kind == "f":
        whole = y.shape[:1] == x.shape[:1] and 1 <= y.ndim <= 3 and 0 not in y.shape[1:]
        if not whole or (y.ndim == 3 and y.shape[1] != x.shape[1]):
            n, steps = x.shape[:2]
            raise SsmqError(f"{where} must be numbers ({n},), ({n}, K), ({n}, {steps}) or ({n}, {steps}, K), not {y.shape}")
        with np.errstate(over="ignore"):
            y = y.astype(np.float32)
        if not np.isfinite(y).all():
            raise SsmqError(f"{where} holds NaN or infinity, or numbers past float32: leave these sequences out, or scale them")
        return y
    if y.dtype.kind not in "iu":
        raise SsmqError(f"{where} must be integer labels or floats, not {y.dtype}: y.astype(np.int64)")
    low, high = (int(y.min()), int(y.max())) if y.size else (0, 0)
    steps = y.ndim == 2
    if y.shape != x.shape[: 1 + steps] or low < (IGNORED if steps else 0) or high > MOST_LABEL:
        about = f"not {y.shape} from {low} to {high}"
        raise SsmqError(f"{where} must be {len(x)} labels 0, 1, ... up to {MOST_LABEL}, one a sequence or one a step, {about}")
    return y.astype(np.int64)
