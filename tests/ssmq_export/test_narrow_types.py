"""Annotated types that cannot hold what a sum or a product reaches, by hand, from either side."""

from __future__ import annotations

import pytest
from hand_graphs import dataflow
from ssmq_export.door import refuse_narrow
from ssmq_export.errors import ExportError


@pytest.mark.parametrize(
    ("op", "first", "wide", "narrow", "reach"),
    [
        ("Sub", True, "INT10", "INT9", "-300 to -45"),  # u - 300
        ("Sub", False, "UINT9", "UINT8", "45 to 300"),  # 300 - u
        ("Add", True, "UINT10", "UINT9", "300 to 555"),
        ("Mul", True, "UINT17", "UINT16", "0 to 76500"),
        ("Mul", False, "UINT17", "UINT16", "0 to 76500"),
    ],
)
def test_a_type_holds_what_its_operator_reaches(op, first, wide, narrow, reach):
    def draw(g) -> None:
        operands = [g.input("u", 1), g.constant("c", ((300,),))]
        g.output(g.node(op, operands if first else operands[::-1], "y", 1), 1)

    refuse_narrow(dataflow(draw, u="UINT8", c="UINT9", y=wide).model())
    with pytest.raises(ExportError, match=f"^y: annotated {narrow}, and its codes reach from {reach}"):
        refuse_narrow(dataflow(draw, u="UINT8", c="UINT9", y=narrow).model())


def test_what_no_code_of_62_bits_holds_is_named():
    def draw(g) -> None:
        g.output(g.node("Mul", [g.input("u", 1), g.constant("c", ((2.0**40,),))], "y", 1), 1)

    with pytest.raises(ExportError, match="^y: its codes need more than 62 bits: choose narrower formats"):
        refuse_narrow(dataflow(draw, double=True, u="UINT32", c="INT48", y="INT62").model())


def test_a_matrix_reaches_the_ends_of_its_columns():
    def draw(g) -> None:
        g.input("u", 2)
        g.output(g.node("MatMul", ["u", g.constant("c", ((3, -1), (-2, -1)))], "y", 2), 2)

    refuse_narrow(dataflow(draw, u="UINT8", c="INT3", y="INT11").model())
    with pytest.raises(ExportError, match="^y: annotated INT10, and its codes reach from -510 to 765"):
        refuse_narrow(dataflow(draw, u="UINT8", c="INT3", y="INT10").model())
