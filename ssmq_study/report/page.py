"""Rendering: sections of the README and of docs/, their pictures, and the HTML page."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from ssmq_brevitas.files import write_whole

from ..rows import load_study
from ..zoo_table import paper_table, zoo_cards, zoo_table
from .kinds import KINDS, Result
from .pictures import eigenvalue_grids, measured_points, overview

# Sections whose numbers are those of the models that come with the package.
SHIPPED: dict[str, Callable[[], str]] = {
    "zoo": lambda: zoo_table().markdown(),
    "zoo-paper": lambda: paper_table().markdown(),
}


def rendered(page: str, results: list[Result]) -> str:
    """``page`` with every ``<!-- name -->`` section filled from the result, or the zoo, of that name."""
    texts = {result.name: result.text for result in results}
    texts |= SHIPPED

    def filled(section: re.Match) -> str:
        name = section[1]
        # A table is one only behind an empty line.
        return f"<!-- {name} -->\n\n{texts[name]()}\n\n<!-- /{name} -->" if name in texts else section[0]

    return re.sub(r"<!-- ([\w.+-]+) -->.*?<!-- /\1 -->", filled, page, flags=re.DOTALL)


def draw(results: list[Result], folder: Path, suffix: str, only: set[str] | None = None) -> dict[str, list[Path]]:
    """Write the pictures of all results, as RESULT-PICTURE; by result, in order. ``only`` names those wanted."""
    drawn: dict[str, list[Path]] = {}
    for result in results:
        for name, picture in KINDS[result.kind].pictures.items():
            path = folder / f"{result.name}-{name}{suffix}"
            if only is None or path.name in only:
                picture(result.values, path)
                if path.is_file():
                    drawn.setdefault(result.name, []).append(path)
    shared: dict[str, Callable[[Path], None]] = {
        "overview": lambda path: overview(measured_points(results, zoo_cards()), load_study("paper").headline, path),
        "grids": eigenvalue_grids,
    }
    for name, plot in shared.items():
        path = folder / f"report-{name}{suffix}"
        if only is None or path.name in only:
            plot(path)
            drawn.setdefault("", []).append(path)
    return drawn


def pages(readme: Path) -> list[Path]:
    """A README and the pages of docs/ beside it."""
    return [readme, *sorted((readme.parent / "docs").glob("*.md"))]


def write_pages(readme: Path, results: list[Result]) -> None:
    """Fill the sections of a README and of the pages in docs/ beside it, and draw the pictures of results that they show."""
    shown: set[str] = set()
    for page in pages(readme):
        text = page.read_text()
        write_whole(page, rendered(text, results).encode())
        shown |= set(re.findall(r'src="(?:docs/)?([^"/]+)"', text))
    draw(results, readme.parent / "docs", ".png", only=shown)


def write_page(out: Path, results: list[Result]) -> None:
    """One HTML file with everything inside: no script, no font, no request."""
    to_html = MarkdownIt("commonmark", {"html": False}).enable("table").render
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(results, Path(folder), ".svg")
        pictures = {name: [_inline(path) for path in paths] for name, paths in drawn.items()}
    sections = [
        {
            "name": result.name,
            "title": result.title,
            "pictures": pictures.get(result.name, []),
            "html": to_html(result.text()),
        }
        for result in results
    ]
    loader = jinja2.PackageLoader("ssmq_study.report", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    shared = dict(zip(("overview", "grids"), pictures[""], strict=True))
    zoo = to_html(zoo_table().markdown())
    page = environment.get_template("page.html.j2").render(sections=sections, zoo=zoo, **shared)
    write_whole(out, page.encode())


def _inline(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
