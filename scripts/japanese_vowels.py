"""Write Japanese Vowels, 12 channels a step, as a file for ``--dataset npz:FILE``.

    pip install --no-deps sktime==1.2.0
    python scripts/japanese_vowels.py runs/japanese-vowels.npz

Nine speakers say /ae/; a step is 12 LPC cepstrum coefficients, a sequence 7 to 29 steps, the class the speaker. The
files are those inside sktime, read as text: sktime itself is not imported. Of the 270 official training sequences five a
speaker are for validation; the 370 official test sequences are the test split.

A channel's codes 0..255 cover its range in the remaining 225 training sequences; what lies outside saturates. A
sequence that is over repeats its last step up to the 29th.

Source: Kudo, Toyama, Shimbo, "Multidimensional Curve Classification Using Passing-Through Regions", Pattern Recognition
Letters 20 (1999); UCI Machine Learning Repository, CC BY 4.0.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

STEPS = 29  # the longest, as the data set's own description says
VALIDATION_A_CLASS = 5
SEED = 0


def folder() -> Path:
    """Where the installed sktime keeps the files."""
    found = importlib.util.find_spec("sktime")
    if found is None or found.origin is None:
        sys.exit("sktime, whose data are read, is not installed: pip install --no-deps sktime==1.2.0")
    return Path(found.origin).parent / "datasets" / "data" / "JapaneseVowels"


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values float64 ``(n, STEPS, 12)`` and labels ``(n,)`` from 0, in file order.

    A line of a .ts file is a sequence: its channels with colons between, each its values with commas, last the label.
    """
    sequences, labels = [], []
    for line in path.read_text().splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.split(":")
            values = np.array([channel.split(",") for channel in channels], np.float64).T
            sequences.append(np.pad(values, ((0, STEPS - len(values)), (0, 0)), mode="edge"))
            labels.append(int(label) - 1)
    return np.stack(sequences), np.array(labels)


def validation_of(labels: np.ndarray) -> np.ndarray:
    """Which training sequences are for validation, the same number of every class."""
    rng = np.random.default_rng(SEED)
    chosen = [rng.permutation(np.flatnonzero(labels == k))[:VALIDATION_A_CLASS] for k in np.unique(labels)]
    return np.isin(np.arange(len(labels)), np.concatenate(chosen))


def main(out: str) -> None:
    (x, y), (x_test, y_test) = (read(folder() / f"JapaneseVowels_{split}.ts") for split in ("TRAIN", "TEST"))
    held = validation_of(y)
    low, high = x[~held].min(axis=(0, 1)), x[~held].max(axis=(0, 1))

    def codes(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint((values - low) / (high - low) * 255), 0, 255).astype(np.uint8)

    arrays = {
        "x": codes(x[~held]), "y": y[~held],
        "x_validation": codes(x[held]), "y_validation": y[held],
        "x_test": codes(x_test), "y_test": y_test,
    }  # fmt: skip
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **arrays)
    print(out, *(f"{name} {arrays[name].shape}" for name in ("x", "x_validation", "x_test")))


if __name__ == "__main__":
    main(sys.argv[1])
