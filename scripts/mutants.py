"""Do the tests notice? Draws small faults ("mutants") in the code, runs the tests that cover each, and lists what survives.

    python scripts/mutants.py                        # 100 mutants of the bounds, the passes, the rules and the estimates
    python scripts/mutants.py --count 40 --seed 7 export/ssmq_export/integer/*.py --json survivors.json

A mutant is another operator, comparison or constant, a dropped term, condition or statement, or a function that does
nothing. The same seed draws the same mutants. Third-party packages are imported once; every mutant is a fork that
imports the project from a copy of the tree, so that nothing here is edited and no mutant sees another.

Ends with 1 if fewer than ``--least`` of 100 mutants are killed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEFAULT = (
    "ssmq_brevitas/bounds.py",
    *(f"export/ssmq_export/{name}/**/*.py" for name in ("lowering", "checks", "estimates")),
)
ENGINE = tuple(f"ssmq_export/test_{name}.py" for name in ("forms", "thresholds", "stages", "pairs", "integer_model"))
COST = tuple(
    f"ssmq_export/test_{name}.py"
    for name in ("data_sheets", "*_by_hand", "folding", "fitted", "estimate", "ranges", "operation", "ports", "graph_file")
)
# Tests of a module, the quickest first: the first of these patterns that fits it.
COVERED = (
    ("ssmq_brevitas/bounds.py", ("ssmq_brevitas/test_bounds.py",)),
    ("export/ssmq_export/lowering/collapse.py", ("ssmq_export/test_collapse.py", "ssmq_export/test_diagonal_scan.py")),
    ("export/ssmq_export/lowering/*", (
        "ssmq_export/test_grids.py", "ssmq_export/test_ranges.py", "ssmq_export/test_pass*.py", "ssmq_export/test_lowering.py",
    )),
    ("export/ssmq_export/checks/conversion/*", ("ssmq_export/test_check_conversion.py", "ssmq_export/test_check_*.py", "ssmq_export/test_check.py")),
    ("export/ssmq_export/checks/*", ("ssmq_export/test_check_*.py", "ssmq_export/test_check.py")),
    ("export/ssmq_export/dataflow/rows.py", ("ssmq_export/test_thresholds.py",)),
    ("export/ssmq_export/dataflow/diagonal_scan.py", ("ssmq_export/test_diagonal_scan.py", "ssmq_export/test_totals_by_hand.py")),
    ("export/ssmq_export/dataflow/scan_operands.py", ("ssmq_export/test_diagonal_scan.py", "ssmq_export/test_check_scans.py")),
    ("export/ssmq_export/dataflow/grids.py", ("ssmq_export/test_grids.py", "ssmq_export/test_ranges.py")),
    *((f"export/ssmq_export/dataflow/{name}.py", ENGINE) for name in ("forms", "stages", "sequences")),
    *((f"export/ssmq_export/dataflow/{name}.py", ("ssmq_export/test_check*.py",)) for name in ("attributes", "constants", "datatype", "graph_view", "text")),
    ("export/ssmq_export/dataflow/forks.py", ("ssmq_export/test_totals_by_hand.py", "ssmq_export/test_estimate.py", "ssmq_export/test_check_folding.py")),
    ("export/ssmq_export/dataflow/*", COST),
    ("export/ssmq_export/estimates/serial.py", ("ssmq_study/test_search.py",)),
    *((f"export/ssmq_export/estimates/{name}.py", ("ssmq_export/test_calibration.py",)) for name in ("amounts", "calibration", "modules", "placement")),
    ("export/ssmq_export/estimates/*", COST),
    ("export/ssmq_export/integer/*", ENGINE),
    ("export/ssmq_export/boards/*", ("ssmq_export/boards/test_*.py",)),
    ("export/ssmq_export/synthesis/*", ("ssmq_export/synthesis/test_*.py",)),
    ("export/ssmq_export/rtl/multipliers.py", ("ssmq_export/rtl/test_multipliers.py",)),
    ("export/ssmq_export/rtl/*", ("ssmq_export/rtl/test_layers.py", "ssmq_export/rtl/test_[ans]*.py")),
    ("ssmq_brevitas/*", ("ssmq_brevitas/test_*.py",)),
    ("export/*", ("ssmq_export/test_*.py",)),
)  # fmt: skip
# Mutants that compute the same: (modules, what stood in the line, what stands there instead, why).
EQUIVALENT = (
    ("export/ssmq_export/lowering/graph.py", "graph.input[0]", "graph.input[-1]", "all ports have one element type"),
    ("export/ssmq_export/checks/*", "[None])[0]", "[None])[-1]", "a tensor that two nodes make is told of as such"),
    ("*", "output[0]", "output[-1]", "a node of these graphs has one result"),
    ("export/ssmq_export/dataflow/rows.py", "len(levels) // 2", "*", "only how soon a wrong shift is told: all levels follow"),
    (
        "export/ssmq_export/lowering/collapse.py",
        "shift != shift[0, 0]",
        "shift != shift[0, -1]",
        "unlike the first is unlike the last",
    ),
    ("export/ssmq_export/lowering/collapse.py", "shift[0, :1]", "shift[-1, :1]", "all shifts are one here"),
    (
        "export/ssmq_export/lowering/align.py",
        "shift == shift[0]",
        "shift == shift[-1]",
        "all like the first are all like the last",
    ),
    ("export/ssmq_export/lowering/ranges.py", "combined - found, 0)", "combined - found, 1)", "a code of 0 may be shifted"),
    ("export/ssmq_export/lowering/collapse.py", "graph.prune()", "pass", "model() prunes too"),
    (
        "export/ssmq_export/checks/conversion/reshaping.py",
        "perm is not None and reader",
        "reader",
        "without a permutation nothing asks whether it is undone",
    ),
    ("export/ssmq_export/lowering/shifts.py", "factor < 0", "factor < 1", "a shift's factor is 1 at least, or -1 at most"),
    ("export/ssmq_export/lowering/*", "reshape(-1)", "reshape(-2)", "any negative size is the one left open"),
    ("export/ssmq_export/lowering/clean.py", "behind[0]", "behind[-1]", "there is one behind"),
    ("export/ssmq_export/lowering/datatypes.py", " and (not is_table(node))", "", "the range of a table is that of its type"),
    ("export/ssmq_export/dataflow/ranges.py", "sign > 0", "sign > -1", "a sign is 1 or -1"),
    ("export/ssmq_export/checks/tidy.py", "self.shape(node.input[0])", "self.shape(node.input[-1])", "a Shape has one operand"),
    ("export/ssmq_export/checks/tidy.py", "name, 0) % 1", "name, 1) % 1", "whole as well"),
    ("export/ssmq_export/checks/tidy.py", "name, 0) % 1", "name, -1) % 1", "whole as well"),
    ("export/ssmq_export/dataflow/constants.py", "operands[0].tr", "operands[-1].tr", "a Transpose has one operand"),
    ("export/ssmq_export/lowering/fold.py", "behind[node.input[0]]", "behind[node.input[-1]]", "a Cast has one operand"),
    (
        "export/ssmq_export/dataflow/forks.py",
        "), 0) if name",
        "), 1) if name",
        "sums on two ways are compared: from where they count is free",
    ),
    (
        "export/ssmq_export/dataflow/forks.py",
        "), 0) if name",
        "), -1) if name",
        "sums on two ways are compared: from where they count is free",
    ),
    (
        "ssmq_brevitas/bounds.py",
        "(-span, span",
        "(span, span",
        "the greatest value of y decides: D u reaches further up than down",
    ),
    ("export/ssmq_export/rtl/layers.py", "source[0]", "source[-1]", "least and greatest are as many"),
    ("export/ssmq_export/rtl/layers.py", "len(segments) - 2 *", "len(segments) - 1 *", "what begins later is there once"),
    ("export/ssmq_export/rtl/layers.py", "reverse[0]", "reverse[-1]", "all end alike"),
)
PRELOADED = (
    "numpy", "torch", "brevitas.nn", "brevitas.quant", "numba", "onnx", "onnxruntime", "qonnx.core.modelwrapper",
    "qonnx.core.onnx_exec", "qonnx.custom_op.registry", "hypothesis", "pytest", "scipy.optimize", "safetensors.torch",
    "pydantic", "rich.console", "typer",
)  # fmt: skip
SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum", "ceil": "floor"}
MEMORY = 6 << 30


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``."""
    match node:
        case ast.BinOp(left, op, right):
            if type(op) in SWAPPED:
                yield ast.BinOp(left, SWAPPED[type(op)](), right)
            if isinstance(op, (ast.Add, ast.Sub)):
                yield from (left, right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(SWAPPED[type(op)](), values)
            yield from (ast.BoolOp(op, values[:k] + values[k + 1 :]) for k in range(len(values)))
        case ast.Compare(left, ops, comparators):
            for k, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:k], SWAPPED[type(op)](), *ops[k + 1 :]], comparators)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Name(name, context) if name in NAMES:
            yield ast.Name(NAMES[name], context)
        case ast.Attribute(value, name, context) if name in NAMES:
            yield ast.Attribute(value, NAMES[name], context)
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield from (body, orelse)
        case ast.comprehension(target, iterable, [first, *rest], is_async):
            yield ast.comprehension(target, iterable, rest, is_async)
            yield ast.comprehension(target, iterable, [ast.UnaryOp(ast.Not(), first), *rest], is_async)
        case ast.Continue() | ast.Break() | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.Expr(value) if not isinstance(value, ast.Constant):
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.FunctionDef():
            changed_function = ast.FunctionDef(**{name: getattr(node, name) for name in node._fields})
            changed_function.body = [ast.Return(None)]
            yield changed_function


