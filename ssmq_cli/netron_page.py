"""Netron's page for one file: its own scripts, that file under a plain name, and nothing else.

Netron's server gives out the whole folder of a file and writes the file's name into the page as it is. Here a table
says what is served, so that no path of a request is ever looked up on the disk.
"""

from __future__ import annotations

import html
import http.server
import importlib.resources
import mimetypes
import re
import socketserver
from pathlib import Path

STATIC = (".js", ".json", ".css", ".html", ".png", ".ico")
# Scripts of Netron only, and no host but this one: the page would report what is looked at to its makers.
POLICY = "default-src 'self' data: blob:; script-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


class Server(socketserver.ThreadingTCPServer):
    """Serves ``file`` at ``http://127.0.0.1:port``, a free port if it is 0. Raises OSError if the port is taken."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, file: Path, port: int):
        suffix = file.suffix if re.fullmatch(r"\.\w+", file.suffix, re.ASCII) else ""
        place = f"/data/model{suffix}"
        netron = importlib.resources.files("netron")
        self.table = {f"/{item.name}": item for item in netron.iterdir() if item.name.endswith(STATIC)}
        self.table[place] = file
        self.page = _page(self.table["/index.html"].read_text(encoding="utf-8"), place, file.name)
        super().__init__(("127.0.0.1", port), _Handler)
        names = [f"{host}:{self.port}" for host in ("127.0.0.1", "localhost")]
        self.hosts = names + ["127.0.0.1", "localhost"] * (self.port == 80)

    @property
    def port(self) -> int:
        return self.server_address[1]


def _page(index: str, place: str, title: str) -> str:
    """Netron's page, told what to open. It takes ``title`` for the file's name: text, whatever it looks like.

    A page with the date of its release opens nothing once that is half a year ago; one without a date is of today.
    """
    index = re.sub(r'<meta name="date"[^>]*>\s*', "", index)
    told = {"type": "Python", "file": place, "identifier": title}
    tags = [f'<meta name="{name}" content="{html.escape(value)}">' for name, value in told.items()]
    return re.sub(r'<meta name="version"[^>]*>', lambda found: "\n".join([found[0], *tags]), index, count=1)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    timeout = 60

    def do_GET(self) -> None:
        # Another site's page can make its name point here, and would then read the file.
        if self.headers.get_all("Host") not in [[host] for host in self.server.hosts]:
            return self.send_error(403)
        path = self.path.partition("?")[0]
        if path in ("/", "/index.html"):
            return self._send(self.server.page.encode(), "text/html; charset=utf-8")
        item = self.server.table.get(path)
        try:
            content = item.read_bytes() if item else None
        except OSError:
            content = None
        if content is None:
            return self.send_error(404)
        return self._send(content, mimetypes.guess_type(path)[0] or "application/octet-stream")

    do_HEAD = do_GET

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *message: object) -> None:
        pass
