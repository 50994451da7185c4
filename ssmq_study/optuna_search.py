"""Widths and grids by Optuna: accuracy up, bytes down, any number of processes on one storage.

The trials of all workers that name the same storage, model, data and widths form one study; each adds its own.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from ssmq_brevitas.config import Config, Scheme
from ssmq_brevitas.errors import SsmqError

from .allocation import candidate
from .sensitivity import POLAR, Bench, tensors, with_bits

GRIDS, GRANULARITIES = ("discrete", "log_polar"), ("tensor", "head")


def study_name(config: Config, bench: Bench, widths: list[int]) -> str:
    """Names what is searched: equal for all workers of one search, different for anything else."""
    weights = hashlib.sha256(b"".join(t.numpy().tobytes() for t in bench.floating.state_dict().values())).hexdigest()
    about = [config.model_dump(mode="json"), bench.data.describe(), len(bench.y), widths, weights]
    return f"{config.name}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}"


def search(
    bench: Bench,
    config: Config,
    widths: list[int],
    trials: int,
    storage: str,
    seed: int | None = 0,
    first: list[dict] = (),
    on_trial: Callable[[int], None] = lambda number: None,
) -> list[dict]:
    """Add ``trials`` to the study in ``storage``, and return all its measured candidates.

    ``first``, candidates measured already (``allocation.guided``), are trials of the study too. Workers that share a
    storage need a ``seed`` each, or None: with one they would try the same schemes.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searched = [name for name in tensors(config) if name not in POLAR]

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        grid = trial.suggest_categorical("parameterisation", GRIDS)
        granularity = trial.suggest_categorical("granularity", GRANULARITIES)
        bits = {name: trial.suggest_categorical(name, _choices(name, widths)) for name in searched}
        if grid == "log_polar":
            bits |= {name: trial.suggest_categorical(name, _choices(name, widths)) for name in POLAR}
        changed = config.scheme.model_copy(update={"parameterisation": grid, "granularity": granularity})
        chosen = with_bits(config.model_copy(update={"scheme": changed}), bits)
        try:
            found = candidate(bench, chosen)
        except SsmqError as refused:
            raise optuna.TrialPruned(str(refused)) from refused
        trial.set_user_attr("candidate", found)
        on_trial(trial.number)
        return found["accuracy"], found["bytes"]

    try:
        study = _open(study_name(config, bench, widths), storage, seed)
        known = [trial.user_attrs.get("candidate") for trial in study.get_trials(deepcopy=False)]
        for entry in first:
            if entry not in known:
                study.add_trial(_measured(entry, searched, widths))
        study.optimize(objective, n_trials=trials)
        finished = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    except Exception as error:
        if not _of_storage(error):
            raise
        raise SsmqError(f"the storage {storage} cannot be used ({error}): correct --storage") from error
    return [trial.user_attrs["candidate"] for trial in finished]


def _of_storage(error: Exception) -> bool:
    """Whether a storage's driver raised it, from a bad address to a lock that was never released."""
    return isinstance(error, ImportError) or type(error).__module__.split(".")[0] in ("optuna", "sqlalchemy")


def _open(name: str, storage: str, seed: int | None) -> optuna.Study:
    """The study, made if it is not there. Workers that start together trip over each other's tables: then once more."""
    for pause in (0.2, 0.5, 1.0, 2.0, None):
        try:
            return optuna.create_study(
                study_name=name,
                storage=storage,
                directions=["maximize", "minimize"],
                # Every finished trial teaches it, those of other workers too; running ones count as bad.
                sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True),
                load_if_exists=True,
            )
        except Exception as error:
            if pause is None or not type(error).__module__.startswith("sqlalchemy"):
                raise
            time.sleep(pause)


def _choices(name: str, widths: list[int]) -> list[int]:
    least, most = 1 if name == "a_magnitude" else 2, 8 if name == "input" else 16
    return [width for width in widths if least <= width <= most]


def _measured(entry: dict, searched: list[str], widths: list[int]) -> optuna.trial.FrozenTrial:
    """A candidate as a finished trial."""
    scheme = Scheme.model_validate(entry["scheme"])
    polar = scheme.parameterisation == "log_polar"
    names = [*searched, *(POLAR if polar else ())]
    chosen = {"parameterisation": "log_polar" if polar else "discrete", "granularity": scheme.granularity}
    choices = {"parameterisation": GRIDS, "granularity": GRANULARITIES}
    for name in names:
        chosen[name], choices[name] = getattr(scheme.bits, name), _choices(name, widths)
    return optuna.create_trial(
        params=chosen,
        distributions={name: CategoricalDistribution(values) for name, values in choices.items()},
        values=[entry["accuracy"], entry["bytes"]],
        user_attrs={"candidate": entry},
    )
