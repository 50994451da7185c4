"""From a network that was written and trained with Brevitas' own layers to one that exports: nothing is quantised anew.

1. A batch norm of torch, which libraries evaluate in different orders, becomes one product and one sum a value, of numbers of
   16 bits.
2. What is no function of exact arithmetic (sigmoids, GELU, a mean over 20 steps) becomes a module that every engine repeats.
3. A sum that is a layer (QuantEltwiseAdd) becomes what it is made of.
4. Every layer of Brevitas becomes this package's, at its path, with the format and the values that it computed with.
5. Quantisers that change no code go.

But for the batch norms the result computes the very values of the network that was given, which is tried on the example.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import replace

import torch
from brevitas.nn import QuantEltwiseAdd
from brevitas.nn.mixin import QuantLayerMixin
from torch import fx, nn

from ..activations import Table
from ..bounds import FLOAT32_BITS, refuse_wide
from ..config import Bits
from ..errors import SsmqError
from ..formats import Format
from ..norm import QuantBatchNorm1d
from ..quant_s4d import QuantS4D
from ..quantizers import Quantizer
from .brevitas_layers import Seen, known, parts, plain, sum_parts
from .calibrate import refuse_batch
from .exact_functions import evaluated, exact_functions
from .insert import through
from .needs import State, needed, readers, state
from .operations import Operation, operations
from .spread import free_path, owner, spread
from .structure import META, Quantized
from .trace import refuse_unsupported, trace
from .widths import Widths

_IS = {
    "raw": "a float value", "exact": "an exact sum or product", "tabled": "a float function of codes", "float": "a float value",
}  # fmt: skip

_ADVICE = {
    "Input scale required": "set return_quant_tensor=True in the layer before it, or a bias_quant with a scale of its own",
    "Scaling factors are different": "one QuantIdentity for both, or return_quant_tensor=False in what gives them",
}


def adopt(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """``module`` of Brevitas' quantised layers and ``QuantS4D`` as a network that exports, with the same values.

    ``example`` ``(B, T, C)`` are sequences like those that it was trained on; sequences keep their length. The result is in
    evaluation mode and in the float type of ``module``, which stays as it was. Only a ``BatchNorm1d`` is not quantised yet: its
    gain and offset are rounded to 16 bits a channel, as ``quantize`` does, so that a code may differ where it is all but a tie.

    Raises SsmqError naming the submodule and what to set: an operand that must be codes and is none, a scale that is no
    power of two, a rounding that is not half to even, a sum that the float type does not hold exactly.

    >>> import torch
    >>> from brevitas import nn as qnn
    >>> from brevitas.quant import Int8ActPerTensorFixedPoint, Int8WeightPerTensorFixedPoint
    >>> from ssmq_brevitas import QuantS4D, adopt
    >>> network = torch.nn.Sequential(
    ...     qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint),
    ...     QuantS4D(2, modes=2, output_quant=Int8ActPerTensorFixedPoint),
    ...     qnn.QuantLinear(2, 3, bias=False, weight_quant=Int8WeightPerTensorFixedPoint),
    ... )
    >>> x = torch.randn(8, 20, 2)
    >>> y = network.train()(x)  # the activations find their ranges
    >>> torch.equal(adopt(network, x)(x), network.eval()(x))
    True
    """
    refuse_batch(example, "the example")
    _refuse_unranged(module)
    refuse_unsupported(module)
    original = _with_norms_on_grids(copy.deepcopy(module).eval())
    given, network = trace(original), trace(original)
    double = torch.float64 in {value.dtype for value in original.parameters()}
    example = example.double() if double else example.float()
    spread(exact_functions(network, example.shape[1], double), example.shape[1])
    _spread_sums(network, double)
    _refuse_float(operations(network, example))
    seen = Seen(original)
    wanted = _run(given, example)
    chains = _convert(network, seen, double)
    _drop_idle(network)
    network = network.double() if double else network.float()
    origins = {path: layer for layer, chain in chains.items() for path in chain}
    found = [replace(op, path=origins.get(op.path, op.path)) for op in operations(network, example)]
    signed = _refuse_uncoded(found)
    _refuse_inexact(found, example.shape[1], double)
    network.meta[META] = Quantized(None, example.shape[1], example.shape[2], signed, ())
    _refuse_different(wanted, _run(network, example), chains)
    return network


def _refuse_unranged(module: nn.Module) -> None:
    for path, part in module.named_modules() if isinstance(module, nn.Module) else ():
        if isinstance(part, QuantS4D) and part.state.scale.isnan().any():
            name = f"{path or 'the network'} (QuantS4D)"
            raise SsmqError(f"{name}: the range of its states is not known yet: run a batch in training mode")


def _with_norms_on_grids(module: nn.Module) -> nn.Module:
    """``module`` with its batch norms of torch replaced, in place."""
    made: dict[nn.Module, QuantBatchNorm1d] = {}
    for path, found in list(module.named_modules(remove_duplicate=False)):
        # Without statistics of its own it is refused, as everywhere.
        if path and type(found) is nn.BatchNorm1d and found.running_var is not None:
            made[found] = made.get(found) or QuantBatchNorm1d(found, Bits().norm)
            module.set_submodule(path, made[found])
    return module


def _spread_sums(network: fx.GraphModule, double: bool) -> None:
    """A ``QuantEltwiseAdd`` as its input quantiser on both tensors, the sum and its output quantiser, in place."""
    for node in list(network.graph.nodes):
        layer = network.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(layer, QuantEltwiseAdd) or len(node.args) != 2 or node.kwargs:
            continue
        before, behind = (_put_chain(network, node.target, part) for part in sum_parts(node.target, layer, double))
        with network.graph.inserting_before(node):
            terms = tuple(_called(network, before, term, layer) for term in node.args)
            total = network.graph.call_function(operator.add, terms)
            total.meta = {**node.meta, "called": "sum"}
            value = _called(network, behind, total, layer)
        node.replace_all_uses_with(value)
        network.graph.erase_node(node)
    network.recompile()


def _called(network: fx.GraphModule, chain: list[str], value: fx.Node, layer: nn.Module) -> fx.Node:
    """``value`` through the modules at the paths of ``chain``, which stand for ``layer``."""
    for path in chain:
        value = network.graph.call_module(path, (value,))
        value.meta = {"nn_module_stack": {path: (path, type(layer))}}
    return value


def _refuse_float(found: list[Operation]) -> None:
    for op in found:
        kind = type(op.module).__name__
        if op.kind == "linear" and not isinstance(op.module, QuantLayerMixin):
            advice = f"use Quant{kind} with weight_quant=Int8WeightPerTensorFixedPoint"
            raise SsmqError(f"{op.path} ({kind}): is not quantised: {advice}")
        if op.kind == "s4d" and not isinstance(op.module, QuantS4D):
            raise SsmqError(f"{op.path} ({kind}): is not quantised: use QuantS4D")
        for name, part in op.layer(nn.Module).named_modules() if op.kind == "s4d" else ():
            if hasattr(type(part), "format") and not name.startswith("output_quant"):
                try:
                    _ = part.format
                except SsmqError as error:
                    raise SsmqError(f"{op.path}.{name}: {error}") from error


class _Run(fx.Interpreter):
    """What every submodule gives, by its path and call, and the whole network by the empty one."""

    def __init__(self, network: fx.GraphModule):
        super().__init__(network)
        self.extra_traceback = False
        self.values: dict[str, list[torch.Tensor]] = {}

    def run_node(self, node: fx.Node):
        name = str(node.target) if node.op == "call_module" else f"{owner(node)}{node.name}"
        try:
            result = super().run_node(node)
        except SsmqError as error:  # of a layer that does not know its own path
            raise error if str(error).startswith(name) else SsmqError(f"{name}: {error}") from error
        except Exception as error:  # whatever a module of the user's does with its input
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            advice = next((f": {text}" for part, text in _ADVICE.items() if part in reason), "")
            raise SsmqError(f"{name}: the network cannot run the example: {reason}{advice}") from error
        if node.op in ("call_module", "output"):
            self.values.setdefault(name if node.op == "call_module" else "", []).append(plain(result))
        return result


def _run(network: fx.GraphModule, example: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    run = _Run(network)
    with torch.no_grad():
        run.run(example)
    return run.values


def _convert(network: fx.GraphModule, seen: Seen, double: bool) -> dict[str, list[str]]:
    """Put this package's layers in the place of Brevitas', each call a chain; the chains, by the layer's path."""
    chains: dict[str, list[str]] = {}
    for node in list(network.graph.nodes):
        if node.op != "call_module":  # a method may have the name of a module
            continue
        layer = network.get_submodule(node.target)
        if node.target not in chains and not known(layer):
            continue
        if node.target not in chains:
            chains[node.target] = _put_chain(network, node.target, parts(node.target, layer, seen, double))
        with network.graph.inserting_before(node):
            value = _called(network, chains[node.target], node.args[0], layer)
        node.replace_all_uses_with(value)
        network.graph.erase_node(node)
    network.recompile()
    return chains


