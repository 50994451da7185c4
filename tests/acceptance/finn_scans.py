"""FINN's own steps on scans drawn by hand and on a chain with one, in a process that imports FINN.

    python tests/acceptance/finn_scans.py FOLDER

FOLDER holds ``cases.json`` and ``cases.npz``, and what `ssmq finn` left of a network in ``network`` if it is there; ``scans.json``,
``scans.npz``, ``chain.json``, ``refused.json`` and ``network.json`` are left there.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ssmq_export.rtl.netlist import Stream
from ssmq_export.rtl.simulator import Pins, Simulator, compiled

PART, CLOCK = "xc7z020clg400-1", 10.0


@dataclass
class Scan:
    """A module that FINN was given: its ``files``, the elements of its streams and the widths that FINN says."""

    top: str
    files: list[str]
    channels: int
    lanes: int
    bits: tuple[int, int]
    signed: tuple[bool, bool]
    padded: tuple[int, int]
    cycles: int

    def streams(self) -> list[Stream]:
        sides = zip(("in", "out"), self.bits, self.signed, strict=True)
        return [Stream(f"{self.top}_{side}", self.channels, self.lanes, bits, signed) for side, bits, signed in sides]


def simulator(scans: list[Scan], folder: Path) -> Simulator:
    """FINN's modules side by side, each behind the plain handshake of the harness; what pads its input is all ones."""
    folder.mkdir()
    streams = [scan.streams() for scan in scans]
    ports, lines = ["input wire clk", "input wire rst"], []
    for scan, (given, made) in zip(scans, streams, strict=True):
        u, y = given.name, made.name
        ports += [
            f"input wire {u}_valid, output wire {u}_ready, input wire [{given.width - 1}:0] {u}_data, input wire {u}_last"
        ]
        ports += [
            f"output wire {y}_valid, input wire {y}_ready, output wire [{made.width - 1}:0] {y}_data, output wire {y}_last"
        ]
        padding = scan.padded[0] - given.width
        ones = f"{{{padding}{{1'b1}}}}, " if padding else ""
        lines += [
            f"  wire [{scan.padded[1] - 1}:0] {y}_padded;",
            f"  {scan.top} {scan.top}_module (.ap_clk(clk), .ap_rst_n(~rst),",
            f"    .in0_V_TVALID({u}_valid), .in0_V_TREADY({u}_ready), .in0_V_TDATA({{{ones}{u}_data}}),",
            f"    .out0_V_TVALID({y}_valid), .out0_V_TREADY({y}_ready), .out0_V_TDATA({y}_padded));",
            f"  assign {{{y}_last, {y}_data}} = {{1'b0, {y}_padded[{made.width - 1}:0]}};",
            f"  wire {scan.top}_unused = &{{1'b0, {u}_last, {y}_padded}};",
        ]
    (folder / "bench.sv").write_text(
        "\n".join(["module bench (", ",\n".join(f"    {port}" for port in ports), ");", *lines, "endmodule", ""])
    )
    files = [*dict.fromkeys(Path(path) for scan in scans for path in scan.files)]
    pins = [[Pins(pair[side].name, pair[side]) for pair in streams] for side in (0, 1)]
    return compiled("bench", folder, [folder / "bench.sv", *files], *pins, folder / "build", optimise="-O0")


def one(op: str, inputs: dict, datatypes: dict, shape, **attributes):
    """A graph of one FINN operator from the first of ``inputs``, a stream, to ``y``; the others are constants."""
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper

    given, *constants = inputs
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (given, "y")]
    node = helper.make_node(op, list(inputs), ["y"], domain="finn.custom_op.fpgadataflow", backend="fpgadataflow", **attributes)
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "one", ends[:1], ends[1:])))
    for name in constants:
        model.set_initializer(name, np.asarray(inputs[name], np.float32))
    for name, datatype in datatypes.items():
        model.set_tensor_datatype(name, DataType[datatype])
    return model


def scan_model(case: dict, arrays: dict[str, np.ndarray]):
    from ssmq_export.dataflow.scan_operands import INPUTS

    parameters = {name: arrays[name] for name in INPUTS if name != "u"}
    datatypes = {"u": case["input"], "y": case["output"], **dict.fromkeys(parameters, "INT32")}
    heads, modes = arrays["a_re"].shape
    return one(
        "DiagonalScan", {"u": None, **parameters}, datatypes, (1, case["steps"], 1, heads), heads=heads, modes=modes,
        steps=case["steps"], state_bits=case["state_bits"], widths=[8, 8, 8, 8, 8, 16, 4], choices=[0, 0, 1], PE=case["PE"],
        inputDataType=case["input"], outputDataType=case["output"],
    )  # fmt: skip


