"""Checkpoints of any content: refused by the name of what is wrong, or a model that evaluates as it should."""

from __future__ import annotations

import json
import re

import pytest
import torch
from conftest import part, small_codes, small_config, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.tensor_file import METADATA

SCALE = "blocks.0.ssm.c_quant.tensor_quant.scaling_impl.scale"
CONFIG = small_config(model={"norm": "batch", "activation": "relu"}, scheme={"parameterisation": "log_polar"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "m.safetensors"
    save_checkpoint(path, small_model(CONFIG)[1], {"seed": 0})
    return path.read_bytes()


def described(whole: bytes) -> dict:
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    return json.loads(header["__metadata__"][METADATA])


def refused(path, tensors: dict, description: str) -> str:
    path.write_bytes(save(tensors, metadata={METADATA: description}))
    with pytest.raises(SsmqError) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 0.0, 3.0, 2.0**41, 2.0**-65])
def test_a_scale_that_is_none_is_refused(whole, tmp_path, value):
    tensors = load(whole)
    tensors[SCALE] = torch.tensor(value)
    message = refused(tmp_path / "m.safetensors", tensors, json.dumps(described(whole)))
    assert SCALE in message and ("no power of two" in message or "not finite" in message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder.weight", float("nan"), "encoder.weight holds numbers that are not finite"),
        ("encoder.weight", -3e9, "encoder.weight holds numbers past 2\\^30"),
        ("blocks.1.norm.variance", -1.0, "blocks.1.norm.variance is negative"),
        ("decoder.bias", None, "of decoder.bias the file has none, where the shape"),
        ("decoder.bias", torch.zeros(7), r"of decoder.bias the file has the shape \(7,\), where the shape \(3,\) is wanted"),
        ("decoder.bias", torch.zeros(3, dtype=torch.float16), "decoder.bias is of type torch.float16"),
        ("extra", torch.zeros(3), r"of extra the file has the shape \(3,\), where none is wanted"),
    ],
)
def test_a_tensor_that_is_wrong_is_named(whole, tmp_path, name, value, message):
    tensors = load(whole)
    if isinstance(value, float):
        tensors[name] = torch.full_like(tensors[name], value)
    elif value is None:
        del tensors[name]
    else:
        tensors[name] = value
    found = refused(tmp_path / "m.safetensors", tensors, json.dumps(described(whole)))
    assert re.search(message, found), found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": ["ssmq-checkpoint"]}, "not a ssmq-checkpoint of this program"),
        ({"kind": "ssmq-network"}, "not a ssmq-checkpoint of this program: ssmq_brevitas.load reads it"),
        ({"config": [1]}, "configuration inside"),
        ({"config": {"model": {"heads": 10**9}}}, "model.heads: .*less than or equal"),
        ({"config": {"model": {"heads": 2000, "modes": 3}}}, "do not fit the configuration inside"),
        ({"format": "pickled"}, "description is damaged"),
        ({"note": [1]}, "description is damaged"),
    ],
)
def test_a_description_that_is_wrong_is_said(whole, tmp_path, change, message):
    found = refused(tmp_path / "m.safetensors", load(whole), json.dumps(described(whole) | change))
    assert re.search(message, found), found


def test_a_configuration_past_float64_is_refused_by_the_sum(whole, tmp_path):
    wide = small_config(bits={"c": 24, "x": 24}, model={"modes": 64})
    found = refused(
        tmp_path / "m.safetensors", load(whole), json.dumps(described(whole) | {"config": wide.model_dump(mode="json")})
    )
    assert "(configuration inside): the accumulator of blocks.0.ssm needs 54 bits" in found


def test_exponents_past_float64_are_refused_by_the_sum(tmp_path):
    wide = small_config(bits={"a": 24, "x": 24, "c": 20, "d": 24, "u": 16}, scheme={"granularity": "head"})
    model = small_model(wide)[1]
    part(model, "blocks.1.ssm").b_quant.power.set_exponent(-60)
    save_checkpoint(tmp_path / "m.safetensors", model)
    with pytest.raises(SsmqError, match="m.safetensors: the accumulator of blocks.1.ssm.x needs"):
        load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize("description", ["[" * 5000, '{"kind": NaN}', "[]", "3", '{"a": ' + "9" * 5000 + "}"])
def test_a_description_that_is_no_object_is_said(whole, tmp_path, description):
    assert "description is damaged" in refused(tmp_path / "m.safetensors", load(whole), description)


def test_a_file_larger_than_a_model_can_be_is_not_read(tmp_path):
    with (tmp_path / "m.safetensors").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SsmqError, match="m.safetensors: 1,099,511,627,776 bytes are more than"):
        load_checkpoint(tmp_path / "m.safetensors")


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path):
    _, model = small_model(CONFIG)
    with torch.no_grad():
        model.network.decoder.weight[0, 0] = float("nan")
    with pytest.raises(SsmqError, match="m.safetensors is not written: decoder.weight is not finite"):
        save_checkpoint(tmp_path / "m.safetensors", model)
    assert not list(tmp_path.iterdir())


def test_sums_of_more_than_24_bits_are_exact_whatever_the_file_holds(tmp_path):
    config = small_config(bits={"a": 16, "x": 16})
    _, model = small_model(config)
    save_checkpoint(tmp_path / "m.safetensors", model.float())
    loaded, _ = load_checkpoint(tmp_path / "m.safetensors")
    assert loaded.network.decoder.weight.dtype == torch.float64


@settings(max_examples=25)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused_or_a_model_that_evaluates(whole, tmp_path_factory, data):
    """Bytes of header and tensors replaced: fused and reference give equal, finite logits for what is accepted."""
    content = bytearray(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    low, high = data.draw(st.sampled_from([(0, header), (header, len(whole)), (0, len(whole))]))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(low, high - 1))
        piece = data.draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\xff\xff\xff\x7f", b"9999", b"null", b"-1"]))
        content[start : start + len(piece)] = piece
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    try:
        model, _ = load_checkpoint(path)
    except SsmqError:
        return
    codes = small_codes(2)
    with torch.no_grad():
        fused = model(codes)
        model.use_engine("reference")
        assert fused.isfinite().all() and torch.equal(model(codes), fused)
