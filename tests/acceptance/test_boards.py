"""A board's whole design in simulation, and the computer that speaks with it as it would through a cable."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from board_files import BAUD, BOARD, small_board
from command_line import ssmq
from conftest import LENGTH, small_codes, small_config
from noisy_line import Noise
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training
from ssmq_export import rtl
from ssmq_export.boards import Answer, Host, SimulatedBoard, find_board, load_design, write_board
from ssmq_export.boards.host import open_line
from ssmq_export.boards.protocol import Kind, Status, request
from ssmq_export.boards.simulation import compiled_board
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower

pytest.importorskip("serial", reason="pip install 'ssmq-brevitas[hw]'")
needs_tools = pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)
PATIENCE = 0.1


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_board(tmp_path_factory.mktemp("boards") / "files")


@pytest.fixture(scope="module")
def program(small, tmp_path_factory):
    return compiled_board(small / "board", tmp_path_factory.mktemp("build"), "-O0")


@pytest.fixture(scope="module")
def board(small, program):
    with SimulatedBoard(small / "board", program=program) as board:
        yield board


@pytest.fixture
def line(board):
    with open_line(board.port, BAUD, PATIENCE) as line:
        yield line


@pytest.fixture(scope="module")
def sequences(small):
    """Codes, and the answers of the integer engine. Flags and escapes are among the codes."""
    codes = small_codes(40).numpy()
    codes[2], codes[3], codes[4, ::2] = 0x7E, 0x7D, 0x7E
    logits = IntegerModel(load_graph(small / "dataflow.onnx", "dataflow")).forward(codes)
    ordered = np.sort(logits, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    return codes, [Answer(int(c), int(m)) for c, m in zip(logits.argmax(axis=1), margins, strict=True)]


@needs_tools
def test_every_class_is_the_integer_engines(line, small, sequences):
    host = Host(line, load_design(small / "board"))
    host.hello()
    codes, expected = sequences
    assert host.classify(codes) == expected
    assert len({answer.label for answer in expected}) > 1
    assert host.resent == 0 and not any(host.errors.values())


@needs_tools
@pytest.mark.parametrize("drift", [-0.02, 0.02])
def test_the_computers_clock_may_drift(small, program, sequences, drift):
    with SimulatedBoard(small / "board", drift, program) as board, open_line(board.port, BAUD, PATIENCE) as line:
        host = Host(line, board.design)
        assert host.classify(sequences[0][:6]) == sequences[1][:6] and not host.resent


def survives(line, small, sequences, damaged: int) -> Host:
    """Send through a noisy line until so many frames were damaged; every class must be right all the same."""
    noise = Noise(line, 0, 0.4, 0.05)
    host = Host(noise, load_design(small / "board"), tries=40)
    codes, expected = sequences
    while noise.damaged < damaged:
        assert host.classify(codes) == expected
    # And the line is as good as new.
    quiet = Host(line, load_design(small / "board"))
    assert quiet.classify(codes) == expected
    return host


@needs_tools
def test_damaged_frames_never_give_a_wrong_class(line, small, sequences):
    host = survives(line, small, sequences, 30)
    assert host.resent and host.errors[Status.DAMAGED]


@needs_tools
@pytest.mark.slow
def test_a_thousand_damaged_frames_never_give_a_wrong_class(line, small, sequences):
    host = survives(line, small, sequences, 1000)
    assert host.resent >= 1000 and host.errors[Status.DAMAGED] > 100


@needs_tools
@pytest.mark.slow
def test_codes_of_five_bits_with_a_sign_are_packed(tmp_path):
    """Of two channels; a sequence has 25 bytes in place of 40."""
    config = small_config(
        model={"channels": 2, "input": {"bits": 5, "signed": True, "exponent": -4}, "layers": 1}, bits={"input": 5}
    )
    codes = torch.from_numpy(np.random.default_rng(0).integers(-16, 16, (30, LENGTH, 2)))
    floating = Model.floating(config).train()
    with torch.no_grad():
        floating(codes)
    model = post_training(floating.eval(), config, codes)
    dataflow = lower(step_graph(model.network))
    rtl.write_rtl(collapse(dataflow), tmp_path / "rtl")
    design = write_board(tmp_path / "rtl", find_board(BOARD), tmp_path / "board", BAUD)
    assert design.payload == 25
    with SimulatedBoard(tmp_path / "board") as board, open_line(board.port, BAUD, board.patience) as line:
        answers = Host(line, design).classify(codes.numpy())
    assert [answer.label for answer in answers] == IntegerModel(dataflow).forward(codes.numpy()).argmax(axis=1).tolist()


@needs_tools
def test_answers_to_a_host_that_is_gone_are_none_to_the_next(line, small, sequences):
    """It has sent two sequences under tags that the next one uses, and has not waited."""
    codes, expected = sequences
    assert expected[3] != expected[0] and expected[4] != expected[1]
    line.write(request(Kind.IMAGE, 2, codes[3].tobytes()) + request(Kind.IMAGE, 3, codes[4].tobytes()))
    host = Host(line, load_design(small / "board"))
    host.hello()
    assert host.classify(codes[:2]) == expected[:2]


@needs_tools
def test_a_board_with_another_design_is_refused(line, small):
    design = load_design(small / "board").model_copy(update={"identity": 1})
    with pytest.raises(ExportError, match="the board holds another design"):
        Host(line, design).hello()


@needs_tools
def test_the_command_says_how_many_were_right(board, small):
    data = f"npz:{small / 'data.npz'}"
    done = ssmq("host", small / "board", "--port", board.port, "--dataset", data, "--images", 20, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    labels = np.load(small / "data.npz")["y_test"][:20]
    codes = np.load(small / "data.npz")["x_test"][:20]
    logits = IntegerModel(load_graph(small / "dataflow.onnx", "dataflow")).forward(codes)
    assert (found["sequences"], found["differing"]) == (20, 0)
    assert found["correct"] == int((logits.argmax(axis=1) == labels).sum())


def test_a_board_that_says_nothing(small):
    """A terminal with nobody behind it."""
    import pty

    master, slave = pty.openpty()
    try:
        with open_line(os.ttyname(slave), BAUD, 0.01) as line, pytest.raises(ExportError, match="no answer at 3,000,000 baud"):
            Host(line, load_design(small / "board")).hello()
    finally:
        os.close(master), os.close(slave)