def prepared(model, prefix: str):
    """Through FINN's steps up to where Vivado would go on."""
    from finn.transformation.fpgadataflow.hlssynth_ip import HLSSynthIP
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.replace_verilog_relpaths import ReplaceVerilogRelPaths
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    for step in (
        SpecializeLayers(PART),
        GiveUniqueNodeNames(prefix),
        PrepareIP(PART, CLOCK),
        HLSSynthIP(PART),
        ReplaceVerilogRelPaths(),
    ):
        model = model.transform(step)
    return model


def scan_of(model) -> Scan:
    from qonnx.custom_op.registry import getCustomOp

    (node,) = model.get_nodes_by_op_type("DiagonalScan_rtl")
    found = getCustomOp(node)
    interfaces = found.get_verilog_top_module_intf_names()
    ((given, wide),), ((made, out),) = interfaces["s_axis"], interfaces["m_axis"]
    assert (given, made) == ("in0_V", "out0_V")
    types = found.get_input_datatype(), found.get_output_datatype()
    lanes = found.get_folded_input_shape()[-1]
    assert [found.get_instream_width(), found.get_outstream_width()] == [lanes * t.bitwidth() for t in types]
    return Scan(
        found.get_nodeattr("gen_top_module"), found.get_rtl_file_list(abspath=True), found.get_nodeattr("heads"), lanes,
        tuple(t.bitwidth() for t in types), tuple(t.signed() for t in types), (wide, out), found.get_exp_cycles(),
    )  # fmt: skip


def executed(model, codes: np.ndarray) -> np.ndarray:
    from qonnx.core.onnx_exec import execute_onnx

    found = [execute_onnx(model, {"u": sequence[None, :, None].astype(np.float32)})["y"] for sequence in codes]
    return np.stack(found)[:, 0, :, 0]


