"""Names of tensors as identifiers of SystemVerilog and of files."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).with_name("library")
# What the modules, the top level and its harness call their own, and words of Verilog, SystemVerilog and C++ that a tensor
# may be called.
TAKEN = frozenset(
    """
    always and assert assign assume automatic before begin bind bit break buf byte case cell checker class clocking config
    const constraint context continue cover cross default design disable do edge else end enum event expect export extends
    extern final first_match for force foreach forever fork forkjoin function generate genvar global highz0 highz1 if iff
    implements implies import in incdir include initial inout input inside instance int integer interconnect interface
    intersect join large let liblist library local localparam logic longint macromodule matches medium modport module nand
    negedge nettype new nexttime nmos nor not null or out output package packed parameter pmos posedge primitive priority
    program property protected pull0 pull1 pulldown pullup pure rand randc randcase randsequence rcmos real realtime ref reg
    reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 scalared sequence shortint shortreal
    showcancelled signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
    sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0
    tri1 triand trior trireg type typedef union unique unique0 unsigned until use uwire var vectored virtual void wait
    wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor clk rst lost unused_paced
    """.split()
)
# What is appended to the name of a stream or of an operation.
SUFFIXES = (
    "valid", "ready", "data", "last", "taken", "a", "c", "d", "register", "fork", "widen", "narrow", "lanes", "repeat",
    "replay", "loop", "last_step", "argmax", "queued", "queued_valid", "queued_ready", "queued_data", "queued_last",
    "queued_register", "queued_fifo",
)  # fmt: skip


@cache
def _words_of_library() -> frozenset[str]:
    """Every word in the modules: what an instance is called must not hide behind a signal inside it."""
    texts = [path.read_text() for path in LIBRARY.glob("**/*.sv")]
    return frozenset(word.lower() for text in texts for word in re.findall(r"[A-Za-z_]\w*", re.sub(r"//.*", "", text)))


class Names:
    """Identifiers, each given once: letters, digits and underscores, as long as a file's name may be."""

    def __init__(self, *taken: str) -> None:
        self._used: set[str] = {*TAKEN, *_words_of_library()}
        for name in ("in", "out", *taken):
            self._used |= _derived(name)

    def new(self, wanted: str) -> str:
        """An identifier like ``wanted`` that nothing else has; files tell no upper from lower case everywhere."""
        plain = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", wanted, flags=re.ASCII))[:60].strip("_")
        plain = plain if plain[:1].isalpha() else f"t_{plain}".rstrip("_")
        name, number = plain, 1
        while _derived(name) & self._used:
            number += 1
            name = f"{plain}_{number}"
        self._used |= _derived(name)
        return name


def _derived(name: str) -> set[str]:
    """Names that are made from one: of a stream's wires, of the instances and memories around it."""
    return {name.lower(), *(f"{name}_{suffix}".lower() for suffix in SUFFIXES)}
