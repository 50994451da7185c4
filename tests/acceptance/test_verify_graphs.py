"""``ssmq verify`` on the graphs of a network of one's own, of which there is no checkpoint."""

from __future__ import annotations

import json

import onnx
import pytest
from command_line import ssmq
from ssmq_brevitas import Scheme, quantize
from ssmq_export import export
from test_cli import FOREIGN
from torch import nn, randn


@pytest.mark.usefixtures("forked_workers")
def test_the_graphs_are_compared_with_each_other(tmp_path):
    network = quantize(nn.Sequential(nn.Linear(1, 2), nn.ReLU()).eval(), Scheme(), randn(4, 3, 1))
    export(network, tmp_path)
    done = ssmq("verify", tmp_path, "--images", 5, "--slow-images", 1, "--json")
    rows = json.loads(done.out)["engines"]
    others = ["qonnx step", "dataflow graph", "dataflow graph (DiagonalScan)", "integer model"]
    # Without layers that come again there is no serial shape.
    foreign = [engine for engine in FOREIGN if "serial" not in engine]
    assert (done.code, [row["engine"] for row in rows]) == (0, ["ONNX Runtime Scan", *others, *foreign]), done.err
    assert all(row["codes"] and not row["differing"] and not row["failed"] for row in rows)

    graph = onnx.load(tmp_path / "dataflow.onnx")
    weight = next(c for c in graph.graph.initializer if list(c.dims) == [1, 2])
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    onnx.save(graph, tmp_path / "dataflow.onnx")
    done = ssmq("verify", tmp_path, "--images", 5, "--slow-images", 1)
    assert done.code == 1 and "random codes: the graphs do not say which data they are for" in done.out
