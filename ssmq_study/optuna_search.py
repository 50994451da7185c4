"""Widths and grids by Optuna: accuracy up, bytes down, any number of processes on one storage.

The trials of all workers that name the same storage, model, data and widths form one study; each adds its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import optuna
from optuna.trial import TrialState
from ssmq_brevitas.config import Config, Scheme
from ssmq_brevitas.errors import SsmqError

from .allocation import candidate
from .sensitivity import POLAR, Bench, tensors, with_bits

GRIDS = ("discrete", "log_polar")


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
    seed: int = 0,
    first: list[dict] = (),
    on_trial: Callable[[int], None] = lambda number: None,
) -> list[dict]:
    """Add ``trials`` to the study in ``storage``, and return all its measured candidates.

    A study that is new begins with the widths of ``first`` (candidates of ``allocation.guided``).
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searched = [name for name in tensors(config) if name not in POLAR]

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        grid = trial.suggest_categorical("parameterisation", GRIDS)
        granularity = trial.suggest_categorical("granularity", ("tensor", "head"))
        bits = {name: _width(trial, name, widths) for name in searched}
        if grid == "log_polar":
            bits |= {name: _width(trial, name, widths) for name in POLAR}
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
        study = optuna.create_study(
            study_name=study_name(config, bench, widths),
            storage=storage,
            directions=["maximize", "minimize"],
            sampler=optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
            load_if_exists=True,
        )
        if not study.trials:
            for entry in first:
                study.enqueue_trial(_parameters(Scheme.model_validate(entry["scheme"]), searched), skip_if_exists=True)
        study.optimize(objective, n_trials=trials)
        finished = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    except Exception as error:
        # Whatever the storage's driver raises, from a bad address to a lock that was never released.
        if type(error).__module__.split(".")[0] not in ("optuna", "sqlalchemy") and not isinstance(error, ImportError):
            raise
        raise SsmqError(f"the storage {storage} cannot be used ({error}): correct --storage") from error
    return [trial.user_attrs["candidate"] for trial in finished]


def _width(trial: optuna.Trial, name: str, widths: list[int]) -> int:
    most = {"input": 8}.get(name, 16)
    least = 1 if name == "a_magnitude" else 2
    return trial.suggest_categorical(name, [width for width in widths if least <= width <= most])


def _parameters(scheme: Scheme, searched: list[str]) -> dict:
    bits = scheme.bits.model_dump()
    grid = scheme.parameterisation if scheme.parameterisation == "log_polar" else "discrete"
    names = [*searched, *(POLAR if grid == "log_polar" else ())]
    return {"parameterisation": grid, "granularity": scheme.granularity, **{name: bits[name] for name in names}}
