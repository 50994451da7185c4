"""Seconds for a data set's sequences: the integer model against ONNX Runtime on the sequence graph.

    python benchmarks/integer_model.py dataflow.onnx sequence.onnx --images 10000

ONNX Runtime is timed on two batches of each size and scaled up.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ssmq_export.integer import IntegerModel


def seconds(function, repeats: int = 2) -> float:
    """The best of ``repeats``."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataflow", type=Path)
    parser.add_argument("sequence", type=Path)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--batches", type=int, nargs="*", default=[64, 256, 1000])
    arguments = parser.parse_args()
    sequence = onnx.load(arguments.sequence)
    port = sequence.graph.input[0]
    length = port.type.tensor_type.shape.dim[1].dim_value
    codes = np.random.default_rng(0).integers(0, 256, (arguments.images, length), dtype=np.uint8)
    model = IntegerModel.load(arguments.dataflow)
    print(f"integer model, first call: {seconds(lambda: model.forward(codes[:1]), 1):.2f} s")
    integers = seconds(lambda: model.forward(codes))
    print(f"integer model: {integers:.2f} s for {arguments.images} sequences of {length} steps")
    session = onnxruntime.InferenceSession(sequence.SerializeToString())
    dtype = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
    for batch in arguments.batches:
        values = np.ascontiguousarray(codes[:batch, :, None] * 2.0**-8, dtype)
        runtime = seconds(lambda values=values: session.run(None, {"sequence": values})) * len(codes) / len(values)
        print(f"ONNX Runtime, batches of {len(values)}: {runtime:.1f} s, {runtime / integers:.1f} times as long")


if __name__ == "__main__":
    main()
