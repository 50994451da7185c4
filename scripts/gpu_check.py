"""The checks of gpu_check.sh: kernels, quantisers, gradients and accuracy against the CPU, times beside them.

A check gives a line (what, found, wanted, whether it holds); one that fails is a line too, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import load_config
from ssmq_brevitas.data import SequenceData, load_data
from ssmq_brevitas.files import write_whole
from ssmq_brevitas.quantizers import Quantizer
from ssmq_brevitas.start import quantized_start
from ssmq_brevitas.train import train
from ssmq_brevitas.zoo import locate, zoo_models
from ssmq_cli.bench.timing import machine
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import lower

ROOT = Path(__file__).parents[1]
EPOCH_GOAL_S = 10.0
HEADINGS = ["check", "found", "wanted", "holds"]


@dataclass(frozen=True)
class Run:
    """Where and on how much: all of ``data``, or for a dry run a few sequences of it."""

    device: str
    data: SequenceData
    dry: bool
    measured: dict

    def some(self, count: int) -> int | None:
        return count if self.dry else None


def kernels(run: Run) -> list[list[str]]:
    """The tests of the Triton kernels: on a GPU compiled, without one interpreted."""
    tests = [ROOT / "tests" / "ssmq_brevitas" / "test_scan_triton.py"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *tests], cwd=ROOT, capture_output=True, text=True
    )  # fmt: skip
    last = found.stdout.strip().splitlines()[-1] if found.stdout.strip() else found.stderr[-200:]
    holds = found.returncode == 0 and "skipped" not in last
    if not holds:
        print(found.stdout, found.stderr)
    return [["Triton kernels against the definition", last, "all pass, none skipped", _word(holds)]]


def quantizer(run: Run) -> list[list[str]]:
    """Codes and gradients of one quantiser, ties and saturation among them, in both float types."""
    lines = []
    for dtype in (torch.float32, torch.float64):
        for signed in (True, False):
            quantizer = Quantizer(8, signed).to(dtype)
            quantizer.power.set_exponent(-3)
            x = torch.arange(-(2**14), 2**14, dtype=dtype) / 64  # eighths of a code, four times the range
            results = []
            for device in ("cpu", run.device):
                leaf = x.clone().to(device).requires_grad_()
                y = quantizer.to(device)(leaf)
                results.append([y.detach().cpu(), *(g.cpu() for g in torch.autograd.grad(y.sum(), leaf))])
            differing = sum(int((one != other).sum()) for one, other in zip(*results, strict=True))
            name = f"quantiser, {'signed' if signed else 'unsigned'}, {str(dtype).removeprefix('torch.')}"
            lines.append([f"{name}: values and gradients that differ", str(differing), "0", _word(not differing)])
    return lines


def gradients(run: Run) -> list[list[str]]:
    """One step of the 64-head model in float64: loss and gradients as on the CPU, to rounding."""
    model = _started(run).double()
    x, y = run.data.x_train[:8], run.data.y_train[:8]
    found = []
    for device in ("cpu", run.device):
        model = model.to(device).train()
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        found.append([loss.detach().cpu(), *(p.grad.cpu().clone() for p in model.parameters() if p.grad is not None)])
    worst = max(float((one - other).norm() / one.norm().clamp(min=1e-30)) for one, other in zip(*found, strict=True))
    return [["largest relative distance of a gradient, float64", f"{worst:.1e}", "<= 1e-9", _word(worst <= 1e-9)]]


def bench(run: Run) -> list[list[str]]:
    """``ssmq bench scan`` and ``ssmq bench train`` on the device."""
    lines = []
    arguments = {"scan": ["--quick"] if run.dry else [], "train": ["edge-2x16"] if run.dry else []}
    for name, extra in arguments.items():
        code = "from ssmq_cli.main import main; main()"
        command = [sys.executable, "-c", code, "bench", name, "--device", run.device, "--json", *extra]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            lines.append([f"ssmq bench {name}", found.stderr.strip()[-300:], "runs", _word(False)])
            continue
        rows = json.loads(found.stdout)["rows"]
        run.measured[f"bench-{name}"] = rows
        for row in rows:
            what = row.get("preset") or "{heads} heads, {modes} modes, batch {batch}, {length} steps".format(**row)
            times = f"fused {row['fused_s']:.4f} s, float FFT {row['float_fft_s']:.4f} s"
            lines.append([f"bench {name}: {what}", times, "runs", _word(True)])
    return lines


def epoch(run: Run) -> list[list[str]]:
    """One epoch of quantisation-aware training of the 64-head model, after a first one of two batches that compiles."""
    model, qat = _started(run), load_config("paper-h64").train.qat.model_copy(update={"epochs": 1})
    # A first epoch warms up.
    for count in (2, 2 if run.dry else None):
        chosen = slice(None if count is None else count * qat.batch)
        data = SequenceData(**{**vars(run.data), "x_train": run.data.x_train[chosen], "y_train": run.data.y_train[chosen],
                               "x_validation": run.data.x_validation[:64], "y_validation": run.data.y_validation[:64]})  # fmt: skip
        ends = []
        began = time.perf_counter()
        train(model, data, qat, on_step=lambda progress, ends=ends: ends.append((time.perf_counter(), progress.loss)))
    seconds = ends[-2][0] - began  # the last call comes after the validation
    run.measured["epoch"] = {"sequences": len(data.y_train), "seconds": seconds, "loss": ends[-1][1]}
    finite = all(loss == loss and abs(loss) < 1e6 for _, loss in ends)
    found = f"{seconds:.2f} s for {len(data.y_train):,} sequences"
    return [["QAT epoch, 64 heads", found, f"finite loss (goal {EPOCH_GOAL_S:g} s)", _word(finite)]]


def accuracy(run: Run) -> Iterator[list[str]]:
    """Every model of the zoo on all test images: the device's logits and those of the integer graph on the CPU."""
    for name, path in [*zoo_models().items()][: run.some(1)]:
        model, _ = load_checkpoint(path)
        x, y = run.data.x_test[: run.some(40)], run.data.y_test[: run.some(40)]
        integer = IntegerModel(lower(step_graph(model.network)))
        wanted = torch.from_numpy(integer.values(integer.forward(x.numpy())))
        model = model.to(run.device)
        with torch.no_grad():
            found = torch.cat([model(part.to(run.device)).cpu() for part in x.split(250)])
        differing = int((found != wanted).any(dim=1).sum())
        correct, known = (int((logits.argmax(dim=1) == y).sum()) for logits in (found, wanted))
        yield [f"{name}: images whose logits differ", str(differing), "0", _word(not differing)]
        yield [f"{name}: correct of {len(y):,}", f"{correct:,}", f"{known:,}", _word(correct == known)]


