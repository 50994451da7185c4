"""``ssmq view``: Netron on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ssmq_export.errors import ExportError

from .options import located
from .output import say

NAME = "view"
EXAMPLE = "ssmq view graphs/dataflow.onnx"


def command(
    file: Annotated[
        Path,
        typer.Argument(parser=located, metavar="FILE", help="A graph (.onnx), a checkpoint (.safetensors), or zoo:NAME."),
    ],
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8080,
) -> None:
    """Show a file in Netron, served on 127.0.0.1 until Ctrl-C.

    Nothing but that file is served, and the page reaches no other host.
    """
    import webbrowser

    from .netron_page import Server

    if not file.is_file():
        raise ExportError(f"{file}: no such file; give the path of an .onnx file")
    file.open("rb").close()
    try:
        server = Server(file, port)
    except OSError as error:
        raise ExportError(f"port {port}: {error.strerror}; give another --port, or 0 for a free one") from error
    with server:
        address = f"http://127.0.0.1:{server.port}"
        say(f"{file} at {address} (Ctrl-C ends)")
        if browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
