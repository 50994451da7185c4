"""``ssmq bench float``: our float layer against the convolution of the published one."""

from __future__ import annotations

import typer
from rich.table import Table

from .. import options
from ..output import console, print_json
from .timing import Device, described, finishing, machine, medians, refuse_missing

NAME = "float"
EXAMPLE = "ssmq bench float --quick"
# heads, modes, batch, length.
SIZES = [(64, 32, 64, 784), (16, 32, 64, 784), (64, 8, 64, 784), (64, 32, 4, 16384), (128, 32, 32, 256)]


def command(
    quick: bool = typer.Option(False, "--quick", help="A small size only: does it run, in seconds."),
    device: Device = "cpu",
    as_json: options.AsJson = False,
) -> None:
    """One layer, forward and backward: ours, and S4D as published (Gu et al. 2022, Listing 1), on its own axis order.

    Gradients of the input and of every parameter included; medians of interleaved rounds.
    """
    refuse_missing(device)
    rows = []
    for size in [(16, 4, 4, 64)] if quick else SIZES:
        with console.status("{} heads, {} modes, batch {}, {} steps".format(*size)):
            rows.append(measure(*size, device))
    about = machine(device)
    if as_json:
        print_json({"machine": about, "rows": rows})
        return
    table = Table(title="seconds, forward and backward", caption=described(about))
    for heading in ("heads", "modes", "batch", "steps", "ours", "published", "ours / published"):
        table.add_column(heading, justify="right")
    for row in rows:
        sizes = (f"{row[key]:,}" for key in ("heads", "modes", "batch", "length"))
        times = (f"{row['ours_s']:.4f}", f"{row['published_s']:.4f}", f"{row['ours_s'] / row['published_s']:.2f}")
        table.add_row(*sizes, *times)
    console.print(table)


def measure(heads: int, modes: int, batch: int, length: int, device: str = "cpu") -> dict[str, float]:
    """One row. Both layers have the same parameters; ours is given ``(B, T, H)``, the published one ``(B, H, T)``."""
    import torch
    from ssmq_brevitas.s4d import S4D

    torch.manual_seed(0)
    layer = S4D(heads, modes).to(device)
    u, gradient = (torch.randn(batch, length, heads, device=device) for _ in range(2))

    def published(u):
        dt, a = layer.log_dt.exp(), torch.complex(-layer.log_a_re.exp(), layer.a_im)
        dt_a = a * dt[:, None]
        c = torch.view_as_complex(layer.c) * (torch.exp(dt_a) - 1) / a
        powers = torch.exp(dt_a[..., None] * torch.arange(length, device=device))
        kernel_f = torch.fft.rfft(2 * torch.einsum("hn,hnl->hl", c, powers).real, n=2 * length)
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * kernel_f, n=2 * length)[..., :length]
        return y + u * layer.d[:, None]

    def both_passes(run, u, gradient):
        leaves = [u.requires_grad_(), *layer.parameters()]
        return finishing(lambda: torch.autograd.grad(run(u), leaves, gradient), device)

    turned = [value.transpose(1, 2).contiguous() for value in (u, gradient)]
    candidates = {"ours_s": both_passes(layer, u, gradient), "published_s": both_passes(published, *turned)}
    return {"heads": heads, "modes": modes, "batch": batch, "length": length, **medians(candidates)}
