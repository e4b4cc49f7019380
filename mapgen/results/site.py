"""A folder that holds a whole page, to be put on any web server: page, scripts, archives of tiles, a style."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mapgen import __version__
from mapgen.errors import OutputError, option
from mapgen.files.commit import locked, translated
from mapgen.files.inputs import is_input
from mapgen.files.page import SCRIPTS, SITE_FILES, STYLES, TEMPLATE, site_page
from mapgen.files.unfinished import PREFIX, unfinished
from mapgen.files.webfiles import FOLDER, page_texts
from mapgen.tiling.tilejson import archive_url

MARK = "site.json"
"""The record by which a folder is known as one of these."""

STYLE = "style.json"

PAGE = "index.html"

_LICENCES = ("maplibre-gl.LICENSE.txt", "pmtiles.LICENSE.txt")


def check_site(folder: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` unless a page may be put into a folder: a new or empty one, or with `overwrite` an older
    page and nothing else, of which this run reads no part."""
    read = next((one for one in (folder, *sorted(folder.rglob("*"))) if is_input(one)), None)
    if read is not None:
        raise OutputError(read, "the output is also an input", f"choose another name with {option('export')}")
    if not os.path.lexists(folder):
        if not folder.absolute().parent.is_dir():
            raise OutputError(folder, f"the folder {folder.absolute().parent} does not exist", "create it first")
        return
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError(folder, "is a file, a page with its tiles needs a folder", "name a new folder")
    there = sorted(os.listdir(folder))
    if there and (not overwrite or not (folder / MARK).is_file()):
        some = ", ".join(there[:3]) + (" …" if len(there) > 3 else "")
        replace = f", or use {option('overwrite', True)}" if (folder / MARK).is_file() else ""
        raise OutputError(folder, f"is not empty (it holds {some})", f"name a new folder{replace}")
    strange = _strangers(folder)
    if strange:
        raise OutputError(folder, f"holds {strange[0]}, which no page of mapgen has", "move it away, or name another")


def _strangers(folder: Path) -> list[str]:
    """Files in an older page that did not come with it."""
    if not (folder / MARK).is_file():
        return []
    try:
        known = set(json.loads((folder / MARK).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    return sorted(set(found) - known - {MARK})


@contextmanager
def staged_site(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write a page to, which takes the place of `folder` when the block ends well. Raises `OutputError`."""
    with translated(folder):
        check_site(folder, overwrite=overwrite)
        parent = folder.absolute().parent
        with locked(folder), unfinished(Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))) as place:
            made = place / "site"
            made.mkdir()
            yield made
            check_site(folder, overwrite=overwrite)
            if folder.is_dir():
                os.rename(folder, place / "old")
            os.rename(made, folder)


def write_site(folder: Path, title: str, data: Mapping[str, Any], base_url: str | None) -> int:
    """Put page, scripts and style beside the tiles that lie in a folder; bytes of all files."""
    texts = page_texts()
    (folder / SITE_FILES).mkdir()
    for name in (*SCRIPTS, *STYLES):
        (folder / SITE_FILES / name).write_text(texts[name], encoding="utf-8")
    for name in _LICENCES:
        shutil.copyfile(FOLDER / name, folder / SITE_FILES / name)
    (folder / PAGE).write_bytes(site_page(texts[TEMPLATE], title, data))
    style = json.dumps(site_style(data, base_url), ensure_ascii=False, indent=1)
    (folder / STYLE).write_text(style + "\n", encoding="utf-8")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    record = {"mapgen": __version__, "title": title, "files": files}
    (folder / MARK).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return sum((folder / name).stat().st_size for name in (*files, MARK))


def site_style(data: Mapping[str, Any], base_url: str | None) -> dict[str, Any]:
    """The first side as a MapLibre style: imagery, classes, outlines and an unseen fill to be clicked on."""
    side = data["sides"][0]
    west, south, east, north = side["bounds"]
    sources: dict[str, Any] = {}
    layers: list[dict[str, Any]] = []
    for part, paint in (("imagery", {}), ("raster", {"raster-resampling": "nearest", "raster-opacity": 0.6})):
        if side[part] is not None and "archive" in side[part]:
            url = archive_url("pmtiles", side[part]["archive"], base_url)
            sources[part] = {"type": "raster", "url": url, "tileSize": side[part]["size"]}
            layers.append({"id": part, "type": "raster", "source": part, "paint": paint})
    vector = side["vector"]
    if vector is not None and "archive" in vector:
        sources["polygons"] = {"type": "vector", "url": archive_url("pmtiles", vector["archive"], base_url)}
        for name in vector["layers"]:
            place = {"source": "polygons", "source-layer": name}
            if not vector["lines"]:
                fill = {"fill-color": "#000000", "fill-opacity": 0}
                layers.append({"id": f"{name} fill", "type": "fill", **place, "paint": fill})
            line = {"line-color": "#1d2321", "line-width": 0.5, "line-opacity": 0.6}
            layers.append({"id": f"{name} line", "type": "line", **place, "paint": line})
    classes = [{key: c[key] for key in ("id", "name", "color")} for c in side["classes"]]
    return {
        "version": 8, "name": data["title"], "center": [(west + east) / 2, (south + north) / 2], "zoom": 12,
        "metadata": {"classes": classes, "bounds": side["bounds"]}, "sources": sources, "layers": layers,
    }  # fmt: skip
