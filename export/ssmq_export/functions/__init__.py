"""Float functions of one tensor between two quantisers, run by ONNX Runtime as they stand and found again on integers.

elementwise.py     the chain of nodes as a function of codes
thresholds.py      the function as thresholds, or as a table
runtime.py         ONNX Runtime
"""
