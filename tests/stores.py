"""A small object store on loopback, as S3, Google Cloud Storage and Azure speak it, that keeps a log of what is asked.

It checks no signature. `answers` are given before anything else: a status, (status, code of S3), or "cut".
"""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit


class Store(http.server.ThreadingHTTPServer):
    """Objects by the path of their address, and what was asked: (method, path, bytes of the answer)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.objects: dict[str, bytes] = {}
        self.answers: list[object] = []
        self.log: list[tuple[str, str, int]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.parts: dict[str, bytes] = {}

    def handle_error(self, *_: object) -> None:
        """GDAL hangs up when it has seen enough."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def bytes_sent(self, method: str = "GET") -> int:
        return sum(size for asked, _, size in self.log if asked == method)


class _Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def do_GET(self) -> None:
        self._read(body=True)

    def do_HEAD(self) -> None:
        self._read(body=False)

    def _read(self, *, body: bool) -> None:
        self.server.headers_seen.append(dict(self.headers))
        path, answer = unquote(urlsplit(self.path).path), self.server.answers.pop(0) if self.server.answers else None
        data = self.server.objects.get(path)
        if answer is not None and answer != "cut":
            status, code = answer if isinstance(answer, tuple) else (answer, "Refused")
            self._say(status, _xml(code), body=body)
        elif urlsplit(self.path).query and "list-type" in self.path:
            self._say(200, b"<ListBucketResult/>", body=body)
        elif data is None:
            self._say(404, _xml("NoSuchKey"), body=body)
        else:
            self._say_bytes(data, body=body, cut=answer == "cut")

    def _say_bytes(self, data: bytes, *, body: bool, cut: bool) -> None:
        start, end, asked = 0, len(data), self.headers.get("Range") or self.headers.get("x-ms-range")
        more = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Last-Modified": "Mon, 02 Jan 2023 00:00:00 GMT"}
        if asked:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(len(data), int(last or len(data)) + 1)
            more["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        part = data[start:end]
        self._say(206 if asked else 200, part[: len(part) // 2] if cut else part, len(part), body=body, **more)
        if cut:
            self.close_connection = True

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.headers_seen.append(dict(self.headers))
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        answer = self.server.answers.pop(0) if self.server.answers else None
        if answer is not None:
            status, code = answer if isinstance(answer, tuple) else (answer, "Refused")
            self._say(status, _xml(code))
        elif "partNumber" in query:
            self.server.parts[query["partNumber"][0].zfill(6)] = data
            self._say(200, b"", ETag='"part"')
        elif self.headers.get("If-None-Match") == "*" and path in self.server.objects:
            self._say(412, _xml("PreconditionFailed"))
        else:
            self.server.objects[path] = data
            self._say(200, b"", ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        if "uploads" in self.path:
            self.server.parts.clear()
            bucket, _, key = path[1:].partition("/")
            named = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>1</UploadId>"
            self._say(200, f"<InitiateMultipartUploadResult>{named}</InitiateMultipartUploadResult>".encode())
        else:
            self.server.objects[path] = b"".join(data for _, data in sorted(self.server.parts.items()))
            done = "<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>"
            self._say(200, done.encode())

    def do_DELETE(self) -> None:
        self.server.objects.pop(unquote(urlsplit(self.path).path), None)
        self._say(204, b"")

    def _say(self, status: int, data: bytes, length: int | None = None, *, body: bool = True, **more: str) -> None:
        self.server.log.append((self.command, self.path, len(data) if body else 0))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        if status >= 400:
            self.send_header("Content-Type", "application/xml")
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def _xml(code: object) -> bytes:
    said = {"NoSuchKey": "The specified key does not exist.", "AccessDenied": "Access Denied"}.get(str(code), code)
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'.encode()


@contextmanager
def running_store() -> Iterator[Store]:
    """A store that answers while the block runs."""
    with Store() as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            store.shutdown()
