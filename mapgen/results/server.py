"""A web server for one page: this machine alone may ask it, and it knows a fixed list of things to answer with.

Nothing of a request is ever a path: a name is looked up in a dictionary, a tile is three bounded integers.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from mapgen.errors import MapgenError, OutputError, one_line, option
from mapgen.tiling.quadtree import MAX_ZOOM

LOOPBACK = "127.0.0.1"

RANGE_LIMIT = 32 << 20
"""Bytes of one answer to a request for a range; who asks for more gets the first of them, and is told so."""

IDLE_S = 30
"""Seconds that a connection may say nothing."""

_PIECE = 1 << 18
_METHODS = ("GET", "HEAD")
_TILE = re.compile(r"t/(\d{1,3})/(\d{1,2})/(\d{1,8})/(\d{1,8})", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

TileMaker = Callable[[int, int, int], bytes | None]
"""The picture of a tile (z, x, y) of the web's grid; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Served:
    """One thing that the server answers with: bytes in memory, a file, or what makes bytes when it is first asked for;
    and what kind they are of."""

    kind: str
    content: bytes | Path | Callable[[], bytes]


class PageServer(ThreadingHTTPServer):
    """Serves `things` by their names ("" is the page itself) and the tiles `t/N/z/x/y` of `makers[N]` on loopback.

    `policy` is the Content-Security-Policy of the page. Raises `OutputError` where the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, things: Mapping[str, Served], makers: list[TileMaker], policy: str, port: int = 0) -> None:
        self.things, self.makers, self.policy = dict(things), list(makers), policy
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise OutputError(
                option("port"), f"port {port} is not available ({why})", "choose another, or 0 for any"
            ) from exc
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no fault; all else is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server_version, sys_version = "mapgen", ""

    def parse_request(self) -> bool:
        """Whether the request may be answered at all: its method, and the host that it means."""
        if not super().parse_request():
            return False
        if self.command not in _METHODS:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "this server only shows", {"Allow": ", ".join(_METHODS)})
            return False
        # A page elsewhere may have its own name resolved to this machine; the browser then sends that name.
        if self.headers.get_all("Host", []) not in ([host] for host in self.server.hosts):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to its own address only")
            return False
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.BAD_REQUEST, "a request without a body is expected")
            return False
        return True

    def do_GET(self) -> None:
        """Answer with a thing or a tile."""
        name = self.path.split("?", 1)[0].removeprefix("/")
        if (served := self.server.things.get(name)) is not None:
            self._answer(served)
        elif (found := _TILE.fullmatch(name)) is not None:
            self._tile(*map(int, found.groups()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of this name")

    do_HEAD = do_GET

    def _tile(self, number: int, z: int, x: int, y: int) -> None:
        if number >= len(self.server.makers) or z > MAX_ZOOM or x >> z or y >> z:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such tile")
            return
        try:
            data = self.server.makers[number](z, x, y)
        except MapgenError as exc:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, one_line(exc.problem))
            return
        if data is None:
            self._begin(HTTPStatus.NO_CONTENT, None)
        else:
            self._answer(Served(_kind_of(data), data))

    def _answer(self, served: Served) -> None:
        content = served.content
        if not isinstance(content, bytes | Path):
            try:
                content = content()
            except MapgenError as exc:
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, one_line(exc.problem))
                return
        if isinstance(content, bytes):
            body = content
            self._part(served.kind, len(body), "", lambda first, length: self._send(body[first : first + length]))
            return
        try:
            stream = open(content, "rb")  # noqa: SIM115 - closed by the block below
        except OSError as exc:  # moved away since the page was made
            self._refuse(HTTPStatus.GONE, f"the file cannot be read any more ({exc.strerror})")
            return
        with stream:
            status = os.fstat(stream.fileno())
            tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            self._part(served.kind, status.st_size, tag, lambda first, length: self._copy(stream, first, length))

    def _part(self, kind: str, size: int, tag: str, send: Callable[[int, int], None]) -> None:
        """The answer, or the part of it that was asked for."""
        headers = {"Accept-Ranges": "bytes", **({"ETag": tag} if tag else {})}
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        found = _RANGE.fullmatch(asked.strip()) if asked and condition in (None, tag) else None
        if found is None or not any(found.groups()):  # none, several, or of another unit: all may be sent (RFC 9110)
            self._begin(HTTPStatus.OK, kind, size, headers)
            if self.command == "GET":
                send(0, size)
            return
        first, last = _bounds(found[1], found[2], size)
        if first > last or first >= size:
            headers["Content-Range"] = f"bytes */{size}"
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"there are {size} bytes", headers)
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._begin(HTTPStatus.PARTIAL_CONTENT, kind, last - first + 1, headers)
        if self.command == "GET":
            send(first, last - first + 1)

    def _copy(self, stream: BinaryIO, first: int, length: int) -> None:
        stream.seek(first)
        while length > 0 and (piece := stream.read(min(_PIECE, length))):
            self._send(piece)
            length -= len(piece)
        if length:  # it was cut meanwhile, and the other side must not wait for the rest
            self.close_connection = True

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)

    def _refuse(self, status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> None:
        body = f"{status.value} {status.phrase}: {why}\n".encode()
        # What else there is on the connection may be the body of what was refused.
        self.close_connection = True
        self._begin(status, "text/plain; charset=utf-8", len(body), {**(headers or {}), "Connection": "close"})
        if self.command != "HEAD":
            self._send(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library itself finds wrong with a request, as plain text."""
        self._refuse(HTTPStatus(code), one_line(message or ""))

    def _begin(
        self, status: HTTPStatus, kind: str | None, length: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        fixed = {
            "Date": formatdate(usegmt=True), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": self.server.policy,
        }  # fmt: skip
        for name, value in (fixed | dict(headers or {})).items():
            self.send_header(name, value)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a map asks for thousands of tiles."""


def _kind_of(tile: bytes) -> str:
    known = {b"RIFF": "image/webp", b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
    return next((kind for start, kind in known.items() if tile.startswith(start)), "application/x-protobuf")


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The bytes from the first to the last that a range means, cut to what there is and to the limit."""
    if not first:  # the last so many
        start = max(0, size - int(last))
        return (start, min(size - 1, start + RANGE_LIMIT - 1)) if int(last) else (size, size - 1)
    start = int(first)
    end = size - 1 if not last else int(last)
    return (start, min(end, size - 1, start + RANGE_LIMIT - 1)) if end >= start else (start, end)
