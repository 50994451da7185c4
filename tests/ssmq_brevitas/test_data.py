"""Data: the embedded subset, torchvision's folders, sequences."""

from __future__ import annotations

import dataclasses
import importlib.resources
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from ssmq_brevitas.data import SUBSET, SequenceData, load_data
from ssmq_brevitas.errors import SsmqError

SPLITS = ("train", "validation", "test")


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def folder(tmp_path) -> Path:
    """A data set in torchvision's layout: image k is filled with k mod 251."""
    for name in ("MNIST", "FashionMNIST"):
        raw = tmp_path / name / "raw"
        raw.mkdir(parents=True)
        for split, count in (("train", 10_040), ("t10k", 30)):
            images = np.broadcast_to((np.arange(count) % 251).astype(np.uint8)[:, None, None], (count, 28, 28))
            write_idx(raw / f"{split}-images-idx3-ubyte", np.ascontiguousarray(images))
            write_idx(raw / f"{split}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    return tmp_path


def test_embedded_subset_is_balanced_and_small():
    data = load_data()
    assert data.describe() == {
        "name": "MNIST subset", "source": "embedded", "train": 4500, "validation": 500, "test": 1000,
    }  # fmt: skip
    labels = torch.cat([data.y_train, data.y_validation])
    assert torch.bincount(labels).tolist() == [500] * 10
    assert torch.bincount(data.y_test).tolist() == [100] * 10
    assert importlib.resources.files("ssmq_brevitas.assets").joinpath(SUBSET).stat().st_size < 1_500_000


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_torchvision_folder_is_split_by_seed(folder, dataset):
    data, again, other = (load_data(folder, dataset, seed=seed) for seed in (0, 0, 1))
    assert (len(data.y_train), len(data.y_validation), len(data.y_test)) == (40, 10_000, 30)
    assert torch.equal(data.x_train, again.x_train) and not torch.equal(data.x_train, other.x_train)
    # Image k has the grey value k mod 251 and the label k mod 10; counts show that the splits are disjoint.
    grey = torch.cat([data.x_train[:, 0], data.x_validation[:, 0]]).sort().values
    assert torch.equal(grey, (torch.arange(10_040) % 251).to(torch.uint8).sort().values)


def test_downsampling_and_permutation():
    full, small, shuffled = load_data(), load_data(downsample=4), load_data(permute=3)
    first = full.x_test[0].reshape(28, 28).double()
    expected = first.reshape(7, 4, 7, 4).mean(dim=(1, 3)).round().flatten()
    assert torch.equal(small.x_test[0].double(), expected)
    assert torch.equal(shuffled.x_test.sort(dim=1).values, full.x_test.sort(dim=1).values)
    assert not torch.equal(shuffled.x_test, full.x_test)


def test_labels_of_another_number_than_the_images_are_refused(folder):
    write_idx(folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte", np.zeros(29, np.uint8))
    with pytest.raises(SsmqError, match=r"mnist in .* is damaged \(images \(30, 28, 28\), labels \(29,\)\)"):
        load_data(folder)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(SsmqError, match="data folder .*nowhere does not exist: correct data_root"):
        load_data(tmp_path / "nowhere")
    with pytest.raises(SsmqError, match="mnist is not complete in .*: give download=True"):
        load_data(tmp_path)
    with pytest.raises(SsmqError, match="'fashion-mnist' is not embedded"):
        load_data(dataset="fashion-mnist")
    with pytest.raises(SsmqError, match="unknown data set 'cifar10': choose one of mnist, fashion-mnist"):
        load_data(tmp_path, "cifar10")
    with pytest.raises(SsmqError, match="down-sampling by 3 does not divide"):
        load_data(downsample=3)


def test_a_download_that_fails_is_named(tmp_path, monkeypatch):
    def offline(*address, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", offline)
    with pytest.raises(SsmqError, match=f"^mnist could not be downloaded to {tmp_path} .*unreachable.*: are you offline\\?$"):
        load_data(tmp_path, download=True)


def test_a_model_serves_what_it_was_trained_on(folder):
    mnist = load_data(folder)
    described = mnist.describe()
    assert mnist.was_learnt(described) and load_data().was_learnt(described), "the subset is a part of MNIST"
    for other in (
        load_data(folder, "fashion-mnist"),
        load_data(permute=0),
        load_data(downsample=4),
        load_data(folder, permute=3),
    ):
        assert not other.was_learnt(described)
    assert not load_data(permute=1).was_learnt(load_data(permute=2).describe())
    own = SequenceData("MNIST", "npz", *[getattr(mnist, f"{kind}_{split}") for split in SPLITS for kind in "xy"])
    assert not own.was_learnt(described)


def test_the_digest_is_of_all_sequences_and_labels():
    data = load_data()
    assert data.digest == load_data().digest != load_data(permute=0).digest
    for name in ("y_train", "x_validation", "y_test"):
        changed = getattr(data, name).clone()
        changed.view(-1)[5] ^= 1
        assert dataclasses.replace(data, **{name: changed}).digest != data.digest
