"""``ssmq bench infer``: whole sequences through the integer model and through ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .. import options
from ..output import console, print_json, say
from .timing import described, machine

if TYPE_CHECKING:
    from ssmq_brevitas.model import Model

if TYPE_CHECKING:
    import numpy as np

NAME = "infer"
EXAMPLE = "ssmq bench infer zoo:edge-4x16-w6a8 --images 1000"
# ONNX Runtime is timed on all images at the best of these batch sizes.
BATCHES = (128, 512, 1000, 2000)


@options.takes_data
def command(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            parser=options.located,
            metavar="CHECKPOINT",
            help="Quantised checkpoint, or zoo:NAME; the preset's, quantised without training, if none.",
        ),
    ] = None,
    preset: options.Preset = "edge-4x16",
    images: Annotated[
        int, typer.Option(help="Sequences to classify, the test set over and over.", min=1, max=200_000)
    ] = 10_000,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Seconds for all sequences: integers only, and the sequence graph in ONNX Runtime at its best batch size.

    Both give the logits of every sequence; one that differs ends the benchmark.
    """
    import numpy as np
    from ssmq_brevitas.errors import SsmqError
    from ssmq_export.from_network import step_graph
    from ssmq_export.integer import IntegerModel
    from ssmq_export.lowering import lower

    model = _model(checkpoint, preset, load)
    test = load(model.config).x_test.numpy()
    codes = np.resize(test, (images, *test.shape[1:]))
    step = step_graph(model.graph)
    integer = IntegerModel(lower(step))
    with console.status("integer model"):
        integer.forward(codes[:64])
        integer_s, logits = _timed(lambda: integer.forward(codes))
    with console.status("ONNX Runtime"):
        onnxruntime_s, batch, floats = _onnx_runtime(step, codes)
    if not np.array_equal(integer.values(logits), floats):
        raise SsmqError("the integer model and ONNX Runtime differ in their logits: please report the scheme")
    result = {
        "machine": machine(),
        "model": model.config.name,
        "images": images,
        "steps": test.shape[1],
        "integer_s": integer_s,
        "onnxruntime_s": onnxruntime_s,
        "onnxruntime_batch": batch,
    }
    if as_json:
        print_json(result)
    else:
        _print(result)


def _onnx_runtime(step, codes: np.ndarray) -> tuple[float, int, np.ndarray]:
    """Seconds for all sequences at the best batch size, that size, and the logits."""
    import numpy as np
    from ssmq_export.dataflow.ports import ports_of, values_of
    from ssmq_export.dataflow.sequences import input_codes
    from ssmq_export.functions.runtime import session
    from ssmq_export.graphs.sequence_graph import sequence_graph

    running = session(sequence_graph(step).SerializeToString())
    dtype = np.float64 if running.get_inputs()[0].type == "tensor(double)" else np.float32
    given = ports_of(step).input
    values = values_of(input_codes(codes, given), given.format.exponent).astype(dtype)

    def run(values: np.ndarray, batch: int) -> np.ndarray:
        parts = [values[start : start + batch] for start in range(0, len(values), batch)]
        return np.concatenate([running.run(None, {running.get_inputs()[0].name: part})[0] for part in parts])

    tried = {}
    for batch in sorted({min(batch, len(codes)) for batch in BATCHES}):
        sample = values[: max(BATCHES)]
        run(sample[:batch], batch)
        tried[batch] = _timed(lambda sample=sample, batch=batch: run(sample, batch))[0]
    best = min(tried, key=tried.__getitem__)
    seconds, logits = _timed(lambda: run(values, best))
    return seconds, best, logits


def _print(result: dict) -> None:
    images, integer_s, onnxruntime_s = result["images"], result["integer_s"], result["onnxruntime_s"]
    title = f"{result['model']}: {images:,} sequences of {result['steps']} steps"
    table = Table(title=title, caption=described(result["machine"]))
    for heading in ("engine", "seconds", "sequences / s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for engine, seconds in (
        ("integer model", integer_s),
        (f"ONNX Runtime, batch {result['onnxruntime_batch']}", onnxruntime_s),
    ):
        table.add_row(engine, f"{seconds:.2f}", f"{images / seconds:,.0f}")
    console.print(table)
    say(f"ratio {onnxruntime_s / integer_s:.1f}; every logit equal")


def _timed(run: Callable) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def _model(checkpoint: Path | None, preset: str, load: Callable) -> Model:
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.config import load_config
    from ssmq_brevitas.errors import SsmqError
    from ssmq_brevitas.post_training import post_training
    from ssmq_brevitas.zoo import float_models

    if checkpoint is not None:
        return load_checkpoint(checkpoint)[0]
    config = load_config(preset)
    path = float_models().get(config.name)
    if path is None:
        raise SsmqError(f"{config.name}: no float checkpoint is shipped for it; name a quantised CHECKPOINT")
    floating, _ = load_checkpoint(path)
    if floating.shape != config.model:
        raise SsmqError(
            f"{config.name}: the float checkpoint shipped under that name has another architecture: name a quantised CHECKPOINT"
        )
    return post_training(floating, config, load(config).x_train)
