"""``ssmq run``: the whole way once, from a float model to a judged integer graph."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .output import console, json_text, say
from .run_hardware import hardware, hardware_lines, require_hardware
from .trained import trained
from .verify import FORMS, agree, agreement_table, agreements

if TYPE_CHECKING:
    import numpy as np
    from ssmq_brevitas.config import Config
    from ssmq_brevitas.data import SequenceData
    from ssmq_brevitas.model import Model
    from ssmq_brevitas.task import Task

NAME = "run"
EXAMPLE = "ssmq run --out runs/first"
# Sequences for the engines that go node by node; the table says how many each had.
SLOW_IMAGES = 4
NAIVE = {"equalise": False, "granularity": "tensor", "parameterisation": "discrete", "activation_range": "percentile"}


@options.takes_data
def command(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for everything the run leaves; runs/PRESET-DATA by default.")
    ] = None,
    preset: options.Preset = options.DEFAULT_PRESET,
    epochs: Annotated[int | None, typer.Option(help="Epochs of quantisation-aware training.", min=0, max=1_000_000)] = None,
    images: Annotated[int, typer.Option(help="Test images on which the engines are compared.", **options.COUNT)] = 100,
    seed: options.Seed = 0,
    on_fpga: Annotated[
        bool, typer.Option("--hardware", help="Its RTL and a bitstream for an ECP5 as well, simulated (extra hw, in minutes).")
    ] = False,
    *,
    load: Callable,
) -> None:
    """Float, post-training quantisation, quantisation-aware training, export, verification, verdict.

    Starts from the float checkpoint shipped with the preset, if that was trained on these data, or trains one. Leaves
    summary.json, the graphs, the checkpoints and two plots in OUT. Interrupted, it goes on where it stopped when given
    again. Exit code 1 if an engine disagrees or the dataflow graph is illegal.

    The whole way to a bitstream: ssmq run --out runs/first --hardware
    """
    from ssmq_brevitas.config import load_config, with_epochs, with_input
    from ssmq_brevitas.files import sole_use

    if on_fpga:
        require_hardware()
    config = with_epochs(load_config(preset), "qat", epochs)
    data = load(config, fresh=True)
    config = with_input(config, data.input_format)
    if out is None:
        out = Path("runs") / re.sub(r"[^\w.]+", "-", f"{Path(preset).stem}-{data.name}".lower())
    with sole_use(out):
        summary = _whole_way(config, data, out, images, seed)
        if on_fpga:
            summary = _with_hardware(summary, data, out, images)
    _print(summary, config.task)
    say(f"everything is in {out}  ({summary['seconds']:.0f} s)")
    if summary["check"]["errors"] or not agree(summary["verify"]):
        raise typer.Exit(1)


def _whole_way(config: Config, data: SequenceData, out: Path, images: int, seed: int) -> dict:
    """Everything in ``out``, and its summary. Nothing is written beside what another run left."""
    began = time.monotonic()
    from ssmq_brevitas.files import write_whole
    from ssmq_brevitas.post_training import CALIBRATED, calibrated, fitted, quantized_by
    from ssmq_brevitas.training_state import refuse_mixture, settings
    from ssmq_export.checks import check_file

    for name, scheme, training in (("float", None, config.train.floating), ("qat", config.scheme, config.train.qat)):
        files = (out / f"{name}.safetensors", out / f"{name}-state.safetensors")
        refuse_mixture(*files, settings(config.model, config.task, scheme, data, training, seed))
    title = (
        f"{config.name} on {data.name} ({data.source}): {len(data.y_train)} training, "
        f"{len(data.y_validation)} validation, {len(data.y_test)} test images"
    )
    say(title)

    floating = _float_model(config, data, out, seed)
    naive_scheme = config.scheme.model_copy(update=NAIVE)
    calibration = calibrated(floating, data.x_train[:CALIBRATED])
    models = {
        "float": floating,
        "naive PTQ": quantized_by(floating, config.model_copy(update={"scheme": naive_scheme}), calibration),
        "equalised PTQ": quantized_by(floating, config, calibration),
        "reconstructed PTQ": fitted(quantized_by(floating, config, calibration), floating, data.x_train),
    }
    quantized = trained(quantized_by(floating, config, calibration), "qat", data, out, seed, "qat-log.csv")
    models["QAT"] = quantized

    rows = [_row(stage, model, data) for stage, model in models.items()]
    paths, nodes, verify = _export_and_verify(quantized, data.x_test[:images].numpy(), out)
    findings = check_file(paths["dataflow"])
    _plot(models, rows, config.task, f"{config.name}, {data.name}, {len(data.y_test)} test images", out)
    summary = {
        "data": data.describe(),
        "rows": rows,
        "verify": verify,
        "check": {f"{kind}s": sum(f.severity == kind for f in findings) for kind in ("error", "warning")},
        "graphs": nodes,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_whole(out / "summary.json", json_text(summary).encode())
    return summary


def _with_hardware(summary: dict, data: SequenceData, out: Path, images: int) -> dict:
    """The summary with what becomes of the model on a part."""
    from ssmq_brevitas.files import write_whole

    began = time.monotonic()
    rows, told = hardware(out / "sequence-dataflow.onnx", data.x_test[:images].numpy(), out)
    seconds = round(summary["seconds"] + time.monotonic() - began, 1)
    summary = {**summary, "verify": [*summary["verify"], *rows], "hardware": told, "seconds": seconds}
    write_whole(out / "summary.json", json_text(summary).encode())
    return summary


def _float_model(config: Config, data: SequenceData, out: Path, seed: int) -> Model:
    """The shipped checkpoint of this architecture and data, or a model trained here."""
    import torch
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.model import Model
    from ssmq_brevitas.zoo import float_models

    shipped = float_models().get(config.name)
    if shipped is not None:
        model, note = load_checkpoint(shipped)
        if (model.shape, model.task) == (config.model, config.task) and data.was_learnt(note["data"]):
            say(f"float model: {shipped.name}, trained on {note['data']['name']}")
            return model
    torch.manual_seed(seed)
    return trained(Model.floating(config), "float", data, out, seed, "float-log.csv")


def _row(stage: str, model: Model, data: SequenceData) -> dict:
    from ssmq_study.quoted import quoted_score

    return {"stage": stage, **quoted_score(model, data).as_dict(), "bytes": model.footprint().as_dict()}


def _export_and_verify(model: Model, codes: np.ndarray, out: Path) -> tuple[dict[str, Path], dict[str, int], list[dict]]:
    """Write the graphs, then compare every engine with eager Brevitas on whole sequences."""
    import onnx
    from ssmq_export.dataflow.keys import CONFIG_KEY
    from ssmq_export.exporting import export_graphs
    from ssmq_export.from_network import step_graph, trace

    with console.status("export"):
        step = step_graph(model.graph, {CONFIG_KEY: model.config.model_dump_json()})
        exported = export_graphs(step, trace(model.graph, codes[:4], "reference"), codes[:4], out)
    graphs = [onnx.load(exported.paths[form]) for form in FORMS]
    return exported.paths, exported.nodes, agreements(model.graph, graphs, codes, SLOW_IMAGES)


def _plot(models: dict[str, Model], rows: list[dict], task: Task, title: str, out: Path) -> None:
    import torch
    from ssmq_brevitas import plots
    from ssmq_brevitas.model import recurrences
    from ssmq_brevitas.quant_s4d import QuantS4D
    from ssmq_brevitas.s4d import S4D

    panels = {}
    for stage in ("float", "naive PTQ", "QAT"):
        network = models[stage].network
        if stage == "float":
            layers = [layer.discrete()[0] for layer in recurrences(network, S4D).values()]
        else:
            layers = [torch.complex(*layer.a()) for layer in recurrences(network, QuantS4D).values()]
        panels[stage] = torch.cat([values.detach().flatten() for values in layers]).numpy()
    plots.eigenvalues(panels, out / "eigenvalues.png")
    plots.accuracy_against_bytes(rows, title, out / "accuracy-bytes.png", task)


def _print(summary: dict, task: Task) -> None:
    stages = Table(title=f"{task.metric} on {summary['data']['test']} test images, bytes")
    for heading in ("stage", task.metric, "parameters", "state", "total", "saved"):
        stages.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in summary["rows"]:
        sizes = row["bytes"]
        stages.add_row(
            row["stage"],
            task.shown(row[task.key]),
            *(f"{sizes[key]:,.0f}" for key in ("parameters", "state", "total")),
            f"{100 * (1 - sizes['total'] / sizes['fp32_total']):.1f} %",
        )
    engines = agreement_table(summary["verify"])
    verdict = summary["check"]
    for table in (stages, engines):
        console.print(table)
    say(", ".join(f"{form}.onnx: {count} nodes" for form, count in summary["graphs"].items()))
    say(f"ssmq check dataflow.onnx: {verdict['errors']} errors, {verdict['warnings']} warnings")
    for line in hardware_lines(summary["hardware"]) if "hardware" in summary else ():
        say(line)
