"""The one place that knows ssmq_brevitas: a trained model becomes a spec, and runs as an engine of verification."""

from __future__ import annotations

import numpy as np
import torch
from ssmq_brevitas.model import Classifier

from .errors import ExportError
from .spec import Constant, Format, Layer, Linear, ModelSpec


def describe(model: Classifier, metadata: dict[str, str] | None = None) -> ModelSpec:
    """Read a quantised model. Raises ExportError for a float one."""
    if not model.quantised:
        raise ExportError("a float model has no codes to export: quantise it first (ssmq ptq, or ssmq train --qat)")
    with torch.no_grad():
        return ModelSpec(
            heads=model.model.heads,
            modes=model.model.modes,
            classes=model.model.classes,
            length=model.model.length,
            double=model.decoder.weight.dtype == torch.float64,
            pool_exponent=model.pool_exponent,
            encoder=_linear(model.encoder),
            decoder=_linear(model.decoder),
            sites={name: _format(site.format) for name, site in model.sites.items()},
            layers=[_layer(block, model) for block in model.blocks],
            metadata=metadata or {},
        )


def _format(fmt) -> Format:
    return Format(fmt.bits, fmt.signed, fmt.exponent)


def _linear(layer) -> Linear:
    weight = layer.quant_weight().value.numpy().T.copy()
    bias = layer.quant_bias().value.numpy()
    return Linear(Constant(weight, _format(layer.weight_format)), Constant(bias, _format(layer.bias_format)))


def _layer(block, model) -> Layer:
    ssm = block.ssm
    values = {name: value.numpy() for name, value in ssm.parameters_on_grid().items()}

    def pair(name: str, fmt) -> tuple[Constant, Constant]:
        exponent = fmt.exponent[..., 0] if fmt.exponent.ndim == 3 else fmt.exponent
        flat = Format(fmt.bits, fmt.signed, exponent)
        return Constant(values[f"{name}_re"], flat), Constant(values[f"{name}_im"], flat)

    norm = None
    if model.model.norm == "batch":
        norm = tuple(value.numpy() for value in block.norm.affine())
    return Layer(
        a=pair("a", ssm.a.format),
        b=pair("b", ssm.b_quant.format),
        c=pair("c", ssm.c_quant.format),
        d=Constant(values["d"], _format(ssm.d_quant.format)),
        state=_format(ssm.state.format),
        norm=norm,
        activation=model.model.activation,
        gate=model.model.gate,
        linear=_linear(block.linear),
        sites={name: _format(site.format) for name, site in block.sites.items()},
    )


def trace(model: Classifier, codes: np.ndarray, engine: str) -> dict[str, np.ndarray]:
    """Run ``codes`` uint8 ``(B, T)`` and return the values of every quantised tensor by its name in the step graph.

    Tensors of each step are ``(B, T, channels)``, ``logits`` is ``(B, classes)``. ``engine``: ``"reference"`` or
    ``"fused"``.
    """
    captured: dict[str, torch.Tensor] = {}
    hooks = []

    def keep(name: str, module: torch.nn.Module) -> None:
        hooks.append(module.register_forward_hook(lambda m, args, out: captured.__setitem__(name, out)))

    class Traced(torch.nn.Module):
        def __init__(self, ssm, k):
            super().__init__()
            self.ssm, self.k = ssm, k

        def forward(self, u):
            y, re, im = self.ssm.trace(u)
            scale = self.ssm.state.power.scale
            captured[f"x_re_next_{self.k}"] = (re * scale).flatten(2)
            captured[f"x_im_next_{self.k}"] = (im * scale).flatten(2)
            return y

    keep("u_0", model.sites["u"])
    keep("pooled", model.sites["pool"])
    originals = [block.ssm for block in model.blocks]
    try:
        for k, block in enumerate(model.blocks):
            block.ssm.engine = engine
            block.ssm = Traced(block.ssm, k)
            for name, site in block.sites.items():
                keep(f"u_{k + 1}" if name == "u" else f"{name}_{k}", site)
        with torch.no_grad():
            captured["logits"] = model(torch.from_numpy(codes))
    finally:
        for hook in hooks:
            hook.remove()
        for block, ssm in zip(model.blocks, originals, strict=True):
            block.ssm = ssm
            ssm.engine = "fused"
    return {name: value.numpy() for name, value in captured.items()}
