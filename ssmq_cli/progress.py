"""A progress bar for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from ssmq_brevitas.errors import Interrupted

from .output import console, one_line

if TYPE_CHECKING:
    from ssmq_brevitas.train import Progress as Training


@contextmanager
def training_bar(label: str, shown: Callable[[float], str]) -> Iterator[Callable[[Training], None]]:
    """Yields the ``on_step`` callback of ``ssmq_brevitas.train.train``; Ctrl-C becomes an Interrupted.

    ``shown`` puts the validation's value in words.
    """
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}  validation {task.fields[validation]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(one_line(label), total=None, loss="-", validation="-")

        def on_step(state: Training) -> None:
            bar.update(task, total=state.steps, completed=state.step, loss=f"{state.loss:.3f}")
            if state.validation is not None:
                bar.update(task, validation=shown(state.validation))

        try:
            yield on_step
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command goes on from here") from None
