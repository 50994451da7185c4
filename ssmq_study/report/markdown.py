"""Results as Markdown, one function for each kind: what `ssmq run` leaves, what commands print with --json."""

from __future__ import annotations

from ..search_tables import front_table
from ..sensitivity import explanation, sensitivity_tables
from ..study_tables import tables as study_tables
from ..table import Table, code, escaped, paragraph


def run_table(summary: dict) -> str:
    """One run as Markdown: stages, engines, verdict, and the data it used."""
    data = summary["data"]
    lines = [
        f"{_source(data)}: {data['train']:,} training, {data['validation']:,} validation, {data['test']:,} test images.",
        "",
        "| stage | test accuracy | parameters | state | total | saved |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in summary["rows"]:
        lines.append(f"| {escaped(row['stage'])} | {100 * row['accuracy']:.2f} % | {_sizes(row['bytes'])} |")
    lines += ["", *_engines(summary["verify"])]
    if summary["hardware"]:
        lines += ["", *_on_part(summary["hardware"])]
    nodes = ", ".join(f"{code(f'{form}.onnx')} {count}" for form, count in summary["graphs"].items())
    verdict = summary["check"]
    lines += [
        "",
        f"Nodes: {nodes}. `ssmq check dataflow.onnx`: {verdict['errors']} errors, {verdict['warnings']} warnings. "
        f"{summary['seconds']:.0f} seconds in all.",
    ]
    return "\n".join(lines)


def _source(data: dict) -> str:
    return paragraph(f"{data['name']} ({data['source']})")


def _sizes(sizes: dict) -> str:
    """The cells parameters, state, total and saved."""
    numbers = " | ".join(f"{sizes[key]:,.0f} B" for key in ("parameters", "state", "total"))
    return f"{numbers} | {100 * (1 - sizes['total'] / sizes['fp32_total']):.1f} %"


def _engines(rows: list[dict]) -> list[str]:
    """The agreement table of one model."""
    lines = ["| engine | sequences | codes compared | differing |", "|---|---:|---:|---:|"]
    for row in rows:
        differing = "reference" if row["engine"] == "eager Brevitas" else row["differing"]
        # Nothing differs in what was not computed.
        differing = "failed" if row.get("failed") else differing
        lines.append(f"| {escaped(row['engine'])} | {row['sequences']} | {row['codes']:,} | {differing} |")
    return lines


def _on_part(told: dict) -> list[str]:
    """A model on an FPGA."""
    headings = ("part", "shape", "cycles a step", "LUT", "FF", "multipliers", "RAM", "MHz", "µs a sequence", "sequences/s")
    counts = [f"{told[key]:,}" for key in ("cycles_a_step", "lut", "ff", "dsp", "bram")]
    rates = [f"{told[key]:,.0f}" if told[key] else "–" for key in ("microseconds", "sequences_per_second")]
    row = [escaped(told["part"]), escaped(told["shape"]), *counts, f"{told['mhz']:.1f}", *rates]
    return [f"| {' | '.join(headings)} |", "|---|---|" + "---:|" * 8, f"| {' | '.join(row)} |"]


def dataset_text(result: dict) -> str:
    """A data set of several channels, from the commands to FINN."""
    data, finn, verdict = result["data"], result["finn"], result["check"]
    lines = [
        "```sh",
        *result["commands"],
        "```",
        "",
        f"{data['train']:,} training, {data['validation']:,} validation, {data['test']:,} test sequences of {data['steps']} "
        f"steps, {data['channels']} channels, {data['classes']} classes.",
        "",
        "| stage | validation accuracy | test accuracy | parameters | state | total | saved |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["stages"]:
        accuracies = " | ".join(f"{100 * row[split]:.2f} %" for split in ("validation", "test"))
        lines.append(f"| {escaped(row['stage'])} | {accuracies} | {_sizes(row['bytes'])} |")
    lines += [
        "",
        *_engines(result["verify"]),
        "",
        f"`ssmq check`: {verdict['errors']} errors, {verdict['warnings']} warnings. FINN maps {finn['mapped']} of "
        f"{finn['nodes']} nodes in {finn['partitions']} partition.",
    ]
    return "\n".join(lines)


def machine(result: dict) -> str:
    """What a benchmark ran on."""
    about = result["machine"]
    releases = ", ".join(f"{name} {about[name]}" for name in ("torch", "numba", "brevitas", "onnxruntime"))
    return paragraph(
        f"{about['cores']} cores of {about['processor']}, {about['memory_gib']:g} GiB, Python {about['python']}, {releases}."
    )


def scan_table(result: dict) -> str:
    """One layer, three ways."""
    lines = [
        "| heads | modes | batch | steps | fused | float FFT | fused ÷ FFT | Brevitas loop | loop ÷ fused |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        fused, fft, loop = row["fused_s"], row["float_fft_s"], row["brevitas_loop_s"]
        last = "– | –" if loop is None else f"{loop:.2f} s | {loop / fused:.0f}"
        lines.append(
            f"| {row['heads']} | {row['modes']} | {row['batch']} | {row['length']:,} | {1e3 * fused:.1f} ms | "
            f"{1e3 * fft:.1f} ms | {fused / fft:.2f} | {last} |"
        )
    return "\n".join(lines)


def train_table(result: dict) -> str:
    """Training steps of whole models."""
    lines = [
        "| preset | batch | float model, FFT | exact QAT, fused | the same by Brevitas, step by step |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        loop = "–" if row["brevitas_loop_s"] is None else f"{row['brevitas_loop_s']:.2f} s"
        times = " | ".join(f"{1e3 * row[key]:.0f} ms" for key in ("float_fft_s", "fused_s"))
        lines.append(f"| {escaped(row['preset'])} | {row['batch']} | {times} | {loop} |")
    return "\n".join(lines)


def infer_table(result: dict) -> str:
    """Inference of whole sequences."""
    integer, floating = result["integer_s"], result["onnxruntime_s"]
    return (
        f"{code(result['model'])}, {result['images']:,} sequences of {result['steps']} steps: integer model {integer:.1f} s, "
        f"ONNX Runtime {floating:.1f} s (batch {result['onnxruntime_batch']}, its best), ratio {floating / integer:.1f}; "
        f"every logit equal.\n\n{machine(result)}"
    )


def estimate_table(result: dict) -> str:
    """The JSON of an `ssmq estimate`, nodes of one kind in one line."""
    names = ("lut", "ff", "dsp", "bram")
    lines = ["| nodes | what they are | slowest | LUT | FF | DSP | BRAM18 |", "|---:|---|---:|---:|---:|---:|---:|"]
    for kind in dict.fromkeys(node["kind"] for node in result["nodes"]):
        nodes = [node for node in result["nodes"] if node["kind"] == kind]
        sums = " | ".join(f"{sum(node[name] for node in nodes):,}" for name in names)
        slowest = max(node["cycles"] for node in nodes)
        lines.append(f"| {len(nodes)} | {KINDS.get(kind, escaped(kind))} | {slowest:,} cycles | {sums} |")
    total = " | ".join(f"{result['total'][name]:,}" for name in names)
    share = " | ".join(_used(result["total"][name], result["available"][name]) for name in names)
    lines += [
        f"| {len(result['nodes'])} | all | {result['interval']:,} cycles | {total} |",
        f"| | of {escaped(result['target'])} | | {share} |",
        "",
        f"{result['cycles_per_step']:,} cycles a step (a state is back after {result['loop_latency']}), "
        f"{result['cycles_per_sequence']:,} a sequence: {result['sequences_per_second']:,.0f} sequences a second at "
        f"{result['clock_mhz']:g} MHz.",
    ]
    return "\n".join(lines)


def _used(count: int, available: int) -> str:
    return f"{100 * count / available:.0f} %" if available else "–"


KINDS = {
    "spread": "input to its modes (B̄, encoder)",
    "gather": "modes to their head (C)",
    "dense": "linear layers",
    "scale": "products with constants (Ā, D)",
    "product": "products of two tensors (gate)",
    "shift": "shifts",
    "sum": "sums and differences",
    "offset": "constants added",
    "rounding": "rounding to a format",
    "thresholds": "functions as thresholds",
    "scan": "recurrences",
    "running sum": "sums over time",
    "state": "state memories",
    "fork": "forks and residual buffers",
}


def finn_table(result: dict) -> str:
    """What FINN made of the graphs, and both estimates."""
    lines = [
        "| model | graph | nodes | mapped | partitions | cycles: FINN | ours | LUT: FINN | ours | DSP: FINN | ours |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        counts = " | ".join(f"{row[key]:,}" for key in ("nodes", "mapped", "partitions", "cycles"))
        ours, finn = row["ours"], row["resources"]
        numbers = f"{ours['cycles']:,} | {finn['LUT']:,.0f} | {ours['resources']['lut']:,} | {finn['DSP']:,.0f}"
        lines.append(f"| {escaped(row['model'])} | {code(row['graph'])} | {counts} | {numbers} | {ours['resources']['dsp']} |")
    return "\n".join(lines)


def verify_table(result: dict) -> str:
    """The agreement tables of several models, side by side."""
    models = result["models"]
    lines = [
        f"| engine | sequences | {' | '.join(map(escaped, models))} | differing |",
        "|---|---:|" + "---:|" * (len(models) + 1),
    ]
    for number, rows in enumerate(zip(*models.values(), strict=True)):
        differing = sum(row["differing"] for row in rows) if number else "reference"
        differing = "failed" if any(row.get("failed") for row in rows) else differing
        codes = " | ".join(f"{row['codes']:,} in {row['seconds']:.0f} s" for row in rows)
        lines.append(f"| {escaped(rows[0]['engine'])} | {rows[0]['sequences']:,} | {codes} | {differing} |")
    return "\n".join(lines)


def check_table(result: dict) -> str:
    """Findings, those of one rule and message in one line."""
    lines = ["| rule | where | what | how to fix it |", "|---|---|---|---|"]
    told: dict[tuple, list[str]] = {}
    for found in result["findings"]:
        key = found["severity"], found["rule"], found["message"], found["fix"]
        told.setdefault(key, []).append(found["node"] or found["tensor"])
    for (severity, rule, message, fix), places in told.items():
        shown = ", ".join(code(place) for place in places[:2] if place) + (" …" if len(places) > 2 else "")
        lines.append(f"| {code(rule)} ({escaped(severity)}) | {shown} | {escaped(message)} | {escaped(fix)} |")
    return "\n".join(lines)


def _titled(tables: list[Table]) -> str:
    return "\n\n".join(f"**{escaped(table.title)}**\n\n{table.markdown()}" for table in tables)


def study_text(result: dict) -> str:
    """Every table of a study."""
    data = result["data"]
    about = f"{_source(data)}, {result['images']:,} test images. "
    if not result["figures"]:
        about += "In brackets what the paper reports. The paper's quantisers are fake quantisation with float scales, "
        about += "outside the integer contract. "
    about += "The accuracy of our own quantised models is that of the integer engine."
    return f"{about}\n\n{_titled(study_tables(result))}"


def sensitivity_text(result: dict) -> str:
    """Ranking, eigenvalues, and the reason in words."""
    return f"{_titled(sensitivity_tables(result))}\n\n{escaped(explanation(result))}"


def search_text(result: dict) -> str:
    """The Pareto front."""
    return _titled([front_table(result)])


def table_text(result: dict) -> str:
    """A file that is a table already: `title`, `headings`, `rows`, perhaps `labels` and `note`."""
    rows = [[str(cell) for cell in row] for row in result["rows"]]
    table = Table(result["title"], result["headings"], rows, result["labels"])
    return f"{paragraph(result['note'])}\n\n{table.markdown()}" if result["note"] else table.markdown()