def sites(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every mutant of ``tree``: (parent, field, place in the field if it is a list, what is put there).

    Annotations and decorators say nothing at run time, ``strict`` of zip is an assertion.
    """
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list") or (isinstance(tree, ast.keyword) and tree.arg == "strict"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from ((tree, field, place, other) for other in changed(child))
                yield from sites(child)


def mutated(tree: ast.AST, site: tuple) -> str:
    """The source with one site changed."""
    parent, field, place, other = site
    holder, key = (parent.__dict__, field) if place is None else (getattr(parent, field), place)
    kept, holder[key] = holder[key], other
    source = ast.unparse(ast.fix_missing_locations(tree))
    holder[key] = kept
    return source


def mutants(modules: list[Path], seed: int) -> Iterator[tuple[Path, str, list[str]]]:
    """(module, its mutated source, diff) in the order of ``seed``, without those known to be equivalent."""
    trees = {module: ast.parse((ROOT / module).read_text()) for module in modules}
    every = [(module, site) for module, tree in trees.items() for site in sites(tree)]
    print(f"{len(every)} mutants of {len(modules)} modules, seed {seed}", flush=True)
    random.Random(seed).shuffle(every)
    for module, site in every:
        source = mutated(trees[module], site)
        lines = ast.unparse(trees[module]).splitlines(), source.splitlines()
        diff = list(difflib.unified_diff(*lines, str(module), str(module), n=1, lineterm=""))
        before, after = ("\n".join(d[1:].strip() for d in diff[2:] if d[0] == sign) for sign in "-+")
        if not any(_same(module, before, after, *known) for known in EQUIVALENT):
            yield module, source, diff


def _same(module: Path, before: str, after: str, modules: str, old: str, new: str, why: str) -> bool:
    """Whether a line differs in nothing but one ``old`` that became ``new``."""
    places = [k for k in range(len(before)) if before.startswith(old, k)]
    once = {before[:k] + new + before[k + len(old) :] for k in places}
    anything = new == "*" and "\n" not in before
    return fnmatch(str(module), modules) and bool(places) and (anything or after in once)


def tests_of(module: Path) -> list[str]:
    """Test files of a module, each once, those with its name first."""
    patterns = next(tests for pattern, tests in COVERED if fnmatch(str(module), pattern))
    files = dict.fromkeys(str(p.relative_to(ROOT)) for t in patterns for p in sorted((ROOT / "tests").glob(t)))
    return sorted(files, key=lambda file: module.stem not in file)


def run(tree: Path, tests: list[str], seconds: float, log: Path, compiled: bool = False) -> tuple[str, float]:
    """How pytest ends in a fork that sees ``tree`` (passed, failed, or out of time), and its CPU time.

    ``compiled`` keeps bytecode: of the unchanged tree only, since a mutant may look as old and large as another.
    """
    child = os.fork()
    if not child:
        sys.dont_write_bytecode = not compiled
        try:
            _test(tree, tests, seconds, log)
        finally:
            # What ends otherwise did not run, and leaving as usual would wait for threads that a fork does not have.
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(77)
    done, deadline = 0, time.monotonic() + 20 * seconds
    try:
        while not done and time.monotonic() < deadline:
            done, status, used = os.wait4(child, os.WNOHANG)
            time.sleep(0.02)
    finally:
        if not done:
            os.kill(child, signal.SIGKILL)
            _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 77:
        raise SystemExit(f"the tests did not run in {tree}: see {log}")
    end = {0: "passed", -signal.SIGKILL: "out of time", -signal.SIGXCPU: "out of time"}.get(code, "failed")
    return end, used.ru_utime + used.ru_stime


def _test(tree: Path, tests: list[str], seconds: float, log: Path) -> None:
    """In the fork: run the tests and leave. CPU time, not the clock, so that a busy machine kills nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1), os.dup2(file, 2)
    os.chdir(tree)
    places = [str(tree), str(tree / "export")]
    sys.path[:0], os.environ["PYTHONPATH"] = places, os.pathsep.join(places)
    import pytest

    # In one order, so that a seed tells the same again; what is imported here already is meant to be.
    options = ["-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = int(pytest.main(["-x", "-q", *options, *tests]))
    ours = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0].startswith("ssmq_") and getattr(m, "__file__", None)]
    sys.stdout.flush()
    os._exit(code if all(file.startswith(str(tree)) for file in ours) else 77)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="paths from the project's root")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, default=95)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    modules = [Path(m).resolve().relative_to(ROOT) for m in given.modules]
    modules = modules or sorted({path.relative_to(ROOT) for pattern in DEFAULT for path in ROOT.glob(pattern)})
    drawn = [mutant for mutant, _ in zip(mutants(modules, given.seed), range(given.count), strict=False)]
    with tempfile.TemporaryDirectory() as scratch:
        results = list(_judged(drawn, Path(scratch)))
    killed = sum(found["killed"] for found in results)
    print(f"\n{killed} of {len(results)} killed")
    if given.json:
        given.json.write_text(json.dumps({"seed": given.seed, "killed": killed, "mutants": results}, indent=2) + "\n")
    raise SystemExit(killed * 100 < given.least * len(results))


