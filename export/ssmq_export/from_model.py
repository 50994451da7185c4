"""The one place that knows ssmq_brevitas: a trained model becomes a spec, and runs as an engine of verification."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Classifier

from .dataflow.keys import CONFIG_KEY, VERSIONS_KEY
from .errors import ExportError
from .from_network import VERSIONED, format_of, linear_of, recurrence_of
from .graphs.spec import Layer, ModelSpec
from .graphs.step_graph import step_graph
from .lowering import lower
from .verification.agreement import Engine


def describe(model: Classifier, metadata: dict[str, str] | None = None) -> ModelSpec:
    """Read a quantised model. Raises ExportError for a float one."""
    if not model.quantized:
        raise ExportError("a float model has no codes to export: quantise it first")
    with torch.no_grad():
        return ModelSpec(
            heads=model.model.heads,
            modes=model.model.modes,
            classes=model.model.classes,
            length=model.model.length,
            double=model.decoder.weight.dtype == torch.float64,
            each_step=model.task.each_step,
            pool_exponent=model.pool_exponent,
            input=format_of(model.model.input_format.format),
            encoder=linear_of(model.encoder),
            decoder=linear_of(model.decoder),
            quantizers={name: format_of(quantizer.format) for name, quantizer in model.quantizers.items()},
            layers=[_layer(block, model) for block in model.blocks],
            metadata={VERSIONS_KEY: json.dumps({name: version(name) for name in VERSIONED}), **(metadata or {})},
        )


def _layer(block, model) -> Layer:
    found = recurrence_of(block.ssm)
    norm = None
    if model.model.norm == "batch":
        norm = tuple(value.numpy() for value in block.norm.gain_and_offset())
    return Layer(
        a=found.a,
        b=found.b,
        c=found.c,
        d=found.d,
        state=found.state,
        norm=norm,
        activation=model.model.activation,
        gate=model.model.gate,
        linear=linear_of(block.linear),
        quantizers={name: format_of(quantizer.format) for name, quantizer in block.quantizers.items()},
        table=_table(block) if model.model.activation == "gelu" else None,
    )


def _table(block) -> np.ndarray:
    """The activation's value at every code of ``y``."""
    fmt = block.quantizers["y"].format
    values = torch.from_numpy(fmt.values(np.arange(fmt.low, fmt.high + 1)))
    return block.activation(values.to(block.linear.weight.dtype)).numpy()


def trace(model: Classifier, codes: np.ndarray, engine: str) -> dict[str, np.ndarray]:
    """Run ``codes`` ``(B, T)`` or ``(B, T, C)`` and return the values of every quantised tensor by its name in the step graph.

    Tensors of each step are ``(B, T, channels)``, ``logits`` is ``(B, classes)`` or of each step too. ``engine``: ``"reference"`` or
    ``"fused"``.
    """
    captured: dict[str, torch.Tensor] = {}
    hooks = []

    def keep(name: str, quantizer: torch.nn.Module) -> None:
        hooks.append(quantizer.register_forward_hook(lambda module, inputs, output: captured.__setitem__(name, output)))

    def keep_states(k: int, ssm) -> None:
        def store(re: torch.Tensor, im: torch.Tensor) -> None:
            for part, codes_of_part in (("re", re), ("im", im)):
                captured[f"x_{part}_next_{k}"] = (codes_of_part * ssm.state.scale).flatten(2)

        ssm.on_states = store

    keep("u_0", model.quantizers["u"])
    if "pool" in model.quantizers:
        keep("pooled", model.quantizers["pool"])
    for k, block in enumerate(model.blocks):
        keep_states(k, block.ssm)
        for name, quantizer in block.quantizers.items():
            keep(f"u_{k + 1}" if name == "u" else f"{name}_{k}", quantizer)
    model.use_engine(engine)
    try:
        with torch.no_grad():
            captured["logits"] = model(torch.from_numpy(codes))
    finally:
        for hook in hooks:
            hook.remove()
        model.use_engine("fused")
        for block in model.blocks:
            block.ssm.on_states = None
    return {name: value.numpy() for name, value in captured.items()}


def model_engines(model: Classifier) -> tuple[Engine, Engine]:
    """The model itself as two engines: Brevitas op by op, the reference of all comparisons, and the fused kernels."""
    eager = Engine("eager Brevitas", lambda codes, names: trace(model, codes, "reference"))
    return eager, Engine("fused recurrence", lambda codes, names: trace(model, codes, "fused"))


def dataflow_of_checkpoint(path: Path) -> onnx.ModelProto:
    """The dataflow graph of a quantised checkpoint, lowered in memory."""
    try:
        model, config, _ = load_checkpoint(path)
    except SsmqError as error:
        raise ExportError(str(error)) from error
    return lower(step_graph(describe(model, {CONFIG_KEY: config.model_dump_json()})))
