"""What went wrong, in one line: what, where, and what to do."""

from __future__ import annotations

import errno
import signal

from rich.text import Text
from ssmq_brevitas.errors import Interrupted, SsmqError
from ssmq_export.errors import ExportError

from .output import errors, one_line

_ADVICE: dict[int | None, str] = {
    errno.ENOSPC: "make room or give another place",
    errno.EDQUOT: "make room or give another place",
    errno.EACCES: "change its permissions or give another place",
    errno.EPERM: "change its permissions or give another place",
    errno.EROFS: "give a place that can be written",
    errno.ENOENT: "correct the path",
    errno.ENOTDIR: "a part of the path is a file; correct the path",
    errno.EISDIR: "give a file",
    errno.EEXIST: "give another place",
    errno.ENAMETOOLONG: "give a shorter name",
}
_MEMORY = "out of memory: give a smaller model, fewer --images or a smaller batch"


def tell(error: BaseException, signalled: int) -> int | None:
    """Print ``error`` as one line and return the exit code; None for what is no failure that anybody expects.

    ``signalled`` is the code after an interruption.
    """
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE  # the reader has what it wanted: `ssmq ... | head`
    found = _explained(error, signalled)
    if found is None:
        return None
    message, code = found
    line = one_line(" ".join(part.strip() for part in message.splitlines()))
    if line:
        errors.print(Text.assemble(("error:", "bold red"), " ", line), soft_wrap=True)
    return code


def _explained(error: BaseException, signalled: int) -> tuple[str, int] | None:
    if isinstance(error, (KeyboardInterrupt, Interrupted)):
        return str(error) or "interrupted", signalled
    if isinstance(error, (SsmqError, ExportError)):
        return str(error), 1
    if isinstance(error, OSError):
        return _of_system(error), 1
    # torch's own allocator raises a RuntimeError.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        return _MEMORY, 1
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read", 1
    # Usage errors: from release to release, typer brings click's classes along under other names.
    if hasattr(error, "format_message"):
        context, message = getattr(error, "ctx", None), error.format_message()
        return message + (f" (see {context.command_path} --help)" if context and message else ""), 2
    return None


def _of_system(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    place = f"{error.filename}: " if error.filename else ""
    advice = _ADVICE.get(error.errno)
    return place + what + (f": {advice}" if advice else "")
