"""Every message that the packages can raise, read from their code.

    python scripts/messages.py > docs/messages.md       # the page
    python scripts/messages.py --covered .coverage      # those that no test has raised; ends with 1 if there are any

The second asks coverage.py's record of a run of the tests, processes that they start included.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ssmq_study.table import Table

ROOT = Path(__file__).parents[1]
PACKAGES = ("ssmq_brevitas", "export/ssmq_export", "ssmq_study", "ssmq_cli")
# Those that a user reads; a ValueError is what a validator says of a key, or a reader of a part of a file.
ERRORS = {"SsmqError", "Interrupted", "ExportError", "IllegalGraph", "BadParameter", "ValueError"}
# What says why, for messages that say no more than where: functions, and tables of reasons.
REASONS = {
    "ssmq_brevitas.contract.refuse_inexact", "ssmq_brevitas.sound.refuse_unsound", "ssmq_brevitas.task.Task.problem_with",
    "ssmq_brevitas.network.trace.REFUSED", "ssmq_brevitas.network.trace._reason", "ssmq_brevitas.published.agree._advice",
    "ssmq_brevitas.published.recognise._PARTS", "ssmq_brevitas.published.recognise._unconverted",
    "ssmq_brevitas.published.recognise._unfit", "ssmq_brevitas.published.recognise._misshapen",
    "ssmq_export.dataflow.scan_operands.unfit_shapes", "ssmq_export.dataflow.scan_operands.unfit_state",
    "ssmq_export.dataflow.scan_operands.unfit_shift", "ssmq_export.dataflow.operation.Operation.__post_init__",
    "ssmq_export.dataflow.operation.Operation._check_constant",
}  # fmt: skip
# No input is known that raises these; what they guard would end in wrong codes.
GUARDS = {
    "ssmq_brevitas.network.brevitas_layers._constant": "Brevitas quantises weights and biases on one grid, or one an output",
    "ssmq_cli.bench.infer.command": "engines that differ are a fault of this program",
    "ssmq_cli.lower.command": "a pass that changes a code is a fault of this program",
    "ssmq_export.dataflow.stages.Stages._product": "an operation's ranges are refused before",
    "ssmq_export.functions.elementwise.ElementwiseFunction.__init__": "a release of ONNX Runtime may lack a float function",
    "ssmq_export.integer.program.Program._accumulator": "an operation's ranges are refused before",
}
HOLE = "…"
HEAD = """\
# Messages

Every message that the packages raise, from their code, room by room; `…` stands for what is filled in: a name, a number, or
another message. The command line puts `error:` before it and ends with 1. Those that are met most have a longer answer in
[troubleshooting](troubleshooting.md); what `ssmq check` finds in a graph is no error, but one of its [rules](rules.md)."""


class Message(NamedTuple):
    """Where a message is made, and its text. One without a word of its own passes on another message."""

    path: Path
    lines: range
    maker: str
    text: str

    @property
    def says(self) -> bool:
        return re.search(r"\w", self.text) is not None

    @property
    def room(self) -> str:
        """Package and folder, as they are imported."""
        return ".".join(self.path.parent.parts).removeprefix("export.")


def messages() -> list[Message]:
    """All of them, package by package, file by file, from top to bottom."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"), key=lambda p: (p.parent, p.name))]
    return [message._replace(path=path.relative_to(ROOT)) for path in files for message in made(path)]


def made(path: Path) -> Iterator[Message]:
    """Those of one file."""
    module = path.relative_to(ROOT).with_suffix("").parts if ROOT in path.parents else (path.stem,)
    return _made(_tree(path), path, ".".join(part for part in module if part not in ("export", "__init__")))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _made(node: ast.AST, path: Path, maker: str) -> Iterator[Message]:
    for child in ast.iter_child_nodes(node):
        told = _told(child, path, maker)
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if told is not None:
            yield Message(path, range(child.lineno, child.end_lineno + 1), maker, re.sub(f"{HOLE}+", HOLE, told))
            continue
        match child:
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.Assign([ast.Name(name)]):
                yield from _made(child, path, f"{maker}.{name}")
            case _:
                yield from _made(child, path, maker)


def _told(node: ast.AST, path: Path, maker: str) -> str | None:
    """The text of a message, or of a reason: a single word is none."""
    match node:
        case ast.Call(function, [text, *_]) if ast.unparse(function).split(".")[-1] in ERRORS:
            return _text(text, path)
        case ast.Constant(str()) | ast.JoinedStr() if maker in REASONS:
            text = _text(node, path)
            return text if text.count(" ") > 1 and "\n" not in text else None
    return None


def _text(node: ast.expr, path: Path) -> str:
    """The text of an expression, with what is known only when it is raised left open."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(_text(part, path) for part in parts)
        case ast.FormattedValue(ast.Name(name), -1):
            return _constant(name, path) or HOLE
        case ast.BinOp(left, ast.Add(), right):
            return _text(left, path) + _text(right, path)
    return HOLE


def _constant(name: str, path: Path) -> str | None:
    """A constant of the module at ``path``, or of the one that it takes it from."""
    for node in _tree(path).body:
        match node:
            case ast.Assign([ast.Name(target)], ast.Constant(value)) if target == name:
                return str(value)
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                named = {ast.unparse(target): value for target, value in zip(targets, values, strict=True)}
                if isinstance(named.get(name), ast.Constant):
                    return str(named[name].value)
            case ast.ImportFrom(module, aliases, level) if level and name in {alias.name for alias in aliases}:
                source = path.parents[level - 1].joinpath(*(module or "").split(".")).with_suffix(".py")
                return _constant(name, source) if source.is_file() else None
    return None


def page() -> str:
    """``docs/messages.md``."""
    parts = [HEAD]
    for room, found in groupby((message for message in messages() if message.says), lambda message: message.room):
        rows = dict.fromkeys((_code(message.text), _code(message.maker.removeprefix(f"{room}."))) for message in found)
        parts += [f"## {room}", Table("", ["message", "raised by"], [[*row] for row in rows], 2).markdown()]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    return text if set(text) & set("`<>|\\") else f"`{text}`"


def unraised(ran: dict[Path, set[int]]) -> list[Message]:
    """What no test has raised, by the lines of each file that ran; without ``GUARDS``."""
    every = [message for message in messages() if message.maker not in GUARDS]
    return [message for message in every if not ran.get(message.path, set()) & set(message.lines)]


def lines_of(covered: Path) -> dict[Path, set[int]]:
    """The lines that coverage.py saw run, by the files' paths from the root."""
    import coverage

    data = coverage.CoverageData(str(covered))
    data.read()
    files = {file: Path(file).resolve() for file in data.measured_files()}
    return {path.relative_to(ROOT): set(data.lines(file)) for file, path in files.items() if path.is_relative_to(ROOT)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--covered", type=Path, help="the file that coverage.py has written")
    given = parser.parse_args()
    if given.covered is None:
        print(page(), end="")
        return
    found = unraised(lines_of(given.covered))
    for message in found:
        print(f"{message.path}:{message.lines[0]}: {message.text}")
    print(f"{len(found)} of {len(messages())} messages are raised by no test")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
