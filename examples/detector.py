"""A streaming detector: one output a step. Trained as a network of one's own, exported, run step by step on integers.

    python examples/detector.py FOLDER

The network says at every step whether the burst of a tone has begun in the last steps of a noisy signal.
"""

import sys

import torch
from ssmq_brevitas import S4D, Scheme, quantize, save
from ssmq_export import IntegerModel, export
from torch import nn


class Detector(nn.Module):
    """Two branches of different memory, joined; a value for every step."""

    def __init__(self, heads: int = 6):
        super().__init__()
        self.encoder = nn.Linear(2, heads)
        self.slow, self.fast = S4D(heads, 4, 1e-2, 1e-1), S4D(heads, 2, 1e-1, 1.0)
        self.join, self.activation = nn.Linear(2 * heads, heads), nn.SiLU()
        self.decoder = nn.Linear(heads, 1)

    def forward(self, x):
        u = self.encoder(x)
        mixed = self.join(torch.cat([self.slow(u), torch.relu(self.fast(u))], dim=-1))
        return self.decoder(u + self.activation(mixed))


def signals(count: int, length: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, length, 2) noise with a burst somewhere, and (count, length, 1) where it is."""
    start = torch.randint(10, length - 30, (count, 1))
    t = torch.arange(length)
    inside = (t >= start) & (t < start + 24)
    tone = torch.stack([torch.sin(0.7 * t), torch.cos(0.7 * t)], dim=-1)
    return 0.4 * torch.randn(count, length, 2) + inside[..., None] * tone, inside[..., None].float()


def trained(network: nn.Module, steps: int, rate: float) -> nn.Module:
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    network.train()
    for _ in range(steps):
        x, wanted = signals(48)
        loss = nn.functional.binary_cross_entropy_with_logits(network(x).float(), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def main(folder: str) -> None:
    torch.manual_seed(0)
    floating = trained(Detector(), 150, 5e-3)
    x, wanted = signals(200)
    quantized = trained(quantize(floating, Scheme(), x[:64]), 60, 5e-4)
    with torch.no_grad():
        for name, network in (("float", floating), ("quantised", quantized)):
            print(f"{name}: {float(((network(x) > 0) == (wanted > 0)).float().mean()):.3f} of the steps")
    exported = export(quantized, folder, x[:4])
    save(f"{folder}/detector.safetensors", quantized)

    model = IntegerModel(exported.paths["dataflow"])
    codes = model.codes(x[:1])
    streamed = [model.step(codes[:, t])[0, 0] for t in range(codes.shape[1])]
    assert streamed == model.forward(codes)[0, :, 0].tolist()
    print(f"streamed {len(streamed)} steps, detected in {sum(code > 0 for code in streamed)}")


if __name__ == "__main__":
    main(sys.argv[1])
