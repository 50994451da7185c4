"""Small models that every test can afford: 4 heads, 3 modes, 20 steps. No skipping in CI."""

from __future__ import annotations

import gc
import os
import signal

# What imports leave is never garbage: not looked through while they run, nor later (``pytest_collection_finish``).
gc.disable()

# Started in the background of a script, this process and all commands that it runs would ignore Ctrl-C; by nohup, a terminal
# that is closed.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A worker a core, a thread a worker: two threads on each of two busy cores spin more than they compute.
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

# Triton reads this once, when it is first imported, and some of the imports below do that.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from hypothesis import HealthCheck, settings
from ssmq_brevitas.config import parse_config
from ssmq_brevitas.model import Model
from ssmq_brevitas.network.operations import operations
from ssmq_brevitas.network.structure import quantized_of
from ssmq_brevitas.network.widths import Widths
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.s4d import S4D

LENGTH = 20

# The same examples every time, and no failure for being slow: the machine may be busy.
settings.register_profile("ssmq", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ssmq")


def small_config(**changes):
    """A small configuration; ``model``, ``scheme`` and ``bits`` dictionaries override its defaults."""
    model = {"heads": 4, "modes": 3, "layers": 2, "classes": 3, "length": LENGTH, **changes.pop("model", {})}
    scheme = {**changes.pop("scheme", {}), "bits": changes.pop("bits", {})}
    assert not changes
    return parse_config({"name": "small", "model": model, "scheme": scheme}, origin="test")


def small_codes(count: int = 16, seed: int = 0, channels: int = 1) -> torch.Tensor:
    """Codes ``(count, LENGTH)``, or of several ``channels`` ``(count, LENGTH, channels)``.

    Noise, black and white, so that states saturate and rest.
    """
    rng = np.random.default_rng(seed)
    shape = (count, LENGTH) if channels == 1 else (count, LENGTH, channels)
    codes = rng.integers(0, 256, shape, dtype=np.uint8)
    codes[0], codes[1] = 0, 255
    return torch.from_numpy(codes)


def small_model(config, seed: int = 0):
    """Float and post-training quantised model of ``config`` with lively batch-norm statistics."""
    torch.manual_seed(seed)
    floating = Model.floating(config)
    floating.train()
    with torch.no_grad():
        floating(small_codes(16, seed, config.model.channels))
    codes = small_codes(16, seed + 1, config.model.channels)
    return floating.eval(), post_training(floating.eval(), config, codes)


def part(model: Model, path: str):
    """A submodule of a model's network."""
    return model.network.get_submodule(path)


def ssms(model: Model) -> list:
    """The S4D layers of a model, in order."""
    return [layer for layer in model.network.modules() if isinstance(layer, (S4D, QuantS4D))]


def sums(model: Model, least: bool = False) -> dict[str, int]:
    """Bits of every exact sum of a quantised model, by the path of what computes it."""
    about = quantized_of(model.network)
    return Widths(operations(model.network, about.example), about.steps).accumulators(least)


@pytest.fixture(autouse=True)
def _torch_seed():
    """pytest-randomly shuffles, prints its seed and resets the generators of Python and NumPy; torch's starts anew here."""
    torch.manual_seed(0)


@pytest.fixture
def forked_workers(monkeypatch):
    """FINN's and hls4ml's workers without their imports, also in commands (``command_line.py``)."""
    from forked_workers import WORKERS, address, use_workers

    monkeypatch.setenv(WORKERS, address())
    use_workers(monkeypatch.setattr)


@pytest.fixture
def codes() -> torch.Tensor:
    return small_codes()


def pytest_collection_finish(session):
    gc.collect()
    gc.freeze()
    # Graphs are many small objects that stay: the usual 700 between two collections would have them looked through all the time.
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def pytest_sessionfinish(session, exitstatus):
    """In CI nothing may skip: what is missing there must be installed there."""
    gc.unfreeze()
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    # Workers have no reporter; the process that started them counts for all.
    if os.environ.get("CI") and exitstatus == 0 and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = 1
