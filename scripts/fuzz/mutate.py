"""Damage to valid files, a kind of file a function: ``(random, content) -> content``."""

from __future__ import annotations

import copy
import io
import json
import math
import random
import struct
import zipfile

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

HOSTILE = (
    '\nstatic int p = system("touch canary"); //',
    "$(touch canary)",
    "`touch canary`",
    "[exec touch canary]",
    "<script>alert(1)</script>",
    "[/bold]",
    "\x1b[2J\x07",
    "../../canary",
    "/etc/passwd",
    "a b",
    "ü\u202e名",
    "",
    "x" * 5000,
)
NONSENSE = (
    *(None, True, False, 0, -1, 1, 2, 7, 63, 64, 10**8, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, 1e-320),
    *(math.nan, math.inf, -math.inf, "", "8", [], {}, [[]], [1, 2, 3], {"a": 1}),
)
_DEEP = '[{"a":' * 3000


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """Flipped, lost, repeated, zeroed or foreign bytes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        start = rng.randrange(len(data) + 1)
        size = rng.choice((1, 2, 4, 8, 64, 1024))
        action = rng.randrange(6)
        if action == 0 and data:
            data[min(start, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif action == 1:
            del data[start : start + size]
        elif action == 2:
            data[start:start] = data[start : start + size]
        elif action == 3:
            data[start : start + size] = bytes(len(data[start : start + size]))
        elif action == 4:
            data[start : start + size] = rng.randbytes(size)
        else:
            del data[start:]
    return bytes(data)


def _places(value, found: list | None = None) -> list[tuple]:
    """Every (container, key) of a nested value."""
    found = [] if found is None else found
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((value, key))
        _places(inner, found)
    return found


def damaged_values(rng: random.Random, value):
    """A nested value with one to three entries lost, renamed, repeated, exchanged or turned into nonsense."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = _places(value)
        if not places:
            return rng.choice(NONSENSE)
        container, key = rng.choice(places)
        action = rng.randrange(6)
        if action == 0:
            del container[key]
        elif action == 1:
            container[key] = rng.choice(HOSTILE)
        elif action == 2 and isinstance(container, dict):
            container[rng.choice((*HOSTILE, "zzz"))] = container.pop(key)
        elif action == 3:
            other, place = rng.choice(places)
            container[key] = copy.deepcopy(other[place]) if place in _keys(other) else None
        elif action == 4 and isinstance(container[key], (int, float)):
            container[key] = container[key] * rng.choice((-1, 0, 2, 1000, 1e9)) + rng.choice((0, 1, -1, 0.5))
        else:
            container[key] = rng.choice(NONSENSE)
    return value


def _keys(container):
    return container if isinstance(container, dict) else range(len(container))


def damaged_json(rng: random.Random, content: bytes) -> bytes:
    """A JSON text with damaged values, bytes or depth."""
    if rng.random() < 0.15:
        return damaged_bytes(rng, content)
    if rng.random() < 0.02:
        return _DEEP.encode()
    return json.dumps(damaged_values(rng, json.loads(content))).encode()


def _messages(root: Message) -> dict[str, list[Message]]:
    """All messages below ``root``, itself included, by type: many constants must not hide the few ports."""
    found: dict[str, list[Message]] = {}
    waiting = [root]
    while waiting:
        message = waiting.pop()
        found.setdefault(message.DESCRIPTOR.name, []).append(message)
        for field, value in message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                waiting.extend([value] if isinstance(value, Message) else value)
    return found


_NUMBERS = (0, 1, -1, 2, 3, 7, 8, 9, 16, 17, 99, 255, 2**31 - 1, -(2**31))


