"""Quantised networks as safetensors files: tensors, scheme and shape. The module's own code stays the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import fx, nn

from ..checkpoint import fill
from ..config import Scheme
from ..errors import SsmqError
from ..input_format import InputFormat
from ..tensor_file import NETWORK, read_tensors, write_tensors
from .structure import empty, example_of, quantized_of, settle

Size = Annotated[int, Field(ge=1, le=2**24)]


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: str
    scheme: Scheme
    steps: Size
    channels: Annotated[int, Field(ge=1, le=2**16)]
    input_signed: bool
    input_format: InputFormat | None
    note: dict


def save(path: Path | str, network: fx.GraphModule, note: dict | None = None) -> None:
    """Write a quantised network into a safetensors file, whole or not at all: its tensors, scheme and the shape of its input.

    ``note`` is a free JSON object. The module's own code stays the user's, see ``load``. Raises SsmqError for a network that is
    not quantised or was adopted, numbers that are not finite, a note that is no JSON and a place that cannot be written.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import Scheme, load, quantize, save
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.GELU())
    >>> quantized = quantize(network, Scheme(), torch.randn(8, 20, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/network.safetensors", quantized, note={"accuracy": 0.9})
    ...     again = load(f"{folder}/network.safetensors", network)
    >>> x = torch.randn(2, 20, 1)
    >>> torch.equal(again(x), quantized(x))
    True
    """
    note = {} if note is None else note
    if not isinstance(note, dict):
        raise SsmqError(f"{path} is not written: its note must be an object (a dict), not {type(note).__name__}")
    about = quantized_of(network)
    if about.scheme is None:
        raise SsmqError(f"{path} is not written: the network was adopted, it has no scheme: save the state of your own module")
    wild = next((name for name, value in network.state_dict().items() if not torch.isfinite(value).all()), None)
    if wild is not None:
        raise SsmqError(f"{path} is not written: {wild} is not finite: did the training diverge?")
    tensors = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    content = {
        "scheme": about.scheme.model_dump(mode="json"),
        "steps": about.steps,
        "channels": about.channels,
        "input_signed": about.input_signed,
        "input_format": about.input_format and about.input_format.model_dump(mode="json"),
        "note": note,
    }
    try:
        write_tensors(Path(path), tensors, NETWORK, content)
    except OSError as error:
        raise SsmqError(f"{path} is not written: {error.strerror}: give another place") from error


def load(path: Path | str, module: nn.Module) -> fx.GraphModule:
    """The network that ``save`` wrote, built around ``module``: the float module that was quantised, whatever its weights.

    In evaluation mode. Raises SsmqError naming the file if it is none of ``save``'s, and the tensor if ``module`` is another
    network.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import Scheme, load, quantize, save
    >>> def made():
    ...     return torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.GELU())
    >>> quantized = quantize(made(), Scheme(), torch.randn(8, 20, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/network.safetensors", quantized)
    ...     again = load(f"{folder}/network.safetensors", made())  # of other weights
    >>> torch.equal(again.get_submodule("0").weight, quantized.get_submodule("0").weight)
    True
    """
    path = Path(path)
    tensors, content = read_tensors(path, NETWORK)
    try:
        about = _About.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise SsmqError(
            f"{path}: not a readable checkpoint, its description is damaged ({where}: {problem['msg']}): save it anew"
        ) from error
    example = example_of(about.steps, about.channels)
    try:
        network = empty(module, about.scheme, example, about.input_signed, about.input_format)
    except SsmqError as error:
        raise SsmqError(f"{path}: the module that is given does not fit: {error}") from error
    # Counters of batches are no numbers of the network.
    counters = {name: value for name, value in network.state_dict().items() if not value.is_floating_point()}
    fill(network, {**tensors, **counters}, path, f"the module that is given ({type(module).__name__})")
    try:
        return settle(network).eval()
    except SsmqError as error:
        raise SsmqError(f"{path}: {error}") from error
