"""Sequences as codes: images, one grey pixel a step, row by row (sequential MNIST and its relatives), or those of a file.

Pixels stay what they are on disk, unsigned 8-bit codes; the model reads the code ``k`` as the value ``k * 2**-8``,
so the input already lies on a power-of-two grid and needs no normalisation (the encoder learns it).
Source: Le et al., "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", arXiv 1504.00941.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from .errors import SsmqError
from .input_format import PIXELS, InputFormat, refuse_beyond
from .npz import load_npz

NPZ = "npz:"
SUBSET = "mnist-subset.npz"
VALIDATION = 10_000
SUBSET_VALIDATION = 500
# The declarations live as long as this object: it must outlast the import.
_torchvision_schemas: torch.library.Library | None = None


@dataclass(frozen=True)
class SequenceData:
    """Three splits: ``x_*`` codes ``(n, T)`` or, of several channels, ``(n, T, C)``; ``y_*`` what is to be told of them.

    That is classes, int64 ``(n,)``, or ``(n, T)`` of every step with -1 where there is none; or numbers, float32 ``(n,)`` or
    ``(n, K)``, of every step ``(n, T)`` or ``(n, T, K)``. ``input_format`` says what the codes stand for.
    ``row`` is the number of steps in a row of an image, 1 where the steps are none; ``permute`` and ``downsample`` are what
    was done to it (see ``load_data``).
    """

    name: str
    source: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_validation: torch.Tensor
    y_validation: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    row: int = 1
    permute: int | None = None
    downsample: int = 1
    input_format: InputFormat = PIXELS

    @property
    def length(self) -> int:
        """Steps of a sequence."""
        return self.x_train.shape[1]

    @property
    def channels(self) -> int:
        """Codes a step."""
        return self.x_train.shape[2] if self.x_train.dim() == 3 else 1

    @property
    def classes(self) -> int:
        """As many as the greatest label of any split tells."""
        return int(max(labels.max() for labels in (self.y_train, self.y_validation, self.y_test))) + 1

    @property
    def digest(self) -> str:
        """SHA-256 of all sequences and labels."""
        found = hashlib.sha256()
        for split in ("train", "validation", "test"):
            for kind in "xy":
                found.update(getattr(self, f"{kind}_{split}").contiguous().numpy())
        return found.hexdigest()

    def describe(self) -> dict[str, str | int]:
        """Where the sequences are from; what was done to images only if something was."""
        changed = {} if self.permute is None else {"permute": self.permute}
        changed |= {} if self.downsample == 1 else {"downsample": self.downsample}
        return {
            "name": self.name,
            "source": self.source,
            **changed,
            "train": len(self.y_train),
            "validation": len(self.y_validation),
            "test": len(self.y_test),
        }

    def was_learnt(self, described: dict) -> bool:
        """Whether a model whose data ``describe()`` gave as ``described`` was trained on these sequences, or on all of
        the data set that they are a subset of."""
        own = self.describe()
        if self.source == "embedded":
            own |= {"name": "MNIST", "source": "torchvision"}
        return all(described.get(key) == own.get(key) for key in ("name", "source", "permute", "downsample"))


def load_data(
    data_root: Path | None = None,
    dataset: str = "mnist",
    *,
    download: bool = False,
    permute: int | None = None,
    downsample: int = 1,
    seed: int = 0,
    given: InputFormat | None = None,
    bits: int = 8,
) -> SequenceData:
    """Load a data set as sequences. ``"npz:FILE"`` is a file of one's own (see ``npz``).

    ``given`` is the format that the inputs have; without it integers have that of their type, and floats one of ``bits``
    bits that covers the training split.

    Without ``data_root`` this is the embedded subset of MNIST (needs no network). With it, torchvision's ``MNIST``
    (``dataset="mnist"``) or ``FashionMNIST`` (``"fashion-mnist"``) from that folder, split 50k/10k/10k by ``seed``.
    ``permute`` is the seed of one fixed permutation of the pixels; ``downsample`` averages blocks of that many pixels
    a side. Raises SsmqError when the folder or its files are missing.

    >>> from ssmq_brevitas import load_data
    >>> data = load_data()
    >>> data.x_train.shape, data.x_test.shape, data.y_test.shape
    (torch.Size([4500, 784]), torch.Size([1000, 784]), torch.Size([1000]))
    """
    if dataset.startswith(NPZ):
        if data_root is not None or download or permute is not None or downsample != 1:
            raise SsmqError("npz:FILE is read as it is: it cannot be combined with other options about data")
        path = Path(dataset.removeprefix(NPZ))
        found, its_format = load_npz(path, seed, given, bits)
        return _sequences(path.stem, "npz", found, its_format)
    if data_root is None:
        if dataset != "mnist":
            raise SsmqError(
                f"data set {dataset!r} is not embedded: give its folder as data_root (and download=True to fetch it)"
            )
        name, source, train, test, validation = "MNIST subset", "embedded", *_embedded(), SUBSET_VALIDATION
    else:
        name, train, test = _torchvision(Path(data_root), dataset, download)
        source, validation = "torchvision", VALIDATION
    order = np.random.default_rng(seed).permutation(len(train[1]))
    parts = {"validation": order[:validation], "train": np.sort(order[validation:])}
    splits = {}
    for split, (images, labels) in {"test": test, **{k: (train[0][v], train[1][v]) for k, v in parts.items()}}.items():
        refuse_beyond(images, given or PIXELS)
        splits[split] = _as_sequences(images, permute, downsample), labels.astype(np.int64)
    row = train[0].shape[2] // downsample if permute is None else 1
    return replace(_sequences(name, source, splits, given or PIXELS), row=row, permute=permute, downsample=downsample)


def _sequences(
    name: str, source: str, splits: Mapping[str, tuple[np.ndarray, np.ndarray]], input_format: InputFormat
) -> SequenceData:
    tensors = (torch.from_numpy(array) for split in ("train", "validation", "test") for array in splits[split])
    x_train, y_train, x_validation, y_validation, x_test, y_test = tensors
    return SequenceData(name, source, x_train, y_train, x_validation, y_validation, x_test, y_test, input_format=input_format)


def _as_sequences(images: np.ndarray, permute: int | None, downsample: int) -> np.ndarray:
    n, height, width = images.shape
    if downsample < 1 or height % downsample or width % downsample:
        raise SsmqError(f"down-sampling by {downsample} does not divide the image size {height} x {width}")
    if downsample > 1:
        blocks = images.reshape(n, height // downsample, downsample, width // downsample, downsample)
        images = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    flat = images.reshape(n, -1)
    if permute is not None:
        flat = flat[:, np.random.default_rng(permute).permutation(flat.shape[1])]
    return np.ascontiguousarray(flat)


def _embedded() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    with importlib.resources.files("ssmq_brevitas.assets").joinpath(SUBSET).open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _torchvision(
    root: Path, dataset: str, download: bool
) -> tuple[str, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    datasets = import_torchvision_datasets()
    classes = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}
    if dataset not in classes:
        raise SsmqError(f"unknown data set {dataset!r}: choose one of {', '.join(classes)}")
    if not root.is_dir() and not download:
        raise SsmqError(f"data folder {root} does not exist: correct data_root, or give download=True to fetch it")
    splits = []
    for train in (True, False):
        try:
            split = classes[dataset](root=str(root), train=train, download=download)
        except Exception as error:
            if download:
                raise SsmqError(f"{dataset} could not be downloaded to {root} ({error}): are you offline?") from error
            raise SsmqError(f"{dataset} is not complete in {root}: give download=True to fetch it ({error})") from error
        images, labels = split.data.numpy(), split.targets.numpy()
        if images.ndim != 3 or labels.shape != images.shape[:1] or len(labels) <= (VALIDATION if train else 0):
            about = f"images {images.shape}, labels {labels.shape}"
            raise SsmqError(f"{dataset} in {root} is damaged ({about}): remove it, and give download=True to fetch it anew")
        splits.append((images, labels))
    return classes[dataset].__name__, splits[0], splits[1]


def import_torchvision_datasets() -> ModuleType:
    """Import ``torchvision.datasets``, also beside a CPU-only torch.

    There torchvision's compiled operators do not load and its import stops at two missing operator schemas. Its data
    sets need neither, so the schemas are declared and the import is tried once more.
    """
    try:
        import torchvision.datasets as datasets
    except RuntimeError:
        global _torchvision_schemas
        _torchvision_schemas = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _torchvision_schemas.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision.datasets as datasets
    return datasets
