"""``ssmq search``: widths for every tensor under a budget of bytes, as scheme files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from ssmq_brevitas.errors import SsmqError

from . import options
from .options import console
from .sensitivity import parse_widths

NAME = "search"


@options.takes_data
def command(
    checkpoint: Annotated[Path, typer.Argument(help="Float checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for scheme files, front.json and front.png.")],
    budget: Annotated[list[int] | None, typer.Option(help="Bytes of parameters and state; may be given again.")] = None,
    trials: Annotated[int, typer.Option(help="Schemes to try with Optuna too.", min=0)] = 0,
    storage: Annotated[
        str | None, typer.Option(help="Database URL of the Optuna study; machines that give the same share it.")
    ] = None,
    widths: Annotated[str, typer.Option(help="Bits to choose from, separated by commas.")] = "16,12,10,8,6,5,4,3,2",
    images: Annotated[int, typer.Option(help="Validation sequences to classify.", min=1)] = 300,
    seed: options.Seed = 0,
    *,
    load: Callable,
) -> None:
    """Choose the width of every tensor.

    For each --budget the exact optimum of the sensitivity model (an integer program); with --trials Optuna goes on from
    there, accuracy against bytes. Accuracies are of post-training quantisation, on validation sequences. OUT/NNNN-bytes.toml
    are presets for `ssmq ptq` and `ssmq train`.
    """
    from ssmq_brevitas.calibrate import calibrate
    from ssmq_brevitas.checkpoint import load_checkpoint, write_whole
    from ssmq_brevitas.config import Bits
    from ssmq_brevitas.plots import front as plot_front
    from ssmq_study.allocation import allocate, measured, search
    from ssmq_study.sensitivity import sensitivity

    if not budget and not trials:
        raise SsmqError("give a --budget in bytes, or a number of --trials")
    chosen = parse_widths(widths)
    model, config, _ = load_checkpoint(checkpoint)
    if model.quantised:
        raise SsmqError(f"{checkpoint}: is quantised already: give the float checkpoint that it was made from")
    data = load(config)
    calibration = calibrate(model, data.x_train[:256])

    def measure(bits: Bits):
        return measured(model, config, bits, calibration, data, images)

    found = []
    with console.status("search") as status:
        if budget:
            effects = []
            for effect in sensitivity(model, config, data, chosen, images):
                status.update(f"sensitivity: {effect.tensor or 'all wide'} {effect.bits or ''}")
                effects.append(effect)
            for limit in budget:
                found.append(measure(allocate(effects, config, limit).bits))
        if trials:
            status.update("Optuna")
            out.mkdir(parents=True, exist_ok=True)
            url = storage or f"sqlite:///{(out / 'study.db').resolve()}"
            found += search(measure, config, chosen, trials, url, config.name, seed, [f.bits for f in found])
    found = sorted({json.dumps(f.as_dict()): f for f in found}.values(), key=lambda f: f.bytes)
    for one in found:
        write_whole(out / f"{one.bytes:.0f}-bytes.toml", preset_text(config, one.bits).encode())
    rows = [one.as_dict() for one in found]
    report = {"model": config.name, "data": data.describe(), "images": images, "front": rows}
    write_whole(out / "front.json", json.dumps(report, indent=2).encode())
    plot_front(rows, f"{config.name}: post-training quantisation, validation", out / "front.png")
    console.print(_table(found, config.name))


def preset_text(config, bits) -> str:
    """A TOML preset of ``config`` with other widths."""
    values = config.model_dump(mode="json")
    values["scheme"]["bits"] = bits.model_dump()
    sections = {
        "model": values["model"],
        "scheme": {key: value for key, value in values["scheme"].items() if key != "bits"},
        "scheme.bits": values["scheme"]["bits"],
        "train.float": values["train"]["float"],
        "train.qat": values["train"]["qat"],
    }
    lines = [f"name = {json.dumps(config.name)}"]
    for section, entries in sections.items():
        lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


def _table(found, name: str) -> Table:
    tensors = list(found[0].bits.model_dump())
    shown = [tensor for tensor in tensors if len({getattr(one.bits, tensor) for one in found}) > 1] or tensors
    table = Table(title=f"{name}: bits of every tensor that varies")
    for heading in ("bytes", "accuracy", *shown):
        table.add_column(heading, justify="right")
    for one in found:
        widths = (str(getattr(one.bits, tensor)) for tensor in shown)
        table.add_row(f"{one.bytes:,.0f}", f"{100 * one.accuracy:.1f} %", *widths)
    return table
