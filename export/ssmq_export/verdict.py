"""``verify``: one call, every engine that is installed, every code of every tensor."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto
from torch import fx

from .dataflow.keys import length_of
from .dataflow.ports import ports_of
from .dataflow.sequences import batch_codes, noise
from .door.graph_file import load_graph
from .errors import ExportError
from .exporting import FILES
from .from_network import TRIED, network_engines, step_graph
from .verification.agreement import Agreements, compare_engines
from .verification.graphs import foreign_engines, graph_engines, graphs_alone

FORMS = ("step", "dataflow", "sequence-dataflow")


def verify(
    network: fx.GraphModule | None,
    folder: Path | str,
    batch: torch.Tensor | np.ndarray | None = None,
    slow_sequences: int = 1,
) -> Agreements:
    """Run the graphs that ``export`` wrote into ``folder`` in every engine, and compare every code with ``network``'s.

    Sequences are those of ``batch`` ``(B, T, C)``, values as the network takes them, or random codes. ``slow_sequences`` of
    them go through the engines that run node by node: qonnx, FINN's hardware operators and hls4ml's C++; the last two take
    part where finn-plus, hls4ml and g++ are installed. Without a network (``None``) the graphs are compared with each other.

    The result prints as a table; ``agree`` is the verdict. An engine that fails is a row that says why. Raises ExportError
    for a network that is not quantised, graphs that are missing or another network's, and a batch of another shape.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import Scheme, quantize
    >>> from ssmq_export import export, verify
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU()).eval()
    >>> quantized = quantize(network, Scheme(), torch.randn(4, 5, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export(quantized, folder)
    ...     found = verify(quantized, folder, torch.randn(8, 5, 1), slow_sequences=0)
    >>> found.agree, found[0].engine
    (True, 'eager Brevitas')
    """
    step, *_ = graphs = [load_graph(Path(folder) / FILES[form], form) for form in FORMS]
    port = ports_of(step).input
    codes = noise(port, TRIED, length_of(step)) if batch is None else batch_codes(batch, port, length_of(step))
    if network is None:
        reference, others = graphs_alone(*graphs)
    else:
        _refuse_another(network, step, Path(folder))
        reference, fused = network_engines(network)
        others = [fused, *graph_engines(*graphs)]
    return compare_engines(reference, [*others, *foreign_engines(*graphs)], codes, slow_sequences)


def _refuse_another(network: fx.GraphModule, step: ModelProto, folder: Path) -> None:
    """Raise ExportError naming the first port of the step graph that the network's is not like."""
    own, found = ports_of(step_graph(network)).all, ports_of(step).all
    for wanted, port in zip_longest(own, found, fillvalue=found[-1]):
        same = (wanted.name, wanted.kind, wanted.shape) == (port.name, port.kind, port.shape)
        if not same or not np.array_equal(wanted.format.exponent, port.format.exponent):
            raise ExportError(f"{folder}: its graphs are another network's, from {port.name} on: export this one into it")
