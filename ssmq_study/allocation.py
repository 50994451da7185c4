"""Which tensor gets how many bits under a budget of bytes.

Two ways. ``allocate`` is exact on a model of the loss: every tensor narrowed alone moves the logits by some relative
error, rounding errors of different tensors add in squares, and bytes are linear in every width; the integer program that
follows is solved by scipy's ``milp``. ``search`` asks the quantised model itself, width by width, with Optuna.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from ssmq_brevitas.calibrate import Calibration
from ssmq_brevitas.config import Bits, Config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.footprint import footprint
from ssmq_brevitas.model import Classifier
from ssmq_brevitas.quantize import empty_quantised, quantise

from .sensitivity import Effect, logits, tensors_of


@dataclass(frozen=True)
class Found:
    """A scheme's widths, its bytes, and validation accuracy after post-training quantisation (None if unmeasured)."""

    bits: Bits
    bytes: float
    accuracy: float | None = None

    def as_dict(self) -> dict:
        return {"bits": self.bits.model_dump(), "bytes": self.bytes, "accuracy": self.accuracy}


def with_bits(config: Config, bits: Bits) -> Config:
    """``config`` with other widths."""
    return config.model_copy(update={"scheme": config.scheme.model_copy(update={"bits": bits})})


def total_bytes(config: Config, bits: Bits) -> float:
    """Parameters and state, as ``footprint`` counts them."""
    return footprint(empty_quantised(with_bits(config, bits))).total


def allocate(effects: list[Effect], config: Config, budget: float) -> Found:
    """The widths, among those of ``effects``, of least expected logit error within ``budget`` bytes.

    Raises SsmqError when not even the narrowest widths fit.
    """
    whole = [effect for effect in effects if effect.tensor and effect.layer is None]
    tensors = list(dict.fromkeys(effect.tensor for effect in whole))
    narrowest = Bits(**{**config.scheme.bits.model_dump(), **{t: min(_widths(whole, t)) for t in tensors}})
    least = total_bytes(config, narrowest)
    if least > budget:
        raise SsmqError(
            f"{budget:,.0f} bytes are too few: the narrowest widths tried take {least:,.0f}; allow narrower ones, or give "
            f"a smaller model"
        )
    costs, slopes = [], {}
    for tensor in tensors:
        wider = narrowest.model_copy(update={tensor: getattr(narrowest, tensor) + 1})
        slopes[tensor] = total_bytes(config, wider) - least
    for effect in whole:
        costs.append(slopes[effect.tensor] * (effect.bits - getattr(narrowest, effect.tensor)))
    one_each = np.array([[effect.tensor == tensor for effect in whole] for tensor in tensors], float)
    loss = np.array([effect.error**2 for effect in whole])
    # The tiniest price on bytes, so that widths that buy nothing are not bought.
    loss = loss + 1e-9 * loss.max() * np.array(costs) / max(budget, 1)
    solved = milp(
        loss,
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(np.array([costs]), -np.inf, budget - least)],
        integrality=np.ones(len(whole)),
        bounds=Bounds(0, 1),
    )
    chosen = {effect.tensor: effect.bits for effect, taken in zip(whole, solved.x, strict=True) if taken > 0.5}
    bits = narrowest.model_copy(update=chosen)
    return Found(bits, total_bytes(config, bits))


def _widths(effects: list[Effect], tensor: str) -> list[int]:
    return [effect.bits for effect in effects if effect.tensor == tensor]


def measured(
    floating: Classifier, config: Config, bits: Bits, calibration: Calibration, data: SequenceData, images: int
) -> Found:
    """Post-training accuracy of ``bits`` on the first ``images`` validation sequences."""
    model = quantise(floating, with_bits(config, bits), calibration)
    answers = logits(model, data.x_validation[:images]).argmax(1)
    accuracy = float((answers == data.y_validation[:images]).float().mean())
    return Found(bits, footprint(model).total, accuracy)


def search(
    evaluate: Callable[[Bits], Found],
    config: Config,
    widths: list[int],
    trials: int,
    storage: str,
    name: str,
    seed: int = 0,
    start: list[Bits] = (),
) -> list[Found]:
    """Optuna's multi-objective search (accuracy up, bytes down); the Pareto front, fewest bytes first.

    ``storage`` is any database URL; several processes or machines with the same ``storage`` and ``name`` share one study,
    and ``trials`` counts those of this process. ``start`` is tried first, once a study.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tensors = tensors_of(config)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        load_if_exists=True,
    )
    for bits in start:
        study.enqueue_trial({tensor: getattr(bits, tensor) for tensor in tensors}, skip_if_exists=True)

    def objective(trial) -> tuple[float, float]:
        chosen = {tensor: trial.suggest_categorical(tensor, widths) for tensor in tensors}
        found = evaluate(config.scheme.bits.model_copy(update=chosen))
        return found.accuracy, found.bytes

    study.optimize(objective, n_trials=trials)
    front = {trial.number: trial for trial in study.best_trials}
    found = [
        Found(config.scheme.bits.model_copy(update=trial.params), trial.values[1], trial.values[0])
        for trial in front.values()
    ]
    return sorted({(f.bytes, f.accuracy): f for f in found}.values(), key=lambda f: f.bytes)