def _started(run: Run):
    """The 64-head model, quantised from the float model that comes with it."""
    config = load_config("paper-h64")
    floating, _ = load_checkpoint(locate("zoo:paper-h64"))
    return quantized_start(floating, config, run.data.x_train)


def _word(holds: bool) -> str:
    return "yes" if holds else "NO"


def _found(check, run: Run) -> Iterator[list[str]]:
    """The lines of a check, the last of them its failure if it fails."""
    try:
        yield from check(run)
    except Exception as error:
        traceback.print_exc()
        yield [check.__name__, f"{type(error).__name__}: {error}"[:300], "runs", _word(False)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="torchvision's folder of MNIST")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, a little of everything")
    chosen = parser.parse_args()
    if chosen.dry_run == (chosen.data is not None):
        parser.error("give DATA, or --dry-run")
    if not chosen.dry_run and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --dry-run goes the same way on the CPU")
    device = "cpu" if chosen.dry_run else "cuda"
    data = load_data() if chosen.dry_run else load_data(chosen.data, download=not (chosen.data / "MNIST").is_dir())
    run, rows, about = Run(device, data, chosen.dry_run, {}), [], machine(device)
    out = ROOT / ("build/gpu-dry-run.json" if chosen.dry_run else "results/gpu.json")
    began = time.perf_counter()
    for check in (kernels, quantizer, gradients, epoch, accuracy, bench):
        print(f"{check.__name__} (after {time.perf_counter() - began:.0f} s)", flush=True)
        for line in _found(check, run):
            print("   ", "; ".join(line), flush=True)
            rows.append(line)
            title = f"On a GPU: {about.get('accelerator', 'dry run on the CPU')}, torch {about['torch']}"
            result = {"kind": "table", "title": title, "headings": HEADINGS, "rows": rows, "machine": about, **run.measured}
            # After every line, for a run that is cut off.
            write_whole(out, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    failed = sum(row[-1] == "NO" for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} hold -> {out.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
