"""ONNX Runtime, imported here alone. ``ssmq_export/__init__.py`` has switched its telemetry off by then."""

from __future__ import annotations

import onnx
import onnxruntime


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session that runs ``model`` and keeps its warnings to itself."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)
