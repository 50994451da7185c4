"""Interleaved timing: every candidate once a round, so that a slow spell of the machine meets them all."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the tensors lie.")]

ROUNDS = 15
# A candidate is not repeated beyond this many seconds.
BUDGET = 12.0


def refuse_missing(device: str) -> None:
    """Raise SsmqError where torch finds no such device."""
    import torch
    from ssmq_brevitas.errors import SsmqError

    if device == "cuda" and not torch.cuda.is_available():
        raise SsmqError("torch finds no CUDA device: install a CUDA build of torch, or leave out --device cuda")


def finishing(run: Callable[[], object], device: str) -> Callable[[], object]:
    """``run``, over when the device has done what it was given."""
    import torch

    if device == "cpu":
        return run

    def finished() -> None:
        run()
        torch.cuda.synchronize()

    return finished


def medians(candidates: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each candidate: one round to warm up, then up to ``ROUNDS``."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    # What is here already is no candidate's litter: without it a collection is short.
    gc.freeze()
    for _ in range(ROUNDS + 1):
        for name, run in candidates.items():
            if len(times[name]) > 1 and sum(times[name]) > BUDGET:
                continue
            gc.collect()
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def machine(device: str = "cpu") -> dict[str, str | int]:
    """What the numbers were measured on: processor, cores, memory, releases; on CUDA the accelerator too."""
    about: dict[str, str | int]
    about = {"processor": _processor(), "cores": len(os.sched_getaffinity(0)), "system": platform.system()}
    if hasattr(os, "sysconf"):
        about["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    about["python"] = platform.python_version()
    if device == "cuda":
        import torch

        about["accelerator"] = torch.cuda.get_device_name()
    return about | {name: version(name) for name in ("torch", "numba", "brevitas", "onnxruntime")}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        widest = next((name for name in ("avx512f", "avx2") if name in fields.get("flags", "").split()), "")
        return " ".join(filter(None, (fields.get("model name", platform.machine()), widest)))
    return platform.processor() or platform.machine()


def described(about: dict[str, str | int]) -> str:
    """The machine in one line."""
    accelerator = f"{about['accelerator']}, " if "accelerator" in about else ""
    return f"{accelerator}{about['cores']} cores of {about['processor']}, Python {about['python']}, " + ", ".join(
        f"{name} {about[name]}" for name in ("torch", "numba", "brevitas", "onnxruntime")
    )
