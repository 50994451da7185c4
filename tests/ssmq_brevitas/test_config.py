"""Configurations: presets load, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from ssmq_brevitas.config import load_config, preset_names
from ssmq_brevitas.errors import SsmqError


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
        ("[scheme.bits]\nc = 24\nx = 24\n[model]\nmodes = 64", "the accumulator of y needs 55 bits, more than the 53"),
        ("[model]\ndt_min = 0.5", r"model: dt_min 0.5 is above dt_max 0.1$"),
        ("[model\nheads = 4", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SsmqError, match=message) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_unknown_preset_names_a_near_one():
    with pytest.raises(SsmqError, match="did you mean 'paper-h16'"):
        load_config("paper-h17")


def test_the_readmes_example_is_valid(tmp_path):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (tmp_path / "mine.toml").write_text(readme.split("```toml\n")[1].split("```")[0])
    config = load_config(tmp_path / "mine.toml")
    assert config.scheme.parameterisation == "log_polar" and config.scheme.bits.a_magnitude == 4
