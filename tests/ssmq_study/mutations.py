"""Damaged JSON: bytes changed, cut or repeated, and values of the wrong kind in the right places."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

ODD = [
    None, True, False, 0, -1, 1, 2**63, 10**30, 1e308, -1e308, 1e-320, 0.5, float("nan"), float("inf"), "", "x", "-->",
    "<script>", "a|b\n`c`", "$\\frac{$", "\x00", "\x1b[31m", "../../x", "x" * 5000, [], [None], [[]], {}, {"": {}},
    {"x": 1},
]  # fmt: skip


def places(value, path: tuple = ()):
    """Where there is something in a JSON value, from the whole inwards."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def mutated(values: dict) -> st.SearchStrategy[bytes]:
    """Contents of a file that held ``values``, after one to three changes of a value or of its bytes."""
    where = list(places(values))[1:]
    odd = st.tuples(st.sampled_from(where), st.sampled_from(["odd", "drop", "repeat"]), st.sampled_from(ODD))
    changed = st.lists(odd, min_size=1, max_size=3).map(lambda changes: json.dumps(_changed(values, changes)).encode())
    content = json.dumps(values).encode()
    cut = st.tuples(st.integers(0, len(content)), st.integers(0, 40), st.binary(max_size=4)).map(
        lambda at: content[: at[0]] + at[2] + content[at[0] + at[1] :]
    )
    return st.one_of(changed, changed, changed, cut)


def _changed(values: dict, changes: list) -> dict:
    values = copy.deepcopy(values)
    for (*path, last), how, odd in changes:
        parent = values
        try:
            for key in path:
                parent = parent[key]
            if how == "odd":
                parent[last] = odd
            elif how == "drop":
                del parent[last]
            elif isinstance(parent, list):
                parent.extend(parent[last : last + 1] * 3)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return values