def _put_chain(network: fx.GraphModule, path: str, chain: list[tuple[str, nn.Module]]) -> list[str]:
    paths = []
    for suffix, module in chain:
        paths.append(free_path(network, path + suffix) if suffix else path)
        network.set_submodule(paths[-1], module.eval())
    return paths


def _drop_idle(network: fx.GraphModule) -> None:
    """Without quantisers of codes that change none, and with one of the input instead of several of the same format."""
    kept: dict[fx.Node, Format] = {}
    for node in list(network.graph.nodes):
        module = network.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(module, Quantizer):
            continue
        source, own = node.args[0], module.format
        same = [other for other in kept if source.op == "placeholder" and other.args[0] is source and kept[other] == own]
        if source in kept and _covers(own, kept[source]):
            same = [source]
        if same:
            node.replace_all_uses_with(same[0])
            network.graph.erase_node(node)
        else:
            kept[node] = own
    network.recompile()


def _covers(own: Format, given: Format) -> bool:
    return own.exponent == given.exponent and own.low <= given.low and own.high >= given.high


def _refuse_uncoded(found: list[Operation]) -> bool:
    """Raise SsmqError for the first operand that must be codes and is none; whether the input is signed."""
    known = {op.name: op for op in found}
    read = readers(found)
    states: dict[str, State] = {}
    first = _behind(found[0], read)
    for op in first:
        if op.kind != "quantizer":
            raise SsmqError(f"{op.path}: does not only quantise the input: put a QuantIdentity of the whole range before it")
    if len(first) != 1:
        names = " and ".join(op.path for op in first) or "nobody"
        raise SsmqError(f"the input is quantised by {names}: put one QuantIdentity before all of them")
    for op in found:
        states[op.name] = now = state(op, states, known)
        for reader, source in through(op, read):
            if now not in needed(reader, source):
                advice = ", or compute in float64 (.double())" if _table_in_float32_only(reader.module) else ""
                raise SsmqError(
                    f"{reader.path}: needs codes, but {op.path} gives {_IS[now]}: put a QuantIdentity between them{advice}"
                )
    return first[0].layer(Quantizer).signed


