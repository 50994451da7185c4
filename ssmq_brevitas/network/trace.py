"""A module as a torch.fx graph, with the layers of this package and of Brevitas as leaves."""

from __future__ import annotations

import inspect
import traceback

import brevitas
import torch
from brevitas.nn.mixin import QuantLayerMixin
from torch import fx, nn

from ..activations import HardGELU
from ..errors import SsmqError
from ..norm import PositiveBatchNorm
from ..quant_s4d import QuantS4D
from ..s4d import S4D
from .calls import one_way

LEAVES = (S4D, QuantS4D, PositiveBatchNorm, HardGELU, QuantLayerMixin)
# Known by their names, for what they are made of is traced else, or they cannot be built here.
_BREVITAS = brevitas.__name__
REFUSED = {
    "LayerNorm": "its mean and variance are of every step, no integers give them exactly: use BatchNorm1d",
    "RMSNorm": "its norm is of every step, no integers give it exactly: use BatchNorm1d",
    "GroupNorm": "its mean and variance are of every step, no integers give them exactly: use BatchNorm1d",
    "InstanceNorm1d": "its mean and variance are of every sequence, which ends too late: use BatchNorm1d",
    "Softmax": "it divides by a sum, no integers give it exactly: give out the logits before it",
    "LogSoftmax": "it divides by a sum, no integers give it exactly: give out the logits before it",
    "MultiheadAttention": "attention reads every step at once: use S4D layers",
    "LSTM": "only diagonal recurrences are quantised: use S4D layers",
    "GRU": "only diagonal recurrences are quantised: use S4D layers",
    "RNN": "only diagonal recurrences are quantised: use S4D layers",
    "Embedding": "the input is one tensor (B, T, C) of numbers: give one-hot channels and a Linear",
}


class _Tracer(fx.Tracer):
    """Remembers which submodule it is in, for messages."""

    def __init__(self):
        super().__init__()
        self.path: list[str] = []
        self.failed: str | None = None

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        own = type(module).__module__.split(".")[0] in (_BREVITAS, __package__.split(".")[0])
        return (own and _has_no_network(module)) or isinstance(module, LEAVES) or super().is_leaf_module(module, path)

    def call_module(self, module: nn.Module, forward, arguments, keywords):
        path = self.path_of_module(module)
        self.path.append(path)
        try:
            return super().call_module(module, forward, arguments, keywords)
        except Exception:
            self.failed = self.failed or path
            raise
        finally:
            self.path.pop()


def _has_no_network(module: nn.Module) -> bool:
    """Whether ``module`` holds no layer of its own: a network of this package is traced into, as any other."""
    return not isinstance(module, nn.Sequential) and not any(
        isinstance(child, (S4D, QuantS4D, nn.Linear, nn.ModuleList)) for child in module.children()
    )


def trace(module: nn.Module) -> fx.GraphModule:
    """``module`` as a graph; its submodules are those of ``module`` itself, not copies.

    Raises SsmqError naming the submodule that cannot be traced, or that has no exact integer form.
    """
    refuse_unsupported(module)
    tracer = _Tracer()
    if tracer.is_leaf_module(module, ""):
        kind = type(module).__name__
        raise SsmqError(f"{kind} is a layer, not a network: put it into one, as in torch.nn.Sequential(layer)")
    try:
        graph = _without(tracer.trace(module, _defaults(module)), _defaults(module))
    except SsmqError:
        raise
    except Exception as error:  # whatever the module's own code does with a proxy
        raise SsmqError(f"{tracer.failed or 'the network'}: cannot be traced{_where(error)}: {_reason(error)}") from error
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        names = ", ".join(str(node.target) for node in inputs) or "none"
        raise SsmqError(f"a network must have one input (B, T, C), this one has {len(inputs)}: {names}")
    return one_way(fx.GraphModule(tracer.root, graph, type(module).__name__))


def _defaults(module: nn.Module) -> dict[str, object]:
    """Arguments of ``forward`` that need not be given, which then are not."""
    parameters = inspect.signature(module.forward).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def _without(graph: fx.Graph, defaults: dict[str, object]) -> fx.Graph:
    """``graph`` without the inputs that torch.fx makes of ``defaults``, each with a check that it is what it was traced as."""
    given = [node for node in graph.nodes if node.op == "placeholder"]
    for node in given[len(given) - len(defaults) :]:
        _erase(node)
    return graph


def _erase(node: fx.Node) -> None:
    for user in list(node.users):
        _erase(user)
    node.graph.erase_node(node)


def refuse_unsupported(module: nn.Module) -> None:
    """Raise SsmqError for the first submodule that has no exact integer form, before any work is done."""
    if not isinstance(module, nn.Module):
        raise SsmqError(f"a network must be a torch.nn.Module, not {type(module).__name__}")
    for path, part in module.named_modules():
        kind = type(part).__name__
        why = REFUSED.get(kind)
        if why is not None and type(part).__module__.startswith("torch.nn"):
            raise SsmqError(f"{path or 'the network'} ({kind}): {why}")
        if part._forward_pre_hooks or part._forward_hooks:  # of torch's weight_norm and spectral_norm too
            raise SsmqError(f"{path or 'the network'} ({kind}): has forward hooks, which would be lost: remove them")
        for name, value in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            if value.is_floating_point() and not torch.isfinite(value).all():
                full = f"{path}.{name}" if path else name
                raise SsmqError(f"{full}: holds values that are no finite numbers: did the training diverge?")


def _where(error: Exception) -> str:
    """`` at FILE:LINE`` of the last line outside torch and this package."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/torch/" not in f.filename and __file__ != f.filename]
    return f" ({frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line})" if frames else ""


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, fx.proxy.TraceError) or "Proxy" in text or "iterating" in text.lower():
        return f"what it does depends on the data ({text}): write it without if, while, len and int of a tensor"
    return text or type(error).__name__
