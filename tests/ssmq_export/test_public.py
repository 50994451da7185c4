"""The names that a user imports: what they take, what they give and how it reads."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import types
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import ssmq_brevitas
import ssmq_export
import torch
from ssmq_brevitas import S4D, Scheme, quantize
from ssmq_export import ExportError, IntegerModel, check, estimate, export, lower, verify
from torch import nn

STEPS, CHANNELS = 12, 2


def batch(count: int = 6, steps: int = STEPS, channels: int = CHANNELS) -> torch.Tensor:
    return torch.randn(count, steps, channels, generator=torch.Generator().manual_seed(count))


def network(modes: int = 2, seed: int = 0):
    torch.manual_seed(seed)
    layers = nn.Linear(CHANNELS, 3), S4D(3, modes), nn.GELU(), nn.Linear(3, 2)
    return quantize(nn.Sequential(*layers).eval(), Scheme(), batch())


@cache
def _files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        exported = export(network(), folder)
        return {path.name: path.read_bytes() for path in exported.paths.values()}


@pytest.fixture
def folder(tmp_path) -> Path:
    """What ``export`` wrote of ``network()``."""
    for name, content in _files().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def changed(path: Path) -> None:
    """One weight of the graph in ``path`` is another."""
    model = onnx.load(path)
    weight = next(c for c in model.graph.initializer if len(c.dims) == 2 and np.any(onnx.numpy_helper.to_array(c)))
    values = onnx.numpy_helper.to_array(weight).copy()
    values[np.unravel_index(np.abs(values).argmax(), values.shape)] = 0
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


@pytest.mark.parametrize("package", [ssmq_export, ssmq_brevitas], ids=lambda package: package.__name__)
def test_importing_does_no_work_and_every_promised_name_is_there(package):
    assert set(package.__all__) <= set(dir(package))
    # A name is never one of the package's own rooms, whichever was imported first.
    assert not [name for name in package.__all__ if isinstance(getattr(package, name), types.ModuleType)]
    heavy = {"torch", "onnx", "numpy", "numba", "brevitas"}
    code = f"import sys, {package.__name__}; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_verify_compares_every_engine_with_the_network(folder):
    found = verify(network(), folder, batch(), slow_sequences=0)
    assert found.agree and [row.sequences for row in found] == [6] * len(found)
    engines = {"eager Brevitas", "fused recurrence", "ONNX Runtime Scan", "dataflow graph (DiagonalScan)", "integer model"}
    assert {row.engine for row in found} == engines
    assert str(found).splitlines()[0].split() == ["engine", "sequences", "codes", "differing", "first", "difference"]


def test_verify_tells_a_graph_that_differs_from_the_network(folder):
    changed(folder / "dataflow.onnx")
    found = verify(network(), folder, slow_sequences=0)
    assert not found.agree and [row.engine for row in found if row.differing] == ["integer model"]
    assert found[-1].first in str(found)


def test_verify_without_a_network_compares_the_graphs_with_each_other(folder):
    found = verify(None, folder, batch(), slow_sequences=0)
    assert found.agree and found[0].engine == "ONNX Runtime Scan"
    # Every tensor that is quantised counts, not the output alone: 2 channels of 12 steps and 6 sequences.
    integers = next(row for row in found if row.engine == "integer model")
    assert integers.codes > 6 * STEPS * (2 * 3 * 2 + 2)
    changed(folder / "step.onnx")
    found = verify(None, folder, slow_sequences=0)
    assert {row.engine for row in found if row.differing} == {"dataflow graph (DiagonalScan)", "integer model"}


@pytest.mark.parametrize("other", [lambda: network(modes=3), lambda: network(seed=1)], ids=["shape", "scales"])
def test_verify_refuses_another_networks_graphs(other, folder):
    with pytest.raises(ExportError, match=f"^{folder}: its graphs are another network's, from .* on: export"):
        verify(other(), folder)


BATCHES = {
    "another length": (lambda: batch(steps=5), r"must be a tensor \(B, 12, 2\) .* not \(6, 5, 2\)"),
    "other channels": (lambda: batch(channels=3), r"must be a tensor \(B, 12, 2\) .* not \(6, 12, 3\)"),
    "no channels": (lambda: batch()[..., 0], r"must be a tensor \(B, 12, 2\) .* not \(6, 12\)"),
    "empty": (lambda: batch(0), r"not \(0, 12, 2\)"),
    "a list": (lambda: [1.0], r"must be a tensor \(B, 12, 2\) .* not list"),
    "NaN": (lambda: batch().fill_(torch.nan), "no finite numbers"),
    "infinite": (lambda: batch().numpy() / 0.0, "no finite numbers"),
    "complex": (lambda: batch().numpy() * 1j, "must be an array of numbers, not of complex64"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_that_is_none_is_refused_and_nothing_is_written(case, folder):
    given, message = BATCHES[case]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for call in (lambda: export(network(), folder / "new", given()), lambda: verify(network(), folder, given())):
        with pytest.raises(ExportError, match=message):
            call()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="file/graphs: cannot be created .Not a directory.: give another folder"):
        export(network(), tmp_path / "file" / "graphs", batch())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 3)), r"has 2 channels, which come last, and is given the shape \(3, 3\)"),
        (np.zeros((3, 1)), r"has 2 channels, which come last, and is given the shape \(3, 1\)"),
        ([[1.0, 2.0], [3.0]], "must be an array of numbers"),
        (["a", "b"], "must be an array of numbers, not of <U1"),
    ],
)
def test_values_that_have_no_codes_are_refused(values, message, folder):
    with pytest.raises(ExportError, match=f"^input: {message}"):
        IntegerModel(folder / "dataflow.onnx").codes(values)


def test_graphs_are_taken_from_files_and_from_memory(folder):
    step, dataflow = (onnx.load(folder / f"{form}.onnx") for form in ("step", "dataflow"))
    assert lower(folder / "step.onnx") == lower(str(folder / "step.onnx")) == lower(step)
    assert check(folder / "dataflow.onnx") == check(dataflow)
    assert estimate(folder / "dataflow.onnx", fps=1000).as_dict() == estimate(dataflow, fps=1000).as_dict()
    codes = np.zeros((1, STEPS, CHANNELS), np.int32)
    assert np.array_equal(IntegerModel(folder / "dataflow.onnx").forward(codes), IntegerModel(dataflow).forward(codes))


@pytest.mark.parametrize("call", [lower, estimate, IntegerModel])
def test_another_form_is_refused_with_what_to_give(call, folder):
    for name in ("sequence.onnx", "missing.onnx"):
        with pytest.raises(ExportError, match=rf"{name}: .*give the .*\.onnx"):
            call(folder / name)


def test_findings_say_what_is_wrong_and_how_to_fix_it(folder):
    findings = check(folder / "step.onnx")
    (error,) = [finding for finding in findings if finding.severity == "error"]
    assert not findings.legal and check(folder / "dataflow.onnx").legal
    assert error.message in str(findings) and error.fix in str(findings) and str(findings).endswith("illegal (1 error)")


def test_text_of_foreign_names_steers_no_terminal():
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y"))
    node = onnx.helper.make_node("Softmax", ["x"], ["y"], name="\x1b[31m\nlegal")
    told = str(check(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]))))
    assert "\\x1b[31m\\nlegal" in told and "\x1b" not in told


def test_an_estimate_reads_as_a_table_of_all_nodes(folder):
    found = estimate(folder / "dataflow.onnx", "xc7z020clg400-1", fps=1000)
    lines = str(found).splitlines()
    nodes, total = found.as_dict()["nodes"], found.as_dict()["total"]
    assert [line.split()[0] for line in lines[1 : len(nodes) + 1]] == [node["name"] for node in nodes]
    assert f"{total['lut']:,}" in lines[-3] and "100 MHz" in lines[-1]
    with pytest.raises(ExportError, match="sequences a second at 50 MHz are out of reach"):
        estimate(folder / "dataflow.onnx", fps=1e8, clock_mhz=50)


def test_codes_and_values_of_the_integer_model_are_the_networks(folder):
    quantized, model = network(), IntegerModel(folder / "dataflow.onnx")
    x = 3 * batch()  # beyond the range of the calibration
    codes = model.codes(x)
    assert codes.min() == -128 and codes.max() == 127
    with torch.no_grad():
        assert np.array_equal(model.values(model.forward(codes)), quantized(x).numpy())
    model.reset(batch=6)
    assert np.array_equal(model.step(model.codes(x[:, 0])), model.forward(codes)[:, 0])


@pytest.mark.parametrize("values", [[[1.0], [1.0, 2.0]], "text", [float("nan")]], ids=["ragged", "text", "NaN"])
def test_what_are_no_numbers_have_no_codes(values, folder):
    with pytest.raises(ExportError, match="^input: .*numbers"):
        IntegerModel(folder / "dataflow.onnx").codes(values)
