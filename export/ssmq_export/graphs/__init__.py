"""The writers: a trained model, described by numbers and formats alone, as step and sequence graph.

spec.py            what a model is, without torch
builder.py         nodes, constants, shapes and formats of a graph being written
blocks.py          B̄, C and rows of parameters as matrices
step_graph.py      one time step as QONNX, the states as ports
sequence_graph.py  an ONNX Scan around it
"""
