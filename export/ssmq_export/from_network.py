"""The torch door: a quantised network becomes calls of numbers and formats, and runs as an engine of verification."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from ssmq_brevitas.activations import HardGELU, HardSigmoid, Quotient, Sigmoid, Tanh
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.formats import Format as TrainingFormat
from ssmq_brevitas.network.operations import Operation, operations
from ssmq_brevitas.network.structure import float_type, quantized_of
from ssmq_brevitas.network.widths import Widths
from ssmq_brevitas.norm import PositiveBatchNorm, QuantBatchNorm1d
from ssmq_brevitas.quant_linear import OnGrids
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.quantizers import Quantizer, use_engine
from torch import fx, nn

from .dataflow.format import Format
from .dataflow.keys import VERSIONS_KEY
from .dataflow.ports import ports_of, values_of
from .dataflow.sequences import batch_codes, noise
from .errors import ExportError
from .exporting import Exported, export_graphs
from .graphs.network_graph import network_graph
from .graphs.network_spec import Affine, Call, Function, Given, NetworkSpec, Recurrence, Select, Total
from .graphs.spec import Constant, Linear
from .verification.agreement import Engine

# What made the numbers in a graph; written into its metadata.
VERSIONED = ("ssmq-brevitas", "torch", "brevitas", "onnx")
_PLAIN = ("add", "sub", "mul", "cat", "output")
# Sequences of random codes, where no batch is given.
TRIED = 4
# These give what they are given: the graph has no tensor of theirs.
_SAME = ("same", "last", "split")


def network_spec(network: fx.GraphModule, metadata: dict[str, str] | None = None) -> NetworkSpec:
    """Read a quantised network. Raises ExportError for any other module."""
    return _Door(network).spec(metadata or {})


class _Door:
    def __init__(self, network: fx.GraphModule):
        try:
            about = quantized_of(network)
            self.length, self.operations = about.steps, operations(network, about.example)
        except SsmqError as error:
            raise ExportError(str(error)) from error
        self.network, self.given = network, about.input_format
        self.widths = Widths(self.operations, self.length)
        self.names = _tensor_names(self.operations)

    def spec(self, metadata: dict[str, str]) -> NetworkSpec:
        with torch.no_grad():
            calls = tuple(self._call(op) for op in self.operations if op.kind not in _SAME)
        double = float_type(self.network) is torch.float64
        versions = json.dumps({name: version(name) for name in VERSIONED})
        return NetworkSpec(calls, self.length, double, {VERSIONS_KEY: versions, **metadata})

    def _call(self, op: Operation) -> Call:
        read = op.kind if op.kind in _PLAIN else getattr(self, f"_{op.kind}")(op)
        return Call(self.names[op.name], read, tuple(self.names[name] for name in op.inputs), op.channels, op.each_step)

    @property
    def first(self) -> Operation:
        """The quantiser of the input."""
        return next(op for op in self.operations if op.kind == "quantizer")

    @property
    def input_format(self) -> Format:
        """That of the codes that come in: said by who quantised the network, else what its first quantiser gives."""
        return format_of(self.first.layer(Quantizer).format if self.given is None else self.given.format)

    def _input(self, op: Operation) -> Given:
        return Given(self.input_format)

    def _quantizer(self, op: Operation) -> Format:
        return format_of(op.layer(Quantizer).format)

    def _linear(self, op: Operation) -> Linear:
        return linear_of(op.layer(OnGrids))

    def _s4d(self, op: Operation) -> Recurrence:
        return recurrence_of(op.layer(QuantS4D))

    def _norm(self, op: Operation) -> Affine:
        norm = op.module
        assert isinstance(norm, (PositiveBatchNorm, QuantBatchNorm1d)), op.path
        gain, offset = norm.gain_and_offset()
        return Affine(gain.numpy(), offset.numpy())

    def _affine(self, op: Operation) -> Affine | Constant:
        if self.widths.states[op.name] in ("codes", "exact"):
            exponent = np.array(math.frexp(abs(op.gain))[1] - 1)
            return Constant(np.asarray(op.gain), Format(2, True, exponent))
        return Affine(np.asarray(op.gain), np.asarray(op.offset))

    def _sum(self, op: Operation) -> Total:
        fmt = self.widths.format(op.inputs[0])
        return Total(Format(fmt.bits + math.ceil(math.log2(self.length)), fmt.signed, fmt.exponent))

    def _slice(self, op: Operation) -> Select:
        return Select(op.first)

    def _function(self, op: Operation) -> Function:
        module = op.layer(nn.Module)
        if isinstance(module, nn.ReLU):
            return Function("relu")
        if isinstance(module, nn.Hardtanh):
            return Function("clip", (module.min_val, module.max_val))
        if isinstance(module, Quotient):
            return Function("quotient", (module.divisor,))
        if isinstance(module, HardSigmoid):
            return Function("hard_gelu" if isinstance(module, HardGELU) else "hard_sigmoid", (module.slope,))
        if isinstance(module, (Sigmoid, Tanh)):
            return Function("sigmoid" if isinstance(module, Sigmoid) else "tanh")
        fmt = self.widths.format(op.inputs[0])
        codes = torch.from_numpy(fmt.values(np.arange(fmt.low, fmt.high + 1)))
        kind = float_type(self.network)
        return Function("table", (float(fmt.exponent), float(fmt.low)), module(codes.to(kind)).numpy())


def step_graph(network: fx.GraphModule, metadata: dict[str, str] | None = None) -> onnx.ModelProto:
    """The step graph of a quantised network. Raises ExportError for any other module."""
    return network_graph(network_spec(network, metadata))


def export(network: fx.GraphModule, folder: Path | str, batch: torch.Tensor | None = None) -> Exported:
    """Write the graphs of a quantised network into ``folder``: step, sequence, dataflow and sequence-dataflow ``.onnx``.

    Each is executed and compared with the network, code by code, on the sequences of ``batch`` ``(B, T, C)``, or on random
    codes. Values of a batch lie on the input's grid or are rounded to it. The result names the files, prints as a table and has
    how each compared. Raises ExportError, and leaves nothing behind, for a network that is not quantised, a batch of another
    shape or without finite numbers, a folder that cannot be written, or a code that differs.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import S4D, Scheme, quantize
    >>> from ssmq_export import export
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(8, 20, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export(quantize(network, Scheme(), x), folder, x)
    >>> [path.name for path in exported.paths.values()]
    ['step.onnx', 'sequence.onnx', 'dataflow.onnx', 'sequence-dataflow.onnx']
    >>> [found.differing for found in exported.agreements]
    [0, 0, 0, 0]
    """
    step = step_graph(network)
    port, about = ports_of(step).input, quantized_of(network)
    if batch is None:
        codes = noise(port, TRIED, about.steps)
    else:
        codes = batch_codes(batch, port, about.steps)
    return export_graphs(step, trace(network, codes, "fused"), codes, Path(folder))


def format_of(fmt: TrainingFormat) -> Format:
    """A format of the training package as one of this."""
    return Format(fmt.bits, fmt.signed, fmt.exponent)


def linear_of(layer: OnGrids) -> Linear:
    """A quantised linear layer's numbers."""
    weight = Constant(layer.matrix.numpy().T.copy(), format_of(layer.weight_format))
    fmt = layer.bias_format
    return Linear(weight, None if fmt is None else Constant(layer.quant_bias().value.numpy(), format_of(fmt)))


def recurrence_of(layer: QuantS4D) -> Recurrence:
    """A quantised S4D layer's numbers."""
    values = {name: value.numpy() for name, value in layer.parameters_on_grid()._asdict().items()}

    def pair(name: str, fmt: TrainingFormat) -> tuple[Constant, Constant]:
        exponent = fmt.exponent[..., 0] if fmt.exponent.ndim == 3 else fmt.exponent
        flat = Format(fmt.bits, fmt.signed, exponent)
        return Constant(values[f"{name}_re"], flat), Constant(values[f"{name}_im"], flat)

    return Recurrence(
        a=pair("a", layer.a.format),
        b=pair("b", layer.b_quant.format),
        c=pair("c", layer.c_quant.format),
        d=Constant(values["d"], format_of(layer.d_quant.format)),
        state=format_of(layer.state.format),
    )


def _tensor_names(found: list[Operation]) -> dict[str, str]:
    """A tensor's name for every operation: its path, with a number behind it where several calls have one. Python's names
    have letters that a graph's names do not."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for op in found:
        if op.kind in _SAME:
            names[op.name] = names[op.inputs[0]]
            continue
        path = plain = re.sub(r"[^A-Za-z0-9_.]", "_", op.path)
        count = 1
        while path in taken:
            path, count = f"{plain}_{count}", count + 1
        taken.add(path)
        names[op.name] = path
    return names


class _Tracing(fx.Interpreter):
    def __init__(self, network: fx.GraphModule, kept: dict[str, Operation]):
        super().__init__(network)
        self.kept = kept
        self.found: dict[str, torch.Tensor] = {}

    def run_node(self, node: fx.Node):
        result = super().run_node(node)
        op = self.kept.get(node.name)
        if op is not None:
            self.found[node.name] = result.transpose(1, 2) if op.axes == "BCT" else result
        return result


def trace(network: fx.GraphModule, codes: np.ndarray, engine: str) -> dict[str, np.ndarray]:
    """Run ``codes`` ``(B, T, C)``, of one channel also ``(B, T)``, of the input's format.

    Returns the values of every quantised tensor by its name in the step graph.

    Tensors of each step are ``(B, T, channels)``. ``engine``: ``"reference"`` or ``"fused"``.
    """
    door = _Door(network)
    given = door.operations[0]
    # Of an input in its own format the quantiser changes nothing, and integer graphs have none.
    idle = door.first if format_of(door.first.layer(Quantizer).format) == door.input_format else None
    kept = {op.name: op for op in door.operations if op.kind in ("quantizer", "output") and op is not idle}
    captured: dict[str, torch.Tensor] = {}
    layers = {door.names[op.name]: op.layer(QuantS4D) for op in door.operations if op.kind == "s4d"}
    codes = codes[..., None] if codes.ndim == 2 and given.channels == 1 else codes
    values = torch.from_numpy(values_of(codes, door.input_format.exponent)).to(float_type(network))
    try:
        use_engine(network, engine)
        for name, layer in layers.items():
            layer.on_states = _keep_states(captured, name, layer)
        run = _Tracing(network, kept)
        with torch.no_grad():
            run.run(values)
    finally:
        use_engine(network, "fused")
        for layer in layers.values():
            layer.on_states = None
    output = door.operations[-1]
    for name, value in run.found.items():
        captured[door.names[output.inputs[0]] if name == output.name else door.names[name]] = value
    return {name: value.numpy() for name, value in captured.items()}


def _keep_states(captured: dict[str, torch.Tensor], name: str, layer: QuantS4D) -> Callable[[torch.Tensor, torch.Tensor], None]:
    def keep(re: torch.Tensor, im: torch.Tensor) -> None:
        for part, codes in (("re", re), ("im", im)):
            captured[f"{name}.x_{part}_next"] = (codes * layer.state.scale).flatten(2)

    return keep


def network_engines(network: fx.GraphModule) -> tuple[Engine, Engine]:
    """The network itself as two engines: Brevitas op by op, the reference of all comparisons, and the fused kernels."""
    eager = Engine("eager Brevitas", lambda codes, names: trace(network, codes, "reference"))
    return eager, Engine("fused recurrence", lambda codes, names: trace(network, codes, "fused"))
