"""What is read of the tools' own reports and logs (``data/`` holds them as nextpnr 0.11.1 wrote them)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import small_config, small_model
from ssmq_export.boards import find_board
from ssmq_export.boards.bitstream import refuse_slow
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.estimates.serial import estimate_serial
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl import serially_folded, write_rtl
from ssmq_export.synthesis import families, find_device
from ssmq_export.synthesis.estimated import estimated
from ssmq_export.synthesis.report import Lack, lacking, megahertz, overfull, slowest_path, used_of
from ssmq_export.synthesis.shortage import too_small

DATA = Path(__file__).with_name("data")
ECP5_REPORT = json.loads((DATA / "ecp5-report.json").read_text())
OVERFULL = (DATA / "ice40-overfull.log").read_text()


def test_resources_are_those_that_nextpnr_reports_and_carries_those_that_yosys_counts():
    found = used_of(families.ECP5, {"CCU2C": 187, "LUT4": 699}, ECP5_REPORT["utilization"])
    reported = {
        name: ECP5_REPORT["utilization"][name]["used"] for name in ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD")
    }
    assert found == dict(zip(("lut", "ff", "carry", "dsp", "bram"), (1373, 1575, 2 * 187, 12, 0), strict=True))
    assert [found[name] for name in ("lut", "ff", "dsp", "bram")] == list(reported.values())


def test_the_path_that_limits_is_told_by_instance_and_adds_up():
    path = slowest_path(ECP5_REPORT)
    assert [part.instance for part in path] == ["encoder_quant_rounded", "encoder_quant_register"]
    total = sum(part.logic + part.routing for part in path)
    assert 1000 / total == pytest.approx(megahertz(ECP5_REPORT), rel=1e-3)
    assert min(part.logic for part in path) > 0 < min(part.routing for part in path)


def test_a_design_slower_than_the_clock_of_its_board_is_refused_with_its_slowest_path():
    board, reached = find_board("ulx3s"), megahertz(ECP5_REPORT)
    refuse_slow(replace(board, clock_hz=int(reached * 1e6)), ECP5_REPORT)
    told = f"^ulx3s: its clock is 1000 MHz, the design reaches {reached:.1f}: the slowest path is in encoder_quant_.*: try another --seed$"
    with pytest.raises(ExportError, match=told):
        refuse_slow(replace(board, clock_hz=10**9), ECP5_REPORT)


def test_paths_to_and_from_pins_limit_nothing():
    """The wire from a pin is as long as nextpnr likes: it is no path of the design."""
    report = {**ECP5_REPORT, "critical_paths": [dict(path) for path in ECP5_REPORT["critical_paths"]]}
    outer = next(path for path in report["critical_paths"] if path["from"] != path["to"])
    outer["path"] = [{**outer["path"][0], "delay": 100.0}]
    assert slowest_path(report) == slowest_path(ECP5_REPORT)


def test_the_log_of_a_failure_says_what_there_is_too_little_of():
    used, lacks = overfull(OVERFULL, families.ICE40, find_part("ice40up5k"))
    assert lacks == [Lack("lut", 8237, 5280)]
    assert used == {"lut": 8237, "dsp": 0, "bram": 10}


@pytest.fixture(scope="module")
def chain():
    """A classifier of sequences, one lane a node."""
    config = small_config(model={"heads": 4, "modes": 2, "layers": 2})
    return collapse(lower(step_graph(small_model(config)[1].network, {"ssmq.config": config.model_dump_json()})))


@pytest.fixture(scope="module")
def manifests(chain, tmp_path_factory):
    """Its RTL by shape; the serial one has many lanes."""
    folder = tmp_path_factory.mktemp("shapes")
    fast = serially_folded(chain, 1e5, 100.0)
    return {"dataflow": write_rtl(chain, folder / "chain"), "serial": write_rtl(fast, folder / "serial", shape="serial")}


def needed(graph, manifest, part, times) -> dict[str, int]:
    """What synthesis finds, if it finds so many times what is estimated."""
    return {name: int(times * count) for name, count in estimated(manifest, graph, part).items()}


def named(said: str) -> tuple[str, float, float]:
    """Shape, sequences a second and MHz of the command that is named."""
    found = re.search(r"`ssmq rtl (--shape serial )?--target \S+ --fps (\S+) --clock (\S+)` makes one that fits$", said)
    return "serial" if found[1] else "dataflow", float(found[2]), float(found[3])


# Multipliers that are there, and how far the estimate is off.
@pytest.mark.parametrize(("dsp", "times"), [(12, 1.0), (12, 1.5), (3, 2.0)])
def test_the_folding_that_is_named_is_what_the_command_makes_and_fits(chain, manifests, dsp, times):
    """LUTs suffice for little more than the slowest folding, of which they are so many times what is estimated."""
    part = replace(find_part("lfe5u-25f"), dsp=dsp)
    slowest = estimate_graph(chain, part, fps=1).as_dict()["total"]["lut"]
    part = replace(part, lut=int(1.05 * times * slowest))
    used = needed(chain, manifests["dataflow"], part, times)
    said = str(too_small(part, lacking(used, part), used, chain, manifests["dataflow"]))
    assert f"{used['dsp']:,} multipliers are needed, {used['dsp'] - dsp:,} more than its {dsp}" in said
    shape, rate, clock = named(said)
    made = estimate_graph(chain, part, fps=rate, clock_mhz=clock)
    total = made.as_dict()["total"]
    assert shape == "dataflow" and all(times * total[name] <= getattr(part, name) + times for name in ("lut", "ff", "bram"))
    assert made.sequences_per_second >= rate > 0


@pytest.mark.parametrize("shape", ["dataflow", "serial"])
def test_a_chain_that_fits_in_no_folding_and_a_serial_design_may_fit_in_the_serial_shape(chain, manifests, shape):
    """LUTs for a tenth more than the slowest serial folding takes."""
    part = replace(find_part("lfe5u-25f"), dsp=8)
    part = replace(part, lut=int(1.1 * estimate_serial(chain, part)["total"]["lut"]))
    used = needed(chain, manifests[shape], part, 1.0)
    assert lacking(used, part)
    found, rate, clock = named(str(too_small(part, lacking(used, part), used, chain, manifests[shape])))
    made = estimate_serial(chain, part, fps=rate, clock_mhz=clock)
    assert found == "serial" and made["total"]["lut"] <= part.lut
    assert clock * 1e6 / made["cycles_between_sequences"] >= rate > 0


def test_where_no_folding_fits_a_part_is_named_that_holds_it(chain, manifests):
    """Whatever the folding: a part with hardly any LUT."""
    part = replace(find_part("lfe5u-25f"), lut=100)
    for manifest in manifests.values():
        used = needed(chain, manifest, part, 1.0)
        said = str(too_small(part, lacking(used, part), used, chain, manifest))
        assert f"{used['lut']:,} LUT are needed, {used['lut'] - 100:,} more than its 100" in said and "\n" not in said
        larger = re.search(r"by estimate no folding fits: take (\S+), or narrow the widths$", said)[1]
        assert find_part(larger).family is part.family
        assert all(count <= getattr(find_part(larger), name) for name, count in used.items())
    huge = dict.fromkeys(used, 10**6)
    said = str(too_small(part, lacking(huge, part), huge, chain, manifests["serial"]))
    assert said.endswith("by estimate no folding fits: narrow the widths")


def test_a_part_lacks_what_its_data_sheet_does_not_have():
    used = {"lut": 1, "ff": 35_201, "carry": 4, "dsp": 81, "bram": 0}
    assert [(lack.resource, lack.used, lack.available) for lack in lacking(used, find_part("xc7z010"))] == [
        ("ff", 35_201, 35_200), ("dsp", 81, 80),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "speed", "message"),
    [
        ("lfe5u-25f", 9, "speed grades 6, 7, 8, not 9"),
        ("ice40up5k", 6, "no speed grades to choose from"),
        ("xczu3eg", None, "no open synthesis"),
        ("gw1nr-8", None, "did you mean gw1nr-9"),
    ],
)
def test_a_part_that_cannot_be_is_refused(name, speed, message):
    with pytest.raises(ExportError, match=message):
        find_device(name, speed)


def test_the_slowest_grade_is_meant_unless_another_one_is_named():
    assert [find_device("lfe5u-25f", speed)[1] for speed in (None, 8)] == [6, 8]
    assert find_device("gw2ar-18")[1] is None
