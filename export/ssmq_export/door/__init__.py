"""The one door for graphs: what a file claims is checked once, and what is handed on is rebuilt from what was checked.

    model = admit(onnx.load("step.onnx", load_external_data=False), "step")

Nothing is trusted because its metadata say that it is ours. Whatever is not known here (doc strings, foreign metadata,
attributes, functions, domains) is refused or left behind, so no reader and no tool ever sees it.

    names.py      names, operators and their domains
    constants.py  initialisers as arrays: size before memory, finite, inside the file
    nodes.py      attributes by operator, one producer a tensor, one order of computation
    shapes.py     the shape and type of every tensor, from the ports and the constants alone
    metadata.py   formats, states and length
    values.py     what the numbers of a form must be: grids of a step graph, integers of a dataflow graph
    admission.py  the model made of all that
    ranges.py     whether the integer types of a dataflow graph hold its codes
"""

from __future__ import annotations

from .admission import admit, admit_part
from .names import refuse_foreign
from .ranges import refuse_narrow

__all__ = ["admit", "admit_part", "refuse_foreign", "refuse_narrow"]
