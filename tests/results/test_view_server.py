"""The server of the page: this machine only, a fixed list of things, ranges within bounds."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapgen.errors import InputError, OutputError
from mapgen.results import server as pageserver
from mapgen.results.server import PageServer, Served

CONTENT = bytes(range(256)) * 40


def draw(z: int, x: int, y: int) -> bytes | None:
    if (z, x, y) == (1, 1, 1):
        raise InputError("map.tif", "is damaged", "get it again")
    return None if z == 2 else f"{z}/{x}/{y}".encode()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    path = tmp_path / "map.pmtiles"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def server(archive: Path) -> Iterator[PageServer]:
    things = {"": Served("text/html; charset=utf-8", b"<p>page"), "f1": Served("application/octet-stream", archive)}
    with PageServer(things, [draw], "default-src 'none'") as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def raw(server: PageServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_page_comes_with_its_policy(server: PageServer) -> None:
    answer, body = ask(server, "/")
    assert (answer.status, body) == (200, b"<p>page")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_listens_on_loopback_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_host_is_refused(server: PageServer, host: str) -> None:
    answer, body = ask(server, "/f1", Host=host.format(port=server.server_port))
    assert answer.status == 421
    assert CONTENT not in body


def test_no_host_and_two_hosts_are_refused(server: PageServer) -> None:
    good = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    for hosts in (b"", good + good, good + b"Host: evil.example\r\n"):
        assert raw(server, b"GET / HTTP/1.1\r\n" + hosts + b"\r\n").startswith(b"HTTP/1.1 421 ")
    assert raw(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421 ")


def test_localhost_is_this_machine_too(server: PageServer) -> None:
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW"])
def test_only_get_and_head_are_answered(server: PageServer, method: str) -> None:
    answer, _ = ask(server, "/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_body_is_refused_and_never_read_as_the_next_request(server: PageServer) -> None:
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n".encode()
    inner = b"GET /f1 HTTP/1.1\r\n\r\n"
    for extra in (b"Content-Length: %d\r\n\r\n" % len(inner), b"Transfer-Encoding: chunked\r\n\r\n"):
        answer = raw(server, head + extra + inner)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt", "/../secret.txt", "/f1/../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/etc/passwd",
        "/f1/", "/f2", "/F1", "/f1%00", "/map.pmtiles", "/..", "/.", "/t", "/t/0", "/t/0/1/0", "/t/1/0/0/0",
        "/t/0/0/0/1", "/t/0/1/2/0", "/t/0/27/0/0", "/t/0/-1/0/0", "/t/0/99/0/0", "/t/0/0/0/0.png", "/t/0/٣/0/0",
        "/t/0/1/0/0/../../../../secret.txt", "http://evil.example/",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_not_there(server: PageServer, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
    answer = raw(server, request)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"secret" not in answer


def test_absurd_requests_end_in_an_answer(server: PageServer) -> None:
    for request, status in (
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"), (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"), (b"GET / HTTP/9.9\r\n\r\n", b"505"),
    ):  # fmt: skip
        assert status in raw(server, request)[:13]
    assert ask(server, "/")[0].status == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("0-99", 0, 99), ("100-", 100, 10239), ("-7", 10233, 10239), ("10000-99999", 10000, 10239),
     ("-99999", 0, 10239), ("10239-10239", 10239, 10239)],
)  # fmt: skip
def test_ranges_are_the_bytes_asked_for(server: PageServer, asked: str, first: int, last: int) -> None:
    answer, body = ask(server, "/f1", Range=f"bytes={asked}")
    assert (answer.status, body) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/10240"


@pytest.mark.parametrize("asked", ["10240-", "5-4", "-0", "999999999999-"])
def test_ranges_beyond_the_file_are_refused_with_its_size(server: PageServer, asked: str) -> None:
    answer, body = ask(server, "/f1", Range=f"bytes={asked}")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10240")
    assert b"10240 bytes" in body


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=" + "9" * 40 + "-"])
def test_ranges_that_mean_nothing_are_overlooked(server: PageServer, asked: str) -> None:
    answer, body = ask(server, "/f1", Range=asked)
    assert (answer.status, body) == (200, CONTENT)


def test_a_range_is_bounded(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pageserver, "RANGE_LIMIT", 1000)
    for asked, first in (("0-", 0), ("5-9000", 5), ("-5000", 5240)):
        answer, body = ask(server, "/f1", Range=f"bytes={asked}")
        assert (answer.status, body) == (206, CONTENT[first : first + 1000])
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + 999}/10240"


def test_head_is_get_without_a_body(server: PageServer) -> None:
    for headers in ({}, {"Range": "bytes=3-9"}):
        whole, content = ask(server, "/f1", **headers)
        answer, body = ask(server, "/f1", "HEAD", **headers)
        assert (answer.status, body) == (whole.status, b"")
        assert answer.headers["Content-Length"] == str(len(content))


def test_a_file_that_changed_has_another_tag_and_is_sent_whole(server: PageServer, archive: Path) -> None:
    tag = ask(server, "/f1", Range="bytes=0-3")[0].headers["ETag"]
    assert ask(server, "/f1", Range="bytes=0-3", If_Range=tag)[0].status == 206
    archive.write_bytes(b"new")
    answer, body = ask(server, "/f1", Range="bytes=0-1", If_Range=tag)
    assert (answer.status, body) == (200, b"new")
    assert answer.headers["ETag"] != tag
    archive.unlink()
    assert ask(server, "/f1")[0].status == 410


def test_tiles_are_drawn_when_they_are_asked_for(server: PageServer) -> None:
    assert ask(server, "/t/0/3/7/5")[1] == b"3/7/5"
    assert ask(server, "/t/0/2/0/0")[0].status == 204
    answer, body = ask(server, "/t/0/1/1/1")
    assert answer.status == 500
    assert b"is damaged" in body


def test_a_connection_is_kept_for_the_next_request(server: PageServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    for path, status in (("/", 200), ("/t/0/2/0/0", 204), ("/f1", 200), ("/", 200)):
        connection.request("GET", path)
        first = connection.sock
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, connection.sock) == (status, first)
    connection.close()


def test_a_port_that_is_taken_says_so(server: PageServer) -> None:
    with pytest.raises(OutputError, match=f"port {server.server_port} is not available.*choose another"):
        PageServer({}, [], "", server.server_port)
