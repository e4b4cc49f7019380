"""What tests of the page do with a browser: open it, wait, click, press, look at a pixel."""

from __future__ import annotations

import json
from pathlib import Path

from browser import Browser

READY = "window.mapgenPage && mapgenPage.maps.length && mapgenPage.maps[0].loaded"


class Watched(Browser):
    """A browser that remembers which addresses its page asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(900, 600)
        self.send("Network.enable")

    def _line(self) -> bytes:
        line = super()._line()
        message = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(message["params"]["request"]["url"])
        return line


def shown(browser: Watched, url: str) -> None:
    """Open a page and wait until its map has nothing left to draw."""
    browser.asked.clear()
    browser.open(url)
    browser.wait(READY)
    assert browser.evaluate("mapgenPage.errors") == []


def settled(browser: Watched) -> None:
    """Wait until all maps have drawn what was changed."""
    browser.wait(
        "Promise.all(mapgenPage.maps.map(m => new Promise(done => { m.map.once('idle', () => done(true));"
        " m.map.triggerRepaint() }))).then(() => true)"
    )
    assert browser.evaluate("mapgenPage.errors") == []


def color_at(browser: Watched, path: Path, x: float, y: float) -> tuple[int, ...]:
    from PIL import Image

    browser.screenshot(path)
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((int(x), int(y)))


def click(browser: Watched, x: float, y: float) -> None:
    for kind in ("mousePressed", "mouseReleased"):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def press(browser: Watched, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)


def place(browser: Watched, share_x: float, share_y: float) -> tuple[float, float]:
    """The point of the page at a share of the map from its upper left corner."""
    script = (
        "(() => { const [w, s, e, n] = JSON.parse(document.getElementById('data').textContent).sides[0].bounds;"
        f" const p = mapgenPage.maps[0].map.project([w + (e - w) * {share_x}, n + (s - n) * {share_y}]);"
        " return [p.x, p.y] })()"
    )
    x, y = browser.evaluate(script)
    return x, y


def opaque(browser: Watched) -> None:
    browser.evaluate(
        "(() => { const o = document.getElementById('opacity'); o.value = 100; o.dispatchEvent(new Event('input')) })()"
    )


def near(color: tuple[int, ...], other: tuple[int, ...], most: int = 3) -> bool:
    return max(abs(a - b) for a, b in zip(color, other, strict=True)) <= most
