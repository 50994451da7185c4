"""Data of one's own, and models with several input channels."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_config, sums
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas import npz
from ssmq_brevitas.config import Training
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.score import score
from ssmq_brevitas.train import train

STEPS, CHANNELS = 20, 3


def sequences(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise; the class is the channel that is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CHANNELS, count)
    x = rng.integers(0, 60, (count, STEPS, CHANNELS))
    x[np.arange(count), :, y] += 150
    return x.astype(np.uint8), y


def saved(path, **arrays) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_splits_are_taken_by_seed_or_as_given(tmp_path):
    x, y = sequences(100)
    x[:, 0, 0] = np.arange(100)
    name = saved(tmp_path / "mine.npz", x=x, y=y)
    data, again, other = (load_data(dataset=name, seed=seed) for seed in (0, 0, 1))
    assert data.describe() == {"name": "mine", "source": "npz", "train": 80, "validation": 10, "test": 10}
    assert (data.length, data.channels, data.classes) == (STEPS, CHANNELS, 3)
    marks = torch.cat([getattr(data, f"x_{split}")[:, 0, 0] for split in ("train", "validation", "test")])
    assert marks.sort().values.tolist() == list(range(100)), "the splits are disjoint and whole"
    assert torch.equal(data.x_test, again.x_test) and not torch.equal(data.x_test, other.x_test)
    own = load_data(dataset=saved(tmp_path / "split.npz", x=x, y=y, x_test=x[:7], y_test=y[:7] * 2))
    assert torch.equal(own.x_test, torch.from_numpy(x[:7])) and len(own.y_train) == 90 and own.classes == 5
    single = load_data(dataset=saved(tmp_path / "one.npz", x=x[..., :1], y=y))
    assert single.x_train.shape == (80, STEPS) and single.channels == 1


def test_several_channels_train_quantize_and_are_counted(tmp_path):
    x, y = sequences(600)
    data = load_data(dataset=saved(tmp_path / "mine.npz", x=x, y=y))
    config = small_config(model={"channels": CHANNELS, "norm": "batch", "activation": "relu", "length": STEPS})
    torch.manual_seed(0)
    floating = Model.floating(config)
    train(floating, data, Training(epochs=6, batch=32, learning_rate=2e-2), seed=0)
    model = post_training(floating.eval(), config, data.x_train)
    assert score(floating, data.x_test, data.y_test).value > 0.95
    train(model, data, Training(epochs=2, batch=32, learning_rate=1e-3), seed=0)
    assert score(model.eval(), data.x_test, data.y_test).value > 0.9
    with torch.no_grad():
        fused = model(data.x_test)
        model.use_engine("reference")
        assert torch.equal(model(data.x_test), fused)
        model.use_engine("fused")
    one = config.model.model_copy(update={"channels": 1})
    narrow = Model.empty(config.model_copy(update={"model": one}))
    assert model.footprint().total - narrow.footprint().total == 4 * 2 * config.scheme.bits.encoder / 8
    assert sums(model, least=True)["encoder"] > sums(narrow, least=True)["encoder"]
    # No sequence can need more than the bound: all codes at their largest.
    weight, fed = model.network.encoder.weight_format, model.network.u_quant.format
    most = CHANNELS * weight.magnitude * fed.magnitude
    assert 2 ** (sums(model)["encoder"] - 1) > most


def test_the_script_for_japanese_vowels_learns_nothing_from_what_it_holds_out(tmp_path):
    """Two speakers, two channels: codes cover the training split's range, shorter sequences repeat their last step."""
    package = tmp_path / "sktime"
    folder = package / "datasets" / "data" / "JapaneseVowels"
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('only its files are wanted')")
    rng = np.random.default_rng(0)
    rows = [(rng.uniform(-k, k, (2, rng.integers(7, 30))), k) for k in (1, 2) for _ in range(8)]
    for split, some in (("TRAIN", rows), ("TEST", [(100 * rows[0][0], 2)])):
        lines = [":".join([*(",".join(map(str, channel)) for channel in values), str(label)]) for values, label in some]
        (folder / f"JapaneseVowels_{split}.ts").write_text("\n".join(["# by hand", "@data", *lines, ""]))
    script = Path(__file__).parents[2] / "scripts" / "japanese_vowels.py"
    out = tmp_path / "runs" / "vowels.npz"
    subprocess.run([sys.executable, str(script), str(out)], check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    data = load_data(dataset=f"npz:{out}")
    assert data.x_train.shape == (6, 29, 2) and data.x_validation.shape == (10, 29, 2)
    assert data.y_train.tolist() == [0] * 3 + [1] * 3 and data.y_test.tolist() == [1]
    assert data.x_train.amin(dim=(0, 1)).tolist() == [0, 0] and data.x_train.amax(dim=(0, 1)).tolist() == [255, 255]
    length = rows[0][0].shape[1]
    assert torch.equal(data.x_test[0, length:], data.x_test[0, length - 1].expand(29 - length, 2))
    # A hundredfold value saturates.
    assert torch.isin(data.x_test[0, :length], torch.tensor([0, 255])).float().mean() > 0.8


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((20, 5, 1), int), "y": np.zeros(20, int)}, "x must be of uint8, .*, not int64: if they are codes, x.astype"),
        ({"x": np.zeros((20, 5, 1), bool), "y": np.zeros(20, int)}, "x must be of .*, not bool"),
        ({"x": np.zeros((20, 5, 1), complex), "y": np.zeros(20, int)}, "x must be of .*, not complex128"),
        ({"x": np.zeros((20, 5), np.uint8), "y": np.zeros(20, int)}, r"x must be \(sequences, steps, channels\)"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(19, int)}, "y must be 20 labels"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full(20, -1)}, "y must be 20 labels"),
        ({"x": np.zeros((20, 5, 1), np.uint8)}, "holds no array y"),
        ({"a": np.zeros(3)}, "holds no arrays x and y"),
        ({"x": np.zeros((5, 5, 1), np.uint8), "y": np.zeros(5, int)}, "no sequences are left for validation"),
        (
            {"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(20, int), "x_test": np.zeros((2, 6, 1), np.uint8),
             "y_test": np.zeros(2, int)},
            "x_test has .* x has",
        ),
        (
            {"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(20, int), "x_test": np.zeros((2, 5, 1), np.int8),
             "y_test": np.zeros(2, int)},
            "x_test has .* of int8, x has .* of uint8",
        ),
        (
            {"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(20, int), "x_test": np.zeros((2, 5, 1), np.uint8),
             "y_test": np.zeros(2)},
            "y_test has .* of float32 for each sequence, y has .* of int64",
        ),
        ({"x": np.array([{}] * 20), "y": np.zeros(20, int)}, "not a readable .npz file of plain arrays"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros((20, 4, 1))},
         r"y must be numbers \(20,\), \(20, K\), \(20, 5\) or \(20, 5, K\), not \(20, 4, 1\)"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros((20, 0))}, "y must be numbers"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(19)}, "y must be numbers"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full(20, np.nan)}, "y holds NaN or infinity"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full(20, 1e300)}, "y holds NaN or infinity, or numbers past float32"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros((20, 4), int)}, "y must be 20 labels .* one a step, not"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full((20, 5), -2)}, "y must be 20 labels .* from -2 to -2"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full((20, 5), -1)}, "every label for .* is -1, so there is nothing to tell"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full(20, 2**63, np.uint64)}, "y must be 20 labels .* to 9223372036854775808"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.full(20, 10**6)}, "y must be 20 labels .* up to 65535"),
        ({"x": np.zeros((20, 5, 1), np.uint8), "y": np.zeros(20, "m8[s]")}, "y must be integer labels or floats, not timedelta64"),
        ({"x": np.zeros((0, 5, 1), np.uint8), "y": np.zeros(0, int)}, "no sequences are left for"),
        ({"x": np.zeros((20, 0, 1), np.uint8), "y": np.zeros(20, int)}, r"x must be \(sequences, steps, channels\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, arrays, message):
    with pytest.raises(SsmqError, match=message):
        load_data(dataset=saved(tmp_path / "odd.npz", **arrays))


def test_arrays_by_columns_are_read_and_other_arrays_are_not(tmp_path):
    x, y = sequences(40)
    name = saved(tmp_path / "f.npz", x=np.asfortranarray(x), y=y.astype(">i4"), notes=np.array([{}]))
    plain = load_data(dataset=saved(tmp_path / "c.npz", x=x, y=y))
    found = load_data(dataset=name)
    assert torch.equal(found.x_train, plain.x_train) and torch.equal(found.y_test, plain.y_test)


def archive(path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return f"npz:{path}"


def header(shape: tuple, dtype: str = "|u1") -> bytes:
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": dtype, "fortran_order": False, "shape": shape})
    return text.getvalue()


def test_a_member_that_is_no_array_or_another_size_than_it_says_is_named(tmp_path):
    for content, message in (
        (b"text", "x: .*magic"),
        (header((10**9, 10**9, 10**3)), "x: 0 bytes, where shape"),
        (header((-4, 5, 1)), r"x: shape \(-4, 5, 1\)"),
        (header((4, 5, 1)) + bytes(19), "x: 19 bytes, where shape .* needs 20"),
    ):
        with pytest.raises(SsmqError, match=f"odd.npz: not a readable .npz file of plain arrays .{message}"):
            load_data(dataset=archive(tmp_path / "odd.npz", x=content, y=b""))


def test_an_archive_that_unpacks_to_more_than_is_read_is_not_unpacked(tmp_path, monkeypatch):
    assert npz.MOST_BYTES == 2**30
    monkeypatch.setattr(npz, "MOST_BYTES", 2**20)
    name = archive(tmp_path / "bomb.npz", x=header((2**25, 1, 1)) + bytes(2**25), y=header((0,)))
    tracemalloc.start()
    try:
        with pytest.raises(SsmqError, match="bomb.npz: its arrays have 33,554,.* bytes, more than the 1,048,576"):
            load_data(dataset=name)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_holds_sequences(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    x, y = sequences(30)
    np.savez_compressed(path, x=x, y=y)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=4))
        content[start : start + data.draw(st.integers(0, 4))] = piece
    path.write_bytes(content)
    try:
        found = load_data(dataset=f"npz:{path}")
    except SsmqError as error:
        assert str(path) in str(error)
        return
    codes = found.input_format.format
    assert codes.low <= int(found.x_train.min()) and int(found.x_train.max()) <= codes.high
    assert found.x_train.shape[0] == len(found.y_train) and found.y_train.isfinite().all()


def test_other_files_and_options_are_refused(tmp_path):
    (tmp_path / "noise.npz").write_bytes(b"\x80\x04 not a zip")
    np.save(tmp_path / "one.npz.npy", np.zeros(3))
    (tmp_path / "one.npz.npy").rename(tmp_path / "one.npz")
    (tmp_path / "folder.npz").mkdir()
    cases = (
        ("noise", "not a readable .npz"),
        ("missing", "no such file"),
        ("one", "one array: np.savez"),
        ("folder", "no such"),
    )
    for name, message in cases:
        with pytest.raises(SsmqError, match=message):
            load_data(dataset=f"npz:{tmp_path / name}.npz")
    with pytest.raises(SsmqError, match="npz:FILE .* cannot be combined with"):
        load_data(dataset=saved(tmp_path / "x.npz", x=sequences(20)[0], y=sequences(20)[1]), downsample=2)
