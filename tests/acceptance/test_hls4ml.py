"""The real hls4ml and g++: fixed-point C++ of the step graph gives qonnx's codes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import LENGTH, part, small_codes, small_config, small_model
from qonnx.core.modelwrapper import ModelWrapper
from ssmq_export import hls4ml
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.hls4ml import project
from ssmq_export.verification import hls_project as comparing
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_steps

pytestmark = pytest.mark.usefixtures("forked_workers")
needs_tools = pytest.mark.skipif(not project.available(), reason=f"g++ and {project.INSTALL}")
MIXED = {"a": 8, "b": 4, "c": 4, "d": 4, "x": 6, "u": 8, "linear": 4, "activation": 6, "y": 6, "input": 4}
WIDE = {"a": 12, "x": 12, "c": 10, "u": 12}


def step_of(config) -> onnx.ModelProto:
    return step_graph(small_model(config)[1].network, {"ssmq.config": config.model_dump_json()})


@pytest.fixture(scope="module")
def plain() -> onnx.ModelProto:
    return step_of(small_config(model={"layers": 1, "norm": "none", "activation": "relu", "gate": "none"}))


@needs_tools
@pytest.mark.parametrize(
    "changes",
    [
        # Exponents a head and a mode; batch norm, which floats round; a function that also falls; several inputs.
        {"model": {"norm": "batch", "activation": "gelu", "channels": 3}, "scheme": {"granularity": "head"}, "bits": MIXED},
        # Sums past float32, so a graph in doubles with Casts; a sigmoid.
        {"model": {"norm": "batch", "activation": "relu", "gate": "sigmoid", "layers": 1}, "bits": WIDE},
    ],
    ids=["mixed widths, 3 channels", "double"],
)
def test_every_output_code_is_qonnx_s(changes):
    config = small_config(**changes)
    step = step_of(config)
    values = small_codes(6, channels=config.model.channels).numpy()
    ports = hls4ml.output_ports(step)
    found = compare("hls4ml", run_steps(step, values, ports), hls4ml.run_hls4ml(step, values, [*ports, "encoder_quant"]))
    sizes = {port.name: port.type.tensor_type.shape.dim[1].dim_value for port in step.graph.output}
    logits = sizes.pop("decoder")  # of which the last counts
    assert (found.differing, found.codes) == (0, 6 * (LENGTH * sum(sizes.values()) + logits)), found.first


@needs_tools
def test_names_with_dots_are_compiled_and_compared(plain, tmp_path):
    """As torch.fx gives them; two of them alike but for the dot, and one that a kept name would take."""
    wrapper = ModelWrapper(copy.deepcopy(plain))
    inner = [node.output[0] for node in plain.graph.node if node.output[0] not in hls4ml.output_ports(plain)]
    for number, name in enumerate(inner):
        wrapper.rename_tensor(name, f"layers.{number // 2}.out" if number % 2 else f"layers_{number // 2}.out")
    wrapper.rename_tensor("layers_0.out", "layers_0_out")
    values = small_codes(3).numpy()
    ports = hls4ml.output_ports(plain)
    found = compare("hls4ml", run_steps(plain, values, ports), hls4ml.run_hls4ml(wrapper.model, values, ports))
    assert (found.differing, found.sequences) == (0, 3), found.first


def nothing(ssm) -> None:
    ssm.d.zero_()


def alike(ssm) -> None:
    """One factor in both products of a sum."""
    ssm.a.a_re.fill_(0.5)
    ssm.a.a_im.fill_(0.5)


@needs_tools
@pytest.mark.parametrize(("heads", "change"), [(1, nothing), (3, alike)], ids=["1 head, D = 0", "one factor in both products"])
def test_factors_stay_where_they_are(heads, change):
    """hls4ml moves some below the sum that follows, and takes what has a factor of 0 for a constant."""
    config = small_config(model={"heads": heads, "layers": 1, "norm": "none", "activation": "relu", "gate": "none"})
    _, model = small_model(config)
    with torch.no_grad():
        change(part(model, "blocks.0.ssm"))
    values = small_codes(3).numpy()
    step = step_graph(model.network)
    ports = hls4ml.output_ports(step)
    expected = run_steps(step, values, ports)
    found = compare("hls4ml", expected, hls4ml.run_hls4ml(step, values, ports))
    assert (found.differing, found.sequences) == (0, 3), found.first
    assert len(np.unique(expected["blocks.0.ssm.x_re_next"])) > 3


@needs_tools
def test_the_command_leaves_a_project_that_compiles(tmp_path):
    model = {"norm": "none", "activation": "hard_gelu", "layers": 1, "length": 49, "classes": 10}
    onnx.save(step_of(small_config(model=model)), tmp_path / "step.onnx")
    command = [Path(sys.executable).parent / "ssmq", "hls4ml", "step.onnx", "--out", "hls", "--images", "2"]
    done = subprocess.run(
        [*command, "--steps", "30", "--downsample", "4", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["sequences"], found["steps"], found["differing"]) == (2, 30, 0)
    # The states and the sum of every step, and the logits after the last.
    assert found["codes"] == 2 * (30 * (2 * 12 + 4) + 10) and set(found["seconds"]) == {"build", "hls4ml", "qonnx"}
    assert {path.name for path in tmp_path.iterdir()} == {"step.onnx", "hls"}
    assert (tmp_path / "hls" / "firmware" / "ssmq_step.cpp").is_file()
    assert str(tmp_path / "hls") in (tmp_path / "hls" / "hls4ml_config.yml").read_text()
    assert ".hls4ml-" not in (tmp_path / "hls" / "hls4ml_config.yml").read_text()


@needs_tools
def test_a_failing_compiler_is_one_error_with_the_names_of_the_graph(plain, tmp_path, monkeypatch):
    fake = tmp_path / "g++"
    fake.write_text(
        "#!/bin/sh\necho 'ssmq_step.cpp:1:2: error: no such thing as blocks_0_ssm_du_of'\necho '1 error generated'\nexit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    wrapper = ModelWrapper(copy.deepcopy(plain))
    wrapper.rename_tensor("blocks.0.ssm.du", "blocks.0.ssm.du.of")
    with pytest.raises(ExportError) as failure:
        hls4ml.build(wrapper.model, tmp_path / "project")
    assert str(failure.value) == "hls4ml failed: ssmq_step.cpp:1:2: error: no such thing as blocks.0.ssm.du.of"


def test_what_is_missing_is_named_with_its_install_line(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(project.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match="hls4ml is not installed: pip install hls4ml==1.3.0"):
        hls4ml.build(plain, tmp_path / "project")
    monkeypatch.undo()
    monkeypatch.setattr(project.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"g\+\+, which compiles the HLS project, .*apt-get install g\+\+"):
        hls4ml.build(plain, tmp_path / "project")


def test_the_install_line_is_what_the_extra_installs():
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert pyproject["project"]["optional-dependencies"]["hls4ml"] == [project.INSTALL.removeprefix("pip install ")]


def test_one_differing_code_leaves_no_project(plain, tmp_path, monkeypatch):
    class Wrong:
        def run(self, values, tensors):
            result = run_steps(plain, values, tensors)
            result["sum"][1, 3, 2] += 1
            return result

    monkeypatch.setattr(comparing, "require_tools", lambda: None)
    monkeypatch.setattr(comparing, "build", lambda *arguments: Wrong())
    found = comparing.compare_project(plain, small_codes(3).numpy()[:, :5], tmp_path / "hls").agreement
    assert (found.differing, found.first) == (1, "sum, sequence 1, step 3")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_project_is_not_replaced(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(comparing, "require_tools", lambda: None)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match="exists and is no HLS project; give another folder"):
        comparing.compare_project(plain, np.zeros((1, 1)), tmp_path)
    assert (tmp_path / "thesis.tex").is_file()
