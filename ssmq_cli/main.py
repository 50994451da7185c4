"""Entry point: whatever happens ends in one line and an exit code that says so, from the first import on.

Nothing heavy is imported before Ctrl-C, SIGTERM and SIGHUP are caught.
"""

from __future__ import annotations

import signal
import sys
import warnings

# Python makes Ctrl-C a KeyboardInterrupt; these become one too, and what cleans up after it cleans up after them.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command line. Exit code 0; 1 failed or refused; 2 no such command or option; 128 + the ending signal."""
    received: list[int] = [signal.SIGINT]
    code: int | None

    def end(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in ENDING:
        # Under nohup SIGHUP is ignored, and stays so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    try:
        code = _run()
        if received[1:]:
            code = 128 + received[-1]
    except BaseException as error:
        from .failures import tell

        code = tell(error, 128 + received[-1])
        if code is None:
            raise
    for number in (signal.SIGINT, *ENDING):
        # Nothing is left to clean up: from here on a signal just ends the process.
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)


def _run() -> int:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        # A character that the terminal's encoding does not have becomes an escape.
        stream.reconfigure(errors="backslashreplace")
    from .commands import execute
    from .output import show_warning

    warnings.showwarning = show_warning
    try:
        return execute(sys.argv[1:])
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
