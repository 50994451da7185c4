"""Networks of several layers, drawn at random at foldings drawn at random, as one layer of RTL for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import small_codes, small_config, small_model
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from ssmq_export import rtl
from ssmq_export.dataflow.folding import Folding, fold, foldings_of
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.ports import values_of
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl.evaluate import evaluated
from ssmq_export.rtl.names import Names
from ssmq_export.rtl.schedule import queued
from ssmq_export.rtl.serial import build_serial
from test_rtl_networks import Network, check, lanes

COUNT = 8
WIDTHS = ("c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool")
models = st.fixed_dictionaries(
    {
        "channels": st.integers(1, 2), "heads": st.integers(1, 6), "modes": st.integers(1, 4), "layers": st.integers(2, 4),
        "classes": st.integers(2, 4), "norm": st.sampled_from(["none", "batch"]), "gate": st.sampled_from(
            ["none", "sigmoid", "hard_sigmoid"]), "activation": st.sampled_from(["relu", "gelu", "hard_gelu"]),
    }
)  # fmt: skip
widths = st.fixed_dictionaries({name: st.integers(3, 8) for name in WIDTHS})


def sample() -> list:
    found = []

    @seed(5)
    @settings(max_examples=COUNT + 1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(models, widths)
    def draw(model, bits):
        found.append((model, bits))

    draw()
    return found[1 : COUNT + 1]


def network(k: int, model: dict, bits: dict, names: Names) -> Network:
    _, quantized = small_model(small_config(model=model, bits=bits), k)
    whole = collapse(lower(step_graph(quantized.network)))
    graph, rng = DataflowGraph(whole), np.random.default_rng(k)
    # One lane each in the first half of them.
    foldings = [Folding(lanes(rng, one) if k >= COUNT // 2 else (1,) * len(one.dims)) for one in graph.operations]
    kept = foldings_of(fold(whole, graph.operations, foldings), graph.operations)
    codes = small_codes(4, k, model["channels"]).numpy().reshape(4, -1, model["channels"])
    port = graph.ports.output
    expected = values_of(evaluated(graph, codes), port.format.exponent)
    design = queued(build_serial(graph, kept, names))
    return Network(design, None, codes, expected, port.format.exponent, bool(port.each_step))


@pytest.mark.slow
@pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)
def test_every_code_and_every_cycle(tmp_path):
    names = Names()
    drawn = sample()
    networks = [network(k, model, bits, names) for k, (model, bits) in enumerate(drawn)]
    for one, (model, _) in zip(networks, drawn, strict=True):
        # Some have a layer more, whose activation has another form.
        assert sum(cell.module == "ssmq_scan" for cell in one.design.cells) < model["layers"]
    check(networks, tmp_path)
