"""Scenes over http: read by ranges, and failures that are the network's are called that."""

import http.server
import socket
import threading

import numpy as np
import pytest
from factory import CRS, make_raster, noise, north_up, read_map


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files with Range requests, which Python's own handler does not know."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
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
        http_server.ranges = True
        http_server.handle_error = lambda *_: None  # GDAL hangs up when it has seen enough
        thread = threading.Thread(target=http_server.serve_forever, daemon=True)
        thread.start()
        yield http_server
        http_server.shutdown()


def address(server, path):
    return f"http://127.0.0.1:{server.server_port}/{path}"


def test_a_scene_is_read_over_http_and_its_secrets_are_not_printed(server, tmp_path, segment):
    result = segment(address(server, "scene.tif?token=hush"), "-o", tmp_path / "url.tif")
    assert result.code == 0, result
    assert "hush" not in result.out + result.err
    assert segment(tmp_path / "www" / "scene.tif", "-o", tmp_path / "file.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "url.tif"), read_map(tmp_path / "file.tif"))


def test_a_missing_address_and_a_silent_port_are_failures_of_the_network(server, refuses):
    refuses(7, ("none.tif", "network", "check the address"), address(server, "none.tif?token=hush"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refuses(7, ("scene.tif", "network"), f"http://127.0.0.1:{unused.getsockname()[1]}/scene.tif")
