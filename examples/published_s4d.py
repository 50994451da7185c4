"""A network of one's own around the published S4D layer: convert, quantise, train, export, judge.

    python examples/published_s4d.py FOLDER

``PublishedS4D`` stands for the layer of state-spaces/s4, with its parameters and its arithmetic; the network around it is a
user's own. It learns which of two frequencies a noisy sequence holds.
"""

import sys

import torch
from ssmq_brevitas import Scheme, convert, quantize
from ssmq_export import check, export
from torch import nn


class PublishedS4D(nn.Module):
    """The published minimal S4D's kernel and skip, (B, H, T) to (B, H, T)."""

    def __init__(self, heads: int, modes: int):
        super().__init__()
        self.D = nn.Parameter(torch.randn(heads))
        self.kernel = nn.Module()
        self.kernel.C = nn.Parameter(torch.randn(heads, modes, 2) / 2)
        self.kernel.log_dt = nn.Parameter(torch.rand(heads) * 2 - 3)
        self.kernel.log_A_real = nn.Parameter(torch.log(0.5 * torch.ones(heads, modes)))
        self.kernel.A_imag = nn.Parameter(torch.pi * torch.arange(modes).repeat(heads, 1).float())
        self.activation, self.dropout = nn.GELU(), nn.Identity()
        self.output_linear = nn.Sequential(nn.Conv1d(heads, 2 * heads, 1), nn.GLU(dim=-2))

    def forward(self, u):
        length = u.shape[-1]
        dt, c = torch.exp(self.kernel.log_dt), torch.view_as_complex(self.kernel.C)
        a = -torch.exp(self.kernel.log_A_real) + 1j * self.kernel.A_imag
        dt_a = a * dt[:, None]
        powers = torch.exp(dt_a[..., None] * torch.arange(length))
        kernel = 2 * torch.einsum("hn,hnl->hl", c * (torch.exp(dt_a) - 1) / a, powers).real
        spectrum = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
        y = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + u * self.D[:, None]
        return self.output_linear(self.dropout(self.activation(y))), None


class Network(nn.Module):
    """Encoder, layers with residuals and batch norms, mean over time, decoder."""

    def __init__(self, layers: int = 2, heads: int = 8, modes: int = 4):
        super().__init__()
        self.encoder = nn.Linear(1, heads)
        self.layers = nn.ModuleList(PublishedS4D(heads, modes) for _ in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(heads) for _ in range(layers))
        self.decoder = nn.Linear(heads, 2)

    def forward(self, x):
        x = self.encoder(x).transpose(1, 2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(x + layer(x)[0])
        return self.decoder(x.mean(dim=2))


def sequences(count: int, length: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy sines of two frequencies, and which of them."""
    label = torch.randint(2, (count,))
    phase, t = torch.rand(count, 1) * 6.28, torch.arange(length)
    wave = torch.sin(t * torch.where(label == 1, 0.30, 0.25)[:, None] + phase)
    return (wave + 1.0 * torch.randn(count, length))[..., None], label


def trained(network: nn.Module, steps: int, rate: float) -> nn.Module:
    """Any training loop will do."""
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    network.train()
    for _ in range(steps):
        x, label = sequences(64)
        loss = nn.functional.cross_entropy(network(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def main(folder: str) -> None:
    torch.manual_seed(0)
    floating = trained(Network(), 120, 1e-2)
    x, label = sequences(500)

    def accuracy(network):
        with torch.no_grad():
            return float((network(x).argmax(dim=1) == label).float().mean())

    ours = convert(floating, x[:8])
    quantized = quantize(ours, Scheme(parameterisation="log_polar", tensors={"layers.*.s4d.c": 6}), x[:64])
    print(f"float {accuracy(floating):.3f}, converted {accuracy(ours):.3f}, quantised {accuracy(quantized):.3f}")
    quantized = trained(quantized, 80, 1e-3)
    print(f"after training {accuracy(quantized):.3f}")
    exported = export(quantized, folder, x[:4])
    for found in exported.agreements:
        print(f"{found.engine}: {found.codes} codes, {found.differing} differing")
    print(f"FINN-style: {check(exported.paths['dataflow'])}")


if __name__ == "__main__":
    main(sys.argv[1])