def _behind(op: Operation, read: dict[str, list[Operation]]) -> list[Operation]:
    """Who reads ``op``, past what changes no value."""
    return [far for reader in read[op.name] for far in (_behind(reader, read) if reader.kind == "same" else [reader])]


def _table_in_float32_only(module: nn.Module | None) -> bool:
    return isinstance(module, Table) and not isinstance(evaluated(module.function, double=True), Table)


def _refuse_inexact(found: list[Operation], steps: int, double: bool) -> None:
    widths = Widths(found, steps).accumulators()
    refuse_wide(widths)
    for path, width in widths.items():
        if width > FLOAT32_BITS and not double:
            raise SsmqError(
                f"{path}: its sum needs {width} bits, and float32, in which the network computes, "
                f"holds {FLOAT32_BITS} exactly: "
                f"narrow what feeds it, or train and export in float64 (.double())"
            )


def _refuse_different(wanted: dict[str, list], found: dict[str, list], chains: dict[str, list[str]]) -> None:
    """Raise SsmqError where two runs differ, naming the first submodule that does."""
    if torch.equal(wanted[""][0], found[""][0]):
        return
    for path, values in wanted.items():
        others = found.get((chains.get(path) or [path])[-1], values)
        if any(not torch.equal(*pair) for pair in zip(values, others, strict=False)):
            name = path or "the network"
            raise SsmqError(f"{name}: gives other values than its integers do: please report the layer and its options")
