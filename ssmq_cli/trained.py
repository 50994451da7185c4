"""Training once: what a folder holds of the same training is taken or gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .progress import training_bar

if TYPE_CHECKING:
    from ssmq_brevitas.data import SequenceData
    from ssmq_brevitas.model import Model


def trained(model: Model, name: str, data: SequenceData, out: Path, seed: int, log: str) -> Model:
    """``model`` trained by its configuration, as an earlier call left it or now: OUT/NAME.safetensors.

    Raises SsmqError if OUT has the result or the state of another training.
    """
    from ssmq_brevitas.checkpoint import save_checkpoint
    from ssmq_brevitas.train import train
    from ssmq_brevitas.training_state import finished, identity

    config = model.config
    training = config.train.qat if model.quantized else config.train.floating
    about = identity(model, data, training, seed)
    state, checkpoint = out / f"{name}-state.safetensors", out / f"{name}.safetensors"
    done = finished(checkpoint, about)
    if done is None:
        with training_bar(f"{config.name} {name}", config.task.shown) as on_step:
            train(model, data, training, seed=seed, state_path=state, log_path=out / log, on_step=on_step)
        done = model.eval()
        note = {"data": data.describe(), "seed": seed, "epochs": training.epochs, "identity": about}
        save_checkpoint(checkpoint, done, note)
    state.unlink(missing_ok=True)
    return done
