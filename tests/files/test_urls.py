"""Scenes over http: read by ranges, and failures that are the network's are called that."""

import base64
import http.server
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from factory import CRS, brightness, make_raster, noise, north_up, read_map

from mapgen.errors import Interrupted
from mapgen.files.journal import Journal


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files with Range requests, which Python's own handler does not know."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(str(self.headers.get("Authorization")))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if answer == "hang":
            self.server.over.wait(30)
            return
        if answer == "reset":
            self.connection.close()
            return
        if answer == "page":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><title>Log in</title>")
            self.close_connection = True
            return
        if answer != 200:
            self.send_error(answer)
            return
        path = self.translate_path(self.path.split("?")[0])
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError:
            self.send_error(404)
            return
        start, end = 0, len(data)
        asked = self.headers.get("Range")
        if asked and self.server.ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(len(data), int(last or len(data)) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - start))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start:end])

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    make_raster(folder / "scene.tif", noise(90, 70), crs=CRS, transform=north_up(1.0))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Ranges(*a, directory=str(folder))) as http_server:
        http_server.ranges, http_server.etag = True, ""
        http_server.answers, http_server.asked, http_server.over = [], [], threading.Event()
        http_server.handle_error = lambda *_: None  # GDAL hangs up when it has seen enough
        thread = threading.Thread(target=http_server.serve_forever, daemon=True)
        thread.start()
        yield http_server
        http_server.over.set()
        http_server.shutdown()


def clock(sleep):
    """The time of the module that asks servers alone: other threads sleep as ever."""
    return SimpleNamespace(monotonic=time.monotonic, sleep=sleep)


def address(server, path):
    return f"http://127.0.0.1:{server.server_port}/{path}"


def test_a_scene_is_read_over_http_and_its_secrets_are_not_printed(server, tmp_path, segment):
    result = segment(address(server, "scene.tif?token=hush"), "-o", tmp_path / "url.tif")
    assert result.code == 0, result
    assert "hush" not in result.out + result.err
    assert segment(tmp_path / "www" / "scene.tif", "-o", tmp_path / "file.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "url.tif"), read_map(tmp_path / "file.tif"))


def test_a_missing_address_and_a_silent_port_are_failures_of_the_network(server, refuses):
    refuses(7, ("none.tif", "no such file (404)", "check the address"), address(server, "none.tif?token=hush"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refuses(7, ("scene.tif", "network"), f"http://127.0.0.1:{unused.getsockname()[1]}/scene.tif")


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (401, 7, ("wants a name and a password (401)",)),
        (403, 7, ("forbids it (403)", "fresh address")),
        (404, 7, ("no such file (404)", "check the address")),
        (418, 7, ("answers 418",)),
        ("page", 4, ("web page", "log-in")),
    ],
)
def test_what_a_server_refuses_is_told_apart_and_asked_once(server, refuses, answer, code, words):
    """Network: 401, 403 and 404 are not tried again; an HTML log-in page is no raster."""
    server.answers = [answer] * 99
    refuses(code, ("scene.tif", *words), address(server, "scene.tif?token=hush"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [429, 500, 503, "reset"])
def test_a_server_that_is_busy_is_asked_again(server, tmp_path, segment, monkeypatch, answer):
    """Network: retried for 429, 5xx and resets."""
    pauses = []
    monkeypatch.setattr("mapgen.files.remote.time", clock(pauses.append))
    server.answers = [answer, answer]
    assert segment(address(server, "scene.tif"), "-o", tmp_path / "map.tif").code == 0
    assert pauses == [0.25, 0.5]


def test_a_server_that_knows_no_ranges_gives_the_map_or_says_what_it_lacks(server, tmp_path, segment):
    """Network: a server without ranges."""
    server.ranges = False
    run = segment(address(server, "scene.tif"), "-o", tmp_path / "map.tif")
    if run.code:
        assert run.code == 7
        assert "ranges" in run.errors[0]
        assert not (tmp_path / "map.tif").exists()
    else:
        assert segment(tmp_path / "www" / "scene.tif", "-o", tmp_path / "file.tif").code == 0
        np.testing.assert_array_equal(read_map(tmp_path / "map.tif"), read_map(tmp_path / "file.tif"))


def test_a_server_that_stays_busy_is_given_up(server, refuses, monkeypatch):
    monkeypatch.setattr("mapgen.files.remote.time", clock(lambda seconds: None))
    server.answers = [503] * 99
    refuses(7, ("scene.tif", "answers 503", "asked 4 times", "try again later"), address(server, "scene.tif"))


def test_a_server_that_hangs_is_given_up_within_the_time_that_was_given(server, refuses):
    """Network: bounded by a total deadline."""
    server.answers = ["hang"] * 99
    began = time.monotonic()
    refuses(7, ("scene.tif", "no answer"), address(server, "scene.tif"), "--net-timeout", 2)
    assert time.monotonic() - began < 6


def test_a_password_in_an_address_reaches_the_server_and_nobody_else(server, tmp_path, segment):
    named = address(server, "scene.tif").replace("//", "//anna:s%40cret@")
    result = segment(named, "-o", tmp_path / "map.tif", "-v")
    assert result.code == 0, result
    assert base64.b64encode(b"anna:s@cret").decode() in server.asked[0]
    assert "cret" not in result.out + result.err


def test_a_scene_that_changes_while_it_is_read_gives_no_map(server, tmp_path, segment, engines):
    """Network: an object that changes while it is read."""

    def rule(pixels):
        server.etag = '"new"'
        return brightness(pixels)

    engines.rule, server.etag = rule, '"old"'
    result = segment(address(server, "scene.tif"), "-o", tmp_path / "map.tif")
    assert (result.code, "changed on the server" in result.err) == (7, True)
    assert not (tmp_path / "map.tif").exists()


def test_a_scene_on_a_server_is_gone_on_with_only_while_it_is_the_same(server, tmp_path, segment, monkeypatch):
    make_raster(tmp_path / "www" / "tall.tif", noise(1100, 40), crs=CRS, transform=north_up(1.0))
    true = Journal.append

    def append(self, said, data):
        true(self, said, data)
        raise Interrupted("SIGINT", "stopped")

    for etag, goes_on in (('"old"', True), ('"new"', False), ("", False)):
        server.etag = '"old"' if etag else ""
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", append)
            assert segment(address(server, "tall.tif"), "-o", tmp_path / "map.tif").code == 130
        server.etag = etag
        again = segment(address(server, "tall.tif"), "-o", tmp_path / "map.tif")
        assert (again.code, "went on at row 512" in again.err) == (0, goes_on)
        (tmp_path / "map.tif").unlink()


@pytest.mark.parametrize("name", ["ftp://host/x.tif", "abfs://box/x.tif"])
@pytest.mark.parametrize("command", ["segment", "vectorize", "tiles", "info"])
def test_an_address_of_another_kind_is_named_as_it_is(mapgen, command, name):
    run = mapgen(command, name)
    assert run.code == 4
    assert f"{name}: is an address of the kind {name.split(':')[0]}://, which mapgen does not read" in run.err
