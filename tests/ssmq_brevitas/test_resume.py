"""What a training goes on from: its own state and no other; where it stops by itself."""

from __future__ import annotations

import math
import os
import signal

import pytest
import torch
from conftest import small_codes, small_config, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.config import Config, ModelConfig, Training
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.interrupt import deferred_interrupt
from ssmq_brevitas.model import Model
from ssmq_brevitas.score import score
from ssmq_brevitas.start import quantized_start
from ssmq_brevitas.tensor_file import read_tensors, write_tensors
from ssmq_brevitas.train import refuse_large, train
from ssmq_brevitas.training_state import STATE_KIND, finished, identity

TRAINING = Training(epochs=2, batch=8, learning_rate=1e-3)
CONFIG = small_config(model={"norm": "batch", "activation": "relu", "layers": 1})


def made(seed: int = 0, **changes) -> SequenceData:
    splits = [part for k in range(3) for part in (small_codes(24, seed + k), torch.arange(24) % 3)]
    return SequenceData("noise", "made here", *splits, **changes)


def model_of(kind: str = "quantised", config=CONFIG, seed: int = 0) -> Model:
    return small_model(config, seed)[kind == "quantised"]


def interrupted(state, model: Model, data: SequenceData, training: Training = TRAINING) -> None:
    def stop(progress):
        if progress.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, data, training, state_path=state, on_step=stop)


OTHERS = {
    "learning rate": (lambda: (model_of(), made(), TRAINING.model_copy(update={"learning_rate": 0.5})),
                      r"another training.learning_rate \(0.001, not 0.5\)"),
    "data": (lambda: (model_of(), made(seed=9), TRAINING), "of other data"),
    "rows of the image": (lambda: (model_of(), made(row=5), TRAINING), "of other data"),
    "start": (lambda: (model_of(seed=5), made(), TRAINING), "starts from another model"),
    "frozen": (lambda: (frozen(), made(), TRAINING), r"scheme.parameterisation \(discrete, not frozen\)"),
}  # fmt: skip


def frozen() -> Model:
    scheme = CONFIG.scheme.model_copy(update={"parameterisation": "frozen"})
    return quantized_start(model_of(), CONFIG.model_copy(update={"scheme": scheme}), small_codes())


@pytest.mark.parametrize("other", OTHERS)
def test_a_state_of_another_training_is_refused_and_kept(tmp_path, other):
    state = tmp_path / "state.safetensors"
    interrupted(state, model_of(), made())
    before = state.read_bytes()
    make, message = OTHERS[other]
    model, data, training = make()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(SsmqError, match=message):
        train(model, data, training, state_path=state)
    assert state.read_bytes() == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_a_result_is_taken_for_its_own_training_only(tmp_path):
    path, data = tmp_path / "m.safetensors", made()
    about = identity(model_of(), data, TRAINING, 0)
    assert finished(path, about) is None
    save_checkpoint(path, model_of(seed=3), {"identity": about})
    assert finished(path, about) is not None
    with pytest.raises(SsmqError, match="of other data"):
        finished(path, identity(model_of(), made(seed=1), TRAINING, 0))
    save_checkpoint(path, model_of(seed=3))
    with pytest.raises(SsmqError, match="m.safetensors: does not say which training made it"):
        finished(path, about)


@pytest.mark.parametrize("kind", ["float", "quantised"])
def test_a_training_that_diverges_stops_says_so_and_leaves_nothing(tmp_path, kind):
    state = tmp_path / "state.safetensors"
    wild = Training(epochs=2, batch=8, learning_rate=1e5, learning_rate_a=1e5)
    # A quantised weight saturates and stays finite; A and its step grow through an exponential.
    model = model_of(kind, small_config(model={"layers": 1}, scheme={"parameterisation": "continuous"}))
    told = []
    with pytest.raises(SsmqError, match=r"diverged at step \d of 6 .*: lower learning_rate \(100000\)") as caught:
        train(model, made(), wild, state_path=state, on_step=lambda progress: told.append(progress.loss))
    assert f"step {len(told) + 1} of" in str(caught.value) and all(map(math.isfinite, told)), "it stops at that step"
    assert not list(tmp_path.iterdir())


