"""The tables of the paper's reproduction, from the result files of its rows."""

from __future__ import annotations

import re
import statistics

from .rows import Study
from .table import Table, percent

WIDTHS = (16, 8, 6, 4, 2)
COMPONENTS = {
    "a": "Ā",
    "b": "B̄",
    "c": "C̄",
    "d": "D",
    "x-static": "state x, static",
    "x-dynamic": "state x, dynamic",
    "activations-static": "other activations, static",
    "activations-dynamic": "other activations, dynamic",
}


def summary(study: Study, results: list[dict]) -> dict:
    """One JSON of all finished rows: mean and deviation over seeds, the paper's number beside it."""
    rows = []
    for name in dict.fromkeys(result["name"] for result in results):
        same = [result for result in results if result["name"] == name]
        accuracies = [result["accuracy"] for result in same]
        rows.append(
            {
                "name": name,
                "engine": same[0]["engine"],
                "seeds": len(same),
                "accuracy": statistics.mean(accuracies),
                "deviation": statistics.stdev(accuracies) if len(same) > 1 else None,
                "bytes": same[0]["bytes"],
                "validation": same[0]["epochs"],
                "paper": study.paper.get(name),
            }
        )
    first = results[0]
    return {
        "kind": "study",
        "heading": study.heading,
        "data": first["data"],
        "images": first["images"],
        "rows": rows,
        "headline": [entry.model_dump() for entry in study.headline],
        "figures": [entry.model_dump() for entry in study.figures],
        "ablations": [entry.model_dump() for entry in study.ablations],
        "dropped": study.dropped,
    }


def tables(found: dict) -> list[Table]:
    """Every table of a ``summary`` that has a row."""
    rows = {row["name"]: row for row in found["rows"]}
    sized = {name: row for name, row in rows.items() if row["bytes"]}
    made = [_components(rows), _ranking(rows), _everything(rows), _ptq(rows), *_parameterisations(rows)]
    made += [_headline(sized, found["headline"])]
    if found["figures"]:
        made = [_figures(sized, found["figures"]), _ablations(sized, found["ablations"])]
        made += [_dropped(found["dropped"]), _all(sized)]
    return [table for table in made if table.rows]


def _figures(rows: dict, figures: list[dict]) -> Table:
    lines = []
    for figure in figures:
        row = rows.get(figure["row"])
        if row is None:
            continue
        total, within = row["bytes"]["total"], figure["within"]
        reached = 100 * row["accuracy"] >= figure["reach"] and (within is None or total <= within)
        size = "" if within is None else f" in {within:,.0f} B"
        cells = [figure["what"], figure["paper"], f"{figure['reach']:g}{size}", _accuracy(row), f"{total:,.0f}"]
        lines.append([*cells, str(row["seeds"]), "yes" if reached else "no", row["name"]])
    headings = ["figure", "paper %", "to reach %", "ours %", "bytes", "seeds", "reached", "row"]
    return Table("What is to be reached: test accuracy of the integer engine", headings, lines)


def _ablations(rows: dict, ablations: list[dict]) -> Table:
    lines = []
    for entry in ablations:
        pair = [rows[entry[key]] for key in ("row", "without") if entry[key] in rows]
        if len(pair) == 2:
            gain = 100 * (pair[0]["accuracy"] - pair[1]["accuracy"])
            sizes = [f"{row['bytes']['total']:,.0f}" for row in pair]
            lines.append([entry["technique"], *map(_accuracy, pair), f"{gain:+.2f}", *sizes])
    headings = ["technique", "with %", "without %", "gain", "bytes with", "bytes without"]
    return Table("What each technique is worth, all else equal", headings, lines)


def _dropped(dropped: dict[str, str]) -> Table:
    lines = [[technique, gave] for technique, gave in dropped.items()]
    return Table("What did not pay, and is not in the code", ["technique", "what it gave"], lines, 2)


def _all(rows: dict) -> Table:
    lines = [
        [name, _accuracy(row), percent(row["validation"][-1]) if row["validation"] else "–"]
        + [f"{row['bytes'][key]:,.0f}" for key in ("parameters", "state", "total")]
        for name, row in rows.items()
    ]
    headings = ["row", "test %", "validation %", "parameters B", "state B", "total B"]
    return Table("Every row", headings, lines)


