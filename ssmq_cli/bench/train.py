"""``ssmq bench train``: one training step of a whole model, float, fused and op by op."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from .. import options
from ..output import console, print_json
from .scan import LOOP_LIMIT
from .timing import Device, described, finishing, machine, medians, refuse_missing

NAME = "train"
EXAMPLE = "ssmq bench train edge-2x16"
PRESETS = ("paper-h16", "edge-2x16", "edge-4x16", "paper-h64")


def command(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets or TOML files; all presets if none is given.")] = None,
    device: Device = "cpu",
    as_json: options.AsJson = False,
) -> None:
    """Seconds of one optimiser step: float S4D by FFT, quantisation-aware with fused kernels, the same by Brevitas."""
    refuse_missing(device)
    rows = []
    for preset in presets or PRESETS:
        with console.status(preset):
            rows.append(measure(preset, device))
    about = machine(device)
    if as_json:
        print_json({"machine": about, "rows": rows})
        return
    table = Table(title="seconds a training step", caption=described(about))
    for heading in ("preset", "batch", "float FFT", "fused QAT", "Brevitas loop", "QAT epoch of 50,000, minutes"):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    for row in rows:
        loop = row.get("brevitas_loop_s")
        table.add_row(
            row["preset"],
            str(row["batch"]),
            f"{row['float_fft_s']:.3f}",
            f"{row['fused_s']:.3f}",
            "-" if loop is None else f"{loop:.2f}",
            f"{row['fused_s'] * 50_000 / row['batch'] / 60:.2f}",
        )
    console.print(table)


def measure(preset: str, device: str = "cpu") -> dict:
    """One row, with the preset's own batch."""
    import torch
    from ssmq_brevitas.config import load_config
    from ssmq_brevitas.model import Model
    from ssmq_brevitas.post_training import post_training
    from ssmq_brevitas.train import optimiser_for
    from torch.nn import functional as F

    config = load_config(preset)
    batch, shape = config.train.qat.batch, config.model
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 256, (batch, shape.length, shape.channels), generator=generator, dtype=torch.uint8)
    classes = torch.randint(0, shape.classes, (batch,), generator=generator)
    torch.manual_seed(0)
    floating = Model.floating(config)
    quantized = post_training(floating.eval(), config, codes, images=8)

    floating, quantized = floating.to(device), quantized.to(device)
    codes, classes = codes.to(device), classes.to(device)

    def step_of(model, engine: str | None = None):
        optimiser = optimiser_for(model, config.train.qat)
        model.train()

        def run() -> None:
            if engine is not None:
                model.use_engine(engine)
            optimiser.zero_grad()
            F.cross_entropy(model(codes).float(), classes).backward()
            optimiser.step()

        return finishing(run, device)

    candidates = {"float_fft_s": step_of(floating), "fused_s": step_of(quantized, "fused")}
    if shape.layers * shape.heads * shape.modes * batch * shape.length <= LOOP_LIMIT:
        candidates["brevitas_loop_s"] = step_of(quantized, "reference")
    return {"preset": config.name, "batch": batch, **medians(candidates)}
