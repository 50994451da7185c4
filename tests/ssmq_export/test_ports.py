"""Ports as the metadata say them: written and read again, and refused where they are damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from ssmq_export.dataflow import ports as p
from ssmq_export.dataflow.keys import FORMATS_KEY, PORTS_KEY
from ssmq_export.errors import ExportError
from test_totals_by_hand import STEP
from with_ports import set_property

ENTRIES = [
    p.input_port("u", 2),
    p.state_port("r", "r2", (2, 3), "one", "re"),
    p.state_port("i", "i2", (2, 3), "one", "im"),
    p.sum_port("s", "s2", 2),
    p.output_port("y", 5),
]
FORMATS = {
    "u": {"bits": 8, "signed": False, "exponent": -3},
    "r": {"datatype": "INT4", "exponent": [1, 2, 3, 4, 5, 6]},
    "i": {"datatype": "UINT5", "exponent": 0},
    "s": {"datatype": "TERNARY", "exponent": 0},
    "y": {"datatype": "INT12", "exponent": 2},
}


def read(entries=ENTRIES, formats=FORMATS) -> p.Ports:
    model = type(STEP)()
    set_property(model, PORTS_KEY, p.written(entries))
    return p.ports_of(set_property(model, FORMATS_KEY, json.dumps(formats)))


def test_what_is_written_is_read():
    ports = read()
    assert [port.name for port in ports.all] == ["u", "r", "i", "s", "y"]
    assert (ports.input.name, ports.output.name) == ("u", "y")
    assert [(port.kind, port.shape, port.channels, port.kept, port.initial) for port in ports.all] == [
        ("input", (2,), 2, False, None), ("state", (2, 3), 6, True, 0), ("state", (2, 3), 6, True, 0), ("sum", (2,), 2, True, 0),
        ("output", (5,), 5, False, None),
    ]  # fmt: skip
    assert ports.successors == {"r": "r2", "i": "i2", "s": "s2"}
    assert [port.name for port in ports.sums] == ["s"]
    assert {name: (re.name, im.name) for name, (re, im) in ports.recurrences.items()} == {"one": ("r", "i")}


def test_an_output_a_step_says_so_and_any_other_says_nothing():
    """So that files of before there was such an output still mean what they meant."""
    after_the_last = p.written(ENTRIES)
    assert "each_step" not in after_the_last and not read().output.each_step
    assert read([*ENTRIES[:-1], p.output_port("y", 5, each_step=True)]).output.each_step is True


def test_formats_by_bits_or_by_type():
    formats = {port.name: port.format for port in read().all}
    assert [(formats[n].bits, formats[n].signed) for n in "urisy"] == [(8, False), (4, True), (5, False), (2, True), (12, True)]
    assert formats["u"].exponent == -3 and formats["r"].exponent.tolist() == [1, 2, 3, 4, 5, 6]


def test_values_of_codes():
    assert p.values_of(np.array([[3, -4]], np.int8), -2).tolist() == [[0.75, -1.0]]
    assert p.values_of(np.array([[3, -4]]), np.array([1, 0])).tolist() == [[6.0, -4.0]]


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "u", "kind": "input", "shape": []},
        {"name": "u", "kind": "input", "shape": [0]},
        {"name": "u", "kind": "input", "shape": [2**16 + 1]},
        {"name": "u", "kind": "input", "shape": [1] * 5},
        {"name": "u", "kind": "input", "shape": ["2"]},
        {"name": "u", "kind": "pool", "shape": [1]},
        {"name": "u", "kind": "input", "shape": [1], "color": "red"},
        {"name": "u", "kind": "state", "shape": [1], "initial": 1},
        {"name": "u", "kind": "state", "shape": [1], "part": "both"},
    ],
)
def test_a_damaged_entry_is_refused(entry):
    with pytest.raises(ValidationError):
        p.entries_of(json.dumps([entry]))


@pytest.mark.parametrize("shape", [[1], [2**16], [1, 2, 3, 4]])
def test_shapes_up_to_their_limits(shape):
    assert p.entries_of(json.dumps([{"name": "u", "kind": "input", "shape": shape}]))[0].shape == shape


@pytest.mark.parametrize(
    ("entries", "formats"),
    [
        (ENTRIES[1:], FORMATS),
        (ENTRIES[:-1], FORMATS),
        (ENTRIES, {**FORMATS, "y": {}}),
        (ENTRIES, {"u": FORMATS["u"]}),
        ([], FORMATS),
    ],
)
def test_a_graph_that_does_not_say_is_refused(entries, formats):
    with pytest.raises(ExportError, match="the graph does not say what its ports are .ssmq.ports.: export it again"):
        read(entries, formats)
