"""``ssmq bench scan``: the fused recurrence against the float FFT layer and against Brevitas op by op."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .. import options
from ..output import console, print_json
from .timing import Device, described, finishing, machine, medians, refuse_missing

NAME = "scan"
EXAMPLE = "ssmq bench scan --quick"
# heads, modes, batch, length: sequential MNIST at three sizes, then growth at one number of steps a call.
SIZES = [(64, 8, 64, 784), (64, 32, 64, 784), (16, 32, 64, 784)]
GROWTH = [(64, 8, 2**16 // length, length) for length in (256, 1024, 4096, 16384)]
# States in the autograd graph of the loop, at some 160 bytes each: about 5 GB.
LOOP_LIMIT = 2**25


def command(
    plot: Annotated[Path | None, typer.Option(help="Picture of the growth with the length, log-log.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes only: does it run, in seconds.")] = False,
    device: Device = "cpu",
    as_json: options.AsJson = False,
) -> None:
    """One layer, forward and backward: exact fused recurrence, float S4D by FFT, Brevitas step by step.

    Gradients of the input and of every parameter included; medians of interleaved rounds. The loop is left out where
    its autograd graph would need more than about 5 GB.
    """
    refuse_missing(device)
    sizes = [(16, 4, 4, 2**k) for k in (4, 6)] if quick else [*SIZES, *GROWTH]
    rows = []
    for size in sizes:
        with console.status("{} heads, {} modes, batch {}, {} steps".format(*size)):
            rows.append(measure(*size, device))
    about = machine(device)
    if plot is not None:
        from ssmq_brevitas.plots import growth

        growth(rows if quick else rows[len(SIZES) :], plot)
    if as_json:
        print_json({"machine": about, "rows": rows})
        return
    table = Table(title="seconds, forward and backward", caption=described(about))
    for heading in ("heads", "modes", "batch", "steps", "fused", "float FFT", "fused / FFT", "Brevitas loop", "loop / fused"):
        table.add_column(heading, justify="right")
    for row in rows:
        loop = row.get("brevitas_loop_s")
        table.add_row(
            *(f"{row[key]:,}" for key in ("heads", "modes", "batch", "length")),
            f"{row['fused_s']:.4f}",
            f"{row['float_fft_s']:.4f}",
            f"{row['fused_s'] / row['float_fft_s']:.2f}",
            "-" if loop is None else f"{loop:.2f}",
            "-" if loop is None else f"{loop / row['fused_s']:.0f}",
        )
    console.print(table)


def measure(heads: int, modes: int, batch: int, length: int, device: str = "cpu") -> dict[str, float]:
    """One row: the same layer three ways, an 8-bit scheme."""
    import torch
    from ssmq_brevitas.calibration import state_statistics
    from ssmq_brevitas.config import Scheme
    from ssmq_brevitas.fitting import fit_layer
    from ssmq_brevitas.quant_s4d import QuantS4D
    from ssmq_brevitas.quantizers import Quantizer, use_engine
    from ssmq_brevitas.s4d import S4D

    torch.manual_seed(0)
    quantizer = Quantizer(8)
    quantizer.power.set_exponent(-5)
    with torch.no_grad():
        u = quantizer(torch.randn(batch, length, heads))
    floating, scheme = S4D(heads, modes), Scheme()
    quantized = QuantS4D.from_scheme(heads, modes, scheme)
    with torch.no_grad():
        fit_layer(quantized, floating, scheme, quantizer.format, state_statistics(*floating.discrete()[:2], u[:1, :512]))
    u = u.to(device).requires_grad_()
    gradient = torch.randn(batch, length, heads).to(device)
    floating, quantized = floating.to(device), quantized.to(device)

    def both_passes(layer, engine: str | None = None):
        leaves = [u, *(p for p in layer.parameters() if p.requires_grad)]

        def run() -> None:
            if engine is not None:
                use_engine(layer, engine)
            torch.autograd.grad(layer(u), leaves, gradient)

        return finishing(run, device)

    candidates = {"fused_s": both_passes(quantized, "fused"), "float_fft_s": both_passes(floating)}
    if heads * modes * batch * length <= LOOP_LIMIT:
        candidates["brevitas_loop_s"] = both_passes(quantized, "reference")
    return {"heads": heads, "modes": modes, "batch": batch, "length": length, **medians(candidates)}
