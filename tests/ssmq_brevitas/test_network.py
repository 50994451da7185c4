"""Any network: traced, its quantisers where the contract needs them, everything else as it was."""

from __future__ import annotations

import brevitas.nn as qnn
import pytest
import torch
from networks import Residual, settled
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.network.calibrate import calibrate
from ssmq_brevitas.network.checkpoint import load, save
from ssmq_brevitas.network.footprint import footprint
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.network.reconstruct import reconstruct
from ssmq_brevitas.network.structure import quantized_of
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.quantizers import Quantizer
from ssmq_brevitas.s4d import S4D
from torch import nn


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn(8, 20, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network(batch) -> nn.Module:
    torch.manual_seed(0)
    return settled(Residual(), batch)


def test_the_quantized_network_has_the_names_and_nearly_the_values_of_the_float_one(network, batch):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    quantized = quantize(network, Scheme(), batch)
    widths = {part: 14 for part in Bits.model_fields if part not in ("input", "a_magnitude")}
    wide = quantize(network, Scheme(bits=Bits(**widths)), batch)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert {name for name, _ in network.named_modules()} <= {name for name, _ in quantized.named_modules()}
    with torch.no_grad():
        wanted = network(batch)
    errors = [float((found(batch).detach() - wanted).norm() / wanted.norm()) for found in (quantized, wide)]
    assert errors[0] < 0.2 and errors[1] < errors[0] / 4


def test_no_quantizer_reads_another(network, batch):
    graph = quantize(network, Scheme(), batch)
    modules = dict(graph.named_modules())
    for node in graph.graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], Quantizer):
            source = node.args[0]
            while source.op == "call_method" and source.target == "transpose":
                source = source.args[0]
            assert source.op != "call_module" or not isinstance(modules[source.target], Quantizer)


def test_patterns_give_single_tensors_their_widths(network, batch):
    scheme = Scheme(tensors={"blocks.*.s4d.c": 4, "blocks.1.s4d.c": 5, "decoder": 3, "blocks.0.add_quant": 6})
    found = quantize(network, scheme, batch)
    assert [getattr(found.blocks, k).s4d.c_quant.bits for k in "01"] == [4, 5]
    assert found.decoder.weight_bits == 3 and found.encoder.weight_bits == 8
    assert getattr(found.blocks, "0").add_quant.bits == 6 and getattr(found.blocks, "1").add_quant.bits == 8


def test_a_width_for_everything_of_a_layer_leaves_its_grids(network, batch):
    scheme = Scheme(tensors={"blocks.0.*": 6, "blocks.*": "polar"}, granularity="tensor")
    with pytest.raises(SsmqError, match="granularity"):
        quantize(network, scheme, batch)
    found = quantize(network, Scheme(tensors={"blocks.0.*": 6, "*.parameterisation": "polar"}), batch)
    first, second = (getattr(found.blocks, k).s4d for k in "01")
    assert (first.c_quant.bits, second.c_quant.bits) == (6, 8)
    assert type(first.a).__name__ == type(second.a).__name__ == "Polar"


@pytest.mark.parametrize("pattern, near", [("blocks.0.s4d.cc", "blocks.0.s4d.c"), ("decodr", "decoder")])
def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest_name(network, batch, pattern, near):
    with pytest.raises(SsmqError, match=f"{pattern}.*{near}"):
        quantize(network, Scheme(tensors={pattern: 4}), batch)


class Odd(nn.Module):
    """Something unsupported at ``part``, between an encoder and a decoder."""

    def __init__(self, part):
        super().__init__()
        self.encoder, self.part, self.decoder = nn.Linear(3, 4), part, nn.Linear(4, 2)

    def forward(self, x):
        return self.decoder(self.part(self.encoder(x)).mean(dim=1))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "part, message",
    [
        (nn.LayerNorm(4), "part.*LayerNorm.*BatchNorm1d"),
        (nn.Softmax(dim=-1), "part.*Softmax.*logits"),
        (nn.Conv1d(4, 4, 3, padding=1), "part.*kernel 1"),
        (nn.Linear(5, 4), "part.*5 channels.*4"),
        (Branching(), "part.*cannot be traced.*depends on the data"),
        (nn.BatchNorm1d(4), "part.*transpose"),
    ],
)
def test_what_cannot_become_integers_is_refused_by_its_path(part, message, batch):
    with pytest.raises(SsmqError, match=message):
        quantize(Odd(part).eval(), Scheme(), batch)


