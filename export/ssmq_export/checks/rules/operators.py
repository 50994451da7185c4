"""The operators: known, converted by FINN, and joined properly."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from ...dataflow.keys import QONNX_DOMAIN, SCAN_DOMAIN
from ...dataflow.quant_function import other_functions
from ..catalogue import Hit, rule
from ..conversion import TABLE, Site
from ..shapes import QONNX_NAMES
from ..tidy import fits
from ..tidy_view import QUANTS, TidyView

QONNX_DOMAINS = frozenset({"", "ai.onnx", *QONNX_NAMES, "qonnx.custom_op.channels_last"})
HARDWARE_DOMAIN = "finn.custom_op.fpgadataflow"
# What `ssmq finn` gives a hardware operator: the recurrence has one of ours, the sum over time FINN's GlobalAccPool.
OURS = frozenset({"DiagonalScan"})
MAPPED = OURS | TABLE.keys()
# Float operators that lowering turns into thresholds or constants when a Quant follows them.
LOWERABLE = frozenset(
    {"Relu", "Clip", "Sigmoid", "Tanh", "Erf", "Cast", "Div", "BatchNormalization", "HardSigmoid", "Constant"}
)
OPERANDS = {"MultiThreshold": 2, "Quant": 4, "IntQuant": 4, "BipolarQuant": 2, "DiagonalScan": 9}
RECURRENT = frozenset({"Scan", "Loop", "If", "RNN", "GRU", "LSTM"})
CONVERT = "convert the graph to Quant nodes first (qonnx: QCDQToQuant)"
THRESHOLDS = "put a quantiser after it: both become one MultiThreshold"
HOST = "leave it to the host, after the accelerator's last stream"
NOTHING = "remove it: it changes nothing at inference"
INSTEAD = {
    "Gemm": "write it as MatMul and Add",
    "Conv": "lower it to Im2Col and MatMul (qonnx: LowerConvsToMatMul)",
    "Quant": "lower it to MultiThreshold (ssmq export)",
    "BipolarQuant": "store bipolar weights as a constant of -1 and 1, annotated BIPOLAR; FINN's MVAU takes such",
    "Trunc": "make it a MultiThreshold",
    "QuantizeLinear": CONVERT,
    "DequantizeLinear": CONVERT,
    "QLinearConv": CONVERT,
    "QLinearMatMul": CONVERT,
    "Softmax": HOST,
    "LogSoftmax": HOST,
    "ArgMax": "end in TopK with k 1, which FINN converts",
    "Squeeze": "write it as Reshape to a constant shape",
    "Unsqueeze": "write it as Reshape to a constant shape",
    "GlobalAveragePool": "sum with ReduceSum over axes [1, 2], channels last, and scale in the layer behind",
    "AveragePool": "write it as QuantAvgPool2d (qonnx), channels last",
    "Resize": "FINN 1.6.1 converts Upsample in its place",
    "Min": "make it a MultiThreshold",
    "Neg": "multiply by -1",
    **dict.fromkeys(("Identity", "Dropout", "Cast"), NOTHING),
    **dict.fromkeys(
        ("Sigmoid", "HardSigmoid", "Tanh", "Gelu", "Erf", "Clip", "Sign", "Floor", "Round", "LeakyRelu", "PRelu", "HardSwish"),
        THRESHOLDS,
    ),
}


def _functions(view: TidyView) -> set[tuple[str, str]]:
    return {(f.domain, f.name) for f in other_functions(view.model)}


@rule("recurrence", "error", "judge the step graph (step.onnx) or the dataflow graph (dataflow.onnx) instead")
def recurrence(view: TidyView) -> Iterator[Hit]:
    """FINN has no recurrence and no control flow: the state must be a pair of ports, looped back outside the graph."""
    for node in view.nodes:
        if node.op_type in RECURRENT:
            yield view.label(node), "", f"{node.op_type} has no hardware form"


@rule("local-function", "error", "inline the functions (onnx.inliner.inline_local_functions)")
def local_function(view: TidyView) -> Iterator[Hit]:
    """FINN does not look into a function of the file, and leaves its call unmapped."""
    functions = _functions(view)
    for node in view.nodes:
        if (node.domain, node.op_type) in functions:
            yield view.label(node), "", f"calls {node.op_type}, a function of this file, in which nothing is judged"


@rule("known-domain", "error", "give the operator its own domain, and declare it among the opset imports; or replace it")
def known_domain(view: TidyView) -> Iterator[Hit]:
    """An operator of an undeclared or foreign domain has no definition that a tool could execute or map."""
    functions = _functions(view)
    for node in view.nodes:
        domain = "" if node.domain == "ai.onnx" else node.domain
        conversion = TABLE.get(node.op_type)
        if (node.domain, node.op_type) in functions or domain.startswith(HARDWARE_DOMAIN):
            continue  # FINN's own files never declare its domains
        if domain not in QONNX_DOMAINS | {SCAN_DOMAIN}:
            yield view.label(node), "", f"{node.op_type} belongs to the unknown domain {node.domain!r}"
        elif domain not in view.opsets and not (domain == "" and "ai.onnx" in view.opsets):
            yield view.label(node), "", f"the domain {domain or 'ai.onnx'!r} is not declared"
        elif conversion is not None and conversion.domain != (QONNX_DOMAIN if domain in QONNX_NAMES else domain):
            yield (
                view.label(node),
                "",
                f"{node.op_type} is of the domain {conversion.domain or 'ai.onnx'!r}, not {domain or 'ai.onnx'!r}",
            )


@rule("not-lowered", "error", "put thresholds in place of the Quants; for its own models ssmq export does, in dataflow.onnx")
def not_lowered(view: TidyView) -> Iterator[Hit]:
    """FINN streams integers. Its own conversion of Quant rounds halves up, so thresholds must be made before it."""
    if view.quants:
        yield view.label(view.quants[0]), "", f"{len(view.quants)} Quant nodes: this is a float QONNX graph"


@rule("hardware-op", "error", "replace the operator as named")
def hardware_op(view: TidyView) -> Iterator[Hit]:
    """Every node inside a StreamingDataflowPartition must become a FINN hardware operator; one foreign node splits it."""
    functions = _functions(view)
    for node in view.tidied.nodes if view.lowered else view.nodes:
        known = node.op_type in TABLE or (not view.lowered and node.op_type in LOWERABLE | QUANTS)
        foreign = node.domain not in QONNX_DOMAINS or node.op_type in RECURRENT or (node.domain, node.op_type) in functions
        if not known and not foreign:
            instead = INSTEAD.get(node.op_type, "express it with MatMul, Mul, Add, Sub and MultiThreshold")
            yield view.label(node), "", f"{node.op_type} is no FINN hardware operator: {instead}"


@rule("conversion", "error", "change the operator to what FINN converts, as named; the table of operators lists it")
def conversion(view: TidyView) -> Iterator[Hit]:
    """FINN converts an operator under conditions of its own: axis, rank, constants, layout, attributes. Others it leaves
    on the host, stops at, or turns into hardware that computes something else."""
    if not view.lowered:
        return
    for node in view.tidied.nodes:
        found = TABLE.get(node.op_type)
        if found is None or node.domain not in QONNX_DOMAINS or not _complete(view, node):
            continue
        site = Site(view, node)
        shape = site.shape()
        if found.vectors and shape is not None and len(shape) < 2:
            yield view.label(node), node.input[0], f"has {len(shape)} dimensions, and {node.op_type} wants (vectors, channels)"
        for message in found.condition(site):
            yield view.label(node), "", message


def _complete(view: TidyView, node: NodeProto) -> bool:
    """Whether an operator has all of its operands."""
    wanted = OPERANDS.get(node.op_type)
    if not view.output(node) or not node.input:
        return False
    return fits(node, view.opset) if wanted is None else len(node.input) == wanted and all(node.input)


@rule("operand-count", "error", "connect every operand, or export the graph again")
def operand_count(view: TidyView) -> Iterator[Hit]:
    """An operator with an operand missing has no result; each other rule would only stumble over it."""
    for node in view.nodes:
        judged = node.op_type in MAPPED or node.op_type in OPERANDS
        if judged and node.domain in QONNX_DOMAINS | {SCAN_DOMAIN} and not _complete(view, node):
            count, wanted = sum(map(bool, node.input)), OPERANDS.get(node.op_type)
            of = f" of {wanted}" if wanted is not None else ""
            yield view.label(node), "", f"{node.op_type} has {count}{of} inputs, {len(node.output)} outputs"


@rule("same-operand", "error", "write it with a constant (x + x is 2 x), or let another operator copy the tensor first")
def same_operand(view: TidyView) -> Iterator[Hit]:
    """FINN renames tensors, and of two readings of one tensor by one node it renames the first: the second finds nothing."""
    if not view.lowered:
        return
    for node in view.tidied.nodes:
        twice = next((name for k, name in enumerate(node.input) if name and name in node.input[:k]), None)
        if twice is not None and node.domain in QONNX_DOMAINS:
            yield view.label(node), twice, "is read twice by this node"


@rule("join-shape", "error", "give the operands shapes and types that fit each other")
def join_shape(view: TidyView) -> Iterator[Hit]:
    """ONNX's definition of the operator refuses these operands: shapes that do not broadcast, containers that differ,
    attributes without meaning. No tool can run such a graph."""
    for node, reason in view.tidied.misfits:
        shapes = [f"{name} {shape}" for name in node.input if (shape := view.tidied.shape(name)) is not None]
        yield view.label(node), "", f"{node.op_type} of {', '.join(shapes[:3])}: {reason}"


@rule("declared-type", "error", "run shape inference on the graph without its value_info, or export it again")
def declared_type(view: TidyView) -> Iterator[Hit]:
    """A tensor declared with one shape or container, computed with another: ONNX Runtime refuses the file."""
    for node, tensor, message in view.tidied.contradictions:
        yield view.label(node), tensor, message
