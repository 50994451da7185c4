"""Names as C++ identifiers. A plain name (``door.names``) is one but for dots and a digit first, as in ``layers.0.weight``
and ``0.weight``, and for words of C++ and of hls4ml: a user's module has a ``long`` and a ``short`` memory."""

from __future__ import annotations

import re
from collections.abc import Iterable

import onnx

# Of C++ those that are no words of Python, and what hls4ml (ModelGraph) keeps for itself: the forward of nn.Sequential, and
# many another, calls its argument so.
WORDS = frozenset(
    "alignas alignof and_eq asm auto bitand bitor bool case catch char char16_t char32_t char8_t co_await co_return co_yield "
    "compl concept const const_cast consteval constexpr constinit decltype default delete do double dynamic_cast enum "
    "explicit export extern false float friend goto inline input int long mutable namespace new noexcept not_eq "
    "nullptr operator "
    "or_eq private protected public register reinterpret_cast requires short signed sizeof static static_assert static_cast "
    "struct switch template this thread_local throw true typedef typeid typename union unsigned using virtual void volatile "
    "wchar_t xor xor_eq".split()
)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An identifier for every name, no two alike; what is one already stays. Equal names in equal order give equal ones."""
    names = list(dict.fromkeys(names))
    found = {name: name for name in names if not name or (name.isidentifier() and name not in WORDS)}
    taken = {*found, *WORDS}
    for name in names:
        plain = free = re.sub(r"^(?=\d)", "_", name.replace(".", "_"))
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
