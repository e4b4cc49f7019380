"""Pages to look at maps: templates, filled for a server or to stand alone, all in them escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

OWN_SCRIPTS = (
    "ways.js", "base.js", "sources.js", "measure.js", "style.js", "tell.js", "maps.js", "legend.js", "page.js",
)  # fmt: skip
SCRIPTS = ("maplibre-gl.js", "pmtiles.js", *OWN_SCRIPTS)
STYLES = ("maplibre-gl.css", "page.css")
TEMPLATE = "page.html"
"""Of the page of `view`."""

SITE_FILES = "mapgen"
"""The folder of scripts and styles within one that holds a whole page."""

TILES_SCRIPTS = ("maplibre-gl.js", "tiles.js")
TILES_STYLES = ("maplibre-gl.css", "tiles.css")
TILES_TEMPLATE = "tiles.html"
"""Of the page beside a folder of tiles."""

_COMMON = "default-src 'none'; worker-src blob:; child-src blob:; base-uri 'none'; form-action 'none'"

def served_policy(basemap: str | None = None) -> str:
    """The Content-Security-Policy of the served page: no script that is not a file of ours, nothing from anywhere else
    but the tiles of the base map that was asked for."""
    elsewhere = _elsewhere(basemap)
    sources = f"img-src 'self' data: blob:{elsewhere}; connect-src 'self'{elsewhere}"
    return f"{_COMMON}; script-src 'self'; style-src 'self'; {sources}"


def _elsewhere(basemap: str | None) -> str:
    """The host of the tiles of a base map, as policies name it."""
    if basemap is None:
        return ""
    parts = urlsplit(basemap)
    return f" {parts.scheme}://{parts.netloc}"


_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
<link rel="icon" href="data:,">
{{head}}</head>
"""
"""Of every page; the templates hold the rest."""

_FIELD = re.compile(r"\{\{(\w+)\}\}")


def served_page(template: str, title: str, data: Mapping[str, Any]) -> bytes:
    """The page for a server that knows SCRIPTS and STYLES by their names; its policy comes with the answer."""
    head = "".join(f'<link rel="stylesheet" href="{name}">\n' for name in STYLES)
    scripts = "".join(f'<script src="{name}"></script>\n' for name in SCRIPTS)
    return _filled(template, title, data, head, scripts).encode()


def site_page(template: str, title: str, data: Mapping[str, Any]) -> bytes:
    """The page of a folder for any web server: SCRIPTS and STYLES lie in `SITE_FILES`, its policy stands in itself."""
    # From a plain file the page shows a picture and says what it lacks; there 'self' means nothing.
    policy = html.escape(served_policy(data.get("basemap")).replace("'self'", "'self' file:"))
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    head += "".join(f'<link rel="stylesheet" href="{SITE_FILES}/{name}">\n' for name in STYLES)
    scripts = "".join(f'<script src="{SITE_FILES}/{name}"></script>\n' for name in SCRIPTS)
    return _filled(template, title, data, head, scripts).encode()


def inlined_page(
    template: str, title: str, data: Mapping[str, Any], texts: Mapping[str, str], files: Mapping[str, bytes]
) -> bytes:
    """The page as one file that needs no other: `texts` are the contents of SCRIPTS and STYLES, `files` what it shows.

    Its policy names each script and style by its hash, so that nothing that the data may hold could ever run.
    """
    elsewhere = _elsewhere(data.get("basemap"))
    sources = f"img-src data: blob:{elsewhere}" + (f"; connect-src{elsewhere}" if elsewhere else "")
    return _alone(template, title, data, texts, SCRIPTS, STYLES, files, sources)


def tiles_page(template: str, style: Mapping[str, Any], texts: Mapping[str, str]) -> bytes:
    """The page beside a folder of tiles that draws its MapLibre style, with tiles from where the page itself lies."""
    elsewhere = "img-src http: https: data: blob:; connect-src http: https:"
    return _alone(template, str(style["name"]), style, texts, TILES_SCRIPTS, TILES_STYLES, {}, elsewhere)


def _alone(
    template: str, title: str, data: Mapping[str, Any], texts: Mapping[str, str], script_names: Sequence[str],
    style_names: Sequence[str], files: Mapping[str, bytes], sources: str,
) -> bytes:  # fmt: skip
    scripts, styles = ([_closed(texts[name]) for name in names] for names in (script_names, style_names))
    hashes = {kind: " ".join(map(_hash, parts)) for kind, parts in (("script", scripts), ("style", styles))}
    policy = f"{_COMMON}; script-src {hashes['script']}; style-src {hashes['style']}; {sources}"
    head = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
    head += "".join(f"<style>{text}</style>\n" for text in styles)
    code = "".join(f"<script>{text}</script>\n" for text in scripts)
    return _filled(template, title, data, head, "".join(_embedded(files)) + code).encode()


def _filled(template: str, title: str, data: Mapping[str, Any], head: str, scripts: str) -> str:
    fields = {"title": html.escape(title), "head": head, "data": script_json(data), "scripts": scripts}
    # In one pass, so that a field's name within the content of another is left alone.
    return _FIELD.sub(lambda found: fields[found[1]], _HEAD + template)


def script_json(data: Any) -> str:
    """JSON that may stand within a script element: it cannot end it, nor open a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _embedded(files: Mapping[str, bytes]) -> Iterator[str]:
    for name, content in files.items():
        text = base64.b64encode(content).decode()
        yield f'<script type="application/octet-stream" id="{html.escape(name)}">{text}</script>\n'


def _closed(text: str) -> str:
    """A script or style that cannot end its own element."""
    return re.sub(r"</(script|style)", r"<\\/\1", text, flags=re.IGNORECASE)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
