"""The zoo as a table."""

from __future__ import annotations

from ssmq_brevitas.config import Scheme
from ssmq_brevitas.zoo import PREFIX, zoo_models

from .cards import Card, load_card
from .knobs import POLAR_GRIDS
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


def _described(scheme: Scheme) -> str:
    """The grid of Ā with its stored widths, and those of the state, of weights and of activations."""
    bits = scheme.bits
    widths = f"{bits.a_magnitude}+{bits.a_phase}" if scheme.parameterisation in POLAR_GRIDS else f"{bits.a}"
    return f"{scheme.parameterisation} Ā{widths} x{bits.x} W{bits.linear}A{bits.activation}"
