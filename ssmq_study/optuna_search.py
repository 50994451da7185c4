"""Widths and grids by Optuna: accuracy up, cost down, any number of processes on one storage.

The grid of Ā is chosen between Cartesian codes and a polar grid, whose magnitude and phase have widths of their own.
A study of one's own has so many trials in all, each a function of the seed and of the trials before it: killed and
repeated it goes on to the same end. On a storage that is shared, all workers that name the same model, data, widths
and cost form one study; each adds its own trials.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from ssmq_brevitas.config import Config, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

from .allocation import candidate, pareto
from .cost import BYTES, CostModel
from .knobs import POLAR, POLAR_GRIDS, knobs, width_of, with_bits
from .sensitivity import Bench
from .storage import of_storage, open_study, unusable

GRANULARITIES = ("tensor", "head")
ENDED = TrialState.COMPLETE, TrialState.PRUNED
# Attributes of a trial: measured before the search began; what of the plan it is, whatever it has chosen so far.
MEASURED, PLANNED = "measured", "planned"


def grids(config: Config) -> tuple[str, str]:
    """A Cartesian and a polar parameterisation of Ā, the scheme's own one of them.

    All Cartesian ones are alike here: they differ in what training moves, and nothing is trained.
    """
    own = config.scheme.parameterisation
    return ("frozen", own) if own in POLAR_GRIDS else (own, "log_polar")


def study_name(config: Config, bench: Bench, widths: list[int], cost: CostModel, per_tensor: bool = False) -> str:
    """Names what is searched: equal for all workers of one search, different for anything else."""
    weights = hashlib.sha256(b"".join(t.numpy().tobytes() for t in bench.floating.state_dict().values())).hexdigest()
    about = [
        config.model_dump(mode="json"),
        bench.data.digest,
        len(bench.y),
        widths,
        weights,
        cost.about(),
        *(["per tensor"] if per_tensor else []),
    ]
    return f"{config.name[:200]}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}"


@contextmanager
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@_quiet()
def search(
    bench: Bench,
    config: Config,
    widths: list[int],
    trials: int,
    storage: str,
    seed: int | None = 0,
    first: Sequence[dict] = (),
    cost: CostModel = BYTES,
    on_trial: Callable[[int], None] = lambda number: None,
    per_tensor: bool = False,
) -> list[dict]:
    """All measured candidates of the study in ``storage``, after ``trials`` trials.

    With a ``seed`` the study is this process's own, and has as many trials in all. Workers that share a storage have
    none, and each adds so many. ``first``, candidates measured already (``allocation``), are in the study too, and the
    best of them are the first to be tried on the polar grid.
    """
    space = _Space(config, widths, per_tensor)
    best = pareto(list(first), cost.unit)[::-1][: trials // 2]
    plan = [space.on_polar_grid(space.parameters(entry)) for entry in best]
    objective = _objective(bench, config, space, cost, plan, on_trial)
    study = open_study(study_name(config, bench, widths, cost, per_tensor), storage)
    try:
        if seed is not None:
            _end_unfinished(study)
        known = [trial.user_attrs["candidate"]["scheme"] for trial in _with(study, TrialState.COMPLETE)]
        for entry in first:
            if entry["scheme"] not in known:
                study.add_trial(_measured(entry, space, cost))
        done = [trial for trial in _with(study, *ENDED) if MEASURED not in trial.user_attrs] if seed is not None else []
        for number in range(len(done), trials):
            # Its own generator for every trial: what is drawn does not depend on where the process began.
            drawn = None if seed is None else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            study.sampler = _Sampler(seed=drawn, constant_liar=seed is None)
            study.optimize(objective, n_trials=1)
        found = _with(study, TrialState.COMPLETE)
    except Exception as error:
        if not of_storage(error):
            raise
        raise unusable(error, storage) from error
    return [trial.user_attrs["candidate"] for trial in found]


class _Sampler(optuna.samplers.TPESampler):
    """What is ``planned`` for the trial that is running, all else as TPE draws it."""

    def __init__(self, seed: int | None, constant_liar: bool):
        super().__init__(seed=seed, constant_liar=constant_liar)
        self.planned: dict = {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        if param_name in self.planned:
            return self.planned[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


def _objective(bench: Bench, config: Config, space: _Space, cost: CostModel, plan: list[dict], on_trial: Callable[[int], None]):
    """What Optuna is to make the most and the least of."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        sampler = trial.study.sampler
        assert isinstance(sampler, _Sampler)
        sampler.planned = _claimed(trial, plan)

        def choose(name: str):
            return trial.suggest_categorical(name, space.choices[name])

        grid, granularity = choose("parameterisation"), choose("granularity")
        bits = {name: choose(name) for name in space.searched(grid)}
        changed = config.scheme.model_copy(update={"parameterisation": grid, "granularity": granularity})
        chosen = with_bits(config.model_copy(update={"scheme": changed}), bits)
        try:
            found = candidate(bench, chosen, cost)
        except (SsmqError, ExportError) as refused:
            raise optuna.TrialPruned(str(refused)) from refused
        trial.set_user_attr("candidate", found)
        on_trial(trial.number)
        return found["accuracy"], found[cost.unit]

    return objective


