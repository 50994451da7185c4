"""Configurations: what is built, how it is quantised and how it is trained. Presets by name, or TOML files.

The sections of a file are the classes below: ``[task]``, ``[model]``, ``[model.input]``, ``[scheme]``, ``[scheme.bits]``,
``[train.float]`` and ``[train.qat]``. Whatever is left out keeps its default; an unknown key or a value out of range is
refused by name.
"""

from __future__ import annotations

import difflib
import importlib.resources
import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from .config_problem import first_problem
from .errors import SsmqError
from .input_format import PIXELS, InputFormat
from .section import Section
from .task import Task

# Sizes past these are typing errors, and would be found out by the memory that they take.
MOST_PARAMETERS = 2**24
MOST_EPOCHS = 1_000_000
MOST_TOML_BYTES = 2**14

Width = Annotated[int, Field(ge=2, le=24)]
Count = Annotated[int, Field(ge=1, le=2**16)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
Step = Annotated[float, Field(ge=1e-6, le=1e3)]
ParameterisationName = Literal["discrete", "continuous", "frozen", "polar", "log_polar"]
# A function that is not monotone runs as a table with an entry for every code of y.
TABLE_BITS = 16


class ModelConfig(Section):
    """Architecture. The paper's block has no norm, GELU and GLU in one layer; the edge block batch norm and ReLU.

    ``channels`` is the number of values a step, ``length`` that of steps, ``classes`` that of outputs, also where they are
    the numbers of a regression. ``input`` is the format of the values; without one they are pixels, 8 bits unsigned times
    2^-8, or what ``ssmq train`` finds in the data. ``dt_min`` and ``dt_max`` are the ends of the
    log-uniform range that S4D's steps Δ start in: a mode forgets in about 2 / Δ steps, and what it forgets more slowly than
    one place of its state in so many steps, rounding keeps for ever. So narrow states ask for a larger ``dt_min``.
    """

    channels: Count = 1
    heads: Count = 16
    modes: Count = 32
    layers: Annotated[int, Field(ge=1, le=64)] = 1
    classes: Count = 10
    length: Annotated[int, Field(ge=1, le=2**24)] = 784
    norm: Literal["none", "batch"] = "none"
    activation: Literal["relu", "gelu", "hard_gelu"] = "hard_gelu"
    gate: Literal["none", "sigmoid", "hard_sigmoid"] = "hard_sigmoid"
    dt_min: Step = 1e-3
    dt_max: Step = 1e-1
    input: InputFormat | None = None

    @field_validator("input")
    @classmethod
    def _said_in_one_way(cls, given: InputFormat | None) -> InputFormat | None:
        """Models of pixels are equal, whether they say so or not."""
        return None if given == PIXELS else given

    @property
    def input_format(self) -> InputFormat:
        return self.input or PIXELS

    @model_validator(mode="after")
    def _steps_are_a_range(self) -> Self:
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min {self.dt_min:g} is above dt_max {self.dt_max:g}")
        return self

    @model_validator(mode="after")
    def _parameters_fit(self) -> Self:
        """Nothing is built yet: the largest matrices are counted."""
        counts = {
            "channels": self.channels * self.heads,
            "modes": 6 * self.layers * self.heads * self.modes,
            "heads": 2 * self.layers * self.heads**2,
            "classes": self.classes * self.heads,
        }
        total = sum(counts.values())
        if total > MOST_PARAMETERS:
            key = max(counts, key=counts.__getitem__)
            raise ValueError(f"{total:,} parameters are more than the {MOST_PARAMETERS:,} that are built: lower {key}")
        return self


class Bits(Section):
    """Bit width of every tensor. ``y`` (the S4D output before its activation) exists only for GELU and hard GELU.

    ``b`` is used where B̄ is not a power of two (see ``Scheme``). ``norm`` is that of batch norm's gain and offset, as
    they are in evaluation.
    ``input`` is how many bits of an input's code are kept, the first ones; floats become codes of so many.

    Raises SsmqError naming a width that is none.

    >>> from ssmq_brevitas import Bits
    >>> Bits(c=6, x=10).c, Bits().bias
    (6, 16)
    """

    a: Width = 8
    a_magnitude: Annotated[int, Field(ge=1, le=16)] = 4
    a_phase: Annotated[int, Field(ge=2, le=16)] = 8
    b: Width = 8
    c: Width = 8
    d: Width = 8
    x: Width = 8
    u: Width = 8
    y: Width = 8
    activation: Width = 8
    linear: Width = 8
    encoder: Width = 8
    decoder: Width = 8
    input: Annotated[int, Field(ge=1, le=16)] = 8
    pool: Width = 8
    bias: Width = 16
    norm: Width = 16


class Scheme(Section):
    """Formats and grids of all tensors.

    ``granularity`` is how many share one exponent in Ā, B̄, C, D and x: a ``tensor`` or a ``head``. ``equalise``
    changes the basis of every mode so that all states of a layer use the same range and B̄ is one power of two a mode: a
    shift, without a multiplier, and not trained, since C has all of its freedom. ``activation_range``, in files ``range``,
    chooses activation exponents: ``mse`` (least squared error) or ``percentile`` (99.999 %). ``tensors`` gives single tensors
    of a network another width or grid than their role has (see ``ssmq_brevitas.network.names``).

    Raises SsmqError naming the key; a pattern that fits no tensor is told by ``quantize``.
    Polar grids: |Ā| < 1 holds by construction, as in LRU (Orvieto et al., arXiv 2303.06349).

    >>> from ssmq_brevitas import Bits, Scheme
    >>> scheme = Scheme(parameterisation="log_polar", bits=Bits(x=10), tensors={"blocks.*.s4d.c": 4, "blocks.0.s4d.c": 6})
    >>> scheme.bits.x, scheme.bits.c, scheme.granularity
    (10, 8, 'tensor')
    """

    parameterisation: ParameterisationName = "discrete"
    granularity: Literal["tensor", "head"] = "tensor"
    equalise: bool = True
    activation_range: Literal["mse", "percentile"] = Field("mse", alias="range")
    bits: Bits = Bits()
    tensors: dict[Annotated[str, Field(min_length=1, max_length=200)], int | str] = {}


class Training(Section):
    """One training phase: AdamW, cosine schedule with a linear warm-up of 5 % of the steps.

    ``learning_rate`` of a quantised weight is in units of the range of its grid.
    ``shift`` moves every training sequence at random by up to so many rows and columns of its image (steps, where it is
    none).
    For the last ``freeze_norm`` (a share) of the steps batch norm keeps its statistics and is trained as it is stored.
    """

    epochs: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] = 1
    batch: Count = 64
    learning_rate: Rate = 1e-3
    learning_rate_a: Rate = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    clip: Rate = 1.0
    shift: Annotated[int, Field(ge=0, le=8)] = 0
    freeze_norm: Annotated[float, Field(ge=0, le=1)] = 0.0


