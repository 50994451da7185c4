"""The pages as a site, without a warning: no link, anchor or name leads nowhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import ssmq_brevitas
import ssmq_export
from pages import ROOT

pytest.importorskip("mkdocs", reason="pip install 'ssmq-brevitas[docs]'")


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    page = (tmp_path / "api.html").read_text()
    for package in (ssmq_brevitas, ssmq_export):
        for name in package.__all__:
            assert f'id="{package.__name__}.{name}"' in page
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page, "examples are blocks of code"
    assert '<h2 id="start">' in (tmp_path / "index.html").read_text(), "the start is told on the first page too"
    for built in tmp_path.glob("*.html"):
        assert "fonts.googleapis" not in built.read_text(), "a page asks nobody for anything"
