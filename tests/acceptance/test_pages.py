"""Every block of code on every page runs, in order, in a folder that holds what the README's code leaves.

A comment before a block says which are ``slow``, which only ``shown``, which ``raises`` and which end in an ``exit`` code.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ssmq
from pages import PAGES, README, ROOT, Block, blocks, parse
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

RUNS = ("", "raises", "exit")
PROGRAMS = {"python": sys.executable, "ssmq": str(Path(sys.executable).parent / "ssmq")}


def run(page: Path, folder: Path, marks: tuple[str, ...]) -> str:
    """Run the blocks of a page with these marks; what its Python has printed."""
    names: dict = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        for block in blocks(page):
            if block.kind not in marks:
                continue
            if block.language == "python":
                python(block, names)
            elif block.title:
                Path(block.title).write_text(block.text)
            elif block.language == "sh":
                shell(block, folder)
    return printed.getvalue()


def python(block: Block, names: dict) -> None:
    code = compile(block.text, f"{block.page.name}:{block.line}", "exec")
    if block.kind != "raises":
        exec(code, names)
        return
    with pytest.raises((SsmqError, ExportError)) as error:
        exec(code, names)
    assert says(str(error.value), block), error.value


def says(told: str, block: Block) -> bool:
    """Whether a failure says what the heading above its block quotes."""
    return block.message is None or bool(re.search(".*".join(map(re.escape, block.message.split("…"))), told))


def shell(block: Block, folder: Path) -> None:
    wanted = int(block.mark.split(" ")[1]) if block.kind == "exit" else 0
    for number, (program, *words) in enumerate(block.commands, start=1):
        if program == "ssmq" and block.kind != "slow":
            done = ssmq(*words, cwd=folder)
            code, told = done.code, done.out + done.err
        else:
            assert program in PROGRAMS, f"{block.page.name}:{block.line}: not run by the tests: {program}"
            command = [PROGRAMS[program], *words]
            found = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)
            code, told = found.returncode, found.stdout + found.stderr
        code_wanted = wanted if number == len(block.commands) else 0
        assert code == code_wanted, f"{block.page.name}:{block.line}: {program} {' '.join(words)}: {told}"
        assert not code or says(told, block), told


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> tuple[Path, str]:
    """The folder after the README's code, and what that printed. Programs of the checkout are there too."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("examples", "scripts", "configs"):
        (folder / name).symlink_to(ROOT / name)
    return folder, run(README, folder, RUNS)


@pytest.fixture
def folder(started, tmp_path) -> Path:
    return shutil.copytree(started[0], tmp_path / "page", symlinks=True)


def test_the_readmes_code_exports_four_graphs_that_agree(started):
    folder, printed = started
    assert len(re.findall(r"\.onnx +\d+ +[\d,]+ +0$", printed, re.MULTILINE)) == 4 and "bytes instead of" in printed
    assert {path.stem for path in (folder / "graphs").glob("*.onnx")} == {"step", "sequence", "dataflow", "sequence-dataflow"}


def test_every_message_of_the_troubleshooting_page_is_provoked_there():
    page = ROOT / "docs" / "troubleshooting.md"
    quoted = re.findall(r"^### `([^`]+)`$", page.read_text(), re.MULTILINE)
    assert quoted == [block.message for block in blocks(page) if block.kind in ("raises", "exit")]


def with_code(*kinds: str) -> list[Path]:
    """The pages that have code of these kinds to run, without the README."""
    found = {page: {b.kind for b in blocks(page) if b.language in ("python", "sh")} for page in PAGES if page != README}
    return [page for page, there in found.items() if there & set(kinds)]


@pytest.mark.parametrize("page", with_code(*RUNS), ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, folder):
    run(page, folder, RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_code("slow"), ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_with_its_slow_blocks(page, folder):
    run(page, folder, (*RUNS, "slow"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_block_is_of_a_kind_that_is_run_or_parsed(page):
    """Also what is only shown: every command of ours is one, with options that it has."""
    for block in blocks(page):
        assert block.language in ("python", "sh", "toml", "text"), f"{page.name}:{block.line}"
        assert (block.language == "toml") == bool(block.title), f"{page.name}:{block.line}: a file has a name"
        for words in block.commands if block.language == "sh" else []:
            if words[0] == "ssmq":
                parse(words[1:])


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT], ids=lambda page: page.stem)
def test_what_a_page_outside_of_the_site_refers_to_is_there(page):
    links = re.findall(r'\]\(([^)#]+)|(?:src|href)="([^"]+)"', page.read_text())
    local = {target for pair in links for target in pair if target and "://" not in target}
    assert local and {target for target in local if not (ROOT / target).is_file()} == set()
