"""`ssmq view`: Netron in a real browser shows our graphs, with the names and attributes that we gave them; its server
gives out one file, to this machine."""

from __future__ import annotations

import http.client
import importlib.resources
import importlib.util
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import onnx
import pytest
from conftest import small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_cli.netron_page import Server
from ssmq_export.from_network import step_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.lowering import collapse, lower

spec = importlib.util.spec_from_file_location("netron_picture", Path(__file__).parents[2] / "scripts" / "netron_picture.py")
netron = importlib.util.module_from_spec(spec)
try:
    spec.loader.exec_module(netron)
    missing = "" if netron.available() else netron.INSTALL
except ModuleNotFoundError:
    missing = "pip install 'ssmq-brevitas[test]'"

in_browser = pytest.mark.skipif(bool(missing), reason=missing)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    config = small_config()
    _, model = small_model(config)
    step = step_graph(model.network)
    graphs = {"step": step, "sequence": sequence_graph(step), "dataflow": lower(step), "whole": collapse(lower(step))}
    for name, graph in graphs.items():
        onnx.save(graph, folder / f"{name}.onnx")
    save_checkpoint(folder / "model.safetensors", model, {})
    return folder, graphs


@in_browser
@pytest.mark.parametrize("form", ["step", "sequence", "dataflow"])
def test_every_node_is_there_by_its_name(files, form):
    folder, graphs = files
    with netron.viewed(folder / f"{form}.onnx") as page:
        shown = netron.node_names(page)
    # Netron draws a Quant of a parameter inside the node that it feeds.
    drawn = {node.name for node in graphs[form].graph.node if node.op_type != "Quant"}
    assert drawn <= shown and len(drawn) > 3


@in_browser
def test_the_attributes_of_our_operator_can_be_read(files, tmp_path):
    folder, _ = files
    with netron.viewed(folder / "whole.onnx") as page:
        netron.show_names(page)
        shown = netron.select(page, "DiagonalScan_blocks.0.ssm")
        page.save_screenshot(str(tmp_path / "netron.png"))
    assert {
        "DiagonalScan_blocks.0.ssm",
        "ssmq_export.custom_op",
        "PE",
        "state_bits",
        "encoder_quant",
        "blocks.0.ssm_shift",
    } <= shown
    assert (tmp_path / "netron.png").stat().st_size > 10_000


@in_browser
def test_a_checkpoint_shows_its_tensors(files):
    folder, _ = files
    with netron.viewed(folder / "model.safetensors") as page:
        assert "blocks" in page.page_source


@contextmanager
def served(file: Path, port: int = 0) -> Iterator[Server]:
    with Server(file, port) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def asked(server: Server, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{server.port}"} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


class Tags(HTMLParser):
    """Scripts of a page, and what its metadata say by name."""

    def __init__(self):
        super().__init__()
        self.scripts, self.told = 0, {}

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        if tag == "meta":
            self.told[dict(attributes).get("name")] = dict(attributes).get("content")

    @classmethod
    def of(cls, page: str) -> Tags:
        tags = cls()
        tags.feed(page)
        return tags


def test_the_page_opens_files_however_old_its_release_is(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"net")
    dated = importlib.resources.files("netron").joinpath("index.html").read_text(encoding="utf-8")
    assert "date" in Tags.of(dated).told
    with served(tmp_path / "net.onnx") as server:
        tags = Tags.of(asked(server, "/")[1].decode())
    assert "date" not in tags.told and tags.told.keys() >= {"version", "file"}


def test_one_file_is_served_and_nothing_beside_it(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for place in (folder / "net.onnx", folder / "secret.txt", tmp_path / "above.txt"):
        place.write_text(place.name)
    with served(folder / "net.onnx") as server:
        assert asked(server, "/data/model.onnx") == (200, b"net.onnx")
        assert asked(server, "/view.js")[0] == asked(server, "/?x=1")[0] == 200
        for path in (
            "/data/net.onnx", "/data/secret.txt", "/data/", "/data/../secret.txt", "/data/..%2fabove.txt", "/server.py",
            "/../../above.txt", "/%2e%2e/above.txt", "//etc/passwd", f"/data/{folder}/secret.txt", str(folder / "net.onnx"),
            "/data/model.onnx/", "/data/%00", "data/model.onnx",
        ):  # fmt: skip
            assert asked(server, path)[0] == 404, path


def test_only_this_machine_s_names_are_answered(tmp_path):
    file = tmp_path / "net.onnx"
    file.write_bytes(b"net")
    with served(file) as server:
        for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
            assert asked(server, "/data/model.onnx", Host=host) == (200, b"net")
        for host in (
            "evil.example",
            f"evil.example:{server.port}",
            "127.0.0.1",
            "localhost:1",
            f"127.0.0.1:{server.port}.evil.example",
        ):
            for path in ("/", "/data/model.onnx", "/view.js"):
                status, content = asked(server, path, Host=host)
                assert status == 403 and b"netron" not in content.lower(), host
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "name", ['"><script>alert(1)</script>.onnx', "a'b&lt;c.onnx", r"\g<0>\1.onnx", "m[/v2].o nnx", "ö 漢.onnx"]
)
def test_a_file_s_name_is_text_in_the_page(tmp_path, name):
    file = tmp_path / name.replace("/", "\u2215")  # a slash is the one sign that no name has
    file.write_bytes(b"net")
    with served(file) as server:
        tags = Tags.of(asked(server, "/")[1].decode())
        assert tags.told["identifier"] == file.name and tags.scripts == 1
        assert asked(server, tags.told["file"]) == (200, b"net")


def test_the_page_may_reach_no_other_host(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"net")
    with served(tmp_path / "net.onnx") as server:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=10)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert "connect-src" not in policy and policy["default-src"].split() == ["'self'", "data:", "blob:"]
