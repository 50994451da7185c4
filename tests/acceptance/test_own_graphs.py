"""The graphs of a network of one's own, without a configuration or data set of ours, in each command that takes a graph."""

from __future__ import annotations

import json

import pytest
import torch
from command_line import ssmq
from ssmq_brevitas.config import Scheme
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.s4d import S4D
from ssmq_export import hls4ml
from ssmq_export.exporting import FILES
from ssmq_export.from_network import export
from torch import nn

STEPS = 6


class Memories(nn.Module):
    """Two branches, whose names are words of C++."""

    def __init__(self):
        super().__init__()
        self.long, self.short = S4D(2, 1), nn.Linear(2, 2, bias=False)

    def forward(self, x):
        return self.long(x) - self.short(x)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The folder with the graphs of a network of 3 input channels, 2 heads of a mode, and 4 outputs a step. Its names are
    numbers, and ``input``."""
    torch.manual_seed(0)
    batch = torch.randn(4, STEPS, 3)
    network = nn.Sequential(nn.Linear(3, 2), Memories(), nn.Linear(2, 4, bias=False))
    folder = tmp_path_factory.mktemp("own") / "graphs"
    export(quantize(network, Scheme(), batch), folder, batch)
    return folder


def test_the_commands_take_the_graphs_or_say_which_they_take(graphs, tmp_path):
    commands = {"lower": ["--out", tmp_path / "l.onnx"], "check": [], "estimate": ["--target", "xc7z020"]}
    taken = {"lower": {"step"}, "check": {"dataflow", "sequence-dataflow"}, "estimate": {"dataflow", "sequence-dataflow"}}
    for name, options in commands.items():
        for form, file in FILES.items():
            done = ssmq(name, graphs / file, *options)
            assert done.code == (form not in taken[name]) and done.err.count("\n") == bool(done.err), (name, form, done)
            if name != "check" and done.code:
                assert f"holds a {form} graph; give the" in done.err


@pytest.mark.skipif(not hls4ml.available(), reason="hls4ml and g++")
def test_hls4ml_compares_on_random_codes(graphs, tmp_path):
    done = ssmq("hls4ml", graphs / "step.onnx", "--out", tmp_path / "hls", "--images", 3, "--json")
    found = json.loads(done.out)
    # Of every step the states of 2 heads, re and im, and 4 outputs.
    assert (done.code, found["differing"], found["codes"]) == (0, 0, 3 * STEPS * (2 * 2 + 4))