def test_a_nan_weight_and_a_wrong_batch_are_refused(network, batch):
    for wrong in (batch[:0], batch[0], batch.numpy(), torch.full_like(batch, float("inf"))):
        with pytest.raises(SsmqError, match="calibration batch"):
            quantize(network, Scheme(), wrong)
    with torch.no_grad():
        network.blocks[1].mix.weight[0] = float("nan")
    with pytest.raises(SsmqError, match="blocks.1.mix.weight"):
        quantize(network, Scheme(), batch)


def test_quantized_of_says_what_a_float_network_lacks(network):
    with pytest.raises(SsmqError, match="not quantised"):
        quantized_of(network)


def test_a_saved_network_is_loaded_around_the_float_module(network, batch, tmp_path):
    scheme = Scheme(tensors={"decoder": 5}, parameterisation="log_polar")
    quantized = quantize(network, scheme, batch)
    save(tmp_path / "a.safetensors", quantized)
    torch.manual_seed(1)
    found = load(tmp_path / "a.safetensors", Residual())
    assert torch.equal(found(batch), quantized(batch)) and quantized_of(found) == quantized_of(quantized)
    with pytest.raises(SsmqError, match="a.safetensors.*do not fit.*Residual.*blocks.0.mix"):
        load(tmp_path / "a.safetensors", Residual(heads=4))
    with pytest.raises(SsmqError, match="not quantised"):
        save(tmp_path / "b.safetensors", network)
    with torch.no_grad():
        quantized.decoder.bias[0] = float("nan")
    with pytest.raises(SsmqError, match="decoder.bias is not finite"):
        save(tmp_path / "b.safetensors", quantized)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_reconstruction_comes_nearer_to_the_float_network(network, batch):
    scheme = Scheme(bits=Bits(c=3, d=3, decoder=3, x=5))
    quantized = quantize(network, scheme, batch)
    with torch.no_grad():
        wanted = network(batch)
        before = (quantized(batch) - wanted).norm()
        after = (reconstruct(quantized, network, batch)(batch) - wanted).norm()
    assert after < before / 1.5


def test_bytes_are_counted_as_those_of_the_projects_own_classifier():
    """The same layers, one by one: 3 -> 6 -> (S4D, mix 12, norm) x 2 -> 4."""
    torch.manual_seed(0)
    batch = torch.randn(4, 20, 3)
    found = footprint(quantize(settled(Residual(), batch), Scheme(), batch))
    encoder, decoder, mix = 3 * 6 * 8 + 6 * 16 + 16, 6 * 4 * 8 + 4 * 16 + 16, 6 * 12 * 8 + 12 * 16 + 16
    # Ā 16, an exponent of 4 for B̄, C 16 a mode; D 8 a head; exponents of C, D, x, Ā and B̄.
    s4d = 6 * 2 * (16 + 4 + 16) + 6 * 8 + 5 * 8
    norm = 2 * (6 * (16 + 4) + 8)
    quantizers = 8 * (3 + 2 * 6)
    assert found.parameters * 8 == encoder + decoder + 2 * (mix + s4d + norm) + quantizers
    assert found.state * 8 == 2 * (2 * 6 * 2 * 8) + 6 * (8 + 5)


class Optional(Odd):
    """As published networks have it: arguments that nobody gives."""

    def forward(self, x, lengths=None, gain=0.5):
        return super().forward(x) * gain


class Two(Odd):
    def forward(self, x, y):
        return super().forward(x + y)


