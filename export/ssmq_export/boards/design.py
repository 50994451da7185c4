"""What a folder of a board's design holds, as the computer at the other end needs it: ``board.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..own_file import read_file
from .protocol import FRAME_BYTES

DESIGN = "board.json"
# What was synthesised and placed; it lasts as long as the sources stay the same.
STAGES = "synthesis"
Count = Annotated[int, Field(ge=1, le=1 << 32)]


class BoardDesign(BaseModel):
    """``identity`` is that of all sources, and what the board answers a hello with; ``cycles`` those of a sequence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    board: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    identity: Annotated[int, Field(ge=0, lt=1 << 32)]
    clock_hz: Count
    divisor: Annotated[int, Field(ge=4, le=1 << 20)]
    steps: Count
    channels: Count
    code_bits: Annotated[int, Field(ge=1, le=16)]
    classes: Annotated[int, Field(ge=2, le=256)]
    payload: Count
    cycles: Count

    @property
    def baud(self) -> int:
        return round(self.clock_hz / self.divisor)

    @property
    def line_rate(self) -> float:
        """Sequences a second that the serial line carries, nothing in them being stuffed."""
        return self.clock_hz / (10 * self.divisor * (self.payload + FRAME_BYTES))

    @property
    def turnaround(self) -> int:
        """Clocks from the first bit of a sequence to the last of its answer, another one being computed in between."""
        stuffed = 2 * (self.payload + 64)
        return 10 * stuffed * self.divisor + 2 * (self.cycles + 10 * self.steps * self.channels * self.code_bits)


def load_design(folder: Path | str) -> BoardDesign:
    """The design in ``folder``, or one message that says why there is none."""
    return read_file(Path(folder) / DESIGN, BoardDesign, "give a folder that `ssmq board` has written")
