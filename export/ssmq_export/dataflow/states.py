"""State ports: their names, and what a state's channels mean."""

from __future__ import annotations


def successor(state: str) -> str:
    """Output port that becomes the input port ``state`` of the next step."""
    kind, _, index = state.rpartition("_")
    return f"{kind}_next_{index}" if kind else f"{state}_next"


def state_layout(heads: int, modes: int, layers: int) -> list[dict]:
    """One entry a state port, for the graph's metadata: its successor, layer, part and the order of its channels.

    Channel ``h * modes + n`` of ``x_re_k`` is the real part of mode n of head h; ``pool`` has one channel a head. All
    states start at 0.
    """
    found = [
        {"port": f"x_{part}_{k}", "layer": k, "part": part, "order": "head, mode", "shape": [heads, modes]}
        for k in range(layers)
        for part in ("re", "im")
    ]
    found.append({"port": "pool", "part": "sum", "order": "head", "shape": [heads]})
    return [{**entry, "next": successor(entry["port"]), "initial": 0} for entry in found]
