"""The writers: a quantised network, described by numbers and formats alone, as step and sequence graph.

spec.py            parameters on their grids, without torch
network_spec.py    what a network is: calls on the channels of a step
builder.py         nodes, constants, shapes and formats of a graph being written
blocks.py          B̄, C and rows of parameters as matrices
network_graph.py   one time step as QONNX, the states as ports
sequence_graph.py  an ONNX Scan around it
"""
