"""Exit 1 unless other people's programs read what mapgen writes: GDAL, QGIS and MapLibre in Chromium, of this machine.

    python .ci/clients.py scene.mask.tif

GDAL's programs, QGIS' Python and Chromium come from the system (Debian: gdal-bin python3-qgis qgis-providers chromium),
since their libraries are others than those in mapgen's wheels; what is missing is skipped, and said.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from mapgen.cli.main import run
from mapgen.files.webfiles import FOLDER as LIBRARIES
from mapgen.raster.masks import open_mask

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser, serving  # noqa: E402

LAYERS = ("gpkg", "geojson", "geojsonl", "fgb", "shp")
SYSTEM = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PROJ_LIB", "GDAL_DATA")}
QGIS_PYTHON = "/usr/bin/python3"

PAGE = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="maplibre-gl.css">
<style>html, body, #map {{ margin: 0; width: 100%; height: 100% }}</style><div id="map"></div>
<script src="maplibre-gl.js"></script><script src="pmtiles.js"></script><script>
maplibregl.addProtocol("pmtiles", new pmtiles.Protocol().tile);
window.errors = [];
window.onerror = text => window.errors.push(text);
const map = new maplibregl.Map({{container: "map", style: "{style}", fadeDuration: 0, attributionControl: false}});
map.on("error", e => window.errors.push(String(e.error && e.error.message || e)));
window.idle = new Promise(done => map.once("idle", () => done(true)));
</script>"""


def mapgen(*arguments: object) -> None:
    """The command line, in this process, since the imports of a dozen runs take longer than their work."""
    with redirect_stdout(StringIO()):
        code = run([*map(str, arguments), "-q"])
    if code:
        raise SystemExit(f"mapgen {' '.join(map(str, arguments))}: {code}")


