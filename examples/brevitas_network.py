"""A network written with Brevitas' own layers around QuantS4D: trained by a plain loop, exported as it is.

    python examples/brevitas_network.py FOLDER

All scales are powers of two (Brevitas' FixedPoint quantisers), so every value of it is an integer code. It learns which of two
sensors was louder.
"""

import sys

import brevitas.nn as qnn
import torch
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPoint,
)
from ssmq_brevitas import QuantS4D, adopt
from ssmq_export import export
from torch import nn

GRIDS = {"weight_quant": Int8WeightPerTensorFixedPoint, "bias_quant": Int8BiasPerTensorFixedPointInternalScaling}


class Network(nn.Module):
    def __init__(self, heads: int = 6, modes: int = 4):
        super().__init__()
        self.sensor = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint)
        self.encoder = qnn.QuantLinear(2, heads, **GRIDS)
        self.u = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint)
        self.s4d = QuantS4D(heads, modes, c_bit_width=6, parameterisation="log_polar")
        self.relu = qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint, bit_width=6)
        self.mix = qnn.QuantLinear(heads, heads, **GRIDS, weight_bit_width=4)
        self.sum = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint)
        self.pool = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint)
        self.decoder = qnn.QuantLinear(heads, 2, **GRIDS)

    def forward(self, x):
        u = self.u(self.encoder(self.sensor(x)))
        y = self.sum(u + self.mix(self.relu(self.s4d(u))))
        return self.decoder(self.pool(y.mean(dim=1)))


def signals(count: int, length: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, length, 2) noise, one channel of it louder than the other."""
    label = torch.randint(2, (count,))
    gain = torch.where(label[:, None] == torch.arange(2), 1.3, 1.0)
    return gain[:, None] * torch.randn(count, length, 2), label


def main(folder: str) -> None:
    torch.manual_seed(0)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(150):
        x, label = signals(64)
        loss = nn.functional.cross_entropy(network(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    x, label = signals(500)
    with torch.no_grad():
        print(f"accuracy {float((network(x).argmax(dim=1) == label).float().mean()):.3f}")
    exported = export(adopt(network, x[:8]), folder, x[:4])
    for found in exported.agreements:
        print(f"{found.engine}: {found.codes} codes, {found.differing} differing")


if __name__ == "__main__":
    main(sys.argv[1])