def test_the_accuracy_of_a_model_that_is_not_finite_is_none():
    model = model_of("float")
    with torch.no_grad():
        model.network.decoder.bias[0] = float("nan")
    with pytest.raises(SsmqError, match="outputs are not finite"):
        score(model, small_codes(), torch.zeros(16, dtype=torch.int64))


def test_a_batch_larger_than_the_data_is_the_data_and_no_epoch_changes_nothing():
    whole, larger, data = model_of(), model_of(), made()
    for model, batch in ((whole, 24), (larger, 60_000)):
        train(model, data, TRAINING.model_copy(update={"batch": batch}))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), larger.parameters(), strict=True))
    untouched = model_of()
    assert train(untouched, data, TRAINING.model_copy(update={"epochs": 0})).rows == []
    assert torch.equal(untouched.network.decoder.weight, model_of().network.decoder.weight)


def test_a_batch_that_no_memory_holds_is_refused_before_it_is_made():
    model = Model.floating(Config(model=ModelConfig(heads=256, modes=1, length=2**24)))
    with pytest.raises(SsmqError, match=r"more than the .* GiB of this machine: lower batch \(65536\)"):
        refuse_large(model, Training(batch=65536), 65536, torch.device("cpu"))


@settings(max_examples=25)
@given(data=st.data())
def test_a_damaged_state_is_refused_or_gone_on_from(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "states"
    good = folder / "good.safetensors"
    if not good.exists():
        interrupted(good, model_of(), made())
    content, damaged = bytearray(good.read_bytes()), folder / "damaged.safetensors"
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, header - 1) | st.integers(header, len(content) - 1))
        piece = data.draw(
            st.binary(min_size=1, max_size=3) | st.sampled_from([b"99999", b"null", b"-1", b"[[[", b"\xff\xff\x7f"])
        )
        content[start : start + len(piece)] = piece
    damaged.write_bytes(content)
    model = model_of()
    try:
        train(model, made(), TRAINING, state_path=damaged)
    except SsmqError:
        return
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_position_past_the_end_is_refused(tmp_path):
    state = tmp_path / "state.safetensors"
    interrupted(state, model_of(), made())
    whole = state.read_bytes()
    for before, after in (
        (b'\\"step\\": 4', b'\\"step\\": 9'),
        (b'\\"step\\": 4', b'\\"step\\": 2'),
        (b'\\"loss\\"', b'\\"lost\\"'),
    ):
        assert before in whole and len(before) == len(after)
        state.write_bytes(whole.replace(before, after))
        with pytest.raises(SsmqError, match="state.safetensors: not a readable"):
            train(model_of(), made(), TRAINING, state_path=state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({"optimiser.999.exp_avg": torch.zeros(1)}), "'optimiser.999.exp_avg' fits no parameter"),
        (lambda t: t["optimiser.0.exp_avg_sq"].fill_(-1.0), "'optimiser.0.exp_avg_sq' fits no parameter"),
        (lambda t: t.pop("optimiser.0.exp_avg"), "moments of parameter 0 are missing"),
    ],
)
def test_moments_that_are_none_of_the_model_s_are_refused(tmp_path, change, message):
    state = tmp_path / "state.safetensors"
    interrupted(state, model_of(), made())
    tensors, described = read_tensors(state, STATE_KIND)
    change(tensors)
    write_tensors(state, tensors, STATE_KIND, described)
    with pytest.raises(SsmqError, match=rf"state.safetensors: not a readable training state \({message}\): remove it"):
        train(model_of(), made(), TRAINING, state_path=state)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_step(number):
    """A command makes an exception of SIGTERM too: in the middle of a step it would be saved half done."""
    told, reached = [], []

    def end(received, frame):
        told.append(received)
        raise KeyboardInterrupt

    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt), deferred_interrupt() as raise_if_interrupted:
            raise_if_interrupted()
            os.kill(os.getpid(), number)
            reached.append(list(told))
            raise_if_interrupted()
        assert reached == [[]] and told == [number] and signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