def _scalar(rng: random.Random, field, names: list[str]):
    """Nonsense of a field's type."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice((rng.choice(names), rng.choice(HOSTILE)))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.choice((b"", rng.randbytes(rng.randrange(64)), b"\xff" * 8, rng.choice(HOSTILE).encode()))
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return rng.choice((0.0, -1.0, 0.5, 2.0, 1e30, math.nan, math.inf))
    if field.type == FieldDescriptor.TYPE_UINT64:
        return rng.choice((0, 1, 2**63))
    wide = (2**62, -(2**63), 10**12) if field.type == FieldDescriptor.TYPE_INT64 else ()
    return rng.choice((*_NUMBERS, *wide))


def _damage_message(rng: random.Random, root: Message, names: list[str]) -> None:
    by_type = _messages(root)
    message = rng.choice(by_type[rng.choice(sorted(by_type))])
    field = rng.choice([f for f, _ in message.ListFields()] or list(message.DESCRIPTOR.fields))
    value = getattr(message, field.name)
    if isinstance(value, (str, bytes, int, float)):
        if rng.random() < 0.2:
            message.ClearField(field.name)
        elif isinstance(value, bytes) and value and rng.random() < 0.7:
            setattr(message, field.name, damaged_bytes(rng, value))
        elif field.type != FieldDescriptor.TYPE_ENUM:
            setattr(message, field.name, _scalar(rng, field, names))
        return
    if isinstance(value, Message):
        message.ClearField(field.name)
        return
    k = rng.randrange(len(value)) if len(value) else 0
    action = rng.randrange(5)
    if action == 0 and len(value):
        del value[k]
    elif action == 1 and len(value):
        other = copy.deepcopy(value[k])
        value.append(other)
    elif action == 2 and len(value):
        kept = [copy.deepcopy(entry) for entry in value]
        rng.shuffle(kept)
        del value[:]
        value.extend(kept)
    elif field.type != FieldDescriptor.TYPE_MESSAGE:
        if len(value):
            value[k] = _scalar(rng, field, names)
        else:
            value.append(_scalar(rng, field, names))
    elif len(value):
        del value[k:]


def _rename_everywhere(model: onnx.ModelProto, old: str, new: str) -> None:
    for messages in _messages(model).values():
        for message in messages:
            for field, value in message.ListFields():
                if field.type == FieldDescriptor.TYPE_STRING:
                    if not isinstance(value, str):
                        value[:] = [new if text == old else text for text in value]
                    elif value == old:
                        setattr(message, field.name, new)


def damaged_graph(rng: random.Random, content: bytes) -> bytes:
    """An ONNX file with damaged messages, metadata, names or bytes."""
    if rng.random() < 0.1:
        return damaged_bytes(rng, content)
    model = onnx.load_from_string(content)
    names = sorted({name for node in model.graph.node for name in (*node.input, *node.output)})
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        action = rng.random()
        if action < 0.1:
            old = rng.choice(names)
            _rename_everywhere(model, old, rng.choice((old + rng.choice(HOSTILE), rng.choice(HOSTILE))))
        elif action < 0.3 and model.metadata_props:
            entry = rng.choice(model.metadata_props)
            try:
                entry.value = json.dumps(damaged_values(rng, json.loads(entry.value)))
            except (ValueError, RecursionError):
                entry.value = rng.choice(HOSTILE)
        else:
            _damage_message(rng, model, names)
    return model.SerializeToString()


def damaged_safetensors(rng: random.Random, content: bytes) -> bytes:
    """A safetensors file with a damaged header, description or numbers."""
    if rng.random() < 0.2:
        return damaged_bytes(rng, content)
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    action = rng.random()
    if action < 0.4:
        described = json.loads(header["__metadata__"]["ssmq"])
        header["__metadata__"]["ssmq"] = json.dumps(damaged_values(rng, described))
    elif action < 0.7:
        header = damaged_values(rng, header)
    else:
        # One number of one tensor: a scale, a parameter, a running statistic.
        name = rng.choice(sorted(header.keys() - {"__metadata__"}))
        start, stop = header[name]["data_offsets"]
        kind = {"F32": "<f", "F64": "<d", "I64": "<q"}.get(header[name]["dtype"])
        if kind and stop > start:
            width = struct.calcsize(kind)
            place = start + width * rng.randrange((stop - start) // width)
            value = rng.choice((math.nan, math.inf, -1.0, 0.0, 3.0, 1e30)) if kind != "<q" else rng.choice((-1, 2**62))
            struct.pack_into(kind, data, place, value)
    text = json.dumps(header).encode()
    length = len(text) if rng.random() < 0.97 else rng.choice((0, 2**40, 2**63, len(text) + 9))
    return struct.pack("<Q", length) + text + bytes(data)


def damaged_npz(rng: random.Random, content: bytes) -> bytes:
    """An npz file with damaged arrays, members or bytes."""
    if rng.random() < 0.4:
        return damaged_bytes(rng, content)
    arrays = dict(np.load(io.BytesIO(content)))
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    changes = (
        lambda: array.astype(rng.choice(("f4", "u8", "i1", "c8", "U3", "?", "O"))),
        lambda: array.astype("u8") + np.uint64(2**63),
        lambda: array[:0],
        lambda: array[..., None],
        lambda: array.ravel(),
        lambda: np.asfortranarray(array),
        lambda: array[: len(array) // 2],
        lambda: np.zeros((rng.choice((0, 1, 3)),) * rng.choice((1, 2, 3, 9)), array.dtype),
        lambda: np.float64("nan"),
    )
    arrays[name] = rng.choice(changes)()
    if rng.random() < 0.2:
        arrays[rng.choice(HOSTILE[:-2] or ("x",))] = arrays.pop(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for key, value in arrays.items():
            member = io.BytesIO()
            np.save(member, value, allow_pickle=True)
            text = member.getvalue() if rng.random() < 0.9 else damaged_bytes(rng, member.getvalue())
            file.writestr(key.replace("\x00", "_") + ".npy", text)
    return buffer.getvalue()


def damaged_toml(rng: random.Random, content: bytes) -> bytes:
    """A TOML file with damaged lines, values or bytes."""
    if rng.random() < 0.2:
        return damaged_bytes(rng, content)
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        k = rng.randrange(len(lines))
        key, equals, value = lines[k].partition(" = ")
        nonsense = rng.choice(("true", "-1", "0", "1e9", "nan", "inf", "-inf", '""', "[]", "{}", "10" * 12, "2.5", value))
        action = rng.randrange(5)
        if action == 0:
            del lines[k]
        elif action == 1:
            lines.insert(k, lines[rng.randrange(len(lines))])
        elif action == 2:
            lines[k] = json.dumps(rng.choice(HOSTILE)) + equals + value
        elif action == 3 and equals:
            lines[k] = key + equals + json.dumps(rng.choice(HOSTILE))
        elif equals:
            lines[k] = key + equals + nonsense
        if not lines:
            break
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return b"\xef\xbb\xbf" + text if rng.random() < 0.05 else text
