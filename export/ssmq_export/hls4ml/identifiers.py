"""Names as C++ identifiers. A plain name (``door.names``) is one but for dots: ``layers.0.weight`` is how torch.fx names."""

from __future__ import annotations

import re
from collections.abc import Iterable

import onnx


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An identifier for every name, no two alike; what is one already stays. Equal names in equal order give equal ones."""
    names = list(dict.fromkeys(names))
    found = {name: name for name in names if "." not in name}
    taken = set(found)
    for name in names:
        plain = free = name.replace(".", "_")
        number = 1
        while name not in found and free in taken:
            number += 1
            free = f"{plain}_{number}"
        taken.add(found.setdefault(name, free))
    return found


def rename(graph: onnx.GraphProto, types: dict[str, dict]) -> tuple[dict[str, dict], dict[str, str]]:
    """Give every node and tensor of ``graph`` an identifier; ``types`` by the new names, and name -> identifier."""
    tensors = [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
    outputs = [name for node in graph.node for name in (node.name, *node.output)]
    found = identifiers([*(tensor.name for tensor in tensors), *outputs, *types])
    for tensor in tensors:
        tensor.name = found[tensor.name]
    for node in graph.node:
        node.name = found[node.name]
        for side in (node.input, node.output):
            side[:] = [found[name] for name in side]
    return {found[name]: value for name, value in types.items()}, found


def with_names(text: str, found: dict[str, str]) -> str:
    """``text`` of a tool that was given identifiers, with the names that they stand for."""
    names = {identifier: name for name, identifier in found.items()}
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)
