"""What a model tells: a class of a sequence, one of every step, numbers of a sequence or of every step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from conftest import LENGTH, part, sums
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
from ssmq_brevitas.config import Training, load_config, parse_config, to_toml
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import fitted, post_training
from ssmq_brevitas.score import Tally, loss_of, score
from ssmq_brevitas.start import quantized_start
from ssmq_brevitas.task import Task
from ssmq_brevitas.train import train

TASKS = {
    "sequence": Task(),
    "step": Task(kind="step"),
    "regression": Task(kind="regression"),
    "regression of steps": Task(kind="regression", every_step=True),
}
OUTPUTS = {"sequence": 2, "step": 2, "regression": 2, "regression of steps": 1}


def config_of(name: str):
    values = {"heads": 4, "modes": 3, "length": LENGTH, "classes": OUTPUTS[name], "dt_min": 0.1, "dt_max": 1.0}
    return parse_config({"name": "told", "task": TASKS[name].model_dump(), "model": values}, origin="test")


def told_of(name: str, x: torch.Tensor) -> torch.Tensor:
    """What a state is needed for: whether it is bright on the whole, or lately; how bright, by half, or lately."""
    values = x.double() / 256
    lately = torch.full_like(values, 0.5)
    for t in range(LENGTH):
        lately[:, t] = 0.8 * lately[:, max(t - 1, 0)] + 0.2 * values[:, t]
    halves = values.unflatten(1, (2, -1)).mean(2).float()
    return {
        "sequence": (values.mean(1) > 0.5).long(),
        "step": torch.where(torch.arange(LENGTH) % 5 == 0, -1, (lately > 0.5).long()),
        "regression": halves,
        "regression of steps": lately.float(),
    }[name]


def data_of(name: str) -> SequenceData:
    parts = []
    for seed, count in enumerate((96, 40, 40)):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randint(0, 256, (count, LENGTH), generator=generator, dtype=torch.uint8)
        parts += [x, told_of(name, x)]
    return SequenceData("bright", "made here", *parts)


def fresh(name: str, kind: str = "float") -> Model:
    torch.manual_seed(0)
    config = config_of(name)
    floating = Model.floating(config).eval()
    return floating if kind == "float" else post_training(floating, config, data_of(name).x_train)


@pytest.mark.parametrize("kind", ["float", "quantised"])
@pytest.mark.parametrize("name", TASKS)
def test_training_makes_the_metric_better(name, kind):
    model, data = fresh(name, kind), data_of(name)
    before = score(model, data.x_test, data.y_test)
    history = train(model, data, Training(epochs=20, batch=16, learning_rate=2e-2, learning_rate_a=1e-2), seed=0)
    after = score(model.eval(), data.x_test, data.y_test)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    assert history.rows[-1]["validation"] == score(model, data.x_validation, data.y_validation).value
    if model.task.classifies:
        assert after.value > max(0.8, before.value) and after.count == (data.y_test >= 0).sum()
        assert str(after) == f"{100 * after.value:.2f} %" + (" of the steps" if name == "step" else "")
    else:
        assert after.value < 0.5 * before.value and after.mae <= after.value and after.r2 > 0.5 > before.r2
        assert str(after).startswith("RMSE 0.") and after.count == data.y_test.numel()


@pytest.mark.parametrize("name", ["step", "regression", "regression of steps"])
def test_an_interrupted_training_continues_bit_identically(name, tmp_path):
    data, training, state = data_of(name), Training(epochs=2, batch=16, learning_rate=1e-2), tmp_path / "state.safetensors"
    straight, resumed = fresh(name), fresh(name)
    train(straight, data, training, seed=3)

    def interrupt(progress):
        if progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(fresh(name), data, training, seed=3, state_path=state, on_step=interrupt)
    train(resumed, data, training, seed=3, state_path=state)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))


def test_a_state_of_another_task_or_input_is_refused(tmp_path):
    data, training, state = data_of("regression"), Training(epochs=1, batch=16), tmp_path / "state.safetensors"
    train(fresh("regression"), data, training, state_path=state)
    model, steps = fresh("regression"), data_of("regression of steps")
    model.config = config_of("regression of steps").model_copy(update={"model": model.shape})
    twice = {
        f"y_{split}": getattr(steps, f"y_{split}")[..., None].expand(-1, -1, 2) for split in ("train", "validation", "test")
    }
    with pytest.raises(SsmqError, match=r"another task.every_step \(False, not True\)"):
        train(model, dataclasses.replace(steps, **twice), training, state_path=state)
    other = parse_config(
        {"model": {**fresh("regression").shape.model_dump(), "input": {"bits": 8, "signed": False, "exponent": 0}}}, "test"
    )
    model = fresh("regression")
    model.config = model.config.model_copy(update={"model": other.model})
    with pytest.raises(SsmqError, match=r"another model.input.exponent \(-8, not 0\)"):
        train(model, data, training, state_path=state)


def test_the_loss_of_steps_leaves_out_those_without_a_label():
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 5, 4, generator=generator, requires_grad=True)
    y = torch.randint(0, 4, (3, 5), generator=generator)
    y[0, 2:], y[2] = -1, -1
    counted = [(b, t) for b in range(3) for t in range(5) if y[b, t] >= 0]
    by_hand = sum(-outputs[b, t].log_softmax(0)[y[b, t]] for b, t in counted) / len(counted)
    assert torch.allclose(loss_of(TASKS["step"], outputs, y), by_hand)
    nothing = loss_of(TASKS["step"], outputs, torch.full((3, 5), -1))
    nothing.backward()
    assert nothing == 0 and not outputs.grad.any()


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_one_number_a_sequence_is_told_whatever_its_shape(shape):
    outputs, y = torch.arange(6.0)[:, None], torch.tensor([0.0, 1, 2, 3, 4, 7]).reshape(shape)
    assert loss_of(TASKS["regression"], outputs, y) == 4 / 6


@given(cuts=st.lists(st.integers(0, 40), max_size=4), name=st.sampled_from(list(TASKS)), seed=st.integers(0, 99))
def test_a_score_is_that_of_the_formulas_and_batches_change_nothing(cuts, name, seed):
    rng, task = np.random.default_rng(seed), TASKS[name]
    steps = (7,) if task.each_step else ()
    outputs = rng.normal(size=(40, *steps, 3)).astype(np.float32)
    if task.classifies:
        y = rng.integers(-1 if task.each_step else 0, 3, (40, *steps))
    else:
        y = (outputs + rng.normal(size=outputs.shape)).astype(np.float32)
    edges = [0, *sorted(cuts), 40]
    tally = Tally(task)
    for start, stop in zip(edges, edges[1:], strict=False):
        tally.add(outputs[start:stop], y[start:stop])
    found = tally.score()
    whole = Tally(task)
    whole.add(outputs, y)
    assert found == whole.score()
    if task.classifies:
        right = [outputs[place].argmax() == label for place, label in np.ndenumerate(y) if label >= 0]
        assert (found.correct, found.count, found.value) == (sum(right), len(right), sum(right) / len(right))
    else:
        errors = outputs.astype(np.float64) - y
        spread = y.astype(np.float64) - y.reshape(-1, 3).mean(0, dtype=np.float64)
        assert np.isclose(found.value, np.sqrt((errors**2).mean())) and np.isclose(found.mae, np.abs(errors).mean())
        assert np.isclose(found.r2, 1 - (errors**2).sum() / (spread**2).sum())


def test_numbers_that_are_all_the_same_have_no_share_of_variance():
    tally = Tally(TASKS["regression"])
    tally.add(np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]]))
    found = tally.score()
    assert found.r2 is None and found.as_dict() == {"rmse": np.sqrt(0.5), "mae": 0.5, "r2": None}
    assert str(found) == "RMSE 0.7071, MAE 0.5"


def test_errors_are_summed_exactly_in_whatever_order():
    """In float64 2^53 + 1 is 2^53, and so is one more."""
    scores = []
    for outputs in ([2.0**53, 1.0, 1.0], [1.0, 1.0, 2.0**53]):
        tally = Tally(TASKS["regression"])
        tally.add(np.array(outputs)[:, None], np.zeros(3))
        scores.append(tally.score())
    assert scores[0] == scores[1] and scores[0].mae == (2**53 + 2) / 3


N, T = (96,), (96, LENGTH)
MISFITS = [
    ("sequence", torch.zeros(N), "y are numbers, which is not what task.kind .sequence. tells .or give y.astype.np.int64.*: change task.kind"),
    ("step", torch.zeros(T), "y are numbers, which is not what task.kind .step. tells"),
    ("regression", torch.zeros(N, dtype=torch.long), "y are classes, which is not what task.kind .regression. tells .or give y.astype.np.float32"),
    ("sequence", torch.zeros(T, dtype=torch.long), "y are a class a step, which is not what task.kind .sequence. tells"),
    ("step", torch.zeros(N, dtype=torch.long), "y are a class a sequence, which is not what task.kind .step. tells"),
    ("step", torch.full(T, 2), "the model has 2 classes, the data has 3: change classes"),
    ("sequence", torch.full(N, 5), "the model has 2 classes, the data has 6: change classes"),
    ("regression", torch.zeros(N), "the model tells 2 numbers, the data has 1: change classes"),
    ("regression", torch.zeros(T), "the model tells 2 numbers, the data has 20: change classes, or task.every_step"),
    ("regression", torch.zeros(*T, 2), "are numbers a step, the model tells numbers a sequence: change task.every_step"),
    ("regression of steps", torch.zeros(96, 2), "are numbers a sequence, the model tells numbers a step: change task.every_step"),
    ("regression of steps", torch.zeros(N), "are numbers a sequence, the model tells numbers a step: change task.every_step"),
    ("regression of steps", torch.zeros(*T, 2), "the model tells 1 numbers, the data has 2: change classes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y", "message"), MISFITS)
def test_labels_that_the_task_does_not_tell_are_refused_before_training(name, y, message):
    data = data_of(name)
    model = fresh(name)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(SsmqError, match=message):
        train(model, dataclasses.replace(data, y_train=y), Training())
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["step", "regression of steps"])
def test_sequences_do_not_move_away_from_the_labels_of_their_steps(name):
    with pytest.raises(SsmqError, match="shift moves sequences, but not what is to be told of their steps: set it to 0"):
        train(fresh(name), data_of(name), Training(shift=1))
    with pytest.raises(SsmqError, match="own.toml: shift moves sequences"):
        parse_config({"task": TASKS[name].model_dump(), "train": {"qat": {"shift": 2}}}, origin="own.toml")


@pytest.mark.parametrize("name", ["step", "regression of steps"])
def test_outputs_of_every_step_see_no_later_step_and_end_as_those_of_a_sequence_of_one(name):
    data = data_of(name)
    with torch.no_grad():
        for kind in ("float", "quantised"):
            model, x = fresh(name, kind), data.x_test[:8].clone()
            outputs = model(x)
            assert outputs.shape == (8, LENGTH, OUTPUTS[name])
            x[:, 11:] = 255 - x[:, 11:]
            changed = model(x)
            same = torch.isclose(outputs, changed, atol=1e-5).all(dim=(0, 2))
            assert same[:11].all() and not same[11:].any()
        # Pooled over one step, a sequence is that step.
        steps = fresh(name)
        shape = steps.shape.model_copy(update={"length": 1})
        whole = Model.floating(config_of("sequence").model_copy(update={"model": shape}))
        whole.load_state_dict(steps.state_dict())
        assert torch.allclose(whole(data.x_test[:, :1]), steps(data.x_test[:, :1])[:, 0], atol=1e-6)


def test_outputs_of_every_step_need_no_pooling(tmp_path):
    config = config_of("step")
    model, pooling = fresh("step", "quantised"), fresh("sequence", "quantised")
    assert "sum" not in sums(model) and "sum" in sums(pooling)
    last = part(pooling, f"blocks.{pooling.shape.layers - 1}.add_quant")
    # 20 steps are summed with 5 bits more; the quantiser of the sum has an exponent of its own, a byte.
    assert pooling.footprint().state - model.footprint().state == 4 * (last.bits + 5) / 8
    assert pooling.footprint().parameters - model.footprint().parameters == 1
    assert fresh("sequence").footprint().state - fresh("step").footprint().state == 4 * 4
    reference = model(data_of("step").x_test)
    model.use_engine("reference")
    assert torch.equal(model(data_of("step").x_test), reference)
    save_checkpoint(tmp_path / "m.safetensors", model)
    loaded, _ = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.config == config and torch.equal(loaded(data_of("step").x_test), reference)


@pytest.mark.parametrize("name", ["step", "regression of steps"])
def test_read_outs_are_fitted_on_every_step(name):
    data, config = data_of(name), config_of(name)
    config = parse_config({**config.model_dump(), "scheme": {"bits": {"x": 4}}}, origin="test")
    floating = fresh(name)
    train(floating, data, Training(epochs=4, batch=16, learning_rate=2e-2), seed=0)
    floating.eval()
    with torch.no_grad():
        wanted = floating(data.x_test)
        plain = (post_training(floating, config, data.x_train)(data.x_test) - wanted).square().mean()
        found = fitted(post_training(floating, config, data.x_train), floating, data.x_train)
        assert (found(data.x_test) - wanted).square().mean() < plain


def test_another_task_does_not_start_from_this_model():
    other = config_of("regression")
    with pytest.raises(SsmqError, match="told is a model of another task"):
        quantized_start(fresh("sequence"), other, data_of("regression").x_train)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[task]\nkind = 'steps'", "task.kind: .*'step'.*not 'steps'"),
        ("[task]\nevery_step = true", "task: every_step is for kind = .regression."),
        ("[task]\nkind = 'step'\nevery_step = true", "every_step is for"),
        ("[task]\nevery_step = 1", "task.every_step: .*boolean, not 1"),
        ("[task]\nevry_step = true", "unknown key 'task.evry_step'; did you mean 'every_step'"),
        ("[model]\nclasses = 1", "model.classes is 1, but a class is told from at least 2"),
    ],
)
def test_what_is_wrong_with_a_task_is_named(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SsmqError, match=message):
        load_config(tmp_path / "own.toml")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_read_as_it_is_written(tmp_path, name):
    config = config_of(name)
    (tmp_path / "told.toml").write_text(to_toml(config))
    assert load_config(tmp_path / "told.toml") == config and config.task == TASKS[name]
