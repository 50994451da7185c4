"""The network inside a design: its wires, its instance, and the parameters of the module that stands around it."""

from __future__ import annotations

from collections.abc import Mapping

from ..rtl.manifest import Manifest
from .link import Link
from .protocol import VERSION

_WIRES = """  wire code_valid, code_ready, code_last;
  wire logit_valid, logit_ready, logit_last;
  wire [{code_high}:0] code_data;
  wire [{logit_high}:0] logit_data;"""

# Those of the module around it that the network's streams go to; nothing there asks for the logits' flag.
STREAMS = """      .code_valid(code_valid),
      .code_ready(code_ready),
      .code_data(code_data),
      .code_last(code_last),
      .logit_valid(logit_valid),
      .logit_ready(logit_ready),
      .logit_data(logit_data)"""

_INSTANCE = """  {network} accelerator (
      .clk({clock}),
      .rst(rst),
      .in_valid(code_valid),
      .in_ready(code_ready),
      .in_data(code_data),
      .in_last(code_last),
      .out_valid(logit_valid),
      .out_ready(logit_ready),
      .out_data(logit_data),
      .out_last(logit_last)
  );"""


def wires(link: Link) -> str:
    return _WIRES.format(code_high=link.code_bits - 1, logit_high=link.logit_bits - 1)


def instance(manifest: Manifest, clock: str) -> str:
    """Reset is ``rst``."""
    return _INSTANCE.format(network=manifest.top, clock=clock)


def parameters(settings: Mapping[str, int], identity: int) -> str:
    """``settings``, and what the design answers when it is asked which it is."""
    told = {**settings, "VERSION": f"8'd{VERSION}", "IDENTITY": f"32'h{identity:08x}"}
    return ",\n".join(f"      .{key}({value})" for key, value in told.items())