def _with(study: optuna.Study, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _end_unfinished(study: optuna.Study) -> None:
    """Trials that a process which is no more began: they are begun again."""
    for trial in _with(study, TrialState.RUNNING):
        study.tell(trial.number, state=TrialState.FAIL)


def _claimed(trial: optuna.Trial, plan: list[dict]) -> dict:
    """The first of ``plan`` that no other trial has tried or is trying, or nothing: then ``trial`` is free.

    Optuna's own queue is none where processes share SQLite: two may take the same trial from it.
    """

    def others() -> list[dict]:
        found = _with(trial.study, *ENDED, TrialState.RUNNING)
        return [one.user_attrs.get(PLANNED) or one.params for one in found if one.number != trial.number]

    tried = others()
    for parameters in plan:
        if parameters not in tried:
            trial.set_user_attr(PLANNED, parameters)
            # Of two that claim it at once, neither has seen the other before: both give it back.
            tried = others()
            if parameters not in tried:
                return parameters
            trial.set_user_attr(PLANNED, {})
    return {}


class _Space:
    """What a trial chooses, and from what. A knob that can have none of ``widths`` keeps its own."""

    def __init__(self, config: Config, widths: list[int], per_tensor: bool):
        self.polar = grids(config)[1]
        self.roles = knobs(config, grids(config), per_tensor)
        self.choices: dict[str, list] = {"parameterisation": list(grids(config)), "granularity": list(GRANULARITIES)}
        for name, role in self.roles.items():
            least, most = 1 if role == "a_magnitude" else 2, config.model.input_format.bits if role == "input" else 16
            fitting = [width for width in widths if least <= width <= most]
            if fitting:
                self.choices[name] = fitting

    def searched(self, grid: str) -> list[str]:
        """The knobs that a scheme on this grid of Ā has."""
        absent = () if grid in POLAR_GRIDS else POLAR
        return [name for name, role in self.roles.items() if name in self.choices and role not in absent]

    def parameters(self, entry: dict) -> dict:
        """A candidate as a trial would choose it."""
        scheme = Scheme.model_validate(entry["scheme"])
        widths = {name: width_of(scheme, name, self.roles[name]) for name in self.searched(scheme.parameterisation)}
        return {"parameterisation": scheme.parameterisation, "granularity": scheme.granularity, **widths}

    def on_polar_grid(self, parameters: dict) -> dict:
        """The same widths, with a phase as wide as Ā was and a magnitude half as wide.

        The codes of Ā, which are no longer stored, are as wide as can be.
        """
        if parameters["parameterisation"] == self.polar:
            return parameters
        widths: dict[str, int] = {}
        for name in (name for name, role in self.roles.items() if role == "a" and name in parameters):
            wanted, choices = parameters[name], self.choices[f"{name}_magnitude"]
            distances = [abs(2 * width - wanted) for width in choices]
            magnitude = choices[distances.index(min(distances))]
            widths |= {name: max(self.choices[name]), f"{name}_magnitude": magnitude, f"{name}_phase": wanted}
        return {**parameters, **widths, "parameterisation": self.polar}


def _measured(entry: dict, space: _Space, cost: CostModel) -> optuna.trial.FrozenTrial:
    """A candidate as a finished trial."""
    chosen = space.parameters(entry)
    return optuna.create_trial(
        params=chosen,
        distributions={name: CategoricalDistribution(space.choices[name]) for name in chosen},
        values=[entry["accuracy"], entry[cost.unit]],
        user_attrs={"candidate": entry, MEASURED: True},
    )
