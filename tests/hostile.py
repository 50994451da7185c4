"""Text that a hostile file may hold, for every writer and every reader: what it would do if somebody believed it."""

from __future__ import annotations

CANARY = "ssmq_canary"
"""A file or module of this name must never come to be, wherever a test runs."""

TEXTS = {
    "C++ behind a newline": f'x\nstatic int p = system("touch {CANARY}"); //',
    "C++ without one": f'x; static int p = system("touch {CANARY}"); int y',
    "shell substitution": f"$(touch {CANARY})",
    "shell backticks": f"`touch {CANARY}`",
    "shell separator": f"x; touch {CANARY} #",
    "Tcl brackets": f"[exec touch {CANARY}]",
    "Tcl braces": f"}}; exec touch {CANARY}; {{",
    "script": f"<script>fetch('/{CANARY}')</script>",
    "attribute of an element": f"\" onmouseover=\"fetch('/{CANARY}')",
    "Markdown link": f"[x](javascript:{CANARY})",
    "Markdown table": "x | y |\n| - | - |",
    "rich markup": "[/bold][red]",
    "terminal colour": "\x1b[31mred\x1b[0m",
    "terminal title": "\x1b]0;owned\x07",
    "carriage return": "harmless\rerror: none",
    "path upwards": f"../../{CANARY}",
    "path from the root": f"/tmp/{CANARY}",
    "NUL": f"x\0{CANARY}",
    "very long": "x" * 100_000,
    "right to left": "\u202egnp.x",
    "look-alike": "х_rе_0",
    "double quotes": 'x"y',
    "single quotes": "x'y",
    "back-slash": "x\\ny",
    "percent": "%s%n{0}{x}",
    "empty": "",
    "space": " ",
}
"""Kind -> text. All are valid UTF-8 and valid protobuf strings."""
