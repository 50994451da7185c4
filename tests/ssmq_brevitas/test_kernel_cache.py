"""Cached machine code is that of the sources, whatever happened to the cache's files or where there can be none."""

from __future__ import annotations

import ast
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import small_codes, small_config, small_model
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower
from ssmq_jit import sources

ROOT = Path(__file__).parents[2]
PACKAGES = ("ssmq_jit", "ssmq_brevitas", "export/ssmq_export", "ssmq_study", "ssmq_cli")


def fresh(folder: Path, script: str, *arguments: str, home: str | None = None, limit: int | None = None):
    """What a new process prints that finds the packages in ``folder`` only; ``limit`` on the bytes of a file it writes."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "XDG_", "PYTHON"))}
    kept |= {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'export'}", "HOME": home or str(folder)}
    # Python's own cache tells sources apart by second and size, and a change of one figure comes too soon for it.
    kept |= {"NUMBA_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    before = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", script, *arguments]
    found = subprocess.run(command, env=kept, capture_output=True, text=True, preexec_fn=before, cwd=folder, timeout=600)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


@pytest.fixture
def twice(tmp_path) -> Path:
    """A package whose kernel takes its one helper from another file, by way of two more."""
    package = tmp_path / "twice"
    package.mkdir()
    (package / "__init__.py").write_text("")
    kernel = "from ssmq_jit import kernel\nfrom . import middle\nf = middle.helper\n@kernel()\ndef run(x):\n    return f(x)\n"
    (package / "kernels.py").write_text(kernel)
    (package / "middle.py").write_text("from .inner import helper\n")
    (package / "inner").mkdir()
    (package / "inner" / "__init__.py").write_text("from .helpers import helper\n")
    (package / "inner" / "helpers.py").write_text("from numba import njit\n@njit\ndef helper(x):\n    return x * 2\n")
    copied(tmp_path, "ssmq_jit")
    return package


RUN = "from twice.kernels import run; print(run(5), sum(run.stats.cache_hits.values()))"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new))


def test_a_kernel_is_compiled_once_and_again_when_a_helper_changed(twice):
    folder = twice.parent
    assert fresh(folder, RUN) == ["10", "0"]
    assert fresh(folder, RUN) == ["10", "1"]
    change(twice / "inner" / "helpers.py", "x * 2", "x * 3")
    assert fresh(folder, RUN) == ["15", "0"]
    change(twice / "inner" / "helpers.py", "x * 3", "x * 2")
    assert fresh(folder, RUN)[0] == "10"


def test_a_run_that_ended_between_index_and_code_leaves_no_stale_code(twice):
    """numba writes the index first: that of the new sources must not lead to the code of the old ones."""
    folder = twice.parent
    assert fresh(folder, RUN) == ["10", "0"]
    change(twice / "inner" / "helpers.py", "x * 2", "x * 3")
    end = "import os; from numba.core.caching import IndexDataCacheFile as F; F._save_data = lambda *a: os._exit(0)\n"
    assert fresh(folder, end + RUN) == []
    assert fresh(folder, RUN)[0] == "15"


def test_of_processes_that_start_together_one_compiles(twice):
    """They wait for a file, so that none is done before the others begin."""
    wait = "import time, pathlib, twice.kernels\npathlib.Path(sys.argv[1]).touch()\n"
    wait += "while not pathlib.Path('go').exists(): time.sleep(0.001)\n"
    started = [twice.parent / f"started{number}" for number in range(3)]
    with ThreadPoolExecutor(len(started)) as threads:
        found = [threads.submit(fresh, twice.parent, f"import sys\n{wait}{RUN}", str(file)) for file in started]
        while not all(file.exists() for file in started):
            time.sleep(0.01)
        (twice.parent / "go").touch()
    assert sorted(each.result() for each in found) == [["10", "0"], ["10", "1"], ["10", "1"]]


def test_a_process_forked_from_one_that_has_the_kernels_compiles_them(twice):
    script = "import os, twice.kernels\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse:\n    "
    assert fresh(twice.parent, script + RUN) == ["10", "0"]
    assert fresh(twice.parent, RUN) == ["10", "1"]


@pytest.mark.parametrize("kind, content", [("nbi", b""), ("nbc", b"\x80\x04\x95noise"), ("nbc", None)])
def test_damaged_files_cost_a_compilation_and_are_replaced(twice, kind, content):
    folder = twice.parent
    fresh(folder, RUN)
    for path in twice.rglob(f"*.{kind}"):
        path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    assert fresh(folder, RUN) == ["10", "0"]
    assert fresh(folder, RUN) == ["10", "1"]


def test_a_full_disk_costs_a_compilation(twice):
    assert fresh(twice.parent, RUN, limit=0) == ["10", "0"]


def no_caches(folder: Path) -> str:
    """Files where the caches' folders would be, which stops root too; returns a home of that kind."""
    for path in {path.parent for path in folder.rglob("*.py")}:
        shutil.rmtree(path / "__pycache__", ignore_errors=True)
        (path / "__pycache__").write_text("")
    home = folder / "home"
    home.write_text("")
    return str(home)


