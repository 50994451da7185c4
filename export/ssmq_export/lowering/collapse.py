"""Collapse: the dataflow graph of one step becomes that of a whole sequence, with one ``DiagonalScan`` a layer.

1. The sums and thresholds of a recurrence's two states, and the sum of the states and the input that leaves the layer,
   become one DiagonalScan; the thresholds of a state must be a rounding shift, half to even, that saturates.
2. A running sum becomes a ReduceSum over time, and what follows it has one step. Where a step needs the sum so far (an
   output a step, or a sum with a tensor of the last step), it becomes a DiagonalScan of one mode a channel, x = x + u.
3. Every other node stays what it is, on tensors ``(1, T, 1, channels)``: FINN's NHWC with time as height.
4. Ports are the input and the output; the states have none. FINN has no operator that takes the last step of a stream: an
   output after the last step that follows no ReduceSum is a stream of all steps, of which the last is it.

Its size depends on the number of layers only. The input is the result of all passes.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

from ..dataflow.datatype import integer_type
from ..dataflow.diagonal_scan import output_range
from ..dataflow.format import Format
from ..dataflow.forms import Form
from ..dataflow.graph import DataflowGraph
from ..dataflow.keys import PORTS_KEY, SCAN_DOMAIN, SCAN_VERSION, length_of
from ..dataflow.ports import Port, input_port, output_port, ports_of, written
from ..dataflow.rows import rounds_by
from ..dataflow.scan_operands import INPUTS, LARGEST_SHIFT, unfit_state
from ..dataflow.stages import Stage, Stages
from ..door import admit
from ..errors import ExportError
from .graph import Graph


def collapse(dataflow: onnx.ModelProto) -> onnx.ModelProto:
    """The sequence dataflow graph. Raises ExportError naming the tensor that is no part of a diagonal recurrence."""
    return _Collapse(dataflow).run()


class _Collapse:
    def __init__(self, dataflow: onnx.ModelProto):
        dataflow = admit(dataflow, "dataflow")
        self.integers = DataflowGraph(dataflow)
        self.graph = Graph(dataflow)
        self.length = length_of(dataflow)
        self.ports = ports_of(dataflow)
        # What several nodes read (a slice that enters a layer, say) is a tensor of its own here, however short its sum.
        self.stages = Stages(self.integers, repeated=0)
        self.made = {stage.output: stage for stage in self.stages.order}

    def run(self) -> onnx.ModelProto:
        graph = self.graph
        graph.form = "sequence-dataflow"
        scans: dict[str, NodeProto] = {}
        for pair in self.ports.recurrences.values():
            scan = self._scan(*pair)
            scans[scan.output[0]] = scan
        graph.nodes = [scans.get(node.output[0], node) for node in graph.nodes]
        given, result = self.ports.input, self.ports.output
        entries = [input_port(given.name, given.channels), output_port(result.name, result.channels, result.each_step)]
        once = self._once()
        for port in self.ports.sums:
            self._sum(port, port.successor not in once)
        graph.outputs, graph.inputs = [result.name], [given.name]
        graph.properties[PORTS_KEY] = written(entries)
        graph.prune()
        for name in [*graph.inputs, *(name for node in graph.nodes for name in node.output)]:
            steps = 1 if name in once else self.length
            shape = [1, steps, 1, self.integers.channels[name]]
            graph.infos[name] = helper.make_tensor_value_info(name, graph.element, shape)
        for node in graph.nodes:
            for attribute in node.attribute:
                if attribute.name == "data_layout":
                    attribute.s = b"NHWC"
        model = graph.model()
        model.graph.name = "sequence_dataflow"
        model.opset_import.append(helper.make_opsetid(SCAN_DOMAIN, SCAN_VERSION))
        return model

    def _scan(self, real: Port, imaginary: Port) -> NodeProto:
        re, im = real.name, imaginary.name
        heads, modes = real.shape
        sums = [self.made[port.successor] for port in (real, imaginary)]
        y, form = self._leaves(sums, (re, im))
        source = self._source(y, [stage.output for stage in sums], {re, im})
        a_rr, a_ri, b_re = (self._diagonal(sums[0], name, heads, modes) for name in (re, im, source))
        a_ir, a_ii, b_im = (self._diagonal(sums[1], name, heads, modes) for name in (re, im, source))
        if not (np.array_equal(a_rr, a_ii) and np.array_equal(a_ri, -a_ir)):
            raise ExportError(f"{sums[1].output}: its sum and that of {sums[0].output} are no complex product")
        bits = self._bits(sums[0].output)
        if bits != self._bits(sums[1].output):
            raise ExportError(f"{sums[1].output}: its format is not that of {sums[0].output}")
        shift = self._shift(sums, bits).reshape(heads, modes)
        c_re, c_im, d = (self._gathered(y, form, name, heads) for name in (sums[0].output, sums[1].output, source))
        parameters = {
            "a_re": a_rr, "a_im": a_ir, "b_re": b_re, "b_im": b_im, "c_re": c_re, "c_im": -c_im, "d": d[:, 0],
            "shift": shift if np.any(shift != shift[0, 0]) else shift[0, :1],
        }  # fmt: skip
        low, high = self.integers.limits[source]
        self.graph.datatypes[y] = integer_type(*output_range(parameters, low, high, bits))
        return self._node(source, y, parameters, bits)

    def _node(self, source: str, y: str, parameters: dict[str, np.ndarray], bits: int) -> NodeProto:
        names = [source]
        for name in INPUTS[1:]:
            values = parameters[name]
            names.append(self.graph.constant(f"{y}_{name}", values))
            self.graph.datatypes[names[-1]] = integer_type(int(values.min()), int(values.max()))
        return helper.make_node("DiagonalScan", names, [y], name=f"DiagonalScan_{y}", domain=SCAN_DOMAIN, state_bits=bits, PE=1)

    def _source(self, y: str, after: list[str], before: set[str]) -> str:
        """The tensor besides the states that the layer's sums read."""
        read = set().union(*(self._operands(name) for name in (y, *after))) - before - set(after)
        if len(read) != 1:
            raise ExportError(f"{y}: its layer reads {', '.join(sorted(read)) or 'nothing'} besides its states, not one input")
        return read.pop()

    def _operands(self, tensor: str) -> set[str]:
        """The stored tensors of which ``tensor`` is a sum or product, those with a weight of 0 (pruned) included."""
        found: set[str] = set()
        for name in self.integers.producers[tensor].inputs:
            if name in self.stages.slots:
                found.add(name)
            elif name in self.integers.producers:
                found |= self._operands(name)
        return found

    def _diagonal(self, stage: Stage, name: str, heads: int, modes: int) -> np.ndarray:
        """Weights (H, N) with which channel c of a state's sum reads ``name``: channel c of a state, or its head."""
        form, slot = stage.sum, self.stages.slots[name]
        mine = slot.reads(form.row)
        column = form.row[mine] - slot.first
        own = form.channel[mine] if len(slot.low) == heads * modes else form.channel[mine] // modes
        if np.any(column != own) or np.any(form.constant):
            raise ExportError(f"{stage.output}: its sum is not diagonal in {name}")
        weights = np.zeros(heads * modes, np.int64)
        weights[form.channel[mine]] = form.weight[mine]
        return weights.reshape(heads, modes)

    def _leaves(self, sums: list[Stage], before: tuple[str, str]) -> tuple[str, Form]:
        """The one tensor through which the new states leave the layer, and its form."""
        found: dict[str, Form] = {}
        for stage in self.stages.order:
            if stage in sums:
                continue
            read = self._operands(stage.output)
            if read & set(before):
                raise ExportError(f"{stage.output}: reads the states of the step before, which a DiagonalScan keeps inside")
            if read & {one.output for one in sums}:
                if stage.form is None:
                    raise ExportError(f"{stage.output}: multiplies states; they leave a layer through a sum")
                (source, *_) = self.integers.producers[stage.output].inputs
                found[source if stage.rows else stage.output] = stage.form
        if len(found) != 1:
            raise ExportError(f"{sums[0].output}: leaves the layer through {', '.join(found) or 'no sum'}, not through one")
        return found.popitem()

    def _gathered(self, y: str, form: Form, name: str, heads: int) -> np.ndarray:
        """Weights (H, channels of ``name`` a head) with which head h of ``y`` sums its own modes."""
        slot = self.stages.slots[name]
        each = len(slot.low) // heads
        mine = slot.reads(form.row)
        column = form.row[mine] - slot.first
        others = sum(self.stages.slots[other].reads(form.row).sum() for other in self.stages.slots)
        if np.any(column // each != form.channel[mine]) or np.any(form.constant) or others != len(form.row):
            raise ExportError(f"{y}: is not a sum over the modes of each head")
        weights = np.zeros(len(slot.low), np.int64)
        weights[column] = form.weight[mine]
        return weights.reshape(heads, each)

    def _bits(self, state: str) -> int:
        low, high = self.integers.limits[state]
        bits = high.bit_length() + 1
        if low != -(high + 1):
            raise ExportError(f"{state}: {self.graph.datatypes[state]} is no signed format")
        return bits

    def _shift(self, sums: list[Stage], bits: int) -> np.ndarray:
        """Right shift of every channel, one for both parts of its state.

        Thresholds past the range of a sum say nothing about it, so that several shifts may fit one part: a mode that
        forgets at once and has a real input never leaves 0 in the other.
        """
        fits = [[self._rounds(stage, bits, shift) for stage in sums] for shift in range(LARGEST_SHIFT + 1)]
        both = np.all(fits, axis=1)
        alone = np.any(fits, axis=0)
        for stage, found in zip(sums, alone, strict=True):
            if not found.all():
                raise ExportError(f"{stage.output}: the thresholds of channel {int(found.argmin())} are no rounding shift")
        found = both.any(axis=0)
        if not found.all():
            raise ExportError(f"{sums[1].output}: its rounding is not that of {sums[0].output} (channel {int(found.argmin())})")
        # One shift for the layer where one fits all.
        shared = both.all(axis=1)
        return np.full(len(found), shared.argmax()) if shared.any() else both.argmax(axis=0)

    def _rounds(self, stage: Stage, bits: int, shift: int) -> np.ndarray:
        """For which channels the thresholds, inside the range of their sum, are those of half-to-even by ``shift``."""
        fmt = Format(bits, True, np.array(0))
        levels = np.arange(fmt.low + 1, fmt.high + 1)
        operation = self.integers.producers[stage.output]
        if operation.bias != fmt.low or operation.fixed.shape[1] != len(levels):
            return np.zeros(len(stage.low), bool)
        rows = np.broadcast_to(operation.fixed, (len(stage.low), len(levels)))
        return rounds_by(rows, levels, shift, stage.low, stage.high)

    def _sum(self, port: Port, each_step: bool) -> None:
        """A running sum over time becomes a ReduceSum, or a DiagonalScan where ``each_step`` needs the sum so far."""
        k, node = next((k, node) for k, node in enumerate(self.graph.nodes) if node.output[0] == port.successor)
        summed = next((name for name in node.input if name != port.name), "")
        alone = self.graph.readers()[port.name] == [node]
        if node.op_type != "Add" or not alone or summed not in self.integers.channels:
            raise ExportError(f"{node.output[0]}: is no running sum of one tensor over time")
        if each_step:
            self.graph.nodes[k] = self._counted(summed, port)
            return
        self.graph.constants["time_axes"] = np.array([1, 2], np.int64)
        self.graph.datatypes["time_axes"] = "UINT2"
        name = f"ReduceSum_{node.output[0]}"
        self.graph.nodes[k] = helper.make_node("ReduceSum", [summed, "time_axes"], list(node.output), name=name, keepdims=1)

    def _counted(self, summed: str, port: Port) -> NodeProto:
        """x = x + u by a DiagonalScan that never rounds."""
        low, high = self.integers.limits[port.name]
        bits = max(2, high.bit_length() + 1, (-low - 1).bit_length() + 1)
        wrong = unfit_state(bits)
        if wrong:
            raise ExportError(
                f"{port.successor}: {wrong}, and every step needs the sum so far: sum fewer steps or narrower codes"
            )
        one, zero = np.ones((port.channels, 1), np.int64), np.zeros((port.channels, 1), np.int64)
        parameters = {name: one if name in ("a_re", "b_re", "c_re") else zero for name in INPUTS[1:-2]}
        self.graph.datatypes[port.successor] = integer_type(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        return self._node(summed, port.successor, {**parameters, "d": zero[:, 0], "shift": zero[:1, 0]}, bits)

    def _once(self) -> set[str]:
        """What is computed from running sums alone, empty if steps need the sums so far."""
        found = {port.successor for port in self.ports.sums}
        for node in self.graph.nodes:
            read = {name for name in node.input if name in self.integers.channels}
            if node.output[0] not in found and read & found:
                if read - found:
                    return set()
                found.update(node.output)
        return set() if self.ports.output.each_step and self.ports.output.name in found else found
