"""Sensitivity: what a width of one tensor costs while all others are wide, and why Ā and x cost most.

Measured on validation images, for all tensors of a role (C of every layer), which share a width, and for every single
tensor. The output error is the root mean square of the change of the logits, relative to the float model's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from ssmq_brevitas.config import Bits, Config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model, recurrences
from ssmq_brevitas.network.calibrate import Calibration
from ssmq_brevitas.post_training import CALIBRATED, calibrated, fitted, quantized_by
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.s4d import S4D
from ssmq_brevitas.score import Tally

from .knobs import roles, single_tensors, with_bits
from .table import Table, percent

WIDE = Bits(
    a=16, a_magnitude=16, a_phase=16, b=16, c=16, d=16, x=16, u=16, y=16, activation=16, linear=16, encoder=16,
    decoder=16, input=16, pool=16, bias=24, norm=24,
)  # fmt: skip
TITLES = {
    "a": "Ā", "a_magnitude": "|Ā|", "a_phase": "arg Ā", "b": "B̄", "c": "C", "d": "D", "x": "state x", "u": "u",
    "y": "y", "activation": "activations", "linear": "mixing", "encoder": "encoder", "decoder": "decoder",
    "input": "pixels", "pool": "pooled", "bias": "biases",
    "norm": "norm",
}  # fmt: skip


class Bench:
    """A float model on validation images, quantised by one scheme after another."""

    def __init__(self, floating: Model, data: SequenceData, images: int):
        if not floating.task.classifies:
            raise SsmqError("widths are ranked by the accuracy that they cost, and a regression has none: try them by ssmq ptq")
        self.floating, self.data = floating.eval(), data
        self.x, self.y = data.x_validation[:images], data.y_validation[:images]
        self.calibration: Calibration = calibrated(floating, data.x_train[:CALIBRATED])
        self.logits = self._logits(floating)
        if not self.logits.isfinite().all() or not self.logits.any():
            raise SsmqError("the float model's logits are all 0 or not finite: train it before its widths are chosen")

    def _logits(self, model: Model) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(batch).double() for batch in self.x.split(250)])

    def _accuracy(self, logits: torch.Tensor) -> float:
        tally = Tally(self.floating.task)
        tally.add(logits.numpy(), self.y.numpy())
        return tally.score().value

    @property
    def float_accuracy(self) -> float:
        return self._accuracy(self.logits)

    def quantized(self, config: Config) -> Model:
        """Calibrated by ``config``: what each tensor's rounding costs, nothing made up for."""
        return quantized_by(self.floating, config, self.calibration)

    def fitted(self, config: Config) -> Model:
        """The same with its read-outs fitted anew, as `ssmq ptq` does."""
        return fitted(self.quantized(config), self.floating, self.data.x_train)

    def judge(self, model: Model) -> tuple[float, float]:
        """Accuracy and output error of a quantised model."""
        logits = self._logits(model)
        error = (logits - self.logits).square().mean().sqrt() / self.logits.square().mean().sqrt()
        return self._accuracy(logits), float(error)


def sensitivity(
    bench: Bench,
    config: Config,
    widths: Sequence[int],
    on_step: Callable[[str, int], None] = lambda tensor, width: None,
    by_role: bool = True,
    by_tensor: bool = True,
) -> dict:
    """Accuracy and output error by role, by single tensor and width, most sensitive first, and the eigenvalues on each grid
    of Ā."""
    wide = with_bits(config, WIDE)
    reference, reference_error = bench.judge(bench.quantized(wide))
    grids: dict[int, dict[str, np.ndarray]] = {}

    def measured(knob: str, role: str) -> dict:
        row: dict = {"tensor": knob, "title": TITLES[role], "accuracy": {}, "error": {}}
        for width in widths:
            if role == "input" and width > config.model.input_format.bits:
                continue  # it has no more
            try:
                Bits(**{role: width})
            except SsmqError:
                continue
            on_step(knob, width)
            narrow = bench.quantized(with_bits(wide, {knob: width}))
            if knob == "a":
                layers = recurrences(narrow.network, QuantS4D)
                grids[width] = {path: torch.complex(*layer.a()).detach().numpy() for path, layer in layers.items()}
            row["accuracy"][str(width)], row["error"][str(width)] = bench.judge(narrow)
        return row

    rows = [measured(*knob) for knob in roles(config).items()] if by_role else []
    single = [measured(*knob) for knob in single_tensors(wide).items()] if by_tensor else []
    return {
        "kind": "sensitivity",
        "model": config.name,
        "scheme": config.scheme.model_dump(mode="json", exclude={"bits"}),
        "data": bench.data.describe(),
        "images": len(bench.y),
        "float_accuracy": bench.float_accuracy,
        "reference_accuracy": reference,
        "reference_error": reference_error,
        "widths": list(widths),
        "tensors": _ranked(rows, reference),
        "by_tensor": _ranked(single, reference),
        "layers": [_layer(path, layer, grids) for path, layer in recurrences(bench.floating.network, S4D).items()],
    }


