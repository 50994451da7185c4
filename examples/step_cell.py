"""A recurrent step cell as a Brevitas user writes one, exported to QONNX for `ssmq check`.

python examples/step_cell.py cell.onnx && ssmq check cell.onnx
"""

from __future__ import annotations

import sys

import brevitas.nn as qnn
import torch
from brevitas.export import export_qonnx


class StepCell(torch.nn.Module):
    """A gated leaky cell: pixel and state in, logits and next state out. Default quantisers, their scales are floats."""

    def __init__(self, width: int = 8, classes: int = 3):
        super().__init__()
        self.input_quantizer = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.state_quantizer = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.write = qnn.QuantLinear(1, width, bias=True, weight_bit_width=4)
        self.recur = qnn.QuantLinear(width, width, bias=False, weight_bit_width=4)
        self.gate = qnn.QuantSigmoid(bit_width=8)
        self.read = qnn.QuantLinear(width, classes, bias=True, weight_bit_width=4)

    def forward(self, u: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.state_quantizer(x)
        gate = self.gate(self.recur(x))
        proposal = torch.tanh(self.write(self.input_quantizer(u)) + self.recur(x))
        x = self.state_quantizer(gate * proposal + (1 - gate) * x)
        return self.read(x), x.value


def main(path: str) -> None:
    """Calibrate the cell on noise and export it."""
    torch.manual_seed(0)
    cell = StepCell()
    cell(torch.rand(16, 1), torch.rand(16, 8))
    export_qonnx(cell.eval(), (torch.rand(1, 1), torch.rand(1, 8)), path, dynamo=False)


if __name__ == "__main__":
    main(sys.argv[1])
