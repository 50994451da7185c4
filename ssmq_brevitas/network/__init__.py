"""A network is a graph of layers: any module that torch.fx can trace, read as operations on the channels of one time step.

    trace.py       module -> torch.fx graph, or the place that cannot be traced
    calls.py       every call written in one way, or refused for what it would lose
    operations.py  graph -> operations: what each value is (axes, channels), what each call does
    spread.py      GLU, functionals and their like as modules of one idea each, before anything is quantised
    needs.py       which operand must be codes, and which value is
    insert.py      quantisers where the integer contract needs them
    replace.py     Linear, Conv1d, S4D and BatchNorm1d by quantised layers of the same name
    quantize.py    all of it: a float module and a calibration batch to a quantised module
    widths.py      accumulator widths of a quantised network

A network that was written with Brevitas' own layers is quantised already:

    adopt.py                all of it: such a module and sequences of its input to the same kind of quantised module
    exact_functions.py      sigmoids, means and quotients as modules that every engine repeats
    brevitas_layers.py      each layer of Brevitas as layers of this package
    brevitas_quantizers.py  formats of its quantisers, proved on every code and tie
"""
