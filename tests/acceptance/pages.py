"""The pages of the project and the blocks of code on them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import typer
from ssmq_cli.commands import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>slow|shown|raises|exit \d) -->\n)?"
    r'```(?P<language>\w*)(?: title="(?P<title>[\w.-]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_SECTION = re.compile(r"^<!-- ([\w.+-]+) -->$.*?^<!-- /\1 -->$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """``mark`` is what the comment before the block says: ``slow``, ``shown`` (never run), ``raises``, ``exit N`` or nothing.

    What stands in a section that is rendered from a result has been run for it, and is ``shown``. A ``message`` is a heading
    that is all code: what the block below it, if it fails, says; ``…`` stands for anything.
    """

    page: Path
    line: int
    mark: str
    language: str
    title: str | None
    text: str
    message: str | None

    @property
    def kind(self) -> str:
        return self.mark.split(" ")[0]

    @property
    def commands(self) -> list[list[str]]:
        """The words of every line of a shell block, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    rendered = [match.span() for match in _SECTION.finditer(text)]
    found = []
    for match in _BLOCK.finditer(text):
        shown = any(start < match.start() < end for start, end in rendered)
        line = text.count("\n", 0, match.start("text"))
        mark = "shown" if shown else match["mark"] or ""
        headings = re.findall(r"^#+ (.+)$", text[: match.start()], re.MULTILINE)
        message = re.fullmatch(r"`([^`]+)`", headings[-1]) if headings else None
        found.append(Block(page, line, mark, *match.group("language", "title", "text"), message and message[1]))
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(found), f"{page.name}: a block is not closed, or not one"
    return found


def parse(words: list[str]) -> None:
    """Parse the words behind ``ssmq`` as the command line does, and run nothing. Raises what it raises.

    A name of the zoo is no path: it is given where a command looks it up.
    """
    command, words = typer.main.get_command(app), list(words)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    try:
        given = command.make_context("ssmq", words).params.values()
        assert not [value for value in given if isinstance(value, Path) and str(value).startswith("zoo:")]
    except typer.Exit as done:  # --help, --version
        assert done.exit_code == 0
