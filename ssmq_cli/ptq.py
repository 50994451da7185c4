"""``ssmq ptq``: post-training quantisation of a float checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console, say

NAME = "ptq"
EXAMPLE = "ssmq ptq zoo:edge-2x16 --preset edge-2x16 --out ptq.safetensors"


@options.takes_data
def command(
    checkpoint: Annotated[Path, options.checkpoint_argument("Float checkpoint (ssmq train)")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the quantised checkpoint.")],
    preset: options.Preset = options.DEFAULT_PRESET,
    images: Annotated[int, typer.Option(help="Calibration images, from the training set.", **options.COUNT)] = 256,
    *,
    load: Callable,
) -> None:
    """Quantise by the preset's scheme without training: calibrate on whole sequences, then fit the read-outs anew.

    C, D and the decoder are fitted by least squares to what the rounded states still tell of the float model's outputs.
    """
    from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
    from ssmq_brevitas.config import load_config
    from ssmq_brevitas.errors import SsmqError
    from ssmq_brevitas.post_training import fitted, post_training
    from ssmq_brevitas.start import refuse_other_task, with_its_input
    from ssmq_study.quoted import quoted_score

    floating, _ = load_checkpoint(checkpoint)
    found = floating.config
    config = with_its_input(load_config(preset), found)
    if floating.quantized:
        raise SsmqError(f"{checkpoint}: already quantised; ptq takes a float checkpoint")
    if found.model != config.model:
        raise SsmqError(f"{checkpoint}: its architecture is not that of {config.name}: give the preset it was made with")
    refuse_other_task(found, config)
    data = load(config)
    model = fitted(post_training(floating, config, data.x_train, images), floating, data.x_train)
    save_checkpoint(out, model, {"data": data.describe(), "calibration_images": images})
    table = Table(title=f"{config.name} on {data.name} ({data.source}), {len(data.y_test)} test images")
    for heading in ("", f"test {config.task.metric}", "bytes"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, candidate in (("float", floating), ("post-training quantised", model)):
        test = config.task.shown(quoted_score(candidate, data).value)
        table.add_row(label, test, f"{candidate.footprint().total:,.0f}")
    console.print(table)
    say(f"-> {out}")