def _judged(drawn: list[tuple[Path, str, list[str]]], scratch: Path) -> Iterator[dict]:
    os.environ["NUMBA_CACHE_DIR"] = str(scratch / "numba")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    # Triton reads this once, when it is first imported.
    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    for name in PRELOADED:
        __import__(name)
    tree, log = scratch / "tree", scratch / "log"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "results", "docs", "notebooks", "runs")
    shutil.copytree(ROOT, tree, ignore=ignored)
    needed: dict[frozenset[str], float] = {}
    for number, (module, source, diff) in enumerate(drawn, start=1):
        tests = tests_of(module)
        files = frozenset(tests)
        if files not in needed:
            end, needed[files] = run(tree, tests, 600, log, compiled=True)
            if end != "passed":
                raise SystemExit(f"without any mutant the tests of {module} do not pass:\n{log.read_text()[-3000:]}")
        (tree / module).write_text(source)
        end, seconds = run(tree, tests, 5 + 3 * needed[files], log)
        shutil.copy2(ROOT / module, tree / module)
        said = [line for line in log.read_text().splitlines() if line.startswith(("FAILED", "ERROR"))]
        by = said[0] if said else end
        print(f"{number:4} {'survived' if end == 'passed' else 'killed  '} {seconds:5.1f} s  {module}  {by[:90]}", flush=True)
        if end == "passed":
            print("\n".join(diff), flush=True)
        yield {"module": str(module), "killed": end != "passed", "by": by, "seconds": round(seconds, 1), "diff": diff}


if __name__ == "__main__":
    main()
