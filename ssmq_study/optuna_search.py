"""Widths and grids by Optuna: accuracy up, cost down, any number of processes on one storage.

The grid of Ā is chosen between Cartesian codes and a polar grid, whose magnitude and phase have widths of their own.
The trials of all workers that name the same storage, model, data, widths and cost form one study; each adds its own.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from ssmq_brevitas.config import Bits, Config, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

from .allocation import candidate, pareto
from .cost import BYTES, Cost
from .sensitivity import POLAR, POLAR_GRIDS, Bench, tensors, with_bits

GRANULARITIES = ("tensor", "head")


def grids(config: Config) -> tuple[str, str]:
    """A Cartesian and a polar parameterisation of Ā, the scheme's own one of them.

    All Cartesian ones are alike here: they differ in what training moves, and nothing is trained.
    """
    own = config.scheme.parameterisation
    return ("frozen", own) if own in POLAR_GRIDS else (own, "log_polar")


def study_name(config: Config, bench: Bench, widths: list[int], cost: Cost) -> str:
    """Names what is searched: equal for all workers of one search, different for anything else."""
    weights = hashlib.sha256(b"".join(t.numpy().tobytes() for t in bench.floating.state_dict().values())).hexdigest()
    about = [config.model_dump(mode="json"), bench.data.describe(), len(bench.y), widths, weights, cost.about()]
    return f"{config.name}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}"


def search(
    bench: Bench,
    config: Config,
    widths: list[int],
    trials: int,
    storage: str,
    seed: int | None = 0,
    first: list[dict] = (),
    cost: Cost = BYTES,
    on_trial: Callable[[int], None] = lambda number: None,
) -> list[dict]:
    """Add ``trials`` to the study in ``storage``, and return all its measured candidates.

    ``first``, candidates measured already (``allocation``), are trials of the study too, and the best of them are the
    first to be tried on the polar grid. Workers that share a storage need a ``seed`` each, or None: with one they would
    try the same schemes.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = _space(config, widths)
    polar = grids(config)[1]

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        def choose(name: str):
            return trial.suggest_categorical(name, space[name])

        grid, granularity = choose("parameterisation"), choose("granularity")
        bits = {name: choose(name) for name in _searched(space, grid)}
        changed = config.scheme.model_copy(update={"parameterisation": grid, "granularity": granularity})
        chosen = with_bits(config.model_copy(update={"scheme": changed}), bits)
        try:
            found = candidate(bench, chosen, cost)
        except (SsmqError, ExportError) as refused:
            raise optuna.TrialPruned(str(refused)) from refused
        trial.set_user_attr("candidate", found)
        on_trial(trial.number)
        return found["accuracy"], found[cost.unit]

    try:
        study = _open(study_name(config, bench, widths, cost), storage, seed)
        known = [trial.user_attrs.get("candidate") for trial in study.get_trials(deepcopy=False)]
        for entry in first:
            if entry not in known:
                study.add_trial(_measured(entry, space, cost))
        for entry in pareto(list(first), cost.unit)[::-1][: trials // 2]:
            study.enqueue_trial(_on_polar_grid(_parameters(entry, space), space, polar), skip_if_exists=True)
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


def _space(config: Config, widths: list[int]) -> dict[str, list]:
    """What a trial chooses, and from what. A tensor that can have none of ``widths`` keeps its own."""
    space = {"parameterisation": list(grids(config)), "granularity": list(GRANULARITIES)}
    for name in dict.fromkeys((*tensors(config), *POLAR)):
        least, most = 1 if name == "a_magnitude" else 2, 8 if name == "input" else 16
        choices = [width for width in widths if least <= width <= most]
        if choices:
            space[name] = choices
    return space


def _searched(space: dict[str, list], grid: str) -> list[str]:
    """The tensors whose widths a scheme on this grid of Ā has."""
    absent = () if grid in POLAR_GRIDS else POLAR
    return [name for name in space if name in Bits.model_fields and name not in absent]


def _parameters(entry: dict, space: dict[str, list]) -> dict:
    """A candidate as a trial would choose it."""
    scheme = Scheme.model_validate(entry["scheme"])
    widths = {name: getattr(scheme.bits, name) for name in _searched(space, scheme.parameterisation)}
    return {"parameterisation": scheme.parameterisation, "granularity": scheme.granularity, **widths}


def _on_polar_grid(parameters: dict, space: dict[str, list], polar: str) -> dict:
    """The same widths, with a phase as wide as Ā was and a magnitude half as wide.

    The codes of Ā, which are no longer stored, are as wide as can be.
    """
    if parameters["parameterisation"] == polar:
        return parameters
    magnitude = min(space["a_magnitude"], key=lambda width: abs(2 * width - parameters["a"]))
    widths = {"a": max(space["a"]), "a_magnitude": magnitude, "a_phase": parameters["a"]}
    return {**parameters, **widths, "parameterisation": polar}


def _measured(entry: dict, space: dict[str, list], cost: Cost) -> optuna.trial.FrozenTrial:
    """A candidate as a finished trial."""
    chosen = _parameters(entry, space)
    return optuna.create_trial(
        params=chosen,
        distributions={name: CategoricalDistribution(space[name]) for name in chosen},
        values=[entry["accuracy"], entry[cost.unit]],
        user_attrs={"candidate": entry},
    )
