"""What result files of the commands hold: runs, verdicts, agreement, benchmarks, FINN and estimates.

As much as their text and pictures need; more keys are welcome and not read.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from ..json_file import Amount, Count, Data, Name, Positive, Several, Share, Sizes, Strict, Text


class Shown(Strict):
    """What every kind may have."""

    heading: Name | None = None


class Engine(Strict):
    """A line of an agreement table, the reference first."""

    engine: Name
    sequences: Count
    codes: Count
    differing: Count
    seconds: Amount = 0.0
    failed: str = ""


class Verdict(Strict):
    errors: Count
    warnings: Count


class RunRow(Strict):
    stage: Name
    accuracy: Share
    bytes: Sizes


class OnPart(Strict):
    """A model on an FPGA, as ``ssmq run --hardware`` has routed it."""

    part: Name
    shape: Name
    cycles_a_step: Count
    lut: Count
    ff: Count
    dsp: Count
    bram: Count
    mhz: Positive
    microseconds: Positive | None
    sequences_per_second: Positive | None


class Run(Shown):
    data: Data
    rows: Annotated[list[RunRow], Field(min_length=1, max_length=100)]
    verify: Annotated[list[Engine], Field(max_length=100)]
    check: Verdict
    graphs: dict[Name, Count]
    hardware: OnPart | None = None
    seconds: Amount


class Series(Data):
    channels: Several
    steps: Several
    classes: Several


class Trained(Strict):
    stage: Name
    validation: Share
    test: Share
    bytes: Sizes


class Mapped(Strict):
    mapped: Count
    nodes: Count
    partitions: Count


# A line of a block of code: it cannot end the block, nor a section of a README.
Command = Annotated[str, StringConstraints(pattern=r"^[ -_a-~]*$", max_length=1000)]


class SecondDataset(Shown):
    data: Series
    stages: Annotated[list[Trained], Field(max_length=100)]
    verify: Annotated[list[Engine], Field(max_length=100)]
    check: Verdict
    finn: Mapped
    commands: Annotated[list[Command], Field(max_length=100)]

    @model_validator(mode="after")
    def _commands_end_no_section(self) -> Self:
        if any("<!--" in command for command in self.commands):
            raise ValueError("commands: a command has no '<!--'")
        return self


class Finding(Strict):
    rule: Name
    severity: Name
    node: Text
    tensor: Text
    message: Text
    fix: Text


class Check(Shown):
    findings: Annotated[list[Finding], Field(max_length=100_000)]


class Verify(Shown):
    models: Annotated[dict[Name, Annotated[list[Engine], Field(max_length=100)]], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _models_have_the_same_engines(self) -> Self:
        told = {name: [(row.engine, row.sequences) for row in rows] for name, rows in self.models.items()}
        first = next(iter(told.values()))
        for name, rows in told.items():
            if rows != first:
                raise ValueError(f"models.{name}: has not the engines and sequences of the first model")
        return self


class Machine(Strict):
    processor: Name
    cores: Count
    memory_gib: Amount
    python: Name
    torch: Name
    numba: Name
    brevitas: Name
    onnxruntime: Name


class ScanRow(Strict):
    heads: Several
    modes: Several
    batch: Several
    length: Several
    fused_s: Positive
    float_fft_s: Positive
    brevitas_loop_s: Positive | None = None


class BenchScan(Shown):
    machine: Machine
    rows: Annotated[list[ScanRow], Field(min_length=1, max_length=1000)]


class TrainRow(Strict):
    preset: Name
    batch: Several
    fused_s: Positive
    float_fft_s: Positive
    brevitas_loop_s: Positive | None = None


class BenchTrain(Shown):
    machine: Machine
    rows: Annotated[list[TrainRow], Field(max_length=1000)]


class BenchInfer(Shown):
    machine: Machine
    model: Name
    images: Several
    steps: Several
    integer_s: Positive
    onnxruntime_s: Positive
    onnxruntime_batch: Several


class FinnResources(Strict):
    LUT: Amount
    DSP: Amount


class OurResources(Strict):
    lut: Count
    dsp: Count


class Ours(Strict):
    cycles: Count
    resources: OurResources


class FinnRow(Mapped):
    model: Name
    graph: Name
    cycles: Count
    resources: FinnResources
    ours: Ours


class Finn(Shown):
    rows: Annotated[list[FinnRow], Field(max_length=1000)]


class Resources(Strict):
    lut: Count
    ff: Count
    dsp: Count
    bram: Count


class Node(Resources):
    kind: Name
    cycles: Count


class Estimate(Shown):
    nodes: Annotated[list[Node], Field(max_length=100_000)]
    total: Resources
    available: Resources
    target: Name
    interval: Count
    loop_latency: Count
    cycles_per_step: Count
    cycles_per_sequence: Count
    sequences_per_second: Amount
    clock_mhz: Positive
