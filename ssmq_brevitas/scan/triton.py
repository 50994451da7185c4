"""The fused recurrence on a GPU: Triton kernels, one program for all modes of one head and a tile of the batch.

Everything runs in units of state codes, as on the CPU. A program keeps its states in registers and walks through time
alone, so nothing is shared between programs and every sum has one order. A tile is ``(ROWS, BLOCK_B, COLUMNS)``, with
mode = row * COLUMNS + column: the last two axes fill a warp, the rows are each thread's registers. Most of the sum over
modes then stays within a thread, and a thread's codes are adjacent in memory.

Training keeps the codes at the start of every segment of about sqrt(length) steps. The backward kernel runs each
segment forwards again, into a scratch buffer of codes, and then backwards.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

# A program is one warp with four states a thread: independent work to hide latency with, and few enough registers
# for many programs at once. Only more than 128 modes take more warps.
ROWS = 4
THREADS = 32


@triton.jit
def _round(s):
    """Half to even, by adding and subtracting 1.5 * 2**(p-1) in the p-bit significand, as on the CPU.

    Triton does not reassociate, and fusing needs a product, so the pair survives compilation. It is two additions
    where rint is a slower conversion, and rint comes from libdevice, which the interpreter does not have.
    """
    magic: tl.constexpr = 6755399441055744.0 if s.dtype == tl.float64 else 12582912.0
    return (s + magic) - magic


@triton.jit
def _advance(a_re, a_im, b_re, b_im, x_re, x_im, u):
    """Ā x + B̄ u, rounded but not saturated. The input comes first, to keep the way from x to x short."""
    s_re = b_re * u + a_re * x_re - a_im * x_im
    s_im = b_im * u + a_re * x_im + a_im * x_re
    return _round(s_re), _round(s_im)


@triton.jit
def _saturate(s, LOW: tl.constexpr, HIGH: tl.constexpr):
    return tl.minimum(tl.maximum(s, LOW), HIGH)


@triton.jit
def _over_modes(values):
    """(ROWS, BLOCK_B, COLUMNS) to (1, BLOCK_B, 1)."""
    return tl.sum(tl.sum(values, axis=0, keep_dims=True), axis=2, keep_dims=True)


@triton.jit
def _place(batch, length, heads, ROWS: tl.constexpr, BLOCK_B: tl.constexpr, COLUMNS: tl.constexpr):
    """This program's head, tile and modes; and of its batch items, which exist and where their (b, 0, head) is.

    The head varies fastest, so that programs which run together share the sectors of u and y. Offsets are 64-bit.
    All come in the full shape of the tile, or without its rows: a load then gives every thread what it will use,
    and nothing moves between threads but the sums.
    """
    program = tl.program_id(0).to(tl.int64)
    head, tile = program % heads, program // heads
    row = tl.arange(0, ROWS)[:, None, None] + tl.zeros((ROWS, BLOCK_B, COLUMNS), tl.int32)
    column = tl.arange(0, COLUMNS)[None, None, :] + tl.zeros((1, BLOCK_B, COLUMNS), tl.int32)
    item = tile * BLOCK_B + tl.arange(0, BLOCK_B)[None, :, None] + tl.zeros((1, BLOCK_B, COLUMNS), tl.int32)
    exists = item < batch
    return head, tile, row * COLUMNS + column, exists, exists & (column == 0), item * length * heads + head


@triton.jit
def _codes(ROWS: tl.constexpr, BLOCK_B: tl.constexpr, COLUMNS: tl.constexpr):
    """Places of a tile's codes in kept and scratch memory: a thread's rows are adjacent, and so one access."""
    place = tl.arange(0, BLOCK_B)[None, :, None] * COLUMNS + tl.arange(0, COLUMNS)[None, None, :]
    return place * ROWS + tl.arange(0, ROWS)[:, None, None]


@triton.jit
def _load_modes(pointer, head, mode, modes):
    """One parameter of every state. Modes that only fill up the tile are zero, and so is all they compute."""
    return tl.load(pointer + head * modes + mode, mask=mode < modes, other=0.0)


@triton.jit
def _forward(
    u,
    a_re,
    a_im,
    b_re,
    b_im,
    c_re,
    c_im,
    d,
    y,
    kept,
    traced_re,
    traced_im,
    batch,
    length,
    heads,
    modes,
    segment,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_B: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Fill ``y``, and where they are given ``kept`` (program, segment, 2, tile) and ``traced_*`` (B T H N)."""
    head, tile, mode, exists, writes, at = _place(batch, length, heads, ROWS, BLOCK_B, COLUMNS)
    ar, ai = _load_modes(a_re, head, mode, modes), _load_modes(a_im, head, mode, modes)
    br, bi = _load_modes(b_re, head, mode, modes), _load_modes(b_im, head, mode, modes)
    cr, ci = _load_modes(c_re, head, mode, modes), _load_modes(c_im, head, mode, modes)
    through = tl.load(d + head)
    size: tl.constexpr = ROWS * BLOCK_B * COLUMNS
    segments = tl.cdiv(length, segment)
    if kept is not None:
        keep = kept + (tile * heads + head) * segments * 2 * size + _codes(ROWS, BLOCK_B, COLUMNS)
    xr = tl.zeros((ROWS, BLOCK_B, COLUMNS), ar.dtype)
    xi = tl.zeros((ROWS, BLOCK_B, COLUMNS), ar.dtype)
    # Each step loads the next one's input (the last step its own), whose latency passes behind the arithmetic.
    following = tl.load(u + at, mask=exists, other=0.0)
    for part in range(segments):
        if kept is not None:
            tl.store(keep, xr.to(kept.dtype.element_ty))
            tl.store(keep + size, xi.to(kept.dtype.element_ty))
            keep += 2 * size
        for t in range(part * segment, tl.minimum(part * segment + segment, length)):
            drive = following
            following = tl.load(u + at + tl.where(t + 1 < length, heads, 0), mask=exists, other=0.0)
            sr, si = _advance(ar, ai, br, bi, xr, xi, drive)
            xr, xi = _saturate(sr, LOW, HIGH), _saturate(si, LOW, HIGH)
            tl.store(y + at, through * drive + _over_modes(cr * xr - ci * xi), mask=writes)
            if traced_re is not None:
                real = exists & (mode < modes)
                tl.store(traced_re + at * modes + mode, xr.to(traced_re.dtype.element_ty), mask=real)
                tl.store(traced_im + at * modes + mode, xi.to(traced_im.dtype.element_ty), mask=real)
            at += heads


