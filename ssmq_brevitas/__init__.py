"""Quantised S4D networks: layers, and a way from a float network of one's own to one whose every code is known.

    from ssmq_brevitas import S4D, Scheme, quantize

    quantized = quantize(network, Scheme(), batch)   # any module that torch.fx traces, S4D layers in it
    ...                                              # train it as any other
    save("network.safetensors", quantized)

Names are loaded when they are first used: importing the package does no work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import Bits as Bits
    from .config import Scheme as Scheme
    from .data import load_data as load_data
    from .errors import SsmqError as SsmqError
    from .input_format import InputFormat as InputFormat
    from .network.adopt import adopt as adopt
    from .network.calibrate import calibrate as calibrate
    from .network.checkpoint import load as load
    from .network.checkpoint import save as save
    from .network.footprint import footprint as footprint
    from .network.quantize import quantize as quantize
    from .network.reconstruct import reconstruct as reconstruct
    from .published import convert as convert
    from .quant_s4d import QuantS4D as QuantS4D
    from .s4d import S4D as S4D

_PLACES = {
    "S4D": "s4d",
    "QuantS4D": "quant_s4d",
    "Scheme": "config",
    "Bits": "config",
    "InputFormat": "input_format",
    "calibrate": "network.calibrate",
    "quantize": "network.quantize",
    "adopt": "network.adopt",
    "reconstruct": "network.reconstruct",
    "footprint": "network.footprint",
    "save": "network.checkpoint",
    "load": "network.checkpoint",
    "convert": "published",
    "load_data": "data",
    "SsmqError": "errors",
}
__all__ = [*_PLACES]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
