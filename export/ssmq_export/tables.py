"""Results as text: what a print shows of them."""

from __future__ import annotations

from collections.abc import Sequence

from .visible import visible


def text_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns below their ``headings``, numbers to the right; names from foreign files steer no terminal."""
    numeric = [all(isinstance(row[k], int) or row[k] == "" for row in rows) for k in range(len(headings))]
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    lines = [[visible(cell).replace("\n", "\\n") for cell in row] for row in [list(headings), *cells]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(headings))]
    aligned = (
        (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True))
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in aligned)
