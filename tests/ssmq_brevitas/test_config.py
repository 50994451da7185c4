"""Configurations: presets load, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas import Bits, InputFormat, Scheme, SsmqError
from ssmq_brevitas.config import ModelConfig, load_config, parse_config, preset_names, to_toml


@pytest.mark.parametrize("name", preset_names())
def test_presets_load(name):
    assert load_config(name).name == name


def test_a_file_is_a_preset_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[model]\nheads = 3\n[scheme.bits]\nx = 6\n")
    config = load_config(path)
    assert (config.name, config.model.heads, config.scheme.bits.x, config.scheme.bits.a) == ("mine", 3, 6, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[scheme.bits]\nlinaer = 4", r"unknown key 'scheme.bits.linaer'; did you mean 'linear'\?"),
        ("[modle]\nheads = 4", r"unknown key 'modle'; did you mean 'model'\?"),
        ("[scheme.bits]\nx = 1", "scheme.bits.x: input should be greater than or equal to 2, not 1"),
        ("[scheme]\nparameterisation = 'cartesian'", "scheme.parameterisation: .*'log_polar', not 'cartesian'"),
        ("[model]\ndt_min = 0.5", r"model: dt_min 0.5 is above dt_max 0.1$"),
        ("[model\nheads = 4", "not valid TOML"),
        ("[model]\nheads = true", "model.heads: .*integer, not True"),
        ("[scheme]\nequalise = 1", "scheme.equalise: .*boolean, not 1"),
        ("[train.qat]\nlearning_rate = inf", "train.qat.learning_rate: .*finite number, not inf"),
        ("[train.float]\nweight_decay = nan", "train.float.weight_decay: .*finite number, not nan"),
        ("[model]\nheads = 1_000_000_000", "model.heads: .*less than or equal to 65536"),
        ("[model]\nlayers = 1_000_000_000", "model.layers: .*less than or equal to 64"),
        (f"[model]\nlength = {10**21}", "model.length: .*less than or equal to"),
        (f"[train.qat]\nepochs = 0x{'f' * 9000}", "train.qat.epochs: .* not a number of thousands of digits"),
        (f"[model]\nheads = {'9' * 4500}", "mine.toml: not valid TOML"),
        ("[model]\nheads = 60000", "model: .* parameters are more than .*: lower heads"),
        ("[model]\nmodes = 60000\nlayers = 64", "model: .* parameters are more than .*: lower modes"),
        ("[model]\ndt_max = 1e300", "model.dt_max: .*less than or equal to 1000"),
        ("a = " + 5000 * "[", "nested too deeply"),
        ("a = " + 20_000 * "1", "more than 16,384 bytes are no configuration"),
        ('name = "\\u0007"', "name: must be printable characters"),
        ("[[model]]\nheads = 4", "model: input should be a valid dictionary"),
        ("[model]\nnorm = [{a = 1}]", "model.norm: .*'batch', not"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SsmqError, match=message) as caught:
        load_config(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Scheme(parameterisation="cartesian"), "Scheme: parameterisation: .*'log_polar', not 'cartesian'"),
        (lambda: Scheme(equalize=True), r"Scheme: unknown key 'equalize'; did you mean 'equalise'\?"),
        (lambda: Scheme(bits={"x": 99}), "Scheme: bits.x: input should be less than or equal to 24, not 99"),
        (lambda: Bits(x="8"), "Bits: x: input should be a valid integer, not '8'"),
        (lambda: InputFormat(bits=12), "InputFormat: signed is missing"),
        (lambda: ModelConfig(dt_min=0.5), "ModelConfig: dt_min 0.5 is above dt_max 0.1$"),
    ],
)
def test_a_mistake_in_code_is_named_as_one_in_a_file(made, message):
    with pytest.raises(SsmqError, match=message) as caught:
        made()
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[model]\r\nheads = 3\r\n")
    assert load_config(path).model.heads == 3


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(SsmqError, match="latin.toml: not UTF-8"):
        load_config(tmp_path / "latin.toml")
    for name in (str(tmp_path), "a\0b", "x" * 5000):
        with pytest.raises(SsmqError, match="neither a preset nor a TOML file|cannot be read"):
            load_config(name)


@given(data=st.data())
def test_a_mutated_file_is_refused_or_a_configuration(tmp_path_factory, data):
    """Bytes of a valid file replaced, doubled and cut; values of another type."""
    content = bytearray(to_toml(load_config("edge-2x16")).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 12))
        piece = st.sampled_from([b"true", b"nan", b"-1", b"1e400", b"[[", b"{", b'"', b"\xff", b"10000000000", b""])
        content[start : start + length] = data.draw(piece | st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "mutated.toml"
    path.write_bytes(content)
    try:
        found = load_config(path)
    except SsmqError:
        return
    assert load_config_of(to_toml(found), path) == found


def load_config_of(text: str, path: Path):
    path.write_text(text)
    return load_config(path)


def test_unknown_preset_names_a_near_one():
    with pytest.raises(SsmqError, match="did you mean 'paper-h16'"):
        load_config("paper-h17")


def test_a_table_past_16_bits_is_refused_before_anything_is_trained():
    """Thresholds of a monotone function have no such bound."""
    wide = {"scheme": {"bits": {"y": 17}}}
    for activation in ("gelu", "hard_gelu"):
        with pytest.raises(SsmqError, match=f"y is 17, but {activation} is a table of 2..y entries: at most 16"):
            parse_config({"model": {"activation": activation}, **wide}, origin="x.toml")
    assert parse_config({"model": {"activation": "relu"}, **wide}, origin="x.toml").scheme.bits.y == 17
