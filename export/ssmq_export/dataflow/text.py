"""Text in a foreign file that is no text."""

from __future__ import annotations

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def undecodable_field(model: onnx.ModelProto) -> str | None:
    """A field whose text is not UTF-8, None if there is none. Protobuf hands such text over as bytes, on which every
    comparison with a name silently fails, or raises."""
    waiting: list[Message] = [model]
    while waiting:
        for field, value in waiting.pop().ListFields():
            if field.type not in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING):
                continue
            # A field holds one value or a list; newer and older protobuf releases name the difference differently.
            values = [value] if isinstance(value, (str, bytes, Message)) else value
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                waiting.extend(values)
            elif any(isinstance(text, bytes) for text in values):
                return field.full_name
    return None
