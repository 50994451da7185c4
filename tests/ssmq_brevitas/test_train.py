"""Training: what is learned, and that stopping and going on changes nothing."""

from __future__ import annotations

import pytest
import torch
from conftest import LENGTH, small_config, small_model
from ssmq_brevitas.augment import shifted
from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
from ssmq_brevitas.config import Training
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.score import score
from ssmq_brevitas.train import train

TRAINING = Training(epochs=2, batch=16, learning_rate=2e-2)


def bright_or_dark(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes: dark, bright first half, bright second half."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    x = torch.randint(0, 40, (count, LENGTH), generator=generator)
    x[labels == 1, : LENGTH // 2] += 180
    x[labels == 2, LENGTH // 2 :] += 180
    return x.to(torch.uint8), labels


@pytest.fixture(scope="module")
def data() -> SequenceData:
    splits = [tensor for seed, count in enumerate((96, 30, 30)) for tensor in bright_or_dark(count, seed)]
    return SequenceData("stripes", "made here", *splits)


def fresh(kind: str):
    floating, quantized = small_model(small_config(model={"norm": "batch", "activation": "relu"}))
    return floating if kind == "float" else quantized


@pytest.mark.parametrize("kind", ["float", "quantised"])
def test_training_learns_and_is_deterministic(data, kind):
    models = [fresh(kind), fresh(kind)]
    longer = TRAINING.model_copy(update={"epochs": 12})
    histories = [train(model, data, longer, seed=1) for model in models]
    assert score(models[0].eval(), data.x_test, data.y_test).value > 0.9
    assert [row["loss"] for row in histories[0].rows] == [row["loss"] for row in histories[1].rows]
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


@pytest.mark.parametrize("kind", ["float", "quantised"])
@pytest.mark.parametrize("stop_at", [1, 6, 8])
def test_interrupted_training_continues_bit_identically(data, kind, stop_at, tmp_path):
    straight = fresh(kind)
    expected = train(straight, data, TRAINING, seed=3)

    def interrupt(progress):
        if progress.step == stop_at:
            raise KeyboardInterrupt

    state = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(fresh(kind), data, TRAINING, seed=3, state_path=state, on_step=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    resumed = fresh(kind)
    found = train(resumed, data, TRAINING, seed=3, state_path=state, log_path=tmp_path / "log.csv")
    for (name, a), (_, b) in zip(straight.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert [r["loss"] for r in found.rows] == [r["loss"] for r in expected.rows]
    assert (tmp_path / "log.csv").read_text().count("\n") == 3


def test_augmented_training_goes_on_as_if_it_had_never_stopped(data, tmp_path):
    wanted = TRAINING.model_copy(update={"shift": 2})
    straight, resumed, state = fresh("quantised"), fresh("quantised"), tmp_path / "state.safetensors"
    train(straight, data, wanted, seed=3)

    def interrupt(progress):
        if progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(fresh("quantised"), data, wanted, seed=3, state_path=state, on_step=interrupt)
    train(resumed, data, wanted, seed=3, state_path=state)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))
    plain = fresh("quantised")
    train(plain, data, TRAINING, seed=3)
    assert any(not torch.equal(a, b) for a, b in zip(straight.parameters(), plain.parameters(), strict=True))


def test_a_shifted_image_is_the_image_moved():
    image = torch.zeros(40, 6, 6, dtype=torch.uint8)
    image[:, 2:4, 2:4] = torch.tensor([[1, 2], [3, 4]])
    moved = shifted(image.reshape(40, 36), 1, 6, seed=0, step=5).reshape(40, 6, 6)
    places = {tuple(torch.nonzero(one == 1)[0].tolist()) for one in moved}
    assert places == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}
    for one in moved:
        row, column = torch.nonzero(one == 1)[0]
        assert torch.equal(one[row : row + 2, column : column + 2], image[0, 2:4, 2:4]) and one.sum() == 10
    steps = torch.arange(1, 9, dtype=torch.uint8)[None, :, None].repeat(20, 1, 2)
    for one in shifted(steps, 2, 1, seed=0, step=0):
        offset = 1 - int(torch.nonzero(one[:, 0])[0]) if one[0, 0] == 0 else int(one[0, 0])
        found = one[:, 0][one[:, 0] > 0]
        assert torch.equal(one[:, 0], one[:, 1]) and torch.equal(found.diff(), torch.ones_like(found[1:]))
        assert abs(offset - 1) <= 2


def test_a_state_of_another_run_is_refused(data, tmp_path):
    state = tmp_path / "state.safetensors"
    train(fresh("float"), data, TRAINING, seed=3, state_path=state)
    with pytest.raises(SsmqError, match="belongs to a run of 12 steps with seed 3, not 12 steps with seed 4"):
        train(fresh("float"), data, TRAINING, seed=4, state_path=state)


@pytest.mark.parametrize("kind", ["float", "quantised", "wide"])
def test_checkpoints_give_back_the_same_codes(kind, data, tmp_path):
    config = small_config(bits={"a": 16, "x": 16} if kind == "wide" else {})
    floating, quantized = small_model(config)
    model = floating if kind == "float" else quantized
    save_checkpoint(tmp_path / "m.safetensors", model, {"seed": 7})
    loaded, note = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.config == config and note == {"seed": 7}
    with torch.no_grad():
        assert torch.equal(loaded(data.x_test), model(data.x_test))


def test_damaged_checkpoints_are_refused(tmp_path):
    config = small_config()
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, small_model(config)[1])
    whole = path.read_bytes()
    cases = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "noise": b"\x80\x04\x95not a checkpoint" * 9,
        "flipped header": whole[:4] + b"\xff" + whole[5:],
    }
    for content in cases.values():
        path.write_bytes(content)
        with pytest.raises(SsmqError, match="m.safetensors: not a readable checkpoint"):
            load_checkpoint(path)
    with pytest.raises(SsmqError, match="no such checkpoint file"):
        load_checkpoint(tmp_path / "missing")
    state = tmp_path / "state.safetensors"
    state.write_bytes(whole.replace(b"ssmq-checkpoint", b"ssmq-checkpoinT"))
    with pytest.raises(SsmqError, match="not a ssmq-checkpoint of this program"):
        load_checkpoint(state)
