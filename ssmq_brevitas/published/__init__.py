"""Published S4D layers (state-spaces/s4) as ours: ``convert`` for networks, ``load_layer`` for weights without code.

recognise.py    layers in a state dict, by names and shapes, and what is no S4D
conventions.py  their parameters to ours
layer.py        a converted layer out of plain parts
agree.py        converted and original on the same data
network.py      all layers of a network
layer_file.py   a layer of a safetensors checkpoint as a file of its own
"""

from .layer import ConvertedS4D
from .layer_file import load_layer, save_layer
from .network import convert

__all__ = ["ConvertedS4D", "convert", "load_layer", "save_layer"]
