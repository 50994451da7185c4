"""What result files of the study hold: studies, sensitivities, searches, and tables of anybody's own.

As much as their text and pictures need; more keys are welcome and not read.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from ssmq_brevitas.config import Bits, Scheme

from ..json_file import Amount, Count, Data, Name, Positive, Several, Share, Sizes, Strict, Text
from .tool_schema import Shown

Role = Annotated[str, Field(pattern=f"^({'|'.join(Bits.model_fields)})$")]

Width = Annotated[int, Field(ge=1, le=24)]
WidthKey = Annotated[str, StringConstraints(pattern=r"^([1-9]|1\d|2[0-4])$")]
Change = Annotated[float, Field(ge=-1e18, le=1e18)]


class StudyRow(Strict):
    name: Name
    engine: Name
    seeds: Several
    accuracy: Share
    deviation: Share | None
    bytes: Sizes | None
    validation: Annotated[list[Share], Field(max_length=10_000)]
    paper: Amount | None


class HeadlineRow(Strict):
    label: Name
    row: Name
    paper: Amount
    saved: Amount | None


class FigureRow(Strict):
    what: Name
    row: Name
    reach: Amount
    within: Amount | None
    paper: Name


class AblationRow(Strict):
    technique: Name
    row: Name
    without: Name


class Study(Shown):
    data: Data
    images: Count
    rows: Annotated[list[StudyRow], Field(max_length=1000)]
    headline: Annotated[list[HeadlineRow], Field(max_length=1000)]
    figures: Annotated[list[FigureRow], Field(max_length=1000)]
    ablations: Annotated[list[AblationRow], Field(max_length=1000)]
    dropped: dict[Text, Text]


class Narrow(Strict):
    """One tensor narrow, by width."""

    tensor: Name
    title: Name
    accuracy: dict[WidthKey, Share]
    error: dict[WidthKey, Amount]
    loss: Change

    @model_validator(mode="after")
    def _error_of_every_width(self) -> Self:
        if self.accuracy.keys() - self.error.keys():
            raise ValueError("accuracy and error have the same widths")
        return self


class Moved(Strict):
    radius: Amount
    shift: Amount
    times_distance: Amount
    outside: Count


class Layer(Strict):
    layer: Name
    modes: Count
    radius: Amount
    memory: Amount
    noise_gain: Amount
    grid: dict[WidthKey, Moved]


class Sensitivity(Shown):
    model: Name
    images: Count
    float_accuracy: Share
    reference_accuracy: Share
    widths: Annotated[list[Width], Field(min_length=1, max_length=24)]
    tensors: Annotated[list[Narrow], Field(max_length=32)]
    by_tensor: Annotated[list[Narrow], Field(max_length=4096)]
    layers: Annotated[list[Layer], Field(min_length=1, max_length=64)]


class Candidate(Strict):
    accuracy: Share
    bytes: Positive | None = None
    lut: Positive | None = None


class Chosen(Candidate):
    scheme: Scheme
    dsp: Count | None = None
    bram: Count | None = None


class Search(Shown):
    model: Name
    images: Count
    tensors: Annotated[dict[Name, Role], Field(max_length=4096)]
    float_accuracy: Share
    objective: Literal["bytes", "lut"]
    target: Name | None = None
    shape: Literal["dataflow", "serial"] = "dataflow"
    fps: Positive | None = None
    clock_mhz: Positive = 100.0
    candidates: Annotated[list[Candidate], Field(min_length=1, max_length=100_000)]
    front: Annotated[list[Chosen], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _costs_are_told(self) -> Self:
        needed = ("lut", "dsp", "bram", "bytes") if self.objective == "lut" else ("bytes",)
        if any(getattr(entry, self.objective) is None for entry in self.candidates):
            raise ValueError(f"candidates: each has {self.objective!r}, which the objective is")
        for key in needed:
            if any(getattr(entry, key) is None for entry in self.front):
                raise ValueError(f"front: each entry has {key!r}")
        if self.objective == "lut" and self.target is None:
            raise ValueError("target: the part whose LUTs are counted is missing")
        return self


class TableFile(Shown):
    title: Text
    headings: Annotated[list[Text], Field(min_length=1, max_length=100)]
    rows: Annotated[list[list[Text | int | float | bool | None]], Field(max_length=10_000)]
    labels: Annotated[int, Field(ge=0, le=100)] = 1
    note: Text | None = None

    @model_validator(mode="after")
    def _rows_fit_their_headings(self) -> Self:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.headings):
                raise ValueError(f"rows.{number}: has {len(row)} cells under {len(self.headings)} headings")
        return self
