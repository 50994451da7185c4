"""``IntegerModel``: a dataflow graph executed on integers, whole sequences or step by step."""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
import onnx
from numpy.typing import ArrayLike

from ..dataflow.graph import DataflowGraph
from ..dataflow.ports import values_of
from ..dataflow.sequences import input_codes, nearest_codes
from ..door import admit
from ..door.graph_file import graph_of
from ..errors import ExportError
from . import kernels
from .program import Program

# Most sequences a tile: all its rows stay in the L2 cache, yet each amortises the interpreter. Tiles
# are padded to whole vectors.
TILE = 256
VECTOR = 32
# Sequences traced at once: a trace keeps every code of every step.
TRACED = 64


class IntegerModel:
    """Runs a dataflow graph, or the file ``dataflow.onnx`` that it is in, on integers only, code for code.

    Inputs and outputs are codes, value / 2**exponent of their port: ``codes`` and ``values`` translate. Whole sequences go
    through ``forward``, a stream through ``step``; both give the same codes. ``fused=False`` executes the graph node by node,
    the path that the fused one is tested against.

    Raises ExportError for a graph that is no dataflow graph of this program.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import S4D, Scheme, quantize
    >>> from ssmq_export import IntegerModel, export
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(4, 20, 1)
    >>> quantized = quantize(network, Scheme(), x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = IntegerModel(export(quantized, folder).paths["dataflow"])
    >>> codes = model.codes(x)
    >>> output = model.forward(codes)
    >>> torch.equal(torch.from_numpy(model.values(output)), quantized(x).double())
    True
    >>> all((model.step(codes[:, t]) == output[:, t]).all() for t in range(20))
    True
    """

    def __init__(self, graph: onnx.ModelProto | Path | str, fused: bool = True):
        self.graph = DataflowGraph(admit(graph_of(graph, "dataflow"), "dataflow"))
        self.fused = fused
        self._programs: dict[tuple[str, ...], Program] = {}
        self.reset(0)

    def codes(self, values: ArrayLike) -> np.ndarray:
        """Codes int32 of the input nearest to ``values``, an array or a tensor ``(..., C)``; beyond the range, its end.

        Raises ExportError for what is no array of finite numbers.
        """
        return nearest_codes(values, self.graph.ports.input)

    def forward(self, codes: np.ndarray) -> np.ndarray:
        """Codes int64 of the output for whole sequences, codes ``(B, T, C)`` of the input; states start at 0.

        ``(B, T, channels)`` for an output a step, else ``(B, channels)``. With one input channel the last dimension may be
        left out, here and wherever codes are given. Raises ExportError for another shape, and codes out of the input's format.

        >>> import tempfile, torch
        >>> from ssmq_brevitas import S4D, Scheme, quantize
        >>> from ssmq_export import IntegerModel, export
        >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
        >>> x = torch.randn(4, 20, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = IntegerModel(export(quantize(network, Scheme(), x), folder).paths["dataflow"])
        >>> output = model.forward(model.codes(x))
        >>> output.shape, output.dtype
        ((4, 20, 3), dtype('int64'))
        """
        codes = self._given(codes, "B", "T")
        program = self._program((), codes.shape[1])
        return self._output(self._run(program, codes, *_no_states(program), np.empty((0, 0, 0), program.dtype)))

    def reset(self, batch: int) -> None:
        """Forget the states of ``step``; the next call brings ``batch`` sequences."""
        self._batch, self._steps = batch, 0
        self._kept: tuple[np.ndarray, np.ndarray] | None = None
        self._kept_for: Program | None = None

    def step(self, u: np.ndarray) -> np.ndarray:
        """Codes int64 ``(B, channels)`` of the output after one more step of every sequence, ``u`` ``(B, C)``.

        The first call after construction sets the batch; to change it, or to start again, call ``reset``. Raises ExportError
        for another batch or shape, and codes out of the input's format.

        >>> import tempfile, torch
        >>> from ssmq_brevitas import S4D, Scheme, quantize
        >>> from ssmq_export import IntegerModel, export
        >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
        >>> x = torch.randn(4, 20, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = IntegerModel(export(quantize(network, Scheme(), x), folder).paths["dataflow"])
        >>> first = model.step(model.codes(x[:, 0]))
        >>> model.reset(batch=4)
        >>> (model.step(model.codes(x[:, 0])) == first).all(), first.shape
        (np.True_, (4, 3))
        """
        u = self._given(u, "B")
        if not self._batch:
            self.reset(len(u))
        if len(u) != self._batch:
            raise ExportError(f"step: got {len(u)} inputs for {self._batch} sequences: call reset({len(u)}) first")
        program = self._program((), self._steps + 1)
        kept = self._kept
        if kept is None or self._kept_for is not program:
            # At first, and when a running sum has outgrown its type. The rows of the states come first in any program.
            fresh = _states(program, self._batch)
            for old, new in zip(kept or (), fresh, strict=kept is not None):
                rows = min(old.shape[1], new.shape[1])
                new[:, :rows] = old[:, :rows]
            kept = fresh
            self._kept, self._kept_for = fresh, program
        self._steps += 1
        return self._run(program, u[:, None], *kept, np.empty((0, 0, 0), program.dtype))[:, -1]

    def trace(self, codes: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
        """Values (scaled codes) of ``tensors`` at every step, float64 ``(B, T, channels)``, and of the output, shaped as
        ``forward`` gives it. Raises ExportError for a name that the graph does not have, and codes that ``forward`` refuses."""
        codes = self._given(codes, "B", "T")
        program = self._program(tuple(dict.fromkeys(tensors)), codes.shape[1])
        widths = [len(program.stages.slots[name].low) for name in program.traced]
        result = {name: np.empty((*codes.shape[:2], width)) for name, width in zip(program.traced, widths, strict=True)}
        outputs = []
        for start in range(0, len(codes), TRACED):
            some = codes[start : start + TRACED]
            trace = np.empty((*some.shape[:2], sum(widths)), program.dtype)
            outputs.append(self._output(self._run(program, some, *_no_states(program), trace)))
            columns = np.split(trace, np.cumsum(widths)[:-1], axis=2) if widths else []
            for name, part in zip(program.traced, columns, strict=True):
                result[name][start : start + TRACED] = self.values(part, name)
        output = self.graph.ports.output.name
        return {**result, output: self.values(np.concatenate(outputs))}

    def values(self, codes: np.ndarray, name: str | None = None) -> np.ndarray:
        """What ``codes`` of the output, or of tensor ``name``, stand for, float64 of their shape: code * 2**exponent.

        Raises ExportError for a tensor whose exponent the graph does not say.
        """
        name = name or self.graph.ports.output.name
        if name not in self.graph.exponents:
            raise ExportError(f"{name}: the graph's metadata do not say which values its codes stand for: trace another tensor")
        return values_of(codes, self.graph.exponents[name])

    def _given(self, codes: np.ndarray, *axes: str) -> np.ndarray:
        """As ``input_codes``, in the one type of codes that the kernels are compiled for."""
        return np.ascontiguousarray(input_codes(codes, self.graph.ports.input, *axes), np.int32)

    def _output(self, found: np.ndarray) -> np.ndarray:
        return found if self.graph.ports.output.each_step else found[:, -1]

    def _program(self, traced: tuple[str, ...], steps: int) -> Program:
        """The program that traces ``traced`` and whose running sums hold ``steps`` steps."""
        program = self._programs.get(traced)
        growth = 1
        while program is None or program.steps < steps:
            program = Program(self.graph, traced, self.fused, growth)
            growth *= 4
        self._programs[traced] = program
        return program

    def _run(self, program: Program, codes: np.ndarray, narrow: np.ndarray, wide: np.ndarray, trace: np.ndarray) -> np.ndarray:
        """Codes of the output after each step, or after the last one alone, ``(B, T or 1, channels)``."""
        given, *rest, shape, output_rows, traced = program.arrays
        steps = codes.shape[1] if self.graph.ports.output.each_step else 1
        output = np.empty((len(codes), steps, len(output_rows)), np.int64)
        size = narrow.shape[2] if len(narrow) else _tile_size(len(codes))
        kernels.run(codes, given, *rest, (*shape, size), narrow, wide, output_rows, output, traced, trace)
        return output


def _tile_size(batch: int) -> int:
    """As few tiles as give every thread equally many."""
    threads = numba.get_num_threads()
    tiles = -(-batch // (TILE * threads)) * threads
    return -(-batch // (tiles * VECTOR)) * VECTOR


def _states(program: Program, batch: int) -> tuple[np.ndarray, np.ndarray]:
    size = _tile_size(batch)
    tiles = -(-batch // size)
    narrow = np.zeros((tiles, program.narrow, size), np.int16)
    return narrow, np.zeros((tiles, program.wide, size), program.dtype)


def _no_states(program: Program) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 0, 0), np.int16), np.zeros((0, 0, 0), program.dtype)