def simulated_by_finn(model, scan: Scan, codes: np.ndarray, folder: Path) -> np.ndarray:
    """``rtlsim`` of FINN, which packs and unpacks its own way, with Verilator where FINN has Vivado's simulator."""
    from qonnx.custom_op.registry import getCustomOp
    from ssmq_export.finn.diagonal_scan_rtl import DiagonalScan_rtl

    # A beat is one number.
    packed = [stream.width for stream in scan.streams()]
    assert max(packed) < 64, "the harness has numbers of 64 bits"
    whole = Scan(
        **{**asdict(scan), "channels": scan.channels // scan.lanes, "lanes": 1, "bits": packed, "signed": (False, False)}
    )
    driver = simulator([whole], folder)

    class Simulated(DiagonalScan_rtl):
        def get_rtlsim(self):
            return driver

        def reset_rtlsim(self, sim):
            pass

        close_rtlsim = reset_rtlsim

        def rtlsim_multi_io(self, sim, io_dict, sname="_V"):
            words = np.asarray(io_dict["inputs"]["in0"], np.int64)[:, None]
            (found,) = sim.run([(words, 0 * words[:, 0])], [len(words)], stall=0.3)
            io_dict["outputs"]["out0"] = found.elements[:, 0].tolist()
            self.set_nodeattr("cycles_rtlsim", int(found.cycles[-1]))

    (node,) = model.graph.node
    operator = Simulated(node)
    operator.set_nodeattr("exec_mode", "rtlsim")
    outputs = []
    for sequence in codes:
        context = {"u": sequence[None, :, None].astype(np.float32)}
        operator.execute_node(context, model.graph)
        outputs.append(context["y"])
    assert getCustomOp(node).get_nodeattr("cycles_rtlsim") > scan.cycles
    return np.stack(outputs)[:, 0, :, 0]


def chain(case: dict, arrays: dict[str, np.ndarray]) -> dict:
    """Thresholds, a scan and thresholds, of other lanes, with converters and queues between; the Tcl of the stitched project,
    and why it is not run."""
    from finn.transformation.fpgadataflow.create_stitched_ip import CreateStitchedIP
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.merge_onnx_models import MergeONNXModels

    heads = arrays["a_re"].shape[0]
    shape = (1, case["steps"], 1, heads)

    def thresholds(given: str, made: str):
        levels = np.tile(np.arange(-7, 8)[None] * 3, (heads, 1))
        return one(
            "Thresholding", {"u": None, "levels": levels}, {"u": given, "y": made, "levels": given}, shape,
            NumChannels=heads, PE=1, numSteps=15, inputDataType=given, weightDataType=given, outputDataType=made,
            numInputVectors=list(shape[:-1]), ActVal=-8, inFIFODepths=[2], outFIFODepths=[2], name="t",
        )  # fmt: skip

    model = thresholds(case["output"], case["input"])
    for more in (scan_model(case, arrays), thresholds(case["output"], "INT4")):
        model = more.transform(MergeONNXModels(model))
    for step in (
        InferShapes(), InferDataTypes(), SpecializeLayers(PART), GiveUniqueNodeNames(), InsertDWC(), InsertFIFO(True), SpecializeLayers(PART),
        GiveUniqueNodeNames(), GiveReadableTensorNames(),
    ):  # fmt: skip
        model = model.transform(step)
    model = prepared(model, "")
    said = spoken(model.transform, CreateStitchedIP(PART, CLOCK))
    (script,) = Path(os.environ["FINN_BUILD_DIR"]).glob("vivado_stitch_proj_*/make_project.tcl")
    nodes = [node.op_type for node in model.graph.node]
    return {"nodes": nodes, "said": said, "script": script.read_text(), "scan": asdict(scan_of(model))}


# What is wrong, in the case or its numbers, or with the node's name.
WRONG = {
    "lanes": ({"PE": 5}, {}),
    "no lanes": ({"PE": 0}, {}),
    "heads": ({"PE": 9}, {}),
    "state": ({"state_bits": 33}, {}),
    "sums": ({"state_bits": 32}, {"a_re": 1 << 30}),
    "bipolar": ({"input": "BIPOLAR"}, {}),
    "shift": ({}, {"shift": 41}),
    "length": ({"steps": 1 << 31}, {}),
    "name": ({}, {}),
}


def refusals(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """What is said of each; and of a folder that Tcl would take for two words."""
    from qonnx.custom_op.registry import getCustomOp

    said = {}
    for name, (change, numbers) in WRONG.items():
        spoilt = {**arrays, **{key: np.broadcast_to(value, arrays[key].shape) for key, value in numbers.items()}}
        model = scan_model({**case, **change}, spoilt)
        said[name] = spoken(prepared, model, "two words " if name == "name" else "")
    model = prepared(scan_model(case, arrays), "")
    (node,) = model.graph.node
    found = getCustomOp(node)
    model.del_initializer("c_re")
    said["stream"] = spoken(found.generate_hdl, model, PART, CLOCK)
    found.set_nodeattr("code_gen_dir_ipgen", "/two words")
    said["folder"] = spoken(found.code_generation_ipi)
    return said


def spoken(work, *given) -> str:
    try:
        work(*given)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def written(graph: Path) -> list[tuple[str, list[str]]]:
    """The files that FINN writes for every node of a graph that went through `ssmq finn`."""
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    model = ModelWrapper(str(graph)).transform(PrepareIP(PART, CLOCK))
    folders = [Path(getCustomOp(node).get_nodeattr("code_gen_dir_ipgen")) for node in model.graph.node]
    return [(n.name, sorted(path.name for path in f.iterdir())) for n, f in zip(model.graph.node, folders, strict=True)]


def main(folder: Path) -> None:
    from ssmq_export.finn import worker

    worker._builder()
    cases = json.loads((folder / "cases.json").read_text())
    with np.load(folder / "cases.npz") as stored:
        arrays = [
            {name.partition("/")[2]: stored[name] for name in stored.files if name.startswith(f"{n}/")}
            for n in range(len(cases))
        ]
    scans, expected = [], {}
    for n, (case, numbers) in enumerate(zip(cases, arrays, strict=True)):
        model = prepared(scan_model(case, numbers), f"case{n}_")
        scans.append(scan_of(model))
        expected[f"{n}"] = executed(model, numbers["codes"])
        if case["simulated"]:
            expected[f"{n}/finn"] = simulated_by_finn(model, scans[-1], numbers["codes"], folder / f"finn{n}")
    (folder / "scans.json").write_text(json.dumps([asdict(scan) for scan in scans]))
    np.savez(folder / "scans.npz", **expected)
    (folder / "chain.json").write_text(json.dumps(chain(cases[0], arrays[0])))
    (folder / "refused.json").write_text(json.dumps(refusals(cases[0], arrays[0])))
    if (folder / "network").is_dir():
        (folder / "network.json").write_text(json.dumps(written(folder / "network" / "finn.onnx")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
