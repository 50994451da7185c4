"""Published S4D layers (state-spaces/s4) as ours: ``convert`` for networks.

    recognise.py    layers in a state dict, by names and shapes, and what is no S4D
    conventions.py  their parameters to ours
    layer.py        a converted layer out of plain parts
    agree.py        converted and original on the same data
    network.py      all layers of a network
"""

from .layer import ConvertedS4D
from .network import convert

__all__ = ["ConvertedS4D", "convert"]