def test_where_no_folder_can_be_written_kernels_run_uncached(twice):
    home = no_caches(twice.parent)
    for _ in range(2):
        assert fresh(twice.parent, RUN, home=home) == ["10", "0"]


# From here on the project's own packages.


def copied(folder: Path, *packages: str) -> Path:
    """Copies without data and caches: other tests may be writing theirs."""
    for package in packages:
        skipped = shutil.ignore_patterns("assets", "*.safetensors", "__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=skipped)
    return folder


QUANTIZE = """
import torch
from ssmq_brevitas.fake_quantize import fake_quantize
print(*fake_quantize(torch.tensor([-9.0, 0.4, 3.0, 99.0]), torch.tensor(1.0), -4, 3).int().tolist())
"""


def test_the_quantizer_follows_a_change_of_vectors(tmp_path):
    folder = copied(tmp_path, "ssmq_jit", "ssmq_brevitas")
    assert fresh(folder, QUANTIZE) == ["-4", "0", "3", "3"]
    change(
        folder / "ssmq_brevitas" / "vectors.py", 'fcmp_ordered("<", value, high_value)', 'fcmp_ordered(">", value, high_value)'
    )
    assert fresh(folder, QUANTIZE) == ["3", "3", "3", "99"]


def test_every_kernel_of_the_project_can_be_had_without_a_cache(tmp_path):
    """Read-only install and a home that cannot be written."""
    folder = copied(tmp_path, *PACKAGES)
    imports = "import ssmq_brevitas.scan.kernels, ssmq_export.integer.kernels, ssmq_export.dataflow.diagonal_scan\n"
    imports += "import ssmq_study.paper_quantizers\n"
    assert fresh(folder, imports + QUANTIZE, home=no_caches(folder)) == ["-4", "0", "3", "3"]


SCAN = """
import torch
from ssmq_brevitas.scan import diagonal_scan
one, zero = torch.ones(1, 1), torch.zeros(1, 1)
u = torch.tensor([-9.0, 0.4, 3.0, 99.0])[None, :, None]
print(*diagonal_scan(u, zero, zero, one, zero, one / 2, zero, zero[0], torch.tensor(1.0), 3).int().flatten().tolist())
"""
INTEGER = """
import sys, numpy as np, onnx
from ssmq_export.integer import IntegerModel
print(*IntegerModel(onnx.load(sys.argv[1])).forward(np.load(sys.argv[2])).ravel())
"""


@pytest.mark.slow
def test_the_recurrence_follows_a_change_of_vectors(tmp_path):
    folder = copied(tmp_path, "ssmq_jit", "ssmq_brevitas")
    assert fresh(folder, SCAN) == ["-4", "0", "3", "3"]
    change(
        folder / "ssmq_brevitas" / "vectors.py", 'fcmp_ordered("<", value, high_value)', 'fcmp_ordered(">", value, high_value)'
    )
    assert fresh(folder, SCAN) == ["3", "3", "3", "99"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "file, old, new",
    [
        ("integer/machine.py", 'multiply = _binary("mul"', 'multiply = _binary("add"'),
        ("dataflow/rows.py", "ROUND, SCALE, TABLE, SEARCH = 1, 2, 3, 4", "ROUND, SCALE, TABLE, SEARCH = 3, 2, 1, 4"),
    ],
)
def test_the_integer_model_follows_a_change_of_its_helpers(tmp_path, file, old, new):
    """``rows`` numbers the kinds for the program and for the kernels: changed in both, every logit stays."""
    import numpy as np
    import onnx

    onnx.save(lower(step_graph(small_model(small_config())[1].network)), tmp_path / "m.onnx")
    np.save(tmp_path / "codes.npy", small_codes(4).numpy())
    folder = copied(tmp_path, "ssmq_jit", "export/ssmq_export")
    arguments = str(tmp_path / "m.onnx"), str(tmp_path / "codes.npy")
    before = fresh(folder, INTEGER, *arguments)
    change(folder / "export" / "ssmq_export" / file, old, new)
    assert (fresh(folder, INTEGER, *arguments) == before) == (file == "dataflow/rows.py")


@pytest.mark.parametrize(
    "file, others",
    [
        ("ssmq_brevitas/scan/kernels.py", {"ssmq_brevitas/vectors.py"}),
        ("ssmq_brevitas/fake_quantize.py", {"ssmq_brevitas/vectors.py"}),
        ("export/ssmq_export/integer/kernels.py", {f"export/ssmq_export/{n}.py" for n in ("integer/machine", "dataflow/rows")}),
    ],
)
def test_what_the_kernels_are_made_of(file, others):
    assert {path.relative_to(ROOT).as_posix() for path in sources(ROOT / file)} == {file} | others


def test_no_kernel_is_cached_in_another_way():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.Call) and any(k.arg == "cache" for k in node.keywords)), path
