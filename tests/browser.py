"""A headless Chromium driven over a pair of pipes, and a web server that knows ranges: to see what a browser draws.

    with serving(folder) as base, Browser() as browser:
        browser.open(f"{base}/page.html")
        browser.wait("window.idle")            # a promise, or what becomes true
        browser.screenshot(Path("page.png"))

Needs `chromium` on the path (Debian: apt-get install chromium). Run as a program it draws tile sets with MapLibre:

    python tests/tiles/browser.py LIBRARIES OUT.png ARCHIVE.pmtiles ZOOM,LON,LAT...

LIBRARIES is a folder with maplibre-gl.js, maplibre-gl.css and pmtiles.js. Each place becomes a picture beside OUT.png.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars",
    "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip

PAGE = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="maplibre-gl.css">
<style>html, body, #map {{ margin: 0; width: 100%; height: 100% }}</style><div id="map"></div>
<script src="maplibre-gl.js"></script><script src="pmtiles.js"></script><script>
maplibregl.addProtocol("pmtiles", new pmtiles.Protocol().tile);
const map = new maplibregl.Map({{container: "map", style: {style}, zoom: {zoom}, center: [{lon}, {lat}],
  attributionControl: false, fadeDuration: 0}});
window.errors = [];
map.on("error", e => window.errors.push(String(e.error && e.error.message || e)));
window.idle = new Promise(done => map.once("idle", () => done(true)));
</script>"""


class Browser:
    """One page of a Chromium in a profile of its own."""

    def __init__(self, width: int = 1024, height: int = 768, program: str = "chromium") -> None:
        if shutil.which(program) is None:
            raise FileNotFoundError(f"{program} is not installed")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        down, up = os.pipe(), os.pipe()
        # The pipes are to be numbers 3 and 4, whatever they are here; a shell cannot arrange that for numbers above 9.
        arrange = (
            "import fcntl, os, sys; ends = [fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]];"
            " [os.dup2(end, n) for n, end in zip((3, 4), ends)]; os.execvp(sys.argv[3], sys.argv[3:])"
        )
        profile = f"--user-data-dir={self._profile.name}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", arrange, str(down[0]), str(up[1]), program, *FLAGS, profile,
             f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(down[0], up[1]),
        )  # fmt: skip
        os.close(down[0])
        os.close(up[1])
        self._out, self._in = os.fdopen(down[1], "wb", buffering=0), os.fdopen(up[0], "rb")
        self._number, self._session = 0, ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: object) -> None:
        self._out.close()
        self._in.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol; raises `RuntimeError` for an error."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._line())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                found: dict[str, Any] = answer["result"]
                return found

    def _line(self) -> bytes:
        out = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has gone")
            out += byte
        return bytes(out)

    def open(self, url: str) -> None:
        """Go to a page."""
        self.send("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("text", "") + str(answer["result"].get("description")))
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Until an expression, perhaps a promise, is true in the page."""
        limit = f"performance.now() + {1000 * seconds}"
        script = (
            f"new Promise(async (done, fail) => {{ const end = {limit};"
            f" while (true) {{ let value; try {{ value = await ({condition}) }} catch (e) {{ value = false }}"
            " if (value) return done(true); if (performance.now() > end) return fail(new Error('too late'));"
            " await new Promise(next => setTimeout(next, 50)) } })"
        )
        self.evaluate(script)

    def screenshot(self, path: Path) -> None:
        """The page as a PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


class _Handler(SimpleHTTPRequestHandler):
    """Files with ranges, which the standard library's server lacks."""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        size = path.stat().st_size
        first = int(asked[1])
        last = min(int(asked[2] or size - 1), size - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with open(path, "rb") as stream:
            stream.seek(first)
            self.wfile.write(stream.read(last - first + 1))

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL under which the files of a folder are served on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Handler(*a, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def style_of(archive: Path, base: str) -> dict[str, Any]:
    """The style that lies beside an archive, its tiles being served under `base`."""
    style: dict[str, Any] = json.loads(archive.with_name(f"{archive.name}.style.json").read_text(encoding="utf-8"))
    for source in style["sources"].values():
        source["url"] = f"pmtiles://{base}/{archive.name}"
    return style


def draw(libraries: Path, out: Path, archive: Path, places: list[tuple[float, float, float]]) -> list[Path]:
    """Pictures of an archive at each (zoom, longitude, latitude), as MapLibre draws it with the style beside it."""
    made = []
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as base, Browser() as browser:
        folder = Path(name)
        for path in (*(libraries / n for n in ("maplibre-gl.js", "maplibre-gl.css", "pmtiles.js")), archive):
            (folder / path.name).symlink_to(path.absolute())
        style = json.dumps(style_of(archive, base))
        for i, (zoom, lon, lat) in enumerate(places):
            (folder / "page.html").write_text(PAGE.format(style=style, zoom=zoom, lon=lon, lat=lat), encoding="utf-8")
            browser.open(f"{base}/page.html?{i}")
            browser.wait("window.idle")
            if errors := browser.evaluate("window.errors"):
                raise RuntimeError("; ".join(errors))
            made.append(out.with_name(f"{out.stem}-{i}{out.suffix}"))
            browser.screenshot(made[-1])
    return made


if __name__ == "__main__":
    libraries, out, archive, *places = sys.argv[1:]
    triples = [tuple(map(float, place.split(","))) for place in places]
    for path in draw(Path(libraries), Path(out), Path(archive), triples):  # type: ignore[arg-type]
        print(path)
