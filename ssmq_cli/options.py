"""Options that several commands share, and what they load."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from ssmq_brevitas.errors import SsmqError

console = Console()
errors = Console(stderr=True)

DATA = "Data"
DEFAULT_PRESET = "edge-2x16"
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the full data set; without it the embedded MNIST subset is used.", rich_help_panel=DATA),
]
Dataset = Annotated[str, typer.Option(help="mnist or fashion-mnist (the latter needs --data-root).", rich_help_panel=DATA)]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set into --data-root.", rich_help_panel=DATA)]
Permute = Annotated[
    int | None, typer.Option(help="Seed of one fixed permutation of the pixels.", rich_help_panel=DATA)
]
Downsample = Annotated[int, typer.Option(help="Average blocks of this many pixels a side.", rich_help_panel=DATA)]
Preset = Annotated[str, typer.Option("--preset", "-p", help="Preset name or TOML file.")]
Seed = Annotated[int, typer.Option(help="Seed of initialisation and shuffling.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def pretrained(name: str) -> Path | None:
    """The float checkpoint shipped for a preset, if there is one."""
    path = Path(str(importlib.resources.files("ssmq_brevitas.assets").joinpath(f"{name}.safetensors")))
    return path if path.is_file() else None


def check_fits(config, data) -> None:
    """Refuse data that the model was not made for, before anything runs."""
    if data.length != config.model.length or data.classes > config.model.classes:
        raise SsmqError(
            f"{config.name} is made for sequences of {config.model.length} steps and {config.model.classes} classes, "
            f"not {data.length} steps and {data.classes} classes: set length and classes in a TOML file"
        )
