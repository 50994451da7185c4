"""The threshold layer, added to hls4ml by its extension API; imported only where hls4ml is installed.

One C++ function (``nnet_ssmq_thresholds.h``), one layer class and two templates, as
https://fastmachinelearning.org/hls4ml/advanced/extension.html describes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx
from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.converters.onnx_to_hls import register_onnx_layer_handler
from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
from hls4ml.model.layers import Layer, register_layer

from .writer import THRESHOLDS

HEADER = "nnet_ssmq_thresholds.h"
_CONFIG = """struct config{index} {{
    static const unsigned n_in = {n_in};
    static const unsigned n_levels = {n_levels};
    static const unsigned n_halvings = {n_halvings};
    static const int lowest = {lowest};
    static const unsigned reuse_factor = {reuse};
    typedef {threshold_t.name} threshold_t;
}};\n"""
_CALL = "nnet::ssmq_thresholds<{input_t}, {output_t}, {config}>({input}, {output}, {thresholds});"


class SsmqThresholds(Layer):
    """``thresholds`` ``(channels, n)`` in rising order a channel; ``lowest`` is the code below the first."""

    _expected_attributes = [
        Attribute("n_in"),
        Attribute("n_levels"),
        Attribute("n_halvings"),
        Attribute("lowest"),
        WeightAttribute("threshold"),
        TypeAttribute("threshold"),
    ]

    def initialize(self) -> None:
        source = self.get_input_variable()
        levels = self.attributes["threshold_data"]
        self.set_attr("n_in", source.size())
        self.set_attr("n_levels", levels.shape[1])
        self.set_attr("n_halvings", levels.shape[1].bit_length())
        self.add_output_variable(source.shape)
        self.add_weights_variable(name="threshold", var_name="t{index}", data=levels)


class _Config(LayerConfigTemplate):
    def __init__(self):
        super().__init__(SsmqThresholds)

    def format(self, node) -> str:
        return _CONFIG.format(**self._default_config_params(node))


class _Call(FunctionCallTemplate):
    def __init__(self):
        super().__init__(SsmqThresholds, include_header=[f"nnet_utils/{HEADER}"])

    def format(self, node) -> str:
        params = self._default_function_params(node)
        return _CALL.format(thresholds=node.get_weights("threshold").name, **params)


def _read(node, input_names, input_shapes, graph) -> dict:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {
        "class_name": SsmqThresholds.__name__,
        "name": node.name,
        "inputs": input_names,
        "outputs": list(node.output),
        "threshold_data": onnx.numpy_helper.to_array(attributes["thresholds"]),
        "lowest": attributes["lowest"],
    }


@cache
def register(backend_name: str) -> None:
    """Make the layer known to hls4ml; once a process, since hls4ml refuses a second time."""
    register_onnx_layer_handler(THRESHOLDS, _read)
    register_layer(SsmqThresholds.__name__, SsmqThresholds)
    backend = get_backend(backend_name)
    backend.register_template(_Config)
    backend.register_template(_Call)
    backend.register_source(Path(__file__).with_name(HEADER))