def test_arguments_with_defaults_are_not_inputs_and_others_are(batch):
    network = Optional(nn.ReLU()).eval()
    assert quantize(network, Scheme(), batch)(batch).shape == (8, 2)
    with pytest.raises(SsmqError, match="one input.*has 2: x, y"):
        quantize(Two(nn.ReLU()).eval(), Scheme(), batch)


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(parameterisation="log_polar", equalise=False, bits=Bits(x=6))])
def test_one_calibration_serves_every_scheme(network, batch, scheme):
    calibration = calibrate(network, batch)
    found, wanted = (quantize(network, scheme, given) for given in (calibration, batch))
    assert all(torch.equal(value, wanted.state_dict()[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize(("kept", "exponent"), [(8, -6), (5, -3), (10, -6)])
def test_inputs_that_are_codes_keep_their_format(network, tmp_path, kept, exponent):
    """Codes that use half of their range: a fitted format would be finer, and of 8 bits there are no 10."""
    given = InputFormat(bits=8, signed=True, exponent=-6)
    codes = torch.randint(-64, 64, (8, 20, 3), generator=torch.Generator().manual_seed(0))
    quantized = quantize(network, Scheme(bits=Bits(input=kept)), codes * 2.0**-6, given)
    fmt = next(part for part in quantized.modules() if isinstance(part, Quantizer) and part is quantized.x_quant).format
    assert (fmt.bits, fmt.signed, int(fmt.exponent)) == (min(kept, 8), True, exponent)
    save(tmp_path / "a.safetensors", quantized)
    assert quantized_of(load(tmp_path / "a.safetensors", network)).input_format == given


def test_the_tensors_of_a_network_and_their_roles_are_told(network, batch):
    roles = quantized_of(quantize(network, Scheme(parameterisation="log_polar"), batch)).roles
    assert roles["blocks.1.s4d.a_phase"] == "a_phase" and roles["decoder"] == "decoder" and roles["x_quant"] == "input"
    assert "blocks.0.s4d.b" not in roles, "a power of two a mode"
    for name in roles:
        scheme = Scheme(parameterisation="log_polar", tensors={name: 7})
        assert quantize(network, scheme, calibrate(network, batch)) is not None


NOTES = {
    "an array": ({"x": torch.zeros(2)}, "its note is no JSON .*Tensor"),
    "infinite": ({"x": float("inf")}, "its note is no JSON"),
    "a circle": ({}, "its note is no JSON .*[Cc]ircular"),
    "a set": ({"x": {1}}, "its note is no JSON .*set"),
    "a list": ([1], "its note must be an object .* not list"),
    "text": ("trained", "its note must be an object .* not str"),
}


@pytest.mark.parametrize("case", NOTES)
def test_a_note_that_no_file_holds_is_refused_and_nothing_is_written(case, tmp_path):
    note, message = NOTES[case]
    if case == "a circle":
        note["x"] = note
    quantized = quantize(nn.Sequential(nn.Linear(1, 2), nn.ReLU()), Scheme(), torch.randn(4, 5, 1))
    with pytest.raises(SsmqError, match=rf"n\.safetensors is not written: {message}"):
        save(tmp_path / "n.safetensors", quantized, note)
    assert not list(tmp_path.iterdir())


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 2), S4D(2, 2), nn.Linear(2, 3)).eval()


SEQUENCES = torch.randn(4, 20, 1, generator=torch.Generator().manual_seed(1))
MISTAKES = {
    "quantised twice": (lambda q: quantize(q, Scheme(), SEQUENCES), "the network is quantised already: give the float module"),
    "calibrated when quantised": (lambda q: calibrate(q, SEQUENCES), "the network is quantised already"),
    "a quantised layer inside": (
        lambda q: quantize(nn.Sequential(nn.Linear(1, 2), QuantS4D(2, 2)), Scheme(), SEQUENCES),
        r"1 \(QuantS4D\): is quantised already: .* adopt",
    ),
    "a layer of Brevitas inside": (
        lambda q: quantize(nn.Sequential(S4D(1, 2), qnn.QuantLinear(1, 2)), Scheme(), SEQUENCES),
        r"1 \(QuantLinear\): is quantised already: .* adopt",
    ),
    "another network's calibration": (
        lambda q: quantize(small(), Scheme(), calibrate(nn.Sequential(nn.Linear(1, 2), nn.ReLU()), SEQUENCES)),
        "the calibration is of another network",
    ),
    "no module": (lambda q: reconstruct(q, None, SEQUENCES), "0: is another layer in the float module: give the one"),
    "a module without its layers": (lambda q: reconstruct(q, small()[:1], SEQUENCES), "1: is another layer"),
    "a module with another layer": (
        lambda q: reconstruct(q, nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2), nn.Linear(2, 3)), SEQUENCES),
        "1: is another layer",
    ),
    "a module of other sizes": (
        lambda q: reconstruct(q, nn.Sequential(nn.Linear(1, 3), S4D(3, 2), nn.Linear(3, 3)), SEQUENCES),
        "0: is another layer",
    ),
    "a module that is quantised": (lambda q: reconstruct(q, q, SEQUENCES), "1: is another layer"),
    "no tensor": (lambda q: reconstruct(q, small(), SEQUENCES.numpy()), "the batch must be a tensor"),
    "no numbers": (lambda q: reconstruct(q, small(), SEQUENCES / 0), "the batch holds values that are no finite numbers"),
    "a folder": (lambda q: save("folder", q), "folder is not written: Is a directory: give another place"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_ends_in_a_message_and_changes_nothing(case, tmp_path, monkeypatch):
    call, message = MISTAKES[case]
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    quantized = quantize(small(), Scheme(), SEQUENCES)
    before = {name: value.clone() for name, value in quantized.state_dict().items()}
    with pytest.raises(SsmqError, match=f"^{message}"):
        call(quantized)
    assert all(torch.equal(value, before[name]) for name, value in quantized.state_dict().items())


def test_reconstruction_leaves_the_float_module_in_its_mode():
    floating = small().train()
    reconstruct(quantize(floating, Scheme(), SEQUENCES), floating, SEQUENCES)
    assert all(part.training for part in floating.modules())
