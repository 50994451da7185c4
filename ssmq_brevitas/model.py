"""A network with the configuration it was made by: what is trained, evaluated and kept in checkpoints."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import fx, nn

from .classifier import Classifier
from .config import Config, ModelConfig, Scheme
from .network.footprint import float_footprint, footprint
from .network.structure import META, empty, example_of, float_type, quantized_of
from .quant_s4d import QuantS4D
from .quantizers import use_engine
from .s4d import S4D
from .storage import Footprint
from .task import Task

Recurrence = TypeVar("Recurrence", S4D, QuantS4D)


def recurrences(network: nn.Module, kind: type[Recurrence]) -> dict[str, Recurrence]:
    """The S4D layers of a network by path, float (``S4D``) or quantised (``QuantS4D``)."""
    return {path: part for path, part in network.named_modules() if isinstance(part, kind)}


class Model(nn.Module):
    """Codes ``(B, T)``, or of several channels ``(B, T, C)``, to the outputs of ``network``.

    ``network`` is a ``Classifier``, or what ``quantize`` made of one: it reads values, ``(B, T, C)``.
    """

    def __init__(self, network: nn.Module, config: Config):
        super().__init__()
        self.network, self.config = network, config

    @classmethod
    def floating(cls, config: Config) -> Model:
        """A float model with parameters drawn by torch's generator."""
        return cls(Classifier(config.model, config.task.each_step), config)

    @classmethod
    def empty(cls, config: Config) -> Model:
        """A quantised model with exponents and parameters unset. Raises SsmqError if a sum of its scheme cannot be exact."""
        given, bare = config.model.input_format, cls.floating(config).network
        example = example_of(config.model.length, config.model.channels)
        return cls(empty(bare, config.scheme, example, given.signed, given), config)

    @property
    def quantized(self) -> bool:
        return META in getattr(self.network, "meta", {})

    @property
    def graph(self) -> fx.GraphModule:
        """``network`` of a quantised model. Raises SsmqError for a float one."""
        quantized_of(self.network)
        assert isinstance(self.network, fx.GraphModule)
        return self.network

    @property
    def scheme(self) -> Scheme | None:
        """What it was quantised by, None for a float model."""
        return self.config.scheme if self.quantized else None

    @property
    def task(self) -> Task:
        return self.config.task

    @property
    def shape(self) -> ModelConfig:
        return self.config.model

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """What ``network`` reads for these codes, ``(B, T, C)`` in its float type."""
        codes = codes if codes.dim() == 3 else codes[..., None]
        return codes.to(float_type(self.network)) * 2.0**self.shape.input_format.exponent

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.network(self.values(codes))

    def footprint(self) -> Footprint:
        """Bytes of parameters, state and total."""
        if self.quantized:
            return footprint(self.graph)
        return float_footprint(self.network, example_of(self.shape.length, self.shape.channels))

    def use_engine(self, engine: str) -> None:
        """See ``quantizers.use_engine``."""
        use_engine(self.network, engine)
