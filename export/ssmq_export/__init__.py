"""Graphs of a trained model, their lowering to integers and their legality; see ``export``, ``lower`` and ``check``."""

import os

# ONNX Runtime, which qonnx and FINN import too, reads this once when it is loaded: it would keep an identifier of the device
# in the user's cache and look up a host to report to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
