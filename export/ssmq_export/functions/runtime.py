"""ONNX Runtime, imported here alone. ``ssmq_export/__init__.py`` has switched its telemetry off by then."""

from __future__ import annotations

import onnxruntime


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A session that runs the serialised ``model`` and keeps its warnings to itself.

    On this thread alone: the graphs are small, and the threads of every session that is kept would spin between its runs.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)