def ranking(found: dict, bits: int = 8) -> list[str]:
    """Components, the one that loses most when it alone has ``bits`` bits first."""
    rows = {row["name"]: row for row in found["rows"]}
    accuracies = {key: rows[name]["accuracy"] for key in COMPONENTS if (name := f"ptq-h16-{key}-{bits}") in rows}
    return sorted(accuracies, key=accuracies.__getitem__)


def _cell(rows: dict, name: str) -> str:
    """Accuracy, with the paper's in brackets."""
    row = rows.get(name)
    if row is None:
        return "–"
    return _accuracy(row) + ("" if row["paper"] is None else f" ({row['paper']:g})")


def _accuracy(row: dict) -> str:
    deviation = "" if row["deviation"] is None else f" ± {percent(row['deviation'])}"
    return percent(row["accuracy"]) + deviation


def _components(rows: dict) -> Table:
    lines = []
    for key, label in COMPONENTS.items():
        names = [f"ptq-h16-{key}-{bits}" for bits in WIDTHS]
        if any(name in rows for name in names):
            lines.append([label, *(_cell(rows, name) for name in names)])
    title = "Post-training, one component quantised alone by the paper's quantisers, 16 heads: accuracy % (the paper's)"
    return Table(title, ["component", *(f"{bits} b" for bits in WIDTHS)], lines)


def _ranking(rows: dict) -> Table:
    order = ranking({"rows": list(rows.values())})
    lines = [[str(k), COMPONENTS[key], _cell(rows, f"ptq-h16-{key}-8")] for k, key in enumerate(order, start=1)]
    return Table("What 8 bits cost, the worst component first", ["rank", "component", "accuracy %"], lines, 2)


def _everything(rows: dict) -> Table:
    lines = []
    for heads in (16, 64):
        for granularity in ("head", "tensor"):
            for form in ("asymmetric", "symmetric"):
                for ranges in ("dynamic", "static"):
                    stem = f"ptq-h{heads}-all-{granularity}-{form}-{ranges}"
                    if any(f"{stem}-{bits}" in rows for bits in WIDTHS):
                        cells = [_cell(rows, f"{stem}-{bits}") for bits in WIDTHS]
                        lines.append([str(heads), f"a {granularity}", form, ranges, *cells])
    headings = ["heads", "one range", "form", "ranges", *(f"{bits} b" for bits in WIDTHS)]
    return Table("Post-training, everything quantised by the paper's quantisers: accuracy %", headings, lines, 4)


def _ptq(rows: dict) -> Table:
    lines = [
        [name.removeprefix("ptq-"), _accuracy(row), f"{row['bytes']['total']:,.0f}"]
        for name, row in rows.items()
        if name.startswith("ptq-") and row["bytes"]
    ]
    return Table("Post-training, our integer model", ["row", "accuracy %", "bytes"], lines)


def _parameterisations(rows: dict) -> list[Table]:
    found = []
    for heads in (16, 64):
        lines = []
        for parameterisation in ("discrete", "continuous", "frozen"):
            for x in (16, 8, 7, 6):
                names = [f"qat-h{heads}-{parameterisation}-a{a}-x{x}" for a in (6, 7, 8, 16)]
                if any(name in rows for name in names):
                    lines.append([parameterisation, str(x), *(_cell(rows, name) for name in names)])
        title = f"Training by parameterisation of Ā, {heads} heads, the rest W4A6: accuracy % (the paper's)"
        found.append(Table(title, ["Ā", "x bits", "Ā 6", "Ā 7", "Ā 8", "Ā 16"], lines, 2))
    return found


def _headline(rows: dict, headline: list[dict]) -> Table:
    lines = []
    for entry in headline:
        row = rows.get(entry["row"])
        if row is None:
            continue
        sizes = row["bytes"]
        lines.append(
            [
                heads[1] if (heads := re.search(r"-h(\d+)", entry["row"])) else "–",
                entry["label"],
                f"{entry['paper']:.2f}",
                "–" if entry["saved"] is None else f"{entry['saved']:.2f}",
                _accuracy(row),
                str(row["seeds"]),
                f"{sizes['total']:,.0f}",
                percent(1 - sizes["total"] / sizes["fp32_total"]),
            ]
        )
    headings = ["heads", "scheme", "paper %", "paper saves %", "ours %", "seeds", "bytes", "saved %"]
    return Table("The headline table: the paper's percentages and our integer model", headings, lines, 2)
