"""``ssmq run``: the whole way once, from a float model to a judged integer graph."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .options import console
from .progress import training_bar

NAME = "run"
ENGINE_IMAGES = 100


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the run leaves.")] = Path("runs/run"),
    preset: options.Preset = "paper-h16",
    epochs: Annotated[int | None, typer.Option(help="Epochs of quantisation-aware training.", min=0)] = None,
    seed: options.Seed = 0,
    data_root: options.DataRoot = None,
    dataset: options.Dataset = "mnist",
    download: options.Download = False,
) -> None:
    """Float, post-training quantisation, quantisation-aware training, export, verification, verdict.

    Starts from the float checkpoint shipped with the preset, or trains one. Leaves summary.json, the graphs, the
    checkpoints and two plots in OUT. Interrupted, it goes on where it stopped when given again.
    """
    began = time.monotonic()
    import torch
    from ssmq_brevitas import plots
    from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint, write_whole
    from ssmq_brevitas.config import load_config
    from ssmq_brevitas.data import load_data
    from ssmq_brevitas.footprint import footprint
    from ssmq_brevitas.model import Classifier
    from ssmq_brevitas.quantize import post_training
    from ssmq_brevitas.train import accuracy, train
    from ssmq_export.agreement import compare, graph_engines
    from ssmq_export.check import check_file
    from ssmq_export.export import export_graphs
    from ssmq_export.from_model import describe, trace

    import onnx

    config = load_config(preset)
    data = load_data(data_root, dataset, download=download)
    options.check_fits(config, data)
    out.mkdir(parents=True, exist_ok=True)
    console.print(
        f"[bold]{config.name}[/] on {data.name} ({data.source}): {len(data.y_train)} training, "
        f"{len(data.y_validation)} validation, {len(data.y_test)} test images"
    )

    torch.manual_seed(seed)
    shipped = options.pretrained(config.name)
    if shipped is not None and load_checkpoint(shipped)[1].model == config.model:
        floating, _, note = load_checkpoint(shipped)
        console.print(f"float model: shipped checkpoint, trained on {note['data']['name']}")
    else:
        floating = Classifier(config.model)
        with training_bar("float") as on_step:
            train(floating, data, config.train.float, seed=seed, state_path=out / "float-state.safetensors",
                  log_path=out / "float-log.csv", on_step=on_step)  # fmt: skip
        save_checkpoint(out / "float.safetensors", floating.eval(), config, {"data": data.describe(), "seed": seed})
        (out / "float-state.safetensors").unlink(missing_ok=True)

    naive_scheme = config.scheme.model_copy(
        update={"equalise": False, "granularity": "tensor", "parameterisation": "discrete", "range": "percentile"}
    )
    naive = post_training(floating, config.model_copy(update={"scheme": naive_scheme}), data.x_train)
    equalised = post_training(floating, config, data.x_train)
    models = {"float": floating, "naive PTQ": naive, "equalised PTQ": equalised}
    rows = []

    def measure(stage: str, model) -> None:
        rows.append({
            "stage": stage,
            "accuracy": accuracy(model, data.x_test, data.y_test),
            "bytes": footprint(model).as_dict(),
        })  # fmt: skip

    for stage, model in models.items():
        measure(stage, model)
    trained = post_training(floating, config, data.x_train)
    training = config.train.qat if epochs is None else config.train.qat.model_copy(update={"epochs": epochs})
    torch.manual_seed(seed)
    with training_bar("QAT") as on_step:
        train(trained, data, training, seed=seed, state_path=out / "qat-state.safetensors",
              log_path=out / "qat-log.csv", on_step=on_step)  # fmt: skip
    trained.eval()
    measure("QAT", trained)
    save_checkpoint(out / "qat.safetensors", trained, config, {"data": data.describe(), "seed": seed, "epochs": training.epochs})

    with console.status("export"):
        codes = data.x_test[:ENGINE_IMAGES].numpy()
        reference = trace(trained, codes, "reference")
        spec = describe(trained, {"ssmq.config": config.model_dump_json()})
        exported = export_graphs(spec, {k: v[:4] for k, v in reference.items()}, codes[:4], out)
    graphs = {form: onnx.load(path) for form, path in exported.paths.items()}
    tensors = [name for name in reference if name not in ("logits", "pooled")]
    eager = compare("eager Brevitas", reference, reference)
    verify = [eager]
    engines = {"fused recurrence": lambda values, names: trace(trained, codes, "fused")}
    engines |= graph_engines(graphs["step"], graphs["dataflow"])
    for engine, run_engine in engines.items():
        with console.status(f"verify: {engine}"):
            verify.append(compare(engine, reference, run_engine(codes * 2.0**-8, tensors)))
    findings = check_file(exported.paths["dataflow"])
    verdict = {f"{s}s": sum(f.severity == s for f in findings) for s in ("error", "warning")}

    def eigenvalues(model):
        a_re, a_im = model.blocks[0].ssm.a()
        return torch.complex(a_re, a_im).detach().numpy().ravel()

    plots.eigenvalues(
        {
            "float": floating.blocks[0].ssm.discrete()[0].detach().numpy().ravel(),
            "naive PTQ": eigenvalues(naive),
            "after QAT": eigenvalues(trained),
        },
        out / "eigenvalues.png",
    )
    title = f"{config.name}, {data.name}, {len(data.y_test)} test images"
    plots.accuracy_against_bytes(rows, title, out / "accuracy-bytes.png")
    summary = {
        "data": data.describe(),
        "rows": rows,
        "verify": [found.as_dict() for found in verify],
        "check": verdict,
        "graphs": exported.nodes,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_whole(out / "summary.json", json.dumps(summary, indent=2).encode())
    (out / "qat-state.safetensors").unlink(missing_ok=True)
    _print(summary, title)
    console.print(f"everything is in {out}  ({summary['seconds']:.0f} s)")
    if any(found.differing for found in verify) or verdict["errors"]:
        raise typer.Exit(1)


def _print(summary: dict, title: str) -> None:
    table = Table(title=title)
    for heading in ("stage", "accuracy", "parameters", "state", "total", "saved"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in summary["rows"]:
        sizes = row["bytes"]
        saved = 1 - sizes["total"] / sizes["fp32_total"]
        table.add_row(
            row["stage"],
            f"{100 * row['accuracy']:.2f} %",
            *(f"{sizes[key]:,.0f} B" for key in ("parameters", "state", "total")),
            f"{100 * saved:.1f} %",
        )
    table.add_section()
    for found in summary["verify"]:
        label = "reference" if found["engine"] == "eager Brevitas" else f"{found['differing']} differing"
        table.add_row(found["engine"], label, f"{found['codes']:,}", "codes", f"{found['sequences']}", "sequences")
    table.add_section()
    for form, nodes in summary["graphs"].items():
        table.add_row(f"{form}.onnx", f"{nodes} nodes")
    verdict = summary["check"]
    table.add_row("check dataflow.onnx", f"{verdict['errors']} errors", f"{verdict['warnings']} warnings")
    console.print(table)
