"""Weights without code: a layer out of a checkpoint, and its file."""

from __future__ import annotations

import json
import re

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from published_layers import Block, MinimalS4D, Network, OldLayer
from safetensors import safe_open
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.published import convert, load_layer, save_layer
from ssmq_brevitas.published.conventions import Conventions
from ssmq_brevitas.tensor_file import METADATA


def network() -> Network:
    torch.manual_seed(0)
    mixed = Block(4, 3)
    mixed.layer.kernel.P = torch.nn.Parameter(torch.ones(1, 4, 3, 2))
    return Network([MinimalS4D(4, 3), Block(4, 3, copies=2), OldLayer(4, 3, 2, 3), OldLayer(4, 3, 4, 2), mixed], 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    safetensors.torch.save_file(network().state_dict(), folder / "net.safetensors")
    torch.save(network().state_dict(), folder / "net.pt")
    torch.save(network().state_dict(), folder / "old", _use_new_zipfile_serialization=False)
    torch.save(network().state_dict(), folder / "new")
    (folder / "noise.pth").write_bytes(b"noise, and no pickle")
    save_layer(folder / "net.safetensors", "s4_layers.0", folder / "layer.safetensors")
    return folder


@pytest.mark.parametrize("number", range(4))
def test_a_layer_of_a_file_is_that_of_the_network(folder, tmp_path, number):
    layer = network().s4_layers[number]
    save_layer(folder / "net.safetensors", f"s4_layers.{number}", tmp_path / "out.safetensors")
    found, expected = load_layer(tmp_path / "out.safetensors"), convert(layer).s4d
    assert found.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in found.state_dict().items())
    u = torch.randn(2, 30, 4)
    assert torch.equal(found(u), expected(u))


def test_what_was_assumed_stands_in_the_file(folder, tmp_path):
    out = tmp_path / "out.safetensors"
    save_layer(folder / "net.safetensors", "s4_layers.1", out, Conventions(real_transform="softplus", bandlimit=0.5))
    with safe_open(out, "pt") as file:
        about = json.loads(file.metadata()[METADATA])
    assert (about["layer"], about["formulation"]) == ("s4_layers.1", "S4Block")
    assert about["assumed"] == {
        "discretization": "zoh", "real_transform": "softplus", "imag_transform": "none", "dt_transform": "exp",
        "dt_fast": False, "bandlimit": 0.5,
    }  # fmt: skip
    # softplus(x) = exp(log_a_re)
    real = network().s4_layers[1].layer.kernel.A_real
    expected = torch.nn.functional.softplus(real).repeat(2, 1)
    assert torch.allclose(load_layer(out).log_a_re.exp(), expected)


@pytest.mark.parametrize(("dtype", "kept"), [(torch.float64, torch.float64), (torch.bfloat16, torch.float32)])
def test_other_precisions_are_read(tmp_path, dtype, kept):
    layer = MinimalS4D(4, 3).to(dtype)
    safetensors.torch.save_file(layer.state_dict(), tmp_path / "net.safetensors")
    save_layer(tmp_path / "net.safetensors", "", tmp_path / "out.safetensors")
    found = load_layer(tmp_path / "out.safetensors")
    assert found.c.dtype == kept and torch.equal(found.c, layer.kernel.C.to(kept))


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        ("net.safetensors", "s4_layers", "at 's4_layers' several S4D layers, give one of: s4_layers.0, s4_layers.1,"),
        ("net.safetensors", "encoder", "at 'encoder' no S4D layer; the file has: s4_layers.0, s4_layers.1,"),
        ("net.safetensors", "s4_layers.4", "s4_layers.4.layer.kernel: not converted: P: .*DPLR"),
        ("layer.safetensors", "", "at '' no S4D layer; the file has: none"),
        ("none.safetensors", "", "no such checkpoint file"),
        ("net.pt", "", "a pickle, which can run anything"),
        ("old", "", "a pickle, which can run anything"),
        ("new", "", "a pickle, which can run anything"),
        ("noise.pth", "", "a pickle, which can run anything"),
    ],
)
def test_what_is_no_layer_or_no_safetensors_is_refused(folder, tmp_path, name, layer, message):
    with pytest.raises(SsmqError, match=message) as caught:
        save_layer(folder / name, layer, tmp_path / "out.safetensors")
    assert str(caught.value).startswith(str(folder / name)) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_two_lines_make_safetensors_of_a_pickle(folder, tmp_path):
    with pytest.raises(SsmqError) as caught:
        save_layer(folder / "net.pt", "", tmp_path / "out.safetensors")
    names = {"torch": torch, "safetensors": safetensors}
    lines = re.findall("`([^`]*)`", str(caught.value).replace(str(folder / "net.safetensors"), str(tmp_path / "n.safetensors")))
    assert len(lines) == 2
    for line in lines:
        exec(line, names)
    save_layer(tmp_path / "n.safetensors", "s4_layers.0", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": None}, "its tensor c is missing"),
        ({"c": torch.ones(4, 3)}, "its tensor c is missing or has not the shape"),
        ({"c": torch.ones(4, 0, 2)}, "its tensor c is missing or has not the shape"),
        ({"c": torch.ones(4, 2, 2)}, r"size mismatch for log_a_re"),
        ({"d": None}, "Missing key.*d"),
        ({"extra": torch.ones(1)}, "Unexpected key.*extra"),
        ({"d": torch.full((4,), float("nan"))}, "d holds numbers that are not finite"),
    ],
)
def test_a_damaged_layer_is_refused_by_name(folder, tmp_path, change, message):
    with safe_open(folder / "layer.safetensors", "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    kept = {name: value for name, value in (tensors | change).items() if value is not None}
    safetensors.torch.save_file(kept, tmp_path / "out.safetensors", metadata)
    with pytest.raises(SsmqError, match=message) as caught:
        load_layer(tmp_path / "out.safetensors")
    assert str(caught.value).startswith(str(tmp_path / "out.safetensors")) and "\n" not in str(caught.value)


SHAPES = {
    "k.C": (1, 4, 3, 2), "k.inv_dt": (4, 1), "k.B": (1, 2, 3, 2), "k.A_real": (2, 3), "k.A_imag": (2, 3), "D": (1, 4),
    "output_linear.0.weight": (8, 4), "output_linear.0.bias": (8,),
}  # fmt: skip


@given(st.dictionaries(st.sampled_from([*SHAPES, "k.P", "x"]), st.lists(st.integers(0, 4), max_size=5), max_size=3))
def test_any_shapes_give_a_layer_or_one_message(tmp_path_factory, changed):
    folder = tmp_path_factory.mktemp("shapes")
    tensors = {name: torch.ones(shape) for name, shape in {**SHAPES, **changed}.items()}
    safetensors.torch.save_file(tensors, folder / "net.safetensors")
    try:
        save_layer(folder / "net.safetensors", "", folder / "out.safetensors")
    except SsmqError as error:
        assert "\n" not in str(error)
    else:
        assert load_layer(folder / "out.safetensors")(torch.ones(1, 5, 4)).isfinite().all()