def quiet(*command: object) -> Iterator[str]:
    """What a program of the system complains of."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=SYSTEM)
    if done.returncode or done.stderr.strip():
        yield f"{command[0]} {Path(str(command[-1])).name}: {done.returncode} {done.stderr.strip()[:300]}"


def names_of(mask: Path) -> dict[int, tuple[str, str]]:
    """Name and colour of the classes that the map has."""
    with open_mask(mask) as opened:
        present = np.unique(opened.dataset.read(1))
        return {c.id: (c.name, c.color) for c in opened.names.of(set(present.tolist()) - {opened.nodata})}


def gdal(mask: Path, folder: Path) -> Iterator[str]:
    """Every format opens without a warning; MBTiles are the class map pixel for pixel."""
    if shutil.which("gdal_translate") is None:
        yield "SKIPPED: gdal-bin is not installed"
        return
    for form in LAYERS:
        yield from quiet("ogrinfo", "-ro", "-so", "-al", folder / f"layer.{form}")
    yield from quiet("ogr2ogr", folder / "again.geojson", folder / "layer.gpkg", "layer")
    with closing(sqlite3.connect(folder / "layer.gpkg")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        triggers = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    # What the validator of GDAL before 3.7 asks for (requirement 75 of GeoPackage 1.2).
    lacking = {f"rtree_layer_geom_{kind}" for kind in ("insert", "update1", "update4", "delete")} - triggers
    if version != 10200 or lacking:
        yield f"the GeoPackage is of version {version} and lacks {sorted(lacking)}"
    back, warped = folder / "back.tif", folder / "warped.tif"
    yield from quiet("gdal_translate", "-q", folder / "raster.mbtiles", back)
    with rasterio.open(back) as dataset:
        bounds, shape, drawn = dataset.bounds, dataset.shape, dataset.read()
    yield from quiet(
        "gdalwarp", "-q", "-r", "near", "-et", "0", "-t_srs", "EPSG:3857", "-te", *map(repr, map(float, bounds)),
        "-ts", shape[1], shape[0], "-dstnodata", "255", mask, warped,
    )  # fmt: skip
    with rasterio.open(warped) as dataset:
        ids = dataset.read(1)
    colors = np.zeros((256, 4), np.uint8)
    for number, (_, color) in names_of(mask).items():
        colors[number] = (*(int(color[i : i + 2], 16) for i in (1, 3, 5)), 255)
    differ = int((colors[ids].transpose(2, 0, 1) != drawn).any(axis=0).sum())
    if differ:
        yield f"{differ} of {ids.size} pixels of the MBTiles differ from gdalwarp -r near"


def qgis(mask: Path, folder: Path) -> Iterator[str]:
    """Class map and layers have the names of the classes; the style of vector tiles has their colours."""
    known = subprocess.run([QGIS_PYTHON, "-c", "import qgis.core"], env=SYSTEM, stderr=subprocess.DEVNULL).returncode
    if known:
        yield "SKIPPED: QGIS is not installed"
        return
    names = names_of(mask)
    files = [mask, *(folder / f"layer.{form}" for form in LAYERS), folder / "vector" / "style.json"]
    done = subprocess.run(
        [QGIS_PYTHON, ROOT / ".ci" / "in_qgis.py", *files], env=SYSTEM | {"QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    wanted = {name for name, _ in names.values()}
    for file in files[:-1]:
        kind, labels = found[str(file)]
        right = "paletted" if file == mask else "categorizedSymbol"
        if kind != right or not wanted <= set(labels):
            yield f"QGIS draws {file.name} as {kind} with {labels}"
    style = found[str(files[-1])]
    if "IN ()" in style or not all(_rgb(color) in style or color in style for _, color in names.values()):
        yield f"QGIS takes the style of vector tiles as {style[:300]}"


def _rgb(color: str) -> str:
    return ",".join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))


def maplibre(mask: Path, folder: Path, base: str) -> Iterator[str]:
    """Styles are drawn by a page that lies in another folder, without an error."""
    if shutil.which("chromium") is None:
        yield "SKIPPED: chromium is not installed"
        return
    from PIL import Image

    page = folder / "page"
    page.mkdir()
    for name in ("maplibre-gl.js", "maplibre-gl.css", "pmtiles.js"):
        shutil.copy(LIBRARIES / name, page)
    colors = {tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for _, c in names_of(mask).values()}
    styles = ("raster/style.json", "vector/style.json", "raster.pmtiles.style.json", "vector.pmtiles.style.json")
    with Browser(500, 500) as browser:
        for style in styles:
            (page / "index.html").write_text(PAGE.format(style=f"{base}/{style}"))
            browser.open(f"{base}/page/index.html?{style}")
            browser.wait("window.idle", 30)
            if errors := browser.evaluate("window.errors"):
                yield f"MapLibre says of {style}: {'; '.join(errors)[:300]}"
            browser.screenshot(folder / "seen.png")
            with Image.open(folder / "seen.png") as image:
                seen = {color for _, color in image.convert("RGB").getcolors(1 << 24)}
            if len(seen & colors) < 2:
                yield f"MapLibre draws nothing of {style}"
        browser.open(f"{base}/vector/")
        browser.wait("window.mapgenTiles && mapgenTiles.idle", 30)
        if errors := browser.evaluate("mapgenTiles.errors"):
            yield f"the page beside a folder of tiles says: {'; '.join(errors)[:300]}"


def itself(folder: Path) -> Iterator[str]:
    """mapgen reads its own GeoParquet."""
    if find_spec("pyarrow") is None:
        yield "SKIPPED: pyarrow is not installed"
        return
    mapgen("vectorize", folder / "town.tif", "-o", folder / "layer.parquet")
    mapgen("tiles", folder / "layer.parquet", "--vector", "-o", folder / "parquet.pmtiles")
    mapgen("evaluate", folder / "town.tif", folder / "layer.parquet", "--fail-under", "accuracy=0.999")


def main(path: str) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as base:
        folder = Path(name)
        mask = folder / "town.tif"
        for end, new in ((".tif", "town.tif"), (".tif.aux.xml", "town.tif.aux.xml"), (".qml", "town.qml")):
            shutil.copy(Path(path).with_suffix("").with_name(Path(path).stem + end), folder / new)
        for form in LAYERS:
            mapgen("vectorize", mask, "-o", folder / f"layer.{form}", "--sieve", "8px", "--simplify", "1.5px")
        for kind, flags in (("raster", ()), ("vector", ("--vector",))):
            for end in ("", ".pmtiles", ".mbtiles"):
                form = () if end else ("-f", "folder")
                mapgen("tiles", mask, "-o", folder / f"{kind}{end}", "--base-url", base, *flags, *form)
        checks: dict[str, Callable[[], Iterator[str]]] = {
            "GDAL": lambda: gdal(mask, folder), "QGIS": lambda: qgis(mask, folder),
            "MapLibre": lambda: maplibre(mask, folder, base), "mapgen": lambda: itself(folder),
        }  # fmt: skip
        for program, check in checks.items():
            problems = list(check())
            print(f"{program}: {'; '.join(problems) or 'good'}")
            failed += any(not text.startswith("SKIPPED") for text in problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
