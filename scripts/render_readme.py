"""Render the README's tables from the summaries under results/ (each the summary.json of an `ssmq run`).

python scripts/render_readme.py
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def table(summary: dict) -> str:
    """One run as Markdown: stages, engines, verdict, and the data it used."""
    data = summary["data"]
    lines = [
        f"{data['name']} ({data['source']}): {data['train']:,} training, {data['validation']:,} validation, "
        f"{data['test']:,} test images.",
        "",
        "| stage | test accuracy | parameters | state | total | saved |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in summary["rows"]:
        sizes = row["bytes"]
        numbers = " | ".join(f"{sizes[key]:,.0f} B" for key in ("parameters", "state", "total"))
        saved = 100 * (1 - sizes["total"] / sizes["fp32_total"])
        lines.append(f"| {row['stage']} | {100 * row['accuracy']:.2f} % | {numbers} | {saved:.1f} % |")
    lines += ["", "| engine | sequences | codes compared | differing |", "|---|---:|---:|---:|"]
    for row in summary["verify"]:
        differing = "reference" if row["engine"] == "eager Brevitas" else row["differing"]
        lines.append(f"| {row['engine']} | {row['sequences']} | {row['codes']:,} | {differing} |")
    nodes = ", ".join(f"`{form}.onnx` {count}" for form, count in summary["graphs"].items())
    verdict = summary["check"]
    lines += [
        "",
        f"Nodes: {nodes}. `ssmq check dataflow.onnx`: {verdict['errors']} errors, {verdict['warnings']} warnings. "
        f"{summary['seconds']:.0f} seconds in all.",
    ]
    return "\n".join(lines)


def rendered(readme: str) -> str:
    """The README with every ``<!-- name -->`` section filled from results/name.json."""
    for path in sorted((ROOT / "results").glob("*.json")):
        name = path.stem
        section = f"<!-- {name} -->\n{table(json.loads(path.read_text()))}\n<!-- /{name} -->"
        pattern = f"<!-- {name} -->.*?<!-- /{name} -->"
        readme = re.sub(pattern, lambda match, text=section: text, readme, flags=re.DOTALL)
    return readme


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(rendered(page.read_text()))
