"""Do all ways to run a model give the same codes? Stands on every other room.

agreement.py    engines compared, tensor by tensor
engines.py      ONNX Runtime and qonnx over whole sequences
graphs.py       exported graphs as engines, FINN and hls4ml too
proof.py        the graph after every pass of the lowering, and the one that changed a code
hls_project.py  hls4ml's C++ against qonnx
"""
