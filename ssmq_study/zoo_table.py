"""The zoo as a table, and beside what the paper reports at the same widths."""

from __future__ import annotations

from ssmq_brevitas.config import Scheme
from ssmq_brevitas.zoo import PREFIX, zoo_models

from .cards import Card, load_card
from .knobs import POLAR_GRIDS
from .rows import load_study
from .table import Table, percent


def zoo_cards() -> list[Card]:
    """The cards of all models that have one."""
    cards = map(load_card, zoo_models().values())
    return [card for card in cards if card is not None]


def zoo_table() -> Table:
    """A line for each model and data set."""
    lines = []
    for card in zoo_cards():
        scheme = _described(card.config.scheme)
        for entry in card.measured:
            numbers = f"{card.bytes['total']:,.0f}", f"{entry.correct:,} / {entry.images:,}", percent(entry.accuracy)
            lines.append([PREFIX + card.name, scheme, f"{entry.data['name']}", *numbers])
    return Table("The model zoo", ["model", "scheme", "data", "bytes", "correct", "accuracy %"], lines, 3)


def paper_table() -> Table:
    """Accuracy against bytes on all test images of MNIST, and what the paper reports of as many heads at these widths."""
    lines = []
    for card in sorted(zoo_cards(), key=lambda card: card.bytes["total"]):
        for entry in card.measured:
            if entry.data["name"] == "MNIST":
                scheme, paper = _described(card.config.scheme), _paper(card)
                lines.append([PREFIX + card.name, scheme, f"{card.bytes['total']:,.0f}", percent(entry.accuracy), paper])
    return Table("Accuracy against bytes", ["model", "scheme", "bytes", "accuracy %", "the paper's"], lines, 2)


def _paper(card: Card) -> str:
    """What the headline table of the paper has for this model, which is of one layer there."""
    bits, heads = card.config.scheme.bits, card.config.model.heads
    a = bits.a_magnitude if card.config.scheme.parameterisation in POLAR_GRIDS else bits.a
    widths = f"W{bits.linear}A{bits.activation}"
    labels = {f"QAT {widths} Ā{a} x{bits.x}"} | ({"QAT W8A8"} if (widths, a, bits.x) == ("W8A8", 8, 8) else set())
    found = [entry.paper for entry in load_study("paper").headline if f"-h{heads}-" in entry.row and entry.label in labels]
    return f"{found[0]:.2f}" if found and card.config.model.layers == 1 else "–"


def _described(scheme: Scheme) -> str:
    """The grid of Ā with its stored widths, and those of the state, of weights and of activations."""
    bits = scheme.bits
    widths = f"{bits.a_magnitude}+{bits.a_phase}" if scheme.parameterisation in POLAR_GRIDS else f"{bits.a}"
    return f"{scheme.parameterisation} Ā{widths} x{bits.x} W{bits.linear}A{bits.activation}"
