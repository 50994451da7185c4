"""`ssmq view`: Netron in a real browser shows our graphs, with the names and attributes that we gave them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx
import pytest
from conftest import small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_export.from_model import describe
from ssmq_export.lower import collapse, lower
from ssmq_export.sequence_graph import sequence_graph
from ssmq_export.step_graph import step_graph

spec = importlib.util.spec_from_file_location("netron_picture", Path(__file__).parents[2] / "scripts" / "netron_picture.py")
netron = importlib.util.module_from_spec(spec)
try:
    spec.loader.exec_module(netron)
    missing = "" if netron.available() else netron.INSTALL
except ModuleNotFoundError:
    missing = "pip install 'ssmq-brevitas[test]'"

pytestmark = pytest.mark.skipif(bool(missing), reason=missing)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    config = small_config()
    _, model = small_model(config)
    step = step_graph(describe(model))
    graphs = {"step": step, "sequence": sequence_graph(step), "dataflow": lower(step), "whole": collapse(lower(step))}
    for name, graph in graphs.items():
        onnx.save(graph, folder / f"{name}.onnx")
    save_checkpoint(folder / "model.safetensors", model, config, {})
    return folder, graphs


@pytest.mark.parametrize("form", ["step", "sequence", "dataflow"])
def test_every_node_is_there_by_its_name(files, form):
    folder, graphs = files
    with netron.viewed(folder / f"{form}.onnx") as page:
        shown = netron.node_names(page)
    # Netron draws a Quant of a parameter inside the node that it feeds.
    drawn = {node.name for node in graphs[form].graph.node if node.op_type != "Quant"}
    assert drawn <= shown and len(drawn) > 3


def test_the_attributes_of_our_operator_can_be_read(files, tmp_path):
    folder, _ = files
    with netron.viewed(folder / "whole.onnx") as page:
        netron.show_names(page)
        shown = netron.select(page, "DiagonalScan_y_exact_0")
        page.save_screenshot(str(tmp_path / "netron.png"))
    assert {"DiagonalScan_y_exact_0", "ssmq_export.custom_op", "PE", "state_bits", "u_0", "y_exact_0_shift"} <= shown
    assert (tmp_path / "netron.png").stat().st_size > 10_000


def test_a_checkpoint_shows_its_tensors(files):
    folder, _ = files
    with netron.viewed(folder / "model.safetensors") as page:
        assert "blocks" in page.page_source
