"""Options that several commands share, and what they load."""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, get_type_hints

import typer
from ssmq_brevitas.errors import SsmqError

if TYPE_CHECKING:
    from ssmq_brevitas.config import Config
    from ssmq_brevitas.data import SequenceData
    from ssmq_brevitas.model import Model


class Limits(TypedDict):
    """Settings of an option whose value is a whole number in this range."""

    min: int
    max: int


DEFAULT_PRESET = "edge-2x16"
Preset = Annotated[str, typer.Option("--preset", "-p", help="Preset name or TOML file.")]
# Times a million it is still a number that a generator takes.
SEEDS: Limits = {"min": 0, "max": 2**32 - 1}
Seed = Annotated[int, typer.Option(help="Seed of initialisation and shuffling.", **SEEDS)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def example(command: str) -> str:
    """What stands below the options in ``--help``."""
    return f"Example: {command}"


def number(least: float, most: float) -> dict:
    """Settings of an option whose value is a number in this range: neither infinity nor NaN is one.

    What Typer's own ``min`` and ``max`` compare with NaN is never out of range.
    """

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise typer.BadParameter(f"{text} is no number from {least:,g} to {most:,g}")
        return value

    return {"parser": parsed, "metavar": "NUMBER"}


# Images, sequences, rows, trials: more than anybody has, and small enough to be counted with.
COUNT: Limits = {"min": 1, "max": 10_000_000}
RATE = number(1e-6, 1e9)
MEGAHERTZ = number(0.001, 10_000)


def _part(text: str) -> str:
    if not re.fullmatch(r"xc[a-z]*\d[0-9a-z]*(-[0-9a-z]+)+", text, re.ASCII | re.IGNORECASE):
        from ssmq_export.finn.parts import meant

        raise typer.BadParameter(f"{text} is no part with package and speed grade, such as xc7z020clg400-1{meant(text)}")
    return text


XILINX = {"parser": _part, "metavar": "PART"}


def located(model: str) -> Path:
    """The path of a checkpoint as typed: ``zoo:NAME``, or a path."""
    from ssmq_brevitas.zoo import locate

    return locate(model)


def checkpoint_argument(kind: str):
    """An argument that takes the path of a checkpoint, or ``zoo:NAME``."""
    return typer.Argument(parser=located, metavar="CHECKPOINT", help=f"{kind}, or zoo:NAME.")


def own_name(checkpoint: Path) -> str:
    """A checkpoint's name in a title. Its configuration has that of the preset, which others may be made from too."""
    return f"{checkpoint.absolute().parent.name}/{checkpoint.stem}"


_data_option = functools.partial(typer.Option, rich_help_panel="Data")
_DATA = {
    "data_root": (
        Annotated[
            Path | None,
            _data_option(help="Folder of the full data set instead of the embedded subset."),
        ],
        None,
    ),
    "dataset": (
        Annotated[str, _data_option(help="mnist, fashion-mnist (needs --data-root), or npz:FILE.")],
        "mnist",
    ),
    "download": (
        Annotated[bool, _data_option("--download", help="Fetch the data set into --data-root.")],
        False,
    ),
    "permute": (
        Annotated[int | None, _data_option(help="Seed of one fixed permutation of the pixels.", **SEEDS)],
        None,
    ),
    "downsample": (
        Annotated[int, _data_option(help="Average blocks of this many pixels a side.", **COUNT)],
        1,
    ),
}


def takes_data(command: Callable) -> Callable:
    """Give a command the options that choose data.

    The command has a parameter ``load``, a function of the configuration that loads what the options name and refuses
    data the model was not made for; on the command line the options stand in its place. With ``fresh=True`` the model is
    yet to be made, for inputs of the data's own format where the configuration names none.
    """
    hints = get_type_hints(command, include_extras=True)
    # A model that is there already is made for its data; one that is to be made takes its shape from a file.
    remedy = "set {keys} in a TOML file"
    if "preset" not in hints or "checkpoint" in hints:
        remedy = "give the data that it was trained on (--dataset, --data-root, --permute, --downsample)"
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "load"
    ]

    @functools.wraps(command)
    def wrapped(**arguments):
        chosen = {name: arguments.pop(name) for name in _DATA}
        return command(load=functools.partial(_load, chosen, remedy), **arguments)

    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in _DATA.items()]
    signature = inspect.Signature([*(parameter.replace(kind=keyword) for parameter in own), *shared])
    wrapped.__dict__["__signature__"] = signature
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
    return wrapped


# What messages about arguments of ``load_data`` say, and what a command says.
_ADVICE = {"correct data_root": "correct --data-root", "as data_root": "with --data-root", "download=True": "--download"}


def load_data(**chosen) -> SequenceData:
    """The data that options name. Raises SsmqError whose advice names options."""
    from ssmq_brevitas import data

    try:
        return data.load_data(**chosen)
    except SsmqError as error:
        message = str(error)
        for argument, option in _ADVICE.items():
            message = message.replace(argument, option)
        raise SsmqError(message) from error


def _load(chosen: dict, remedy: str, config: Config, fresh: bool = False) -> SequenceData:
    model, kept = config.model, config.scheme.bits.input
    data = load_data(**chosen, given=model.input if fresh else model.input_format, bits=kept)
    if data.channels != model.channels:
        raise SsmqError(
            f"{config.name} is made for {model.channels} input channels, the data has {data.channels}: "
            f"{remedy.format(keys='channels')}"
        )
    if data.length != model.length:
        raise SsmqError(
            f"{config.name} is made for sequences of {model.length} steps, not {data.length} steps: "
            f"{remedy.format(keys='length')}"
        )
    if (problem := config.task.problem_with(data, model.classes)) is not None:
        raise SsmqError(f"{config.name}: {problem[0]}: {remedy.format(keys=problem[1])}")
    if fresh and model.input is None and data.input_format.bits > max(kept, 8):
        raise SsmqError(
            f"{config.name} keeps {kept} bits of an input, the data has {data.input_format.bits}: set scheme.bits.input to "
            f"that, or say in model.input which bits they use"
        )
    return data


def widths(text: str) -> list[int]:
    """A list of widths as typed: ``4,6,8``."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not 1 <= found[0] <= found[-1] <= 16:
        raise SsmqError(f"--widths must be numbers from 1 to 16 with commas between them, not {text!r}")
    return found


def quantized_model(checkpoint: Path) -> tuple[Model, dict]:
    """A quantised model and its note."""
    from ssmq_brevitas.checkpoint import load_checkpoint

    model, note = load_checkpoint(checkpoint)
    if not model.quantized:
        raise SsmqError(f"{checkpoint}: a float model has no codes: quantise it first (ssmq ptq, or ssmq train --from)")
    return model, note


def float_model(checkpoint: Path, preset: str | None) -> tuple[Model, Config]:
    """A float model and its configuration, with the scheme of ``preset`` if that is given."""
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.config import load_config

    model, _ = load_checkpoint(checkpoint)
    config = model.config
    if model.quantized:
        raise SsmqError(f"{checkpoint}: already quantised; give the float checkpoint that it was made from")
    if preset is not None:
        config = config.model_copy(update={"scheme": load_config(preset).scheme})
    return model, config


def refuse_picture(path: Path) -> None:
    """Raise SsmqError before the work is done, if a picture of that name cannot be written after it."""
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise SsmqError(f"{path}: a picture's name must end in .png, .svg or .pdf")
    if not path.absolute().parent.is_dir():
        raise SsmqError(f"{path}: its folder does not exist: make it, or give another")
    if not os.access(path.absolute().parent, os.W_OK):
        raise SsmqError(f"{path}: its folder cannot be written: give another")
