"""For the site: its first page has what the README says of the start, written once."""

from __future__ import annotations

import re
from pathlib import Path

PLACE = "<!-- README -->"
_START = re.compile(r"^## Start$.*?(?=^## Accuracy against bytes$)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page, config, files) -> str:
    if not page.is_homepage:
        return markdown
    start = _START.search((Path(config.config_file_path).parent / "README.md").read_text())[0]
    assert PLACE in markdown
    return markdown.replace(PLACE, start.replace("](docs/", "]("))
