"""Fused quantised recurrence against the float FFT convolution of the same layer, forward and backward, in one run.

    python benchmarks/scan.py [HEADS MODES BATCH LENGTH]

Prints JSON; times are medians of interleaved repetitions.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import torch
from ssmq_brevitas.s4d import S4D
from ssmq_brevitas.scan import diagonal_scan

REPEATS = 15


def measure(heads: int, modes: int, batch: int, length: int) -> dict[str, float]:
    """Seconds of one forward and backward pass of each layer, gradients of every parameter and of the input included."""
    torch.manual_seed(0)
    layer = S4D(heads, modes)
    a, b, c = (value.detach() for value in layer.discrete())
    scale = torch.tensor(2.0**-6)

    def on_grid(value: torch.Tensor) -> torch.Tensor:
        return (torch.round(value * 128) / 128).requires_grad_()

    parameters = [on_grid(part) for value in (a, b, c) for part in (value.real, value.imag)] + [on_grid(layer.d.detach())]
    u = (torch.randint(-128, 128, (batch, length, heads)) / 64).requires_grad_()
    passes = {
        "fused_s": lambda: diagonal_scan(u, *parameters, scale, 8),
        "float_fft_s": lambda: layer(u),
    }
    times: dict[str, list[float]] = {name: [] for name in passes}
    for repeat in range(REPEATS + 2):
        for name, run in passes.items():
            began = time.perf_counter()
            run().sum().backward()
            if repeat >= 2:
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"heads": heads, "modes": modes, "batch": batch, "length": length, **medians,
            "ratio": medians["fused_s"] / medians["float_fft_s"]}  # fmt: skip


if __name__ == "__main__":
    size = [int(argument) for argument in sys.argv[1:]] or [16, 32, 64, 784]
    print(json.dumps(measure(*size)))
