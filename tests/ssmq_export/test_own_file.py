"""Files that one command writes and another reads: what is none of them ends in one message that says where and what to do."""

from __future__ import annotations

import json

import pytest
from ssmq_export.boards.design import DESIGN, load_design
from ssmq_export.errors import ExportError
from ssmq_export.rtl.manifest import MANIFEST, load_manifest

READ = pytest.mark.parametrize(
    ("read", "name", "command"),
    [(load_manifest, MANIFEST, "ssmq rtl"), (load_design, DESIGN, "ssmq board")],
    ids=["rtl", "board"],
)


@READ
def test_a_file_that_is_not_there(tmp_path, read, name, command):
    with pytest.raises(ExportError, match=f"{name}: no such file: .*`{command}`"):
        read(tmp_path)


@READ
@pytest.mark.parametrize(
    ("text", "place"), [("{", "the file"), (json.dumps({"version": 2}), "version"), (json.dumps({"cycles": "x"}), "cycles")]
)
def test_a_file_that_is_none_of_them(tmp_path, read, name, command, text, place):
    (tmp_path / name).write_text(text)
    with pytest.raises(ExportError) as raised:
        read(tmp_path)
    told = str(raised.value)
    assert told.endswith(f"`{command}` has written") and "\n" not in told
    # The first fault of several; a field that is missing is one too.
    assert place == "the file" or ": the file: " not in told
    assert place != "the file" or f"{name}: the file: " in told
