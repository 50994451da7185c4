"""``ssmq view``: Netron on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ssmq_export.errors import ExportError

from .options import located
from .output import say

NAME = "view"


def command(
    file: Annotated[
        Path,
        typer.Argument(
            parser=located, metavar="FILE", help="A graph (.onnx), a checkpoint (.safetensors), or zoo:NAME."
        ),
    ],
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8080,
) -> None:
    """Show a file in Netron, served on 127.0.0.1 until Ctrl-C."""
    import netron

    if not file.is_file():
        raise ExportError(f"{file}: no such file")
    address = netron.start(str(file), address=("127.0.0.1", port or None), browse=browser)
    say(f"{file} at http://{address[0]}:{address[1]} (Ctrl-C ends)")
    netron.wait()
