"""The shape of the project: who may import whom, and pages that are generated."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import ssmq_export.checks  # noqa: F401  (registers the rules)
from ssmq_export.checks.catalogue import catalogue_markdown
from ssmq_study.report.kinds import load_results
from ssmq_study.report.page import SHIPPED, pages, rendered
from ssmq_study.report.reference import reference_markdown

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("messages", ROOT / "scripts" / "messages.py")
messages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(messages)


def imports(folder: str) -> dict[str, set[str]]:
    """Top-level packages that each file below ``folder`` imports, at any depth."""
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
        found[path.relative_to(ROOT / folder).as_posix()] = names
    return found


def test_training_knows_nothing_of_graphs_or_hardware():
    for path, names in imports("ssmq_brevitas").items():
        assert not names & {"onnx", "onnxruntime", "qonnx", "finn", "ssmq_export", "ssmq_study", "ssmq_cli"}, path


def test_export_needs_torch_in_one_place_only():
    users = {path for path, names in imports("export/ssmq_export").items() if names & {"torch", "ssmq_brevitas"}}
    assert users == {"from_network.py", "verdict.py"}


# The rooms of the export package from the ground up: each may import those of the lines above it, and what stands alone.
ROOMS = (
    {"errors", "child", "visible"},
    {"tables", "own_file"},
    {"dataflow"},
    {"door", "functions", "custom_op"},
    {"lowering", "checks", "integer"},
    {"graphs"},
    {"rtl"},
    {"estimates"},
    {"synthesis"},
    {"boards"},
    {"hls4ml", "finn"},
    {"verification"},
    {"exporting"},
    {"from_network"},
    {"verdict"},
)


def rooms() -> dict[str, dict[str, set[str]]]:
    """Room -> room that it imports -> files that do; imports inside functions count as any other."""
    root = ROOT / "export" / "ssmq_export"
    found: dict[str, dict[str, set[str]]] = {}
    for path in root.rglob("*.py"):
        place = path.relative_to(root).parts
        room = place[0].removesuffix(".py")
        if room == "__init__":  # names to import, from all rooms
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                here = place[: len(place) - node.level]
                named = node.module.split(".") if node.module else [alias.name for alias in node.names]
                used = (*here, *named)[0]
                if used != room:
                    found.setdefault(room, {}).setdefault(used, set()).add("/".join(place))
    return found


def test_the_rooms_of_the_export_package_stand_on_each_other_without_a_circle():
    floor = {room: level for level, level_rooms in enumerate(ROOMS) for room in level_rooms}
    known = {path.stem for path in (ROOT / "export" / "ssmq_export").glob("[!_.]*") if path.name != "py.typed"}
    assert known == floor.keys()
    upward = {
        (room, used): files for room, others in rooms().items() for used, files in others.items() if floor[used] >= floor[room]
    }
    assert not upward


def test_what_compiles_kernels_stands_below_all_others():
    for path, names in imports("ssmq_jit").items():
        assert not {name for name in names if name.startswith("ssmq_") or name in ("torch", "onnx")}, path


def test_nobody_below_knows_the_study_or_the_command_line():
    for folder, above in (("ssmq_brevitas", set()), ("ssmq_study", set()), ("export/ssmq_export", {"ssmq_study"})):
        for path, names in imports(folder).items():
            assert not names & {"ssmq_cli", "typer", "rich", *above}, path


def test_nothing_unpickles():
    for folder in ("ssmq_brevitas", "export/ssmq_export", "ssmq_study", "ssmq_cli"):
        for path, names in imports(folder).items():
            tree = ast.walk(ast.parse((ROOT / folder / path).read_text()))
            used = {ast.unparse(node) for node in tree if isinstance(node, ast.Attribute)}
            assert not names & {"pickle", "joblib", "dill"} and "torch.load" not in used, path


def test_the_page_of_rules_is_up_to_date():
    """Written by ``python -m ssmq_export.checks > docs/rules.md``."""
    assert (ROOT / "docs" / "rules.md").read_text() == catalogue_markdown()


def test_the_reference_of_configurations_is_up_to_date():
    """Written by ``python -m ssmq_study.report.reference > docs/configuration.md``."""
    assert (ROOT / "docs" / "configuration.md").read_text() == reference_markdown()


def test_the_page_of_messages_is_up_to_date():
    """Written by ``python scripts/messages.py > docs/messages.md``."""
    assert (ROOT / "docs" / "messages.md").read_text() == messages.page()


def test_a_message_is_found_wherever_it_is_made(tmp_path):
    """Also where it is made to be raised elsewhere; constants of the module, and of the one it takes them from, are filled in."""
    (tmp_path / "keys.py").write_text("KEY, LENGTH = 'ssmq.key', 3\n")
    (tmp_path / "made.py").write_text(
        "from .keys import KEY\nADVICE = 'export it again'\nclass Reader:\n  def read(self, name):\n"
        "    if name:\n      return SsmqError(f'{name}: no {KEY} ' 'of ' + f'{len(name)}{name!r}: {ADVICE}')\n"
        "    raise errors.ExportError(\n      name)\n    raise KeyError('unread')\n"
    )
    first, second = messages.made(tmp_path / "made.py")
    assert (first.text, first.maker, first.says) == ("…: no ssmq.key of …: export it again", "made.Reader.read", True)
    assert (second.text, list(second.lines), second.says) == ("…", [7, 8], False)


def test_a_message_is_raised_where_one_of_its_lines_ran():
    every = messages.messages()
    makers = {message.maker for message in every}
    assert makers >= messages.REASONS | messages.GUARDS.keys()
    assert {message.maker for message in messages.unraised({})} == makers - messages.GUARDS.keys()
    last = {every[0].path: {every[0].lines[-1]}, every[1].path.with_name("other.py"): {*every[1].lines}}
    assert every[0] not in messages.unraised(last) and every[1] in messages.unraised(last)


def test_the_pages_show_the_stored_results():
    """Written by ``ssmq report --readme README.md``."""
    results = load_results(ROOT / "results")
    for page in pages(ROOT / "README.md"):
        text = page.read_text()
        assert rendered(text, results) == text, page
        sections = set(re.findall(r"^<!-- /([\w.+-]+) -->$", text, re.MULTILINE))
        assert sections <= {result.name for result in results} | SHIPPED.keys(), page


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
