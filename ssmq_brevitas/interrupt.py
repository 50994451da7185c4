"""Ctrl-C, and what a program makes of other signals, at a safe point."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Hold signals that have a handler back until the yielded function is called: it raises KeyboardInterrupt then.

    So no optimiser step is saved half done. A second one is not held back; outside the main thread nothing is.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    found = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in found.items() if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    def raise_if_asked() -> None:
        if asked:
            before[asked[0]](asked[0], None)
            raise KeyboardInterrupt

    for number in before:
        signal.signal(number, note)
    try:
        yield raise_if_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
