"""The graph that hls4ml gets: its types hold every value, and it needs no hls4ml to be made."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import part, small_config, small_model
from damaged import graph, node_of, number
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from ssmq_export.dataflow.grids import Grid
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.hls4ml.graph import hls_graph
from ssmq_export.hls4ml.identifiers import identifiers, with_names
from ssmq_export.hls4ml.types import constant_grid, dyadic, fixed_type, reaching
from ssmq_export.lowering import lower

channels = st.lists(st.tuples(st.integers(-12, 6), st.integers(-500, 500), st.integers(0, 700)), min_size=1, max_size=5)


def parsed(fixed: str) -> tuple[bool, int, int]:
    """(signed, width, integer bits)"""
    unsigned, width, integer = re.fullmatch(r"(u?)fixed<(\d+),(-?\d+)>", fixed).groups()
    return not unsigned, int(width), int(integer)


@given(channels)
def test_a_type_holds_every_value_and_is_no_wider(rows):
    exponent, low, span = (np.array(column) for column in zip(*rows, strict=True))
    grid = Grid(exponent, low, low + span)
    signed, width, integer = parsed(fixed_type(grid))
    step = 2.0 ** (integer - width)
    least = -(2.0 ** (integer - 1)) if signed else 0.0
    most = 2.0 ** (integer - signed) - step
    ends = np.concatenate([np.ldexp(low.astype(float), exponent), np.ldexp((low + span).astype(float), exponent)])
    assert np.all(ends % step == 0) and ends.min() >= least and ends.max() <= most
    assert step == 2.0 ** exponent.min() and signed == (low.min() < 0)
    assert width == 1 + signed or ends.min() < least / 2 or ends.max() > (most + step) / 2 - step


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8))
def test_a_float_is_an_odd_code_and_an_exponent(numbers):
    values = np.array(numbers)
    codes, exponents = dyadic(values)
    assert np.array_equal(np.ldexp(codes.astype(np.float64), exponents), values)
    assert np.all((codes % 2 == 1) | (codes == 0))


@given(st.integers(1, 30), st.integers(-30, 30), st.booleans(), st.integers(-30, 30))
def test_a_type_is_widened_to_a_bit_and_no_further(width, integer, signed, exponent):
    fixed = f"{'' if signed else 'u'}fixed<{width + signed},{integer}>"
    found = parsed(reaching(fixed, exponent))
    assert found[0] == signed and found[1] - found[2] == width + signed - integer  # the last place stays
    assert found[2] == max(integer, exponent + 2)  # the bit, and one of sign above it


def test_zeros_do_not_widen_a_constant():
    assert fixed_type(constant_grid(np.array([0.0, 4096.0]))) == "ufixed<1,13>"
    assert fixed_type(constant_grid(np.zeros(3))) == "ufixed<1,1>"


@pytest.mark.parametrize(("norm", "counted"), [("none", 0), ("batch", 2)])
def test_only_what_floats_round_becomes_thresholds(norm, counted):
    """ReLU and the hard sigmoid are exact in fixed point; batch norm is not, once a layer."""
    _, quantized = small_model(small_config(model={"norm": norm, "activation": "relu", "gate": "hard_sigmoid"}))
    graph = hls_graph(step_graph(quantized.network))
    operators = [node.op_type for node in graph.model.graph.node]
    assert operators.count("SsmqThresholds") == counted
    assert set(operators) <= {"MatMul", "Mul", "Add", "Sub", "Quant", "SsmqThresholds"}
    assert {node.name for node in graph.model.graph.node} <= graph.types.keys()


def test_a_graph_of_another_form_is_refused():
    _, quantized = small_model(small_config())
    with pytest.raises(ExportError, match="hls4ml gets the step graph"):
        hls_graph(lower(step_graph(quantized.network)))


def test_a_gelu_in_doubles_is_a_threshold_layer():
    """Behind a Cast, which has no place in fixed point."""
    config = small_config(model={"activation": "gelu", "layers": 1}, bits={"a": 12, "x": 12, "c": 10, "u": 12})
    step = step_graph(small_model(config)[1].network)
    assert "Cast" in {node.op_type for node in step.graph.node}
    operators = [node.op_type for node in hls_graph(step).model.graph.node]
    assert operators.count("SsmqThresholds") == 2 and not {"Cast", "Gather"} & set(operators)


def test_a_result_past_the_53_bits_of_a_double_is_refused_and_one_of_53_is_not():
    """Every head's own sum is narrow. Their one type reaches from the finest place of all heads to the largest."""
    config = small_config(model={"layers": 1, "activation": "relu"}, scheme={"granularity": "head"})
    _, model = small_model(config)
    power = part(model, "blocks.0.ssm").d_quant.power

    def finer(places: int) -> int:
        """Bits of the type of D·u + C·x with the first head's D on a grid so much finer."""
        power.set_exponent(power.exponent - np.array([places, 0, 0, 0]))
        graph = hls_graph(step_graph(model.network))
        return parsed(graph.types[graph.identifiers["Add_blocks.0.ssm"]]["result"])[1]

    width = finer(30)
    assert finer(53 - width) == 53
    with pytest.raises(
        ExportError, match=r"blocks\.0\.ssm: an exact result needs 54 bits, more than the 53 .* narrow the tensors"
    ):
        finer(1)


