"""``ssmq train``: a float model from scratch, or quantisation-aware training from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .output import say
from .trained import trained

if TYPE_CHECKING:
    from ssmq_brevitas.config import Config
    from ssmq_brevitas.data import SequenceData
    from ssmq_brevitas.model import Model

NAME = "train"
EXAMPLE = "ssmq train --preset edge-2x16 --from zoo:edge-2x16 --out runs/qat"


@options.takes_data
def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoint, log and resume state.")],
    preset: options.Preset = options.DEFAULT_PRESET,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            parser=options.located,
            metavar="CHECKPOINT",
            help="Start quantisation-aware training from this checkpoint (float or quantised), or from zoo:NAME.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's number.", min=0, max=1_000_000)] = None,
    seed: options.Seed = 0,
    *,
    load: Callable,
) -> None:
    """Train a float model, or with --from a quantised one.

    From a float checkpoint, Ā and the exponents are fitted to it, and if the preset has fewer modes a head the weakest go;
    from a quantised one, ranges stay at the preset's widths (staged lowering).
    An interrupted run goes on where it stopped when the same command is given again; what another command left is
    refused, and what this one has finished is not trained again. Writes OUT/float.safetensors or
    OUT/qat.safetensors, and OUT/log.csv.
    """
    from ssmq_brevitas.config import load_config, with_epochs
    from ssmq_brevitas.files import sole_use
    from ssmq_brevitas.score import score
    from ssmq_study.quoted import quoted_score

    name = "float" if start is None else "qat"
    config = with_epochs(load_config(preset), "floating" if start is None else "qat", epochs)
    model, data = _started(config, start, seed, load)
    with sole_use(out):
        model = trained(model, name, data, out, seed, "log.csv")
    validation = score(model, data.x_validation, data.y_validation)
    test = quoted_score(model, data)
    say(f"{data.name} ({data.source}): {len(data.y_train)} training, {len(data.y_test)} test images")
    say(f"inputs of {data.input_format}")
    say(f"validation {validation}, test {test}  ->  {out / name}.safetensors")


def _started(config: Config, start: Path | None, seed: int, load: Callable) -> tuple[Model, SequenceData]:
    """The model before it is trained, and the data."""
    import torch
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.config import with_input
    from ssmq_brevitas.model import Model
    from ssmq_brevitas.start import quantized_start, with_its_input

    if start is None:
        data = load(config, fresh=True)
        config = with_input(config, data.input_format)
        # A scheme that no exponents make exact is refused before a float model is trained for it.
        Model.empty(config)
        torch.manual_seed(seed)
        return Model.floating(config), data
    model, _ = load_checkpoint(start)
    config = with_its_input(config, model.config)
    data = load(config)
    torch.manual_seed(seed)
    return quantized_start(model, config, data.x_train), data
