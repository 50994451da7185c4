"""Inputs of any format: integers as they are, floats on a range that the training split gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import LENGTH, small_config, sums
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas.config import load_config, parse_config, to_toml, with_input
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.input_format import InputFormat, codes_of, covering_format, own_format
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training

LABELS = np.arange(60) % 3
MAGNITUDES = st.floats(2.0**-10, 2.0**20)
VALUES = st.one_of(MAGNITUDES, MAGNITUDES.map(lambda value: -value), st.just(0.0))


def loaded(tmp_path, x: np.ndarray, y: np.ndarray = LABELS, **options):
    np.savez(tmp_path / "own.npz", x=x, y=y)
    return load_data(dataset=f"npz:{tmp_path / 'own.npz'}", **options)


@pytest.mark.parametrize(("kind", "low"), [("uint8", 0), ("int8", -1), ("uint16", 0), ("int16", -1)])
def test_integers_of_a_type_stand_for_values_up_to_1(kind, low):
    """All codes there are: from 0 or -1 on, below 1, as far apart as each other, and back."""
    codes = np.arange(np.iinfo(kind).min, np.iinfo(kind).max + 1)
    fmt = own_format(np.dtype(kind))
    values = fmt.format.values(codes)
    assert values[0] == low and values[-1] < 1 and values[-1] + (values[1] - values[0]) == 1
    assert np.array_equal(codes_of(values, fmt), codes)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16", ">i2"])
def test_integers_are_codes_as_they_are(tmp_path, kind):
    ends = np.iinfo(kind)
    x = np.random.default_rng(0).integers(ends.min, ends.max + 1, (60, LENGTH, 2)).astype(kind)
    x[:, 0, 0], x[:, 1, 0] = ends.min, ends.max
    data = loaded(tmp_path, x)
    found = torch.cat([data.x_train, data.x_validation, data.x_test]).long()
    assert sorted(map(tuple, found.flatten(1).tolist())) == sorted(map(tuple, x.reshape(60, -1).tolist()))
    assert data.input_format == own_format(np.dtype(kind).newbyteorder("="))
    assert data.x_train.roll(1)[data.x_train > 0].numel(), "torch computes with the type"


@given(x=st.lists(VALUES, min_size=1, max_size=30), bits=st.integers(2, 16))
def test_the_format_of_floats_is_the_finest_in_which_none_saturates(x, bits):
    x = np.array(x)
    found = covering_format(x, bits)
    fmt = found.format
    assert found.bits == bits and found.signed == bool((x < 0).any())
    decoded = fmt.values(codes_of(x, found))
    assert np.abs(decoded - x).max() <= 2.0**found.exponent / 2
    assert np.array_equal(codes_of(decoded, found), codes_of(x, found))
    finer = np.ldexp(x, 1 - found.exponent)
    assert not x.any() or finer.min() < fmt.low or finer.max() > fmt.high


def test_the_range_is_the_training_split_s_alone_and_others_saturate(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 0.9, (60, LENGTH, 2))
    x[:, :, 1] = 0.25  # a constant channel
    x[:, 0, 0] = np.arange(60) / 100
    before = loaded(tmp_path, x)
    assert before.input_format == InputFormat(bits=8, signed=True, exponent=-7)
    # Codes of the first step tell which sequences are held out.
    held = np.isin(codes_of(x[:, 0, 0], before.input_format), torch.cat([before.x_test, before.x_validation])[:, 0, 0])
    assert held.sum() >= 12
    larger = np.where(held[:, None, None], 100 * x, x)
    larger[~held, 0, 0] = x[~held, 0, 0]
    after = loaded(tmp_path, larger)
    assert after.input_format == before.input_format and torch.equal(after.x_train, before.x_train)
    assert after.x_test.min() == -128 and after.x_test.max() == 127 and (after.x_test[..., 1] == 32).sum() == 0
    assert (before.x_train[..., 1] == 32).all()


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_floats_of_every_type_give_the_same_codes(tmp_path, kind):
    x = np.random.default_rng(0).integers(-512, 512, (60, LENGTH, 1)) / 64
    data = loaded(tmp_path, x.astype(kind), bits=11)
    assert data.input_format == InputFormat(bits=11, signed=True, exponent=-7) and data.x_train.dtype == torch.int16
    assert torch.equal(data.x_test, loaded(tmp_path, x, bits=11).x_test)


def test_a_format_that_is_given_holds_for_floats_and_for_integers(tmp_path):
    given_format = InputFormat(bits=12, signed=True, exponent=-9)
    x = np.linspace(-8, 8, 60 * LENGTH).reshape(60, LENGTH, 1)
    floats = loaded(tmp_path, x, given=given_format)
    assert floats.input_format == given_format and (floats.x_train.min(), floats.x_train.max()) == (-2048, 2047)
    codes = np.clip(np.rint(x * 255), -2048, 2047).astype(np.int16)
    integers = loaded(tmp_path, codes, given=given_format)
    assert integers.input_format == given_format and integers.x_train.max() <= 2047
    codes[5, 3] = 2048
    with pytest.raises(
        SsmqError, match="own.npz: x: codes from -2040 to 2048 are not those of 12 bits signed times 2.-9, -2048 to 2047"
    ):
        loaded(tmp_path, codes, given=given_format)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("split", ["x", "x_validation", "x_test"])
def test_what_is_no_number_is_refused_in_every_split(tmp_path, value, split):
    arrays = {name: np.ones((20, LENGTH, 1), np.float32) for name in ("x", "x_validation", "x_test")}
    arrays[split][3, 4] = value
    labels = {name.replace("x", "y"): LABELS[:20] for name in arrays}
    np.savez(tmp_path / "odd.npz", **arrays, **labels)
    with pytest.raises(SsmqError, match=f"odd.npz: {split} holds NaN or infinity"):
        load_data(dataset=f"npz:{tmp_path / 'odd.npz'}")


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_floats_that_no_scale_reaches_are_refused(tmp_path, size):
    with pytest.raises(SsmqError, match="own.npz: x: values from .* have no format of 8 bits: scale them"):
        loaded(tmp_path, np.full((60, LENGTH, 1), size))


def test_a_configuration_says_its_input_s_format(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("[model.input]\nbits = 12\nsigned = true\nexponent = -9\n[scheme.bits]\ninput = 10\n")
    config = load_config(path)
    path.write_text(to_toml(config))
    assert load_config(path) == config and config.model.input_format == InputFormat(bits=12, signed=True, exponent=-9)
    assert with_input(config, None).model.input is None
    pixels = "[model.input]\nbits = 8\nsigned = false\nexponent = -8\n"
    path.write_text(pixels)
    assert load_config(path).model == parse_config({}, origin="default").model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model.input]\nbits = 12", "model.input.signed is missing"),
        ("[model.input]\nbits = 17\nsigned = true\nexponent = 0", "model.input.bits: .*less than or equal to 16"),
        ("[model.input]\nbits = 8\nsigned = 1\nexponent = 0", "model.input.signed: .*boolean, not 1"),
        ("[model.input]\nbits = 8\nsigned = true\nexponent = 99", "model.input.exponent: .*less than or equal to 24"),
        ("[model.input]\nbits = 8\nsigned = true\nexponnet = 0", "unknown key 'model.input.exponnet'; did you mean 'exponent'"),
        (
            "[model.input]\nbits = 8\nsigned = true\nexponent = 0\n[scheme.bits]\ninput = 1",
            "scheme.bits.input is 1, but of signed",
        ),
        ("[scheme.bits]\ninput = 17", "scheme.bits.input: .*less than or equal to 16"),
    ],
)
def test_what_is_wrong_with_a_format_is_named(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SsmqError, match=message):
        load_config(tmp_path / "own.toml")


FORMATS = [(16, True, -15, 16), (16, True, 3, 10), (12, False, -4, 12), (8, True, -7, 2), (5, False, 0, 8)]


@pytest.mark.parametrize(("bits", "signed", "exponent", "kept"), FORMATS)
def test_a_model_reads_its_format_and_keeps_the_first_bits(bits, signed, exponent, kept):
    """Kept are the first bits of a code: as a value, the code rounded to a multiple of what they leave."""
    given_format = InputFormat(bits=bits, signed=signed, exponent=exponent)
    config = with_input(small_config(bits={"input": kept}, model={"channels": 2}), given_format)
    fmt = given_format.format
    codes = np.random.default_rng(0).integers(fmt.low, fmt.high + 1, (16, LENGTH, 2)).astype(np.int32)
    codes[0], codes[1] = fmt.low, fmt.high
    torch.manual_seed(0)
    floating = Model.floating(config).eval()
    model = post_training(floating, config, torch.from_numpy(codes))
    assert np.array_equal(floating.values(torch.from_numpy(codes)).numpy(), codes * 2.0**exponent)
    lost = max(bits - kept, 0)
    feeding = model.network.u_quant
    assert feeding.format.bits == bits - lost, "no wider than the codes are"
    with torch.no_grad():
        found = feeding(torch.from_numpy(codes * 2.0**exponent)).numpy() / 2.0 ** (exponent + lost)
    most = 2 ** (bits - lost - signed) - 1
    assert np.array_equal(found, np.clip(np.rint(codes / 2**lost), -most - 1 if signed else 0, most))
    widest = 2 * model.network.encoder.weight_format.magnitude * feeding.format.magnitude
    assert 2 ** (sums(model)["encoder"] - 1) >= widest


def test_the_encoder_starts_where_another_range_is_about_1():
    """Its weights differ by the range alone: of the full range of codes they make the same values."""
    models = []
    for bits, exponent in ((8, -7), (8, 10), (16, -3)):
        torch.manual_seed(0)
        config = with_input(small_config(bits={"input": bits}), InputFormat(bits=bits, signed=True, exponent=exponent))
        model = Model.floating(config)
        models.append(model.network.encoder(torch.tensor([[-(2.0 ** (bits - 1 + exponent))]])))
    assert torch.allclose(models[0], models[1]) and torch.allclose(models[0], models[2])


def test_json_of_a_configuration_is_read_as_it_was_written():
    config = with_input(small_config(), InputFormat(bits=8, signed=True, exponent=-7))
    assert parse_config(json.loads(config.model_dump_json()), origin="graph") == config