def _ranked(rows: Iterable[dict], reference: float) -> list[dict]:
    """``rows`` by what they lose on average over their widths, those that lose the same by their error."""
    rows = [row for row in rows if row["accuracy"]]
    rows = [{**row, "loss": float(np.mean([reference - value for value in row["accuracy"].values()]))} for row in rows]
    return sorted(rows, key=lambda row: (-row["loss"], -float(np.mean(list(row["error"].values())))))


def _layer(path: str, s4d: S4D, grids: dict[int, dict[str, np.ndarray]]) -> dict:
    """Spectral radius, memory 1 / (1 - |Ā|) in steps, and what the grids do to the eigenvalues.

    Errors of a rounded state return at every step: their variance grows by 1 / (1 - |Ā|²).
    """
    with torch.no_grad():
        a = s4d.discrete()[0].to(torch.complex128).numpy()
        decay = -torch.expm1(s4d.continuous()[1].real.double()).numpy()  # 1 - |Ā|, with all its digits
        decay = decay.clip(min=2.0**-52)  # on the circle: what the digits cannot tell from it
    moved = {}
    for width, layers in grids.items():
        shift = np.abs(layers[path] - a)
        moved[str(width)] = {
            "radius": float(np.abs(layers[path]).max()),
            "shift": float(shift.max()),
            "times_distance": float((shift / decay).max()),
            "outside": int((np.abs(layers[path]) >= 1).sum()),
        }
    return {
        "layer": path,
        "modes": int(a.size),
        "radius": float(np.abs(a).max()),
        "memory": float((1 / decay).max()),
        "noise_gain": float(np.sqrt(1 / (decay * (2 - decay))).max()),
        "grid": moved,
    }


def sensitivity_tables(found: dict) -> list[Table]:
    """The rankings with accuracy (and output error), by role and by single tensor, and the eigenvalues of every layer."""
    headings = [f"{w} b" for w in found["widths"]]
    about = (
        f"{found['images']} validation images; float {percent(found['float_accuracy'], 1)}, "
        f"all wide {percent(found['reference_accuracy'], 1)}"
    )
    title = f"{found['model']}: accuracy % (output error) with one {{}} narrow"
    tables = []
    if found["tensors"]:
        ranking = [[str(rank), row["title"], *_cells(row, found)] for rank, row in enumerate(found["tensors"], start=1)]
        tables.append(Table(f"{title.format('kind of tensor')}, {about}", ["rank", "tensor", *headings], ranking, 2))
    if found["by_tensor"]:
        single = [
            [str(rank), row["tensor"], row["title"], *_cells(row, found)]
            for rank, row in enumerate(found["by_tensor"], start=1)
        ]
        tables.append(Table(title.format("single tensor"), ["rank", "name", "what", *headings], single, 3))
    return [*tables, _eigenvalues(found)]


def _cells(row: dict, found: dict) -> list[str]:
    accuracy, error = row["accuracy"], row["error"]
    widths = map(str, found["widths"])
    return [f"{percent(accuracy[w], 1)} ({error[w]:.2f})" if w in accuracy else "–" for w in widths]


def _eigenvalues(found: dict) -> Table:
    modes = []
    for layer in found["layers"]:
        modes.append([layer["layer"], "float", f"{layer['radius']:.5f}", f"{layer['memory']:,.0f}", "–", "–", "0"])
        for width, grid in layer["grid"].items():
            memory = f"{1 / (1 - grid['radius']):,.0f}" if grid["radius"] < 1 else "∞"
            moved = f"{grid['shift']:.4f}", f"{grid['times_distance']:,.1f}"
            modes.append(["", width, f"{grid['radius']:.5f}", memory, *moved, str(grid["outside"])])
    headings = ["layer", "Ā bits", "max |Ā|", "longest memory, steps", "moved by", "× distance to circle", "not inside"]
    return Table("Eigenvalues of each layer on the grids of Ā", headings, modes, 2)


def explanation(found: dict) -> str:
    """In words, from the numbers of the layer with the longest memory."""
    layer = max(found["layers"], key=lambda entry: entry["memory"])
    told = (
        f"Ā acts {layer['memory']:,.0f} steps long ({layer['layer']}, |Ā| = {layer['radius']:.5f}): an error of "
        f"Ā is raised to that power, and an error of x comes back every step and grows {layer['noise_gain']:.0f}-fold. "
        "Every other tensor acts once."
    )
    if layer["grid"]:
        width, grid = min(layer["grid"].items(), key=lambda item: abs(int(item[0]) - 8))
        told += (
            f" On the {width}-bit grid eigenvalues move by up to {grid['times_distance']:.2g} times their distance to "
            f"the unit circle, and {grid['outside']} of {layer['modes']} no longer lie inside it."
        )
    if found["by_tensor"]:
        first = ", ".join(row["tensor"] for row in found["by_tensor"][:3])
        told += f" One tensor at a time, bits are missed most by {first}."
    return told