# Words of C++ that are none of Python, and one of hls4ml.
TAKEN = {"long", "short", "new", "template", "input"}
NAMES = st.text("a0_.", min_size=1, max_size=5).filter(lambda name: name[0] != ".")
NAMES |= st.sampled_from(sorted({*TAKEN, "long_2", "new_2"}))


@given(st.lists(NAMES, max_size=30))
def test_names_become_identifiers_no_two_alike_and_back(names):
    found = identifiers(names)
    assert set(found) == set(names) and len(set(found.values())) == len(found)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", identifier) for identifier in found.values())
    assert not set(found.values()) & TAKEN
    assert all(found[name] == name for name in names if re.fullmatch("[a_][a0_]*|[a-z]+_2", name))
    told = with_names(", ".join(found.values()), found)
    assert told == ", ".join(found)


def test_names_of_torch_fx_are_told_as_they_are():
    config = small_config(model={"layers": 1, "activation": "relu"})
    wrapper = ModelWrapper(step_graph(small_model(config)[1].network))
    for old, new in (("blocks.0.ssm.du", "layers.0.du"), ("blocks.0.ssm.cx", "layers_0_du")):
        wrapper.rename_tensor(old, new)
    step = wrapper.model
    graph = hls_graph(step)
    assert graph.identifiers["layers.0.du"] == "layers_0_du_2" and graph.identifiers["layers_0_du"] == "layers_0_du"
    assert "." not in "".join(name for node in graph.model.graph.node for name in (node.name, *node.input, *node.output))
    assert {node.name for node in graph.model.graph.node} <= graph.types.keys()
    node_of(step, "layers.0.du").op_type = "Div"
    with pytest.raises(ExportError, match=r"layers\.0\.du: a float Div reaches it"):
        hls_graph(step)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(node_of(m, "encoder"), "op_type", "Softmax"), "node Add_encoder: Softmax has no fixed-point form"),
        (
            lambda m: setattr(node_of(m, "blocks.0.add"), "op_type", "Div"),
            "node Add_blocks.0.add: Div of two tensors has no fixed-point form",
        ),
        (
            lambda m: node_of(m, "encoder.product").input.__setitem__(1, "u_quant"),
            "node MatMul_encoder.product: the second operand of a MatMul must be a parameter",
        ),
        (
            lambda m: setattr(node_of(m, "encoder.weight"), "op_type", "Relu"),
            "node Quant_encoder.weight: only a Quant may stand between a parameter and its consumer",
        ),
        (
            number("encoder.weight_param", 1e-9),
            "node Quant_encoder.weight: parameter encoder.weight_param does not lie on its own grid",
        ),
    ],
)
def test_what_has_no_fixed_point_form_is_named_by_its_node(change, message):
    step = graph("step")
    change(step)
    with pytest.raises(ExportError, match=f"^{message}"):
        hls_graph(step)
