"""From a float model to a quantised one: post-training quantisation, the starting point of training too.

Exponents are chosen once, from whole-sequence statistics, and stay: quantisation-aware training moves the parameters
on fixed grids.
"""

from __future__ import annotations

import torch

from .bounds import FLOAT32_BITS, accumulator_widths, refuse_wide
from .calibration import Calibration, StateStatistics, calibrate
from .config import Config, Scheme
from .fitting import fit_layer, fit_linear
from .formats import fit_exponent
from .model import Block, Classifier
from .norm import PositiveBatchNorm
from .quant_linear import QuantLinear
from .quant_s4d import QuantS4D
from .quantizers import Quantizer


def empty_quantized(config: Config) -> Classifier:
    """The quantised architecture with unset exponents and parameters, for a checkpoint to fill."""
    model, scheme, bits = config.model, config.scheme, config.scheme.bits
    quantized = Classifier(model, config.task)
    quantized.encoder = QuantLinear(model.channels, model.heads, bits.encoder, bits.bias)
    quantized.decoder = QuantLinear(model.heads, model.classes, bits.decoder, bits.bias)
    widths = {"mix_in": bits.activation, "value": bits.activation, "gate": bits.activation, "y": bits.y}
    for block in quantized.blocks:
        outputs = block.linear.out_features
        block.linear = QuantLinear(model.heads, outputs, bits.linear, bits.bias)
        block.ssm = QuantS4D.from_scheme(model.heads, model.modes, scheme)
        if isinstance(block.norm, PositiveBatchNorm):
            block.norm.bits = bits.norm
        for name in block.quantizers:
            signed = not (name == "gate" or (name == "mix_in" and model.activation == "relu"))
            block.quantizers[name] = Quantizer(widths.get(name, bits.u), signed)
    kept = model.input_format.kept(bits.input)
    quantized.quantizers["input"] = Quantizer(kept.bits, kept.signed)
    quantized.quantizers["u"] = Quantizer(bits.u)
    if "pool" in quantized.quantizers:
        quantized.quantizers["pool"] = Quantizer(bits.pool)
    quantized.scheme = scheme
    return quantized


def quantize(floating: Classifier, config: Config, calibration: Calibration) -> Classifier:
    """Post-training quantisation of ``floating`` by ``config.scheme``.

    Returns a new model in evaluation mode, in float64 where the scheme's accumulators need it. Raises SsmqError when
    an accumulator cannot be exact.
    """
    model = empty_quantized(config)
    scheme = config.scheme
    fixed = {"input": config.model.input_format.kept(scheme.bits.input).exponent, "gate": -scheme.bits.activation}
    with torch.no_grad():
        for name, owner in model.quantizer_names().items():
            kind = name.rsplit(".", 1)[-1]
            quantizer = owner[kind]
            samples = calibration.samples[name][None]
            fitted = fit_exponent(samples, quantizer.bits, quantizer.signed, scheme.activation_range)[0]
            quantizer.power.set_exponent(fixed.get(kind, fitted))
        _linear(model.encoder, floating.encoder, model.quantizers["input"])
        _linear(model.decoder, floating.decoder, model.decoder_input)
        u_quantizer = model.quantizers["u"]
        for block, source, states in zip(model.blocks, floating.blocks, calibration.states, strict=True):
            _block(block, source, scheme, u_quantizer, states)
            u_quantizer = block.quantizers["u"]
    return settle_precision(model.eval())


def settle_precision(model: Classifier) -> Classifier:
    """Move the model to the narrowest float type in which every accumulator is exact, or refuse."""
    widths = accumulator_widths(model)
    refuse_wide(widths)
    return model.double() if max(widths.values()) > FLOAT32_BITS else model.float()


def _linear(layer: QuantLinear, source: torch.nn.Linear, feeding: Quantizer) -> None:
    fit_linear(layer, source.weight.detach().clone(), source.bias.detach().clone(), feeding)


def _block(block: Block, source: Block, scheme: Scheme, u_quantizer: Quantizer, states: StateStatistics) -> None:
    block.norm.load_state_dict(source.norm.state_dict())
    _linear(block.linear, source.linear, block.quantizers["mix_in"])
    fit_layer(block.ssm, source.ssm, scheme, u_quantizer, states)


def post_training(floating: Classifier, config: Config, x_train: torch.Tensor, images: int = 256) -> Classifier:
    """Calibrate on the first ``images`` training sequences ``(n, T)`` and quantise; nothing is trained."""
    return quantize(floating, config, calibrate(floating, x_train[:images]))
