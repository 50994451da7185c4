"""Metadata of graphs made by hand: what their ports are, by the names that these tests use."""

from __future__ import annotations

import onnx
from ssmq_export.dataflow import ports
from ssmq_export.dataflow.keys import PORTS_KEY


def follower(name: str) -> str:
    """``x_re_0`` becomes ``x_re_next_0``, ``pool`` becomes ``pool_next``."""
    kind, _, index = name.rpartition("_")
    return f"{kind}_next_{index}" if kind else f"{name}_next"


def ports_text(inputs: dict[str, int], outputs: dict[str, int], heads: int = 1) -> str | None:
    """``u`` is the input, ``x_re_k`` with ``x_im_k`` a recurrence, whatever else goes in a running sum; None if no ``u``."""
    found = []
    for name, channels in inputs.items():
        part = name[2:4]
        if name == "u":
            found.append(ports.input_port(name, channels))
        elif name.startswith("x_") and {name.replace(part, "re"), name.replace(part, "im")} <= inputs.keys():
            shape = heads, channels // heads
            found.append(ports.state_port(name, follower(name), shape, f"layer_{name[5:]}", part))
        else:
            found.append(ports.sum_port(name, follower(name), channels))
    followers = {entry.successor for entry in found}
    found += [ports.output_port(name, channels) for name, channels in outputs.items() if name not in followers]
    return ports.written(found) if "u" in inputs else None


def set_property(model: onnx.ModelProto, key: str, text: str) -> onnx.ModelProto:
    """``model`` itself, with ``text`` under ``key``."""
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != key}
    onnx.helper.set_model_props(model, {**kept, key: text})
    return model


def with_ports(model: onnx.ModelProto, heads: int = 1) -> onnx.ModelProto:
    """``model`` itself, with what its ports are."""
    sides = (
        {info.name: info.type.tensor_type.shape.dim[-1].dim_value for info in side}
        for side in (model.graph.input, model.graph.output)
    )
    return set_property(model, PORTS_KEY, ports_text(*sides, heads))
