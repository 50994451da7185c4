"""What is released: the wheel and the source archive hold all they should, and the wheel works where no checkout is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from pages import README, ROOT, blocks

pytest.importorskip("hatchling", reason="pip install 'ssmq-brevitas[test]'")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def test_the_wheel_holds_every_file_of_its_packages_and_no_others(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = set()
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        folder = ROOT / package
        files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        expected |= {path.relative_to(folder.parent).as_posix() for path in files}
    assert names == expected
    assert {"ssmq_brevitas/assets/mnist-subset.npz", "ssmq_brevitas/assets/NOTICE.md", "ssmq_brevitas/py.typed"} <= names
    assert built[0].stat().st_size < MOST_BYTES


def test_the_wheel_says_its_version_and_licence(built):
    with zipfile.ZipFile(built[0]) as wheel:
        (metadata,) = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        licences = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert f"\nVersion: {PROJECT['project']['version']}\n" in metadata and "\nLicense-Expression: Apache-2.0" in metadata
    assert licences == {"LICENSE", "NOTICE", "NOTICE.md"}


def test_the_source_archive_can_be_tested(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "docs/index.md", "tests/conftest.py", "results/run.json", "mkdocs.yml", "Makefile"} <= names
    assert built[1].stat().st_size < MOST_BYTES


@pytest.mark.slow
def test_the_wheel_works_outside_of_the_checkout(built, tmp_path):
    """Its dependencies are those of this environment, found behind its own packages."""
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    libraries = tmp_path / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (libraries / "shared.pth").write_text("\n".join(place for place in sys.path if place.endswith("site-packages")))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program: str, *words: str) -> str:
        done = subprocess.run([programs / program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    run("pip", "install", "--no-deps", "--no-index", str(built[0]))
    place = run(
        "python", "-c", "import ssmq_brevitas, ssmq_export, ssmq_study; print(ssmq_brevitas.__file__, ssmq_export.__file__)"
    )
    assert all(Path(path).is_relative_to(libraries) for path in place.split())
    assert run("ssmq", "--version") == f"ssmq {PROJECT['project']['version']}\n"
    assert "torch" in run("ssmq", "doctor")
    (tmp_path / "first.py").write_text(next(block.text for block in blocks(README) if block.language == "python"))
    assert len(re.findall(r"(?m)\.onnx +\d+ +[\d,]+ +0$", run("python", "first.py"))) == 4
    assert "legal" in run("ssmq", "check", "graphs/dataflow.onnx")
    assert "of 1,000 test images" in run("ssmq", "evaluate", "zoo:edge-4x10n4-w4a6")
    run("ssmq", "report", "--results", str(ROOT / "results"), "--out", "report.html")