@triton.jit
def _backward(
    u,
    a_re,
    a_im,
    b_re,
    b_im,
    c_re,
    c_im,
    d,
    gy,
    kept,
    scratch,
    gu,
    sums,
    sums_d,
    batch,
    length,
    heads,
    modes,
    segment,
    LOW: tl.constexpr,
    HIGH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_B: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Fill ``gu``, and this tile's ``sums`` (tile, 6, H, N) and ``sums_d`` (tile, H); equations in ``FusedScan``.

    ``scratch`` (program, 1 + segment, 2, tile) holds the codes before a segment and after each of its steps.
    """
    head, tile, mode, exists, writes, at = _place(batch, length, heads, ROWS, BLOCK_B, COLUMNS)
    ar, ai = _load_modes(a_re, head, mode, modes), _load_modes(a_im, head, mode, modes)
    br, bi = _load_modes(b_re, head, mode, modes), _load_modes(b_im, head, mode, modes)
    cr, ci = _load_modes(c_re, head, mode, modes), _load_modes(c_im, head, mode, modes)
    through = tl.load(d + head)
    size: tl.constexpr = ROWS * BLOCK_B * COLUMNS
    segments = tl.cdiv(length, segment)
    code: tl.constexpr = kept.dtype.element_ty
    kept += (tile * heads + head) * segments * 2 * size
    scratch += (tile * heads + head) * (1 + segment) * 2 * size
    place = _codes(ROWS, BLOCK_B, COLUMNS)
    zero = tl.zeros((ROWS, BLOCK_B, COLUMNS), ar.dtype)
    lr, li = zero, zero
    none = tl.sum(zero, axis=1, keep_dims=True)
    sum_ar, sum_ai, sum_br, sum_bi, sum_cr, sum_ci = none, none, none, none, none, none
    sum_d = through * 0
    for back in range(segments):
        first = (segments - 1 - back) * segment
        steps = tl.minimum(segment, length - first)
        before = kept + (segments - 1 - back) * 2 * size + place
        slot = scratch + place
        code_r, code_i = tl.load(before), tl.load(before + size)
        # No thread may overwrite the scratch while another still reads the codes of the segment before.
        tl.debug_barrier()
        tl.store(slot, code_r)
        tl.store(slot + size, code_i)
        xr, xi = code_r.to(ar.dtype), code_i.to(ar.dtype)
        # Cast, for Triton turns a size of 1 into a constant that has no .to().
        here = at + tl.cast(first, tl.int64) * heads
        following = tl.load(u + here, mask=exists, other=0.0)
        for step in range(steps):
            drive = following
            here += tl.where(step + 1 < steps, heads, 0)
            slot += 2 * size
            following = tl.load(u + here, mask=exists, other=0.0)
            sr, si = _advance(ar, ai, br, bi, xr, xi, drive)
            xr, xi = _saturate(sr, LOW, HIGH), _saturate(si, LOW, HIGH)
            tl.store(slot, xr.to(code))
            tl.store(slot + size, xi.to(code))
        # Mostly a thread reads the codes it wrote, but the compiler may lay out stores and loads differently.
        tl.debug_barrier()

        # One segment's sums apart, so that float32 adds short series.
        gar, gai, gbr, gbi, gcr, gci = zero, zero, zero, zero, zero, zero
        gd = tl.zeros((1, BLOCK_B, COLUMNS), ar.dtype)
        slot -= 2 * size
        next_u, next_g = tl.load(u + here, mask=exists, other=0.0), tl.load(gy + here, mask=exists, other=0.0)
        next_r, next_i = tl.load(slot), tl.load(slot + size)
        for step in range(steps):
            drive, g, pr, pi = next_u, next_g, next_r.to(ar.dtype), next_i.to(ar.dtype)
            now = here
            here -= tl.where(step + 1 < steps, heads, 0)
            next_u, next_g = tl.load(u + here, mask=exists, other=0.0), tl.load(gy + here, mask=exists, other=0.0)
            slot -= tl.where(step + 1 < steps, 2 * size, 0)
            next_r, next_i = tl.load(slot), tl.load(slot + size)
            sr, si = _advance(ar, ai, br, bi, pr, pi, drive)
            vr = tl.where((sr >= LOW) & (sr <= HIGH), lr + cr * g, 0.0)
            vi = tl.where((si >= LOW) & (si <= HIGH), li - ci * g, 0.0)
            gar += vr * pr + vi * pi
            gai += vi * pr - vr * pi
            gbr += vr * drive
            gbi += vi * drive
            gcr += g * xr
            gci -= g * xi
            gd += g * drive
            tl.store(gu + now, through * g + _over_modes(br * vr + bi * vi), mask=writes)
            lr = ar * vr + ai * vi
            li = ar * vi - ai * vr
            xr, xi = pr, pi
        sum_ar += tl.sum(gar, axis=1, keep_dims=True)
        sum_ai += tl.sum(gai, axis=1, keep_dims=True)
        sum_br += tl.sum(gbr, axis=1, keep_dims=True)
        sum_bi += tl.sum(gbi, axis=1, keep_dims=True)
        sum_cr += tl.sum(gcr, axis=1, keep_dims=True)
        sum_ci += tl.sum(gci, axis=1, keep_dims=True)
        sum_d += tl.sum(tl.where(writes, gd, 0.0))
    # Every batch item's threads hold the sums; the first item's write them.
    real = (mode < modes) & (tl.arange(0, BLOCK_B)[None, :, None] == 0)
    stride = tl.cast(heads, tl.int64) * modes
    sums += (tile * 6 * heads + head) * modes + mode
    tl.store(sums, sum_ar + zero, mask=real)
    tl.store(sums + stride, sum_ai + zero, mask=real)
    tl.store(sums + 2 * stride, sum_br + zero, mask=real)
    tl.store(sums + 3 * stride, sum_bi + zero, mask=real)
    tl.store(sums + 4 * stride, sum_cr + zero, mask=real)
    tl.store(sums + 5 * stride, sum_ci + zero, mask=real)
    tl.store(sums_d + tile * heads + head, sum_d)


class _Launch:
    """Tile, grid and scalar arguments of one problem, the same for both directions."""

    def __init__(self, u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float]):
        self.batch, self.length, self.heads = u.shape
        self.modes = parameters[0].shape[1]
        self.segment = math.isqrt(self.length - 1) + 1
        self.segments = -(-self.length // self.segment)
        width = triton.next_power_of_2(self.modes)
        self.rows = min(ROWS, width)
        self.columns = width // self.rows
        self.items = min(triton.next_power_of_2(self.batch), max(1, THREADS // self.columns))
        self.tiles = -(-self.batch // self.items)
        self.programs = self.tiles * self.heads
        self.limits = limits
        self.code = torch.int8 if limits[1] < 2**7 else torch.int16 if limits[1] < 2**15 else torch.int32
        self.device = u.device

    def codes(self, steps: int) -> Tensor:
        """Memory for the codes of ``steps`` steps of every program."""
        shape = self.programs, steps, 2, self.rows * self.items * self.columns
        return torch.empty(shape, dtype=self.code, device=self.device)

    def __call__(self, kernel, *tensors: Tensor | None) -> None:
        sizes = self.batch, self.length, self.heads, self.modes, self.segment
        tile = {"ROWS": self.rows, "BLOCK_B": self.items, "COLUMNS": self.columns}
        low, high = self.limits
        # Fusing cannot change exact forward sums; it is asked for because Triton's default is about to change.
        options = {"num_warps": max(1, min(8, self.columns // THREADS)), "enable_fp_fusion": True}
        # Triton launches on the current device, which need not be the tensors'.
        with torch.cuda.device_of(tensors[0]):
            kernel[(self.programs,)](*tensors, *sizes, LOW=low, HIGH=high, **tile, **options)


def forward(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], keep: bool) -> tuple[Tensor, Tensor | None]:
    """y ``(B, T, H)``, and with ``keep`` the codes at the start of every segment, for ``backward``."""
    launch = _Launch(u, parameters, limits)
    y = torch.empty_like(u)
    kept = launch.codes(launch.segments) if keep else None
    launch(_forward, u, *parameters, y, kept, None, None)
    return y, kept


def backward(
    u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], saved: Tensor, gy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of u ``(B, T, H)``, of Ā, B̄, C (re, im of each; ``(6, H, N)``) and of D ``(H,)``, in code units."""
    launch = _Launch(u, parameters, limits)
    gu = torch.empty_like(u)
    sums = u.new_empty(launch.tiles, 6, launch.heads, launch.modes)
    sums_d = u.new_empty(launch.tiles, launch.heads)
    launch(_backward, u, *parameters, gy.contiguous(), saved, launch.codes(1 + launch.segment), gu, sums, sums_d)
    return gu, sums.sum(0), sums_d.sum(0)


def trace(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """y ``(B, T, H)`` and the state codes re, im ``(B, T, H, N)``."""
    launch = _Launch(u, parameters, limits)
    y = torch.empty_like(u)
    re = torch.empty((*u.shape, launch.modes), dtype=launch.code, device=u.device)
    im = torch.empty_like(re)
    launch(_forward, u, *parameters, y, None, re, im)
    return y, re, im
