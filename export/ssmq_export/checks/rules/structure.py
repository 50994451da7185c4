"""The graph as a graph: order, names, shapes, storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from onnx import TensorProto

from ..catalogue import Hit, rule
from ..tidy_view import TidyView

SHOWN = 5
UNROLLED = 32


@rule("empty-graph", "error", "export the graph again: it has no nodes")
def empty_graph(view: TidyView) -> Iterator[Hit]:
    """Brevitas exports an empty graph, silently, for layers it cannot trace, recurrent ones among them."""
    if not view.nodes:
        yield "", "", "the graph has no nodes"


def _cycle(view: TidyView) -> list[int]:
    """Indices of nodes on one cycle; none if there is no cycle."""
    index = {id(node): k for k, node in enumerate(view.nodes)}
    before = {
        k: [index[id(found)] for name in node.input for found in view.producers.get(name, [])]
        for k, node in enumerate(view.nodes)
    }
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return sorted(set(error.args[1]))
    return []


@rule("acyclic", "error", "cut the loop: make the state an input and an output port, and loop it back outside the graph")
def acyclic(view: TidyView) -> Iterator[Hit]:
    """FINN compiles feed-forward graphs only; a loop inside one deadlocks its partitioning."""
    if any(len(nodes) > 1 for nodes in view.producers.values()):
        return  # duplicate-tensor: edges are not defined
    cycle = _cycle(view)
    if cycle:
        yield view.label(view.nodes[cycle[0]]), "", f"{len(cycle)} nodes lie on a cycle"


@rule("node-order", "error", "sort the nodes topologically (qonnx: SortGraph)")
def node_order(view: TidyView) -> Iterator[Hit]:
    """ONNX wants producers before consumers; qonnx executes in file order and would read tensors not yet computed."""
    if any(len(nodes) > 1 for nodes in view.producers.values()) or _cycle(view):
        return
    seen: set[str] = set()
    for node in view.nodes:
        early = next((name for name in node.input if view.producers.get(name) and name not in seen), None)
        if early is not None:
            yield view.label(node), early, "is used before it is produced"
            return
        seen.update(node.output)


@rule("duplicate-tensor", "error", "give every tensor one producer and its own name")
def duplicate_tensor(view: TidyView) -> Iterator[Hit]:
    """Two producers of one name make the dataflow edge ambiguous; the graph is not in single-assignment form."""
    for name, nodes in view.producers.items():
        taken = len(nodes) + (name in view.initializers) + (name in view.inputs)
        if taken > 1:
            yield view.label(nodes[-1]), name, f"has {taken} producers"
    for what, entries in (
        ("constants", view.graph.initializer),
        ("input ports", view.graph.input),
        ("output ports", view.graph.output),
    ):
        for name, count in Counter(entry.name for entry in entries).items():
            if count > 1:
                yield "", name, f"names {count} {what}"


@rule("dangling-tensor", "error", "connect the input, or remove the node")
def dangling_tensor(view: TidyView) -> Iterator[Hit]:
    """An input that nothing produces has no stream to connect."""
    known = view.producers.keys() | view.initializers.keys() | set(view.inputs) | view.sparse
    for node in view.nodes:
        for name in node.input:
            if name and name not in known:
                yield view.label(node), name, "is neither a port, a constant nor produced by a node"
    for name in view.outputs:
        if name not in known:
            yield "", name, "is an output port that nothing produces"


@rule("passed-through", "error", "remove the output, or put an operator before it")
def passed_through(view: TidyView) -> Iterator[Hit]:
    """An output of the accelerator comes out of an operator; FINN stops at one that is an input or a constant."""
    for name in view.outputs:
        if name in view.inputs or (view.is_constant(name) and name not in view.sparse):
            yield "", name, f"is an output, and {'an input' if name in view.inputs else 'a constant'} too"


@rule("sparse-constant", "error", "store it dense")
def sparse_constant(view: TidyView) -> Iterator[Hit]:
    """A constant stored as a sparse initialiser; qonnx and FINN read dense ones only."""
    for name in sorted(view.sparse):
        users = view.consumers.get(name, [])
        yield view.label(users[0]) if users else "", name, "is a sparse constant"


@rule("node-names", "warning", "name every node, each differently (qonnx: GiveUniqueNodeNames)")
def node_names(view: TidyView) -> Iterator[Hit]:
    """FINN names folding options, reports and HDL modules after nodes; unnamed or equal names collide there."""
    counts = Counter(node.name for node in view.nodes)
    if counts[""]:
        yield "", "", f"{counts['']} nodes have no name"
    for name, count in counts.items():
        if name and count > 1:
            yield name, "", f"{count} nodes share this name"


@rule("static-shapes", "error", "fix the input shapes; give the shapes of what a foreign operator makes")
def static_shapes(view: TidyView) -> Iterator[Hit]:
    """Stream widths, folding and buffer depths are computed from shapes; FINN needs every one of them at compile time."""
    ports = [name for name in view.inputs if view.shape(name) is None]
    ports += [name for name in view.outputs if view.shape(name) is None]
    for name in ports[:SHOWN]:
        yield "", name, "is a port whose shape is not fully static"
    if ports:
        return  # inner shapes follow from the ports
    contradicted = {tensor for _, tensor, _ in view.tidied.contradictions}  # declared-type
    inner = [name for name in view.producers if view.tidied.shape(name) is None and name not in contradicted]
    for name in inner[:SHOWN]:
        yield view.label(view.producers[name][0]), name, "has no fully static shape"
    if len(inner) > SHOWN:
        yield "", "", f"{len(inner) - SHOWN} further tensors have no fully static shape"


@rule("batch-size", "warning", "export with batch 1: a dataflow accelerator streams one sample after another")
def batch_size(view: TidyView) -> Iterator[Hit]:
    """FINN folds over channels, not over a batch."""
    for name in view.inputs:
        shape = view.shape(name)
        if shape is not None and len(shape) > 1 and shape[0] != 1:
            yield "", name, f"has batch {shape[0]}"


def _constants(view: TidyView) -> Iterator[tuple[str, TensorProto]]:
    """(node label, constant) of every stored constant, those of Constant nodes and of inner graphs included."""
    graphs = [view.graph]
    while graphs:
        graph = graphs.pop()
        yield from (("", tensor) for tensor in graph.initializer)
        yield from (("", part) for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices))
        for node in graph.node:
            for found in node.attribute:
                graphs += [found.g, *found.graphs]
                sparse = [part for held in (found.sparse_tensor, *found.sparse_tensors) for part in (held.values, held.indices)]
                yield from ((view.label(node), tensor) for tensor in [found.t, *found.tensors, *sparse])


@rule("external-data", "error", "store the constants inside the file (onnx.save without external data)")
def external_data(view: TidyView) -> Iterator[Hit]:
    """A graph whose constants lie elsewhere cannot be judged or handed on by itself; this checker never follows paths."""
    for label, tensor in _constants(view):
        if tensor.data_location == TensorProto.EXTERNAL:
            yield label, tensor.name, "is stored outside the file"


@rule("malformed-constant", "error", "export the graph again: its data is damaged")
def malformed_constant(view: TidyView) -> Iterator[Hit]:
    """A constant whose bytes do not fit its shape and type has no values; a tool would crash on it or invent some."""
    for name, tensor in view.initializers.items():
        if tensor.data_location != TensorProto.EXTERNAL and view.array(name) is None:
            yield "", name, "has data that does not fit its shape and type"


@rule("unrolled-recurrence", "warning", "export one time step with the state as ports (ssmq export writes step.onnx)")
def unrolled_recurrence(view: TidyView) -> Iterator[Hit]:
    """An unrolled sequence becomes as much hardware as it has steps, and qonnx's clean-up grows fourfold a doubling."""
    for name in view.initializers:
        users = [n for n in view.consumers.get(name, []) if n.op_type in ("MatMul", "Gemm", "Mul", "Conv")]
        if len(users) >= UNROLLED:
            yield view.label(users[0]), name, f"is used by {len(users)} nodes: the sequence is unrolled"
            return
