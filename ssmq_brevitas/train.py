"""Training: float models in convolution mode, quantised ones in recurrent mode with the fused scan.

One loop serves both. It is resumable: the checkpoint of an interrupted run holds the position inside the epoch, the
optimiser and the shuffle's seed, and going on from it gives the same weights, bit for bit, as never having stopped.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from .augment import shifted
from .config import Training
from .data import SequenceData
from .errors import SsmqError
from .files import write_whole
from .formats import Format
from .interrupt import deferred_interrupt
from .model import Model
from .norm import PositiveBatchNorm
from .quant_linear import QuantLinear
from .quant_s4d import QuantS4D
from .s4d import DynamicsParameter
from .score import loss_of, score
from .sound import refuse_unsound
from .training_state import identity, load_training_state, save_training_state


@dataclass
class Progress:
    """What a callback sees after every step; ``validation`` is the metric of the model's task."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation: float | None = None


@dataclass
class History:
    """One row an epoch: ``epoch, loss, validation, seconds``; validation is the metric of the model's task."""

    rows: list[dict] = field(default_factory=list)

    def write(self, path: Path) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["epoch", "loss", "validation", "seconds"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(path, text.getvalue().encode())


def grid_ranges(model: Model) -> dict[str, float]:
    """What the grid of each quantised weight spans, by the parameter's name."""
    formats: dict[str, Format] = {}
    for name, module in model.named_modules():
        if isinstance(module, QuantS4D):
            formats |= {f"{name}.{part}": getattr(module, f"{part}_quant").format for part in "bcd"}
        elif isinstance(module, QuantLinear):
            formats[f"{name}.weight"] = module.weight_format
    return {name: fmt.magnitude * 2.0 ** int(fmt.exponent.max()) for name, fmt in formats.items()}


def optimiser_for(model: Model, training: Training) -> torch.optim.Optimizer:
    """AdamW. The dynamics have a learning rate of their own; a quantised weight's is relative to its grid's range.

    Adam's steps have the size of the learning rate, whatever the gradient's: an absolute one would move a weight of a
    wide grid by a small part of a code and one of a narrow grid across its range at once.
    """
    ranges = grid_ranges(model)
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            dynamics = isinstance(parameter, DynamicsParameter)
            rate = training.learning_rate_a if dynamics else training.learning_rate * ranges.get(name, 1.0)
            groups.setdefault((rate, 0.0 if dynamics else training.weight_decay), []).append(parameter)
    return torch.optim.AdamW([{"params": g, "lr": rate, "weight_decay": decay} for (rate, decay), g in groups.items()])


def schedule(step: int, steps: int) -> float:
    """Factor on the learning rates: 5 % linear warm-up, then half a cosine to 0."""
    warmup = max(1, round(0.05 * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def shuffled(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of an epoch: a function of seed and epoch alone, so a resumed run sees the same batches."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 10_007 + epoch))


def refuse_large(model: Model, training: Training, sequences: int, device: torch.device) -> None:
    """Raise SsmqError if the tensors that one step must keep are larger than the device's memory."""
    m, batch = model.shape, min(training.batch, sequences)
    # Eight tensors a layer are kept at the very least, and the float layer's powers of Ā.
    kept = 4 * m.layers * m.length * m.heads * (8 * batch + (0 if model.quantized else 2 * m.modes))
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if kept > memory:
        raise SsmqError(
            f"one step of {batch} sequences needs {kept / 2**30:,.0f} GiB at least, more than the {memory / 2**30:,.0f} GiB "
            f"of this machine: lower batch ({training.batch}), length ({m.length}) or heads ({m.heads})"
        )


def refuse_unfit(model: Model, data: SequenceData, training: Training) -> None:
    """Raise SsmqError if what ``data`` say of sequences is not what ``model`` tells, or moves with them."""
    problem = model.task.problem_with(data, model.shape.classes)
    if problem is not None:
        raise SsmqError(f"{data.name}: {problem[0]}: change {problem[1]}, or the data")
    model.task.refuse_shift(training.shift)


class _Run:
    """A training under way: what a step needs, and what its state file holds.

    Goes on from ``state_path`` if that exists; the model is on the accelerator's device.
    """

    def __init__(self, model: Model, data: SequenceData, training: Training, seed: int, state_path: Path | None):
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
        refuse_large(model, training, len(data.y_train), self.accelerator.device)
        refuse_unfit(model, data, training)
        self.data, self.training, self.seed, self.state_path = data, training, seed, state_path
        self.about = identity(model, data, training, seed)
        self.per_epoch = math.ceil(len(data.y_train) / training.batch)
        self.steps = self.per_epoch * training.epochs
        optimiser = optimiser_for(model, training)
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.history, self.step, self.loss_sum, self.spent = History(), 0, 0.0, 0.0
        if state_path is not None and state_path.exists():
            self.step, self.loss_sum, self.spent, self.history.rows = load_training_state(
                state_path, model, optimiser, self.per_epoch, self.steps, self.about
            )
        # Accelerate moves no model that it has prepared before, and that one is on the CPU again.
        self.model, self.optimiser = self.accelerator.prepare(model.to(self.accelerator.device), optimiser)
        self.model.train()
        self.norms = [module for module in self.model.modules() if isinstance(module, PositiveBatchNorm)]
        self.began = self.saved = time.monotonic()

    @property
    def inner(self) -> Model:
        return self.accelerator.unwrap_model(self.model)

    @property
    def seconds(self) -> float:
        """Spent on this training, earlier calls included."""
        return self.spent + time.monotonic() - self.began

    def save(self) -> None:
        if self.state_path is not None:
            refuse_unsound(self.inner.network, self.inner.shape.length, "when its state was to be saved")
            position = (self.step, self.loss_sum, self.seconds, self.history.rows, self.steps)
            save_training_state(self.state_path, self.inner, self.optimiser, *position, self.about)
        self.saved = time.monotonic()

    def left_of(self, epoch: int) -> list[torch.Tensor]:
        """The batches of ``epoch`` that are still to come, as numbers of training sequences."""
        batches = shuffled(len(self.data.y_train), self.seed, epoch).split(self.training.batch)
        return list(batches[self.step - epoch * self.per_epoch :])

    def take_step(self, chosen: torch.Tensor) -> float:
        """One step on these training sequences; its loss. Raises SsmqError if that or its gradient is not finite."""
        training, data, device = self.training, self.data, self.accelerator.device
        x = shifted(data.x_train[chosen], training.shift, data.row, self.seed, self.step).to(device)
        y = data.y_train[chosen].to(device)
        for norm in self.norms:
            norm.frozen = self.step >= self.steps * (1 - training.freeze_norm)
        loss = loss_of(self.inner.task, self.model(x), y)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * schedule(self.step, self.steps)
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        size = self.accelerator.clip_grad_norm_(self.model.parameters(), training.clip)
        told, size = torch.stack([loss.detach(), torch.as_tensor(size).to(loss)]).tolist()
        if not math.isfinite(told + size):
            raise SsmqError(f"the loss is {told:g}, its gradient's norm {size:g}")
        self.optimiser.step()
        self.step += 1
        self.loss_sum += told
        return told

    def diverged(self, error: SsmqError) -> SsmqError:
        """What to tell of ``error``; the state, which leads to the same step, is removed."""
        if self.state_path is not None:
            self.state_path.unlink(missing_ok=True)
        training = self.training
        return SsmqError(
            f"training diverged at step {self.step + 1} of {self.steps} ({error}): lower learning_rate "
            f"({training.learning_rate:g}), learning_rate_a ({training.learning_rate_a:g}) or clip ({training.clip:g})"
        )

    def end_epoch(self) -> dict:
        """Validate, and give the epoch's row of the history."""
        refuse_unsound(self.inner.network, self.inner.shape.length, "after an epoch")
        row = {
            "epoch": len(self.history.rows) + 1,
            "loss": round(self.loss_sum / self.per_epoch, 6),
            "validation": score(self.inner, self.data.x_validation, self.data.y_validation).value,
            "seconds": round(self.seconds, 1),
        }
        self.history.rows.append(row)
        self.loss_sum = 0.0
        return row


def train(
    model: Model,
    data: SequenceData,
    training: Training,
    *,
    seed: int = 0,
    state_path: Path | None = None,
    log_path: Path | None = None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    save_every: float = 60.0,
) -> History:
    """Train ``model`` in place and return its history.

    With ``state_path`` the run continues from that file if it exists, writes it every ``save_every`` seconds, at the
    end of each epoch and when interrupted (KeyboardInterrupt is raised again). The final model is the last epoch's; it
    is on the CPU, wherever it was trained.

    Raises SsmqError if the file is the state of another training (nothing is changed then), if a batch cannot fit into
    the memory, and at the first step that is not finite: then nothing can be gone on from, and the file is removed.
    """
    run = _Run(model, data, training, seed, state_path)
    with deferred_interrupt() as raise_if_interrupted:
        try:
            # An epoch is over when its row is written: a run interrupted between its last step and its validation does
            # the validation when it goes on.
            for epoch in range(len(run.history.rows), training.epochs):
                for chosen in run.left_of(epoch):
                    loss = run.take_step(chosen)
                    on_step(Progress(epoch, training.epochs, run.step, run.steps, loss))
                    raise_if_interrupted()
                    if time.monotonic() - run.saved > save_every:
                        run.save()
                row = run.end_epoch()
                if log_path is not None:
                    run.history.write(log_path)
                run.save()
                on_step(Progress(epoch, training.epochs, run.step, run.steps, row["loss"], row["validation"]))
        except KeyboardInterrupt:
            run.save()
            raise
        except SsmqError as error:
            raise run.diverged(error) from error
    run.inner.cpu()
    return run.history