class Phases(Section):
    floating: Training = Field(Training(), alias="float")
    qat: Training = Training()


class Config(Section):
    """Everything that defines a trained model but the data and the seed."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "custom"
    task: Task = Task()
    model: ModelConfig = ModelConfig()
    scheme: Scheme = Scheme()
    train: Phases = Phases()

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must be printable characters")
        return name

    @model_validator(mode="after")
    def _outputs_are_told_apart(self) -> Self:
        if self.task.classifies and self.model.classes < 2:
            raise ValueError("model.classes is 1, but a class is told from at least 2")
        return self

    @model_validator(mode="after")
    def _labels_stay_with_steps(self) -> Self:
        for training in (self.train.floating, self.train.qat):
            self.task.refuse_shift(training.shift)
        return self

    @model_validator(mode="after")
    def _signs_are_kept(self) -> Self:
        if self.model.input_format.signed and self.scheme.bits.input < 2:
            raise ValueError("scheme.bits.input is 1, but of signed inputs at least 2 bits are kept")
        return self

    @model_validator(mode="after")
    def _tables_are_bounded(self) -> Self:
        activation, width = self.model.activation, self.scheme.bits.y
        if activation != "relu" and width > TABLE_BITS:
            raise ValueError(f"scheme.bits.y is {width}, but {activation} is a table of 2**y entries: at most {TABLE_BITS}")
        return self


def with_epochs(config: Config, phase: str, epochs: int | None) -> Config:
    """``config`` with another number of epochs in ``phase`` (``"floating"`` or ``"qat"``), or as it is for None."""
    if epochs is None:
        return config
    training = getattr(config.train, phase).model_copy(update={"epochs": epochs})
    return config.model_copy(update={"train": config.train.model_copy(update={phase: training})})


def with_input(config: Config, given: InputFormat | None) -> Config:
    """``config`` for inputs of a format. Raises SsmqError if its scheme is none for them."""
    values = config.model_dump()
    return parse_config(values | {"model": {**values["model"], "input": given and given.model_dump()}}, config.name)


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    folder = importlib.resources.files("ssmq_brevitas.presets")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(name_or_path: str | Path) -> Config:
    """A preset by name, or a TOML file by path. Raises SsmqError naming the file, the key and the remedy."""
    name = str(name_or_path)
    try:
        # With or without a byte-order mark: editors on Windows write one.
        values = tomllib.loads(_content(name).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SsmqError(f"{name}: not UTF-8, as TOML is ({error}): save it as UTF-8") from error
    except RecursionError as error:
        raise SsmqError(f"{name}: not valid TOML (nested too deeply)") from error
    except ValueError as error:
        raise SsmqError(f"{name}: not valid TOML ({error})") from error
    return parse_config({"name": Path(name).stem, **values}, origin=name)


def _content(name: str) -> bytes:
    if name in preset_names():
        return importlib.resources.files("ssmq_brevitas.presets").joinpath(f"{name}.toml").read_bytes()
    try:
        if not Path(name).is_file():
            close = difflib.get_close_matches(name, preset_names(), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"presets: {', '.join(preset_names())}"
            raise SsmqError(f"{name!r} is neither a preset nor a TOML file: {hint}")
        with open(name, "rb") as file:
            content = file.read(MOST_TOML_BYTES + 1)
    except OSError as error:
        raise SsmqError(f"{name}: cannot be read ({error.strerror})") from error
    if len(content) > MOST_TOML_BYTES:
        raise SsmqError(
            f"{name}: more than {MOST_TOML_BYTES:,} bytes are no configuration: give a preset or a TOML file of keys"
        )
    return content


def parse_config(values: dict, origin: str) -> Config:
    """Validate a nested dictionary. ``origin`` names it in messages."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise SsmqError(f"{origin}: {first_problem(error, Config)}") from error
    except SsmqError as error:  # of what a task refuses
        raise SsmqError(f"{origin}: {error}") from error


def to_toml(config: Config) -> str:
    """``config`` as a file that ``load_config`` reads, all values written out."""
    values = config.model_dump(mode="json")
    given = values["model"].pop("input")
    sections = {
        "task": values["task"],
        "model": values["model"],
        **({"model.input": given} if given else {}),
        "scheme": {key: value for key, value in values["scheme"].items() if key not in ("bits", "tensors")},
        "scheme.bits": values["scheme"]["bits"],
        "scheme.tensors": {json.dumps(pattern): value for pattern, value in values["scheme"]["tensors"].items()},
        "train.float": values["train"]["float"],
        "train.qat": values["train"]["qat"],
    }
    # A number or a boolean is written in JSON as in TOML, and so is a string of printable characters.
    lines = [f"name = {json.dumps(config.name, ensure_ascii=False)}"]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"
