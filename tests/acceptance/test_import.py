"""``ssmq import`` as a user types it, on a checkpoint of a network with published layers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import ssmq
from published_layers import Block, MinimalS4D, Network
from safetensors.torch import save_file
from ssmq_brevitas.published import convert, load_layer


def network() -> Network:
    torch.manual_seed(0)
    selective = torch.nn.Module()
    selective.A_log = torch.nn.Parameter(torch.ones(4, 3))
    return Network([MinimalS4D(4, 3), Block(4, 3, copies=2, dt_fast=True, real_transform="relu"), selective], 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    save_file(network().state_dict(), folder / "net.safetensors")
    torch.save(network().state_dict(), folder / "net.pt")
    return folder


def test_layers_are_listed_those_that_are_none_with_the_reason(folder):
    done = ssmq("import", folder / "net.safetensors")
    assert done.code == 0 and done.err == ""
    rows = [line for line in done.out.splitlines() if "s4_layers." in line]
    assert len(rows) == 3
    for row, words in zip(rows, ("minimal S4D", "S4Block", r"a selective layer (Mamba)"), strict=True):
        assert words in row
    listed = json.loads(ssmq("import", folder / "net.safetensors", "--json").out)["layers"]
    assert listed[:2] == [
        {"layer": "s4_layers.0", "formulation": "minimal S4D", "heads": 4, "modes": 3},
        {"layer": "s4_layers.1", "formulation": "S4Block", "heads": 4, "modes": 3},
    ]
    assert listed[2].keys() == {"layer", "refused"} and listed[2]["layer"] == "s4_layers.2"


def test_a_layer_is_written_as_the_options_say(folder, tmp_path):
    words = ["--layer", "s4_layers.1", "--dt-fast", "--real-transform", "relu", "--out", tmp_path / "new" / "layer.safetensors"]
    done = ssmq("import", folder / "net.safetensors", *words)
    assert done.code == 0 and done.out.count("\n") == 1
    assert "s4_layers.1: S4Block, 4 heads of 3 modes" in done.out and "real_transform relu" in done.out
    expected = convert(network().s4_layers[1], dt_fast=True, real_transform="relu").s4d.state_dict()
    found = load_layer(tmp_path / "new" / "layer.safetensors").state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.safetensors", "--layer", "s4_layers.0"], "--layer and --out go together"),
        (["net.safetensors", "--out", "OUT"], "--layer and --out go together"),
        (["net.safetensors", "--layer", "decoder", "--out", "OUT"], "at 'decoder' no S4D layer; the file has: s4_layers.0,"),
        (
            ["net.safetensors", "--layer", "s4_layers.0", "--out", "OUT", "--real-transform", "x"],
            "real_transform must be one of",
        ),
        (["net.safetensors", "--layer", "s4_layers.0", "--out", "OUT", "--discretization", "dss"], "no recurrence knows"),
        (["net.pt"], "weights_only=True"),
        (["net.safetensors", "--layer", "s4_layers.0", "--out", "/proc/layer"], "/proc/layer"),
    ],
)
def test_what_cannot_be_imported_ends_in_one_line(folder, tmp_path, words, message):
    done = ssmq("import", *(word.replace("OUT", str(tmp_path / "out")) for word in words), cwd=folder)
    assert done.code == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1 and message in done.err, done
    assert not list(tmp_path.iterdir())
