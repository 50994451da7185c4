"""``RtlModel``: generated RTL, compiled by Verilator and run like any other engine."""

from __future__ import annotations

import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.ports import ports_of, values_of
from ..errors import ExportError
from .manifest import MANIFEST, load_manifest
from .netlist import Stream
from .project import RTL, Shape, write_rtl
from .schedule import total_cycles
from .simulator import Pins, Simulator, compiled, require_tools
from .verilog import with_taps

SIMULATION = "simulation"
STAMP = "stamp.json"


class RtlModel:
    """Runs a folder that ``write_rtl`` made, bit by bit and cycle by cycle.

    ``cycles`` are those of the last ``forward``, from taking its first beat to giving its last one, ``expected_cycles``
    what the modules' table foretells for it. ``trace`` keeps a VCD file of every run, at the cost of speed.
    """

    def __init__(self, folder: Path | str, trace: Path | None = None):
        require_tools()
        self.folder, self.trace = Path(folder).absolute(), trace
        self.manifest = load_manifest(self.folder)
        self.design = self.manifest.design()
        self.cycles: int | None = None
        self.expected_cycles: int | None = None
        self._simulator = self._compiled()
        self.reset(0)

    def forward(self, codes: np.ndarray, gap: float = 0.0, stall: float = 0.0, seed: int = 0) -> np.ndarray:
        """As ``IntegerModel.forward``: codes ``(B, T, C)`` or ``(B, T)`` -> ``(B, channels)``, or one a step.

        ``gap`` and ``stall``: shares of the cycles in which no input is offered and no output is taken.
        """
        codes = self._given(codes)
        batch, steps, _ = codes.shape
        (found,) = self._simulator.run(
            *self._vectors(codes), gap=gap, stall=stall, seed=seed, trace=self.trace, patience=self._patience(gap, stall)
        )
        result = self.design.result
        self.cycles = int(found.cycles[-1]) + 1
        self.expected_cycles = total_cycles(self.design, batch, steps)[0]
        self._refuse_flags(found.last, batch)
        shape = (batch, -1, result.channels) if self.manifest.each_step else (batch, result.channels)
        return found.elements.reshape(shape)

    def reset(self, batch: int) -> None:
        """Forget the steps so far; the next ``step`` brings ``batch`` sequences, any number if 0."""
        self._steps: list[np.ndarray] = []
        self._batch = batch

    def step(self, u: np.ndarray) -> np.ndarray:
        """As ``IntegerModel.step``: the output after one more step of every sequence, ``u`` ``(B, C)``.

        The hardware keeps the states of the sequence that it runs, so every call runs the sequences so far again.
        """
        u = np.asarray(u)
        u = u[:, None] if u.ndim == 1 and self.design.given.channels == 1 else u
        if self._batch and len(u) != self._batch:
            raise ExportError(f"step: got {len(u)} inputs for {self._batch} sequences: call reset({len(u)}) first")
        found = self.forward(np.stack([*self._steps, u], axis=1))
        self._steps, self._batch = [*self._steps, u], len(u)
        return found[:, -1] if self.manifest.each_step else found

    def _vectors(self, codes: np.ndarray):
        """What the simulator is given, and how many beats must come."""
        last = np.zeros(codes.shape, np.int64)
        last[:, -1] = 1
        lanes, steps = self.design.given.lanes, codes.shape[1] if self.manifest.each_step else 1
        return [(codes.reshape(-1, lanes), last.reshape(-1, lanes)[:, 0])], [len(codes) * steps * self.design.result.beats]

    def _patience(self, gap: float, stall: float) -> int:
        """Cycles that may pass between two beats at a port: all steps of the longest sequence where one output ends it."""
        quiet = max(self.manifest.latency, self.manifest.interval)
        return int(8 * quiet / (1 - max(gap, stall))) + 64

    def _given(self, codes: np.ndarray) -> np.ndarray:
        codes, port = np.asarray(codes), self.design.given
        codes = codes[..., None] if codes.ndim == 2 and port.channels == 1 else codes
        low = -(1 << (port.bits - 1)) if port.signed else 0
        high = low + (1 << port.bits) - 1
        fits = codes.dtype.kind in "iu" and codes.ndim == 3 and codes.shape[-1] == port.channels and codes.size
        if not fits or codes.min() < low or codes.max() > high:
            raise ExportError(f"codes must be integers from {low} to {high}, (B, T, {port.channels}) and not empty")
        longest = self.manifest.longest
        if longest is not None and codes.shape[1] > longest:
            raise ExportError(f"a sequence of {codes.shape[1]} steps: a running sum holds {longest}: give shorter ones")
        return codes.astype(np.int64)

    def _refuse_flags(self, last: np.ndarray, batch: int) -> None:
        """``last`` must be high with the beats of the last step of every sequence, and with no other."""
        flags = last.reshape(batch, -1, self.design.result.beats)
        if not np.all(flags[:, -1]) or np.any(flags[:, :-1]):
            raise ExportError("the simulated hardware marks the wrong steps as the last ones of their sequences")

    def tensors(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Codes ``(B, T or 1, channels)`` of every tensor that a stream inside carries, from a build of its own."""
        codes = self._given(codes)
        outer = (self.design.given.name, self.design.result.name)
        names = [*self.manifest.tensors, *self.manifest.layered]
        streams = [self.manifest.streams[name].stream(name) for name in names if name not in outer]
        with tempfile.TemporaryDirectory(prefix="ssmq-rtl-") as scratch:
            top = self.folder / RTL / f"{self.manifest.top}.sv"
            seen = Path(scratch) / top.name
            seen.write_text(with_taps(top.read_text(), streams))
            sources = [seen if path == top else path for path in self._sources()]
            taps = [Pins(f"tap_{stream.name}", stream) for stream in streams]
            simulator = self._build(sources, Path(scratch) / SIMULATION, taps=taps)
            simulator.run(*self._vectors(codes), patience=self._patience(0, 0))
        return {tensor: found for stream in streams for tensor, found in self._carried(stream, simulator, *codes.shape[:2])}

    def _carried(self, stream: Stream, simulator: Simulator, batch: int, steps: int):
        """The tensors of a stream that was tapped, and their codes: layer k has a step k iterations later than layer 0."""
        found = simulator.tapped[stream.name]
        if stream.name in self.manifest.tensors:
            yield self.manifest.tensors[stream.name], found.reshape(batch, -1, stream.channels)
            return
        slots = found.reshape(-1, stream.slots, stream.channels // stream.slots)
        for k, tensor in enumerate(self.manifest.layered[stream.name]):
            yield tensor, slots[k : k + batch * steps, k].reshape(batch, steps, -1)

    @property
    def home(self) -> Path:
        """Where the compiled simulation is kept."""
        return self.folder / SIMULATION

    def _sources(self) -> list[Path]:
        return sorted((self.folder / RTL).glob("*.sv"))

    def _compiled(self) -> Simulator:
        """Compiled once for what the sources hold; a folder that is there is whole."""
        digest = sha256(b"".join(path.read_bytes() for path in (*self._sources(), self.folder / MANIFEST))).hexdigest()
        stamp = {"sources": digest, "trace": self.trace is not None}
        home = self.home
        try:
            if json.loads((home / STAMP).read_text()) == stamp:
                return Simulator(home / "obj" / "simulate", self.folder / RTL, *self._pins())
        except (OSError, ValueError):
            pass
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".simulation-") as scratch:
            build = Path(scratch) / SIMULATION
            self._build(self._sources(), build, trace=self.trace is not None)
            (build / STAMP).write_text(json.dumps(stamp))
            shutil.rmtree(home, ignore_errors=True)
            build.replace(home)
        return Simulator(home / "obj" / "simulate", self.folder / RTL, *self._pins())

    def _build(self, sources: list[Path], build: Path, **more) -> Simulator:
        return compiled(self.manifest.top, self.folder / RTL, sources, *self._pins(), build, optimise="-O3", **more)

    def _pins(self) -> tuple[list[Pins], list[Pins]]:
        return [Pins("in", self.design.given)], [Pins("out", self.design.result)]


def run_rtl(model: onnx.ModelProto, codes: np.ndarray, shape: Shape = "dataflow") -> dict[str, np.ndarray]:
    """As ``engines.run_whole``, in simulated hardware: values of the output, which alone leaves it."""
    with tempfile.TemporaryDirectory(prefix="ssmq-rtl-") as scratch:
        write_rtl(model, Path(scratch) / "rtl", shape=shape)
        found = RtlModel(Path(scratch) / "rtl").forward(codes)
    output = ports_of(model).output
    return {output.name: values_of(found, output.format.exponent)}
