"""`view`: what is shown of what, as a page of one file, from a server, and as a still picture."""

from __future__ import annotations

import base64
import gzip
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from factory import Run, contents, make_raster
from scenes import HOSTILE, LEGEND, SIDE, class_map, classes, imagery, result

from mapgen.files.commit import Output
from mapgen.files.encoders import encoded
from mapgen.files.page import script_json
from mapgen.files.pictures import write_picture
from mapgen.layers.vectorize import vectorize
from mapgen.results import parts
from mapgen.results.options import ViewOptions
from mapgen.results.render import PictureDrawing, RasterDrawing, TilesDrawing
from mapgen.results.still import Frame, frame_of, laid_over, round_length
from mapgen.results.view import View
from mapgen.tiling.containers.container import open_tiles, writing_tiles
from mapgen.tiling.quadtree import WEB_MERCATOR, to_mercator
from mapgen.tiling.tilejson import TileSetInfo
from mapgen.tiling.tiles import tiles

Mapgen = Callable[..., Run]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return class_map(tmp_path / "map.mask.tif")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return imagery(tmp_path / "scene.tif")


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    found: dict[str, Any] = json.loads(text)
    return found


def inlined(mapgen: Mapgen, *arguments: object, out: Path) -> tuple[str, dict[str, Any]]:
    run = mapgen("view", *arguments, "--inline", out)
    assert (run.code, run.out) == (0, f"{out}\n"), run
    page = out.read_text(encoding="utf-8")
    return page, data_of(page)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read().transpose(1, 2, 0)


def rgb(number: int) -> tuple[int, ...]:
    return LEGEND.classes[number - 1].rgb


# --- the page ---------------------------------------------------------------------------------------------------------


def test_inline_holds_the_class_map_with_the_area_of_each_class(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.html"
    assert mapgen("view", mask, "--inline", out).out == f"{out}\n"
    page = out.read_text(encoding="utf-8")
    (side,) = data_of(page)["sides"]
    assert [c["name"] for c in side["classes"]] == list(LEGEND.names)
    # 1 m pixels on the central meridian of UTM, whose scale is 0.9996 there.
    found = {c["id"]: c["area"] for c in side["classes"]}
    values, counts = np.unique(classes(), return_counts=True)
    for value, count in zip(values[:-1].tolist(), counts[:-1].tolist(), strict=True):
        assert found[value] == pytest.approx(count / 0.9996**2)
    archive = re.findall(rf'id="{side["raster"]["archive"]}">([^<]*)</script>', page)[0]
    assert base64.b64decode(archive).startswith(b"PMTiles\x03")


def test_the_page_asks_for_nothing_and_runs_nothing_but_its_own(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    page, _ = inlined(mapgen, mask, out=tmp_path / "map.html")
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0]
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)", page.split("<style>")[0])


def test_names_that_are_html_stay_text(mapgen: Mapgen, tmp_path: Path) -> None:
    path = class_map(tmp_path / "a<b>&{{data}}.mask.tif")
    page, data = inlined(mapgen, path, out=tmp_path / "map.html")
    assert data["sides"][0]["title"] == path.name
    assert HOSTILE not in page
    assert "</script><b>" not in page
    assert "a&lt;b&gt;&amp;{{data}}" in page


def test_json_within_a_script_cannot_end_it() -> None:
    hostile = {"a": "</script><!-- <script> & \u2028 é", "</SCRIPT>": 1}
    text = script_json(hostile)
    assert not set("<>&") & set(text)
    assert json.loads(text) == hostile


def test_a_layer_is_inlined_with_all_its_attributes(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = result(tmp_path / "out")
    page, data = inlined(mapgen, folder / "map.gpkg", out=tmp_path / "map.html")
    side = data["sides"][0]
    assert (side["raster"], side["imagery"], side["vector"]["key"]) == (None, None, "mapgen_class")
    text = re.findall(rf'id="{side["vector"]["geojson"]}">([^<]*)</script>', page)[0]
    features = json.loads(gzip.decompress(base64.b64decode(text)))["features"]
    assert {f["properties"]["class_name"] for f in features} == set(LEGEND.names)
    assert all(f["properties"]["mapgen_class"] == f["properties"]["class_id"] for f in features)
    assert [c["id"] for c in side["classes"]] == [1, 2, 3]


def test_compare_shows_two_results(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    other = class_map(tmp_path / "other.mask.tif", np.full((SIDE, SIDE), 3, np.uint8))
    _, data = inlined(mapgen, mask, "--compare", other, out=tmp_path / "two.html")
    assert [s["title"] for s in data["sides"]] == ["map.mask.tif", "other.mask.tif"]
    assert [c["id"] for c in data["sides"][1]["classes"]] == [3]


def test_imagery_lies_below_the_map(mapgen: Mapgen, mask: Path, scene: Path, tmp_path: Path) -> None:
    _, bare = inlined(mapgen, mask, out=tmp_path / "bare.html")
    _, data = inlined(mapgen, mask, "--imagery", scene, out=tmp_path / "map.html")
    assert bare["sides"][0]["imagery"] is None
    assert data["sides"][0]["imagery"]["archive"] != data["sides"][0]["raster"]["archive"]


@pytest.mark.parametrize("vector", [False, True])
def test_tile_sets_are_shown(mapgen: Mapgen, mask: Path, tmp_path: Path, vector: bool) -> None:
    tiles(mask, tmp_path / "map.pmtiles", vector=vector)
    _, data = inlined(mapgen, tmp_path / "map.pmtiles", out=tmp_path / "map.html")
    side = data["sides"][0]
    assert (side["vector"] is not None, side["raster"] is not None) == (vector, not vector)
    assert [c["id"] for c in side["classes"]] == [1, 2, 3]


@pytest.mark.parametrize("name", ["map.mbtiles", "map"])
@pytest.mark.parametrize("vector", [False, True])
def test_tiles_in_other_containers_are_shown_too(
    mapgen: Mapgen, mask: Path, tmp_path: Path, vector: bool, name: str
) -> None:
    path = tiles(mask, tmp_path / name, vector=vector).output
    page, data = inlined(mapgen, path, out=tmp_path / "map.html")
    part = data["sides"][0]["vector" if vector else "raster"]
    (text,) = re.findall(f'id="{part["archive"]}">(.*?)</script>', page, re.DOTALL)
    (tmp_path / "there.pmtiles").write_bytes(base64.b64decode(text))
    with open_tiles(path) as ours, open_tiles(tmp_path / "there.pmtiles") as theirs:
        assert sorted(theirs.tiles()) == sorted(ours.tiles())
    with View(str(path), ViewOptions()) as view:
        (side,) = view.sides
        drawing = side.vector if vector else side.raster
        assert isinstance(drawing, TilesDrawing)
        with open_tiles(path) as source:
            (z, x, y, tile), *_ = source.tiles()
        assert drawing.tile(z, x, y) == (gzip.decompress(tile) if vector else tile)


def test_of_several_layers_one_can_be_chosen(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        vectorize(mask, tmp_path / "two.gpkg", layer_name=name, append=(tmp_path / "two.gpkg").exists())
    refused = mapgen("view", tmp_path / "two.gpkg", "--inline", tmp_path / "map.html")
    assert (refused.code, "such as --layer one" in refused.errors[0]) == (2, True)
    _, data = inlined(mapgen, tmp_path / "two.gpkg", "--layer", "other", out=tmp_path / "map.html")
    assert len(data["sides"][0]["classes"]) == 3


def test_tiles_of_another_size_than_they_say_are_drawn_whole(mapgen: Mapgen, tmp_path: Path) -> None:
    colors = np.zeros((4, 128, 128), np.uint8)
    colors[0, :, :64], colors[1, :, 64:], colors[3] = 250, 250, 255
    with writing_tiles(Output(tmp_path / "a.mbtiles"), TileSetInfo("a", "png", 0, 0)) as sink:
        sink.put(0, 0, 0, encoded(colors, "png"))
    assert mapgen("view", tmp_path / "a.mbtiles", "--png", tmp_path / "a.png", "--size", 256).code == 0
    picture = read(tmp_path / "a.png")
    assert picture[128, 60].tolist() == [250, 0, 0]
    assert picture[128, 190].tolist() == [0, 250, 0]


def test_a_damaged_tile_is_named(mapgen: Mapgen, tmp_path: Path) -> None:
    with writing_tiles(Output(tmp_path / "a.mbtiles"), TileSetInfo("a", "png", 0, 0)) as sink:
        sink.put(0, 0, 0, b"no picture")
    run = mapgen("view", tmp_path / "a.mbtiles", "--png", tmp_path / "a.png")
    assert (run.code, "its tile 0/0/0 is not a picture" in run.errors[0]) == (4, True), run


def test_a_folder_says_what_is_missing_of_a_whole_result(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = result(tmp_path / "out")
    run = mapgen("view", folder, "--png", tmp_path / "a.png")
    assert run.code == 0
    assert "out has no imagery (name it with --imagery)" in run.err
    assert "out has no report (report.json)" in run.err
    assert "polygons" not in run.err
    (folder / "map.mask.tif").unlink()
    run = mapgen("view", folder, "--png", tmp_path / "b.png")
    assert run.code == 0
    assert "out has no class map (*.mask.tif)" in run.err


def reported(folder: Path, scene: str) -> None:
    """A report in a folder that says that the map was made of a scene, and a green preview."""
    with View(str(folder), ViewOptions()) as shown:
        bounds = shown.sides[0].bounds
    report = {"scenes": [{"name": "scene.tif", "path": scene}], "preview": {"bounds": list(bounds)}}
    (folder / "report.json").write_text(json.dumps(report))
    write_picture(Output(folder / "map.preview.png"), np.full((30, 30, 3), (10, 200, 30), np.uint8))


@pytest.mark.parametrize(
    ("place", "served", "handed_on"), [("out/s.tif", True, True), ("s.tif", True, False), ("other/s.tif", False, False)]
)
def test_a_folder_shows_the_scene_of_its_report_where_it_lies_near(
    mapgen: Mapgen, tmp_path: Path, place: str, served: bool, handed_on: bool
) -> None:
    folder = result(tmp_path / "out")
    (tmp_path / "other").mkdir()
    imagery(tmp_path / place)
    reported(folder, f"../{place}")
    with View(str(folder), ViewOptions()) as shown:
        assert isinstance(shown.sides[0].imagery, RasterDrawing) is served
    page, data = inlined(mapgen, folder, out=tmp_path / "map.html")
    side = data["sides"][0]
    assert (side["missing"], "image" in side["imagery"]) == ([], not handed_on)
    if not handed_on:
        picture = re.findall(rf'id="{side["imagery"]["image"]}">([^<]*)</script>', page)[0]
        assert base64.b64decode(picture) == (folder / "map.preview.png").read_bytes()
    run = mapgen("view", folder, "--png", tmp_path / "a.png", "--opacity", "0")
    said = f"lies elsewhere (../{place}) and is not read: --imagery shows it" in run.err
    assert (run.code, said) == (0, not handed_on)
    color = read(tmp_path / "a.png")[60, 60].astype(int)
    assert abs(color - ((120, 120, 90) if handed_on else (10, 200, 30))).max() <= 4
    run = mapgen("view", folder, "--imagery", tmp_path / place, "--png", tmp_path / "b.png", "--opacity", "0")
    assert "not read" not in run.err
    assert abs(read(tmp_path / "b.png")[60, 60].astype(int) - (120, 120, 90)).max() <= 4


def test_a_scene_that_is_not_there_is_not_spoken_of(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = result(tmp_path / "out")
    reported(folder, "../gone.tif")
    run = mapgen("view", folder, "--png", tmp_path / "a.png")
    assert (run.code, "gone.tif" in run.err, "no imagery" in run.err) == (0, False, False)


@pytest.mark.parametrize("kind", ["link", "vrt"])
def test_nothing_in_a_folder_leads_to_a_scene_elsewhere(tmp_path: Path, kind: str) -> None:
    (tmp_path / "private").mkdir()
    secret = imagery(tmp_path / "private" / "secret.tif")
    folder = result(tmp_path / "out")
    reported(folder, f"../scene.{kind}")
    if kind == "link":
        (tmp_path / "scene.link").symlink_to(secret)
    else:
        from rasterio.shutil import copy

        copy(secret, tmp_path / "scene.vrt", driver="VRT")
    with View(str(folder), ViewOptions()) as shown:
        assert isinstance(shown.sides[0].imagery, PictureDrawing)
        assert any("lies elsewhere" in text for text in shown.warnings)


@pytest.mark.parametrize("name", ["map.mask.tif", "map.mask.tif.ovr", "map.preview.png", "report.json"])
def test_a_link_that_leads_out_of_a_folder_is_refused(mapgen: Mapgen, tmp_path: Path, name: str) -> None:
    secret = class_map(tmp_path / "secret.tif")
    folder = result(tmp_path / "out")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    run = mapgen("view", folder, "--inline", tmp_path / "a.html")
    assert (run.code, f"holds {name}, a link that leads out of the folder" in run.errors[0]) == (4, True), run
    assert not (tmp_path / "a.html").exists()


def test_a_link_in_a_folder_of_tiles_puts_no_file_into_a_page(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("PRIVATE")
    folder = tiles(mask, tmp_path / "map").output
    tile = next(folder.rglob("*.png"))
    tile.unlink()
    tile.symlink_to(secret)
    run = mapgen("view", folder, "--inline", tmp_path / "a.html")
    assert (run.code, "a link that leads out of the folder" in run.errors[0]) == (4, True), run


def test_the_preview_of_the_report_is_shown_before_one_of_an_older_run(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = result(tmp_path / "out")
    with View(str(folder), ViewOptions()) as shown:
        bounds = shown.sides[0].bounds
    for suffix, color in (("png", (200, 0, 0)), ("webp", (10, 200, 30))):
        write_picture(Output(folder / f"map.preview.{suffix}"), np.full((30, 30, 3), color, np.uint8))
    report = {"files": {"preview": "map.preview.webp"}, "preview": {"bounds": list(bounds)}}
    (folder / "report.json").write_text(json.dumps(report))
    assert mapgen("view", folder, "--png", tmp_path / "a.png", "--opacity", "0").code == 0
    assert abs(read(tmp_path / "a.png")[60, 60].astype(int) - (10, 200, 30)).max() <= 4


@pytest.mark.parametrize(
    "report",
    ["not json", "[]", '{"scenes": 5}', '{"scenes": [5]}', '{"scenes": [{"path": 5}], "preview": []}',
     '{"preview": {"bounds": [1, 2, "x", 4]}}', '{"preview": {"bounds": [4, 2, 1, 3]}}'],
)  # fmt: skip
def test_a_damaged_report_is_no_report(mapgen: Mapgen, tmp_path: Path, report: str) -> None:
    folder = result(tmp_path / "out")
    (folder / "report.json").write_text(report)
    (folder / "map.preview.png").write_bytes(b"no picture")
    run = mapgen("view", folder, "--png", tmp_path / "a.png")
    assert run.code == 0
    assert "out has no imagery" in run.err


def test_a_page_that_would_be_too_large_is_refused(
    mapgen: Mapgen, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "INLINE_LIMIT", 100)
    run = mapgen("view", mask, "--inline", tmp_path / "map.html")
    assert run.code == 4
    assert "the limit is 0 MB; leave out --inline" in run.errors[0]
    assert not (tmp_path / "map.html").exists()


# --- the picture ------------------------------------------------------------------------------------------------------


def test_png_shows_classes_in_their_colours_beside_their_legend(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    run = mapgen("view", mask, "--png", tmp_path / "map.png")
    assert (run.code, run.out) == (0, f"{tmp_path / 'map.png'}\n")
    picture = read(tmp_path / "map.png")
    centre = picture[picture.shape[0] // 2 if picture.shape[0] < 130 else 60, 60]
    assert tuple(centre) == rgb(2)
    assert tuple(picture[60, 15]) == rgb(1)
    assert tuple(picture[60, 112]) == rgb(3)
    assert tuple(picture[4, 4]) == (255, 255, 255)
    panel = {tuple(c) for c in picture[:, 130:].reshape(-1, 3)}
    assert {rgb(1), rgb(2), rgb(3)} <= panel


def test_opacity_lets_the_imagery_through(mapgen: Mapgen, mask: Path, scene: Path, tmp_path: Path) -> None:
    centres = []
    for opacity in (0, 50, 100):
        out = tmp_path / f"{opacity}.png"
        assert mapgen("view", mask, "--imagery", scene, "--png", out, "--opacity", opacity).code == 0
        centres.append(read(out)[60, 60].astype(int))
    below, between, above = centres
    assert tuple(above) == rgb(2)
    assert abs(below - (120, 120, 90)).max() <= 4
    assert abs(between - (below + above) / 2).max() <= 1


@pytest.mark.parametrize("missing", [None, -9999.0, float("nan")])
def test_floats_have_the_same_tones_in_a_picture_and_in_tiles(
    mapgen: Mapgen, tmp_path: Path, missing: float | None
) -> None:
    pixels = np.broadcast_to(np.linspace(1, 4, SIDE, dtype=np.float32), (SIDE, SIDE)).copy()
    if missing is not None:
        pixels[:20] = missing
    make_raster(tmp_path / "float.tif", pixels, nodata=missing)
    tiles(tmp_path / "float.tif", tmp_path / "float.pmtiles")
    tones = []
    for name in ("float.tif", "float.pmtiles"):
        assert mapgen("view", tmp_path / name, "--png", tmp_path / "a.png", "--size", SIDE, "--overwrite").code == 0
        row = read(tmp_path / "a.png")[60, : SIDE * 3 // 4, 0].astype(float)
        tones.append(row.reshape(3, -1).mean(axis=1))
    np.testing.assert_allclose(tones, [[18, 95, 177]] * 2, atol=15)  # the two have grids of their own


def test_size_is_that_of_the_longer_side(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    small, large = tmp_path / "s.png", tmp_path / "l.png"
    assert mapgen("view", mask, "--png", small, "--size", 40).code == 0
    assert mapgen("view", mask, "--png", large).code == 0
    assert tuple(read(small)[20, 20]) == rgb(2)
    assert read(small).shape[1] == read(large).shape[1] - (frame_side(mask) - 40)


def frame_side(mask: Path) -> int:
    with View(str(mask), ViewOptions()) as shown:
        drawing = shown.sides[0].drawings[0]
        return frame_of(drawing.bounds, 1200, drawing.finest).width


def test_a_layer_and_raster_tiles_are_drawn_as_well(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = result(tmp_path / "out")
    tiles(folder / "map.mask.tif", tmp_path / "map.pmtiles")
    for name, size in ((folder / "map.gpkg", 122), (tmp_path / "map.pmtiles", 122)):
        out = tmp_path / "a.png"
        assert mapgen("view", name, "--png", out, "--size", size, "--overwrite").code == 0
        colors = {tuple(c) for c in read(out)[:122, :120].reshape(-1, 3)}
        with View(str(name), ViewOptions()) as shown:
            legend = [c.color for c, _ in shown.sides[0].areas]
        assert len(legend) == 3
        assert {tuple(bytes.fromhex(color[1:])) for color in legend} <= colors


@pytest.mark.parametrize(
    ("most", "length"), [(1, 1), (1.99, 1), (2, 2), (4.9, 2), (99, 50), (1000, 1000), (0.07, 0.05)]
)
def test_scale_bars_are_round(most: float, length: float) -> None:
    assert round_length(most) == pytest.approx(length)


def test_laid_over_is_the_mean_by_opacity() -> None:
    below = np.full((1, 2, 3), 100, np.uint8)
    above = np.array([[[200, 0, 50, 255], [9, 9, 9, 0]]], np.uint8)
    assert laid_over(below, above, 0.5).tolist() == [[[150, 50, 75], [100, 100, 100]]]
    assert laid_over(below, above, 1.0).tolist() == [[[200, 0, 50], [100, 100, 100]]]


def test_metres_of_a_frame_shrink_towards_the_poles() -> None:
    x = 1000.0
    assert Frame((0, -x, 2 * x, x), 100, 100).metres == pytest.approx(20)
    sixty = frame_of((0.0, 59.99, 0.02, 60.01), 100, 0.0)
    assert sixty.metres == pytest.approx(sixty.resolution / 2, rel=1e-3)


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def serving(mask: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """`serving(arguments…)`: mapgen view in a process of its own, and the address that it prints."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        code += "from mapgen.cli.main import main; main()"
        command = [sys.executable, "-c", code, "view", str(mask), "--no-open", *arguments]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        assert running[-1].stdout is not None
        return running[-1], running[-1].stdout.readline().strip()

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_it_serves_until_it_is_interrupted_and_ends_with_0(serving: Any) -> None:
    process, address = serving()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address), process.stderr.read()
    page = urllib.request.urlopen(address, timeout=20).read().decode()
    raster = data_of(page)["sides"][0]["raster"]
    west, south, east, north = raster["bounds"]
    x, y = to_mercator((west + east) / 2, (south + north) / 2)
    middle = WEB_MERCATOR.covering((x, y, x, y), raster["maxzoom"])
    place = f"{raster['tiles']}/{middle.z}/{middle.left}/{middle.top}"
    with urllib.request.urlopen(address + place, timeout=20) as answer:
        assert answer.read().startswith(b"\x89PNG")
    for name in re.findall(r'(?:src|href)="([\w.-]+)"', page):
        assert urllib.request.urlopen(address + name, timeout=20).status == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "no longer served" in err
    assert "Traceback" not in err


def test_a_port_that_is_taken_ends_with_5_and_sigterm_with_143(serving: Any) -> None:
    first, address = serving("-q")
    port = address.split(":")[-1].strip("/")
    second, nothing = serving("--port", port)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, nothing, out) == (5, "", "")
    assert f"port {port} is not available" in err
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 143


def test_open_opens_the_page_in_a_browser_and_no_open_does_not(
    mapgen: Mapgen, mask: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mapgen.results.server import PageServer

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(PageServer, "serve_forever", lambda self: None)
    run = mapgen("view", mask, "--no-open")
    assert (run.code, opened) == (0, [])
    run = mapgen("view", mask, "--open")
    assert (run.code, [f"{url}\n" for url in opened]) == (0, [run.out])


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (4, ("gone.tif", "no such file", "check the path"), ("gone.tif", "--png", "a.png")),
        (4, ("empty", "holds no class map (*.mask.tif), no layer and no tiles", "mapgen map"), ("empty",)),
        (4, ("text.tif",), ("text.tif",)),
        (4, ("text.geojson", "cannot be read"), ("text.geojson",)),
        (4, ("text.pmtiles", "cannot be read"), ("text.pmtiles",)),
        (4, ("bare.tif", "no georeferencing", "gdalwarp"), ("bare.tif",)),
        (4, ("v.pmtiles", "holds vector tiles", "name the layer"), ("v.pmtiles", "--png", "a.png")),
        (2, ("--compare", "one map"), ("map.mask.tif", "--compare", "map.mask.tif", "--png", "a.png")),
        (2, ("--size", "5 is not between 16 and 8192"), ("map.mask.tif", "--size", "5", "--png", "a.png")),
        (2, ("--opacity", "101"), ("map.mask.tif", "--opacity", "101", "--png", "a.png")),
        (2, ("--port", "70000"), ("map.mask.tif", "--port", "70000")),
        (5, ("map.mask.tif", "also an input"), ("map.mask.tif", "--inline", "map.mask.tif", "--overwrite")),
        (5, ("old.html", "exists", "--overwrite"), ("map.mask.tif", "--inline", "old.html")),
    ],
)  # fmt: skip
def test_odd_inputs_end_with_cause_and_remedy(
    mapgen: Mapgen, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    code: int, words: tuple[str, ...], arguments: tuple[str, ...],
) -> None:  # fmt: skip
    from rasterio import Affine

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("text.tif", "text.geojson", "text.pmtiles", "old.html"):
        (tmp_path / name).write_text("precious")
    make_raster(tmp_path / "bare.tif", classes(), crs=None, transform=Affine.identity(), nodata=255)
    tiles(mask, tmp_path / "v.pmtiles", vector=True)
    before = contents(tmp_path)
    run = mapgen("view", *arguments)
    assert (run.code, len(run.errors), run.out) == (code, 1, ""), run
    assert all(word in run.errors[0] for word in words), run.errors
    assert contents(tmp_path) == before


def test_overwrite_quiet_and_verbose(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    out.write_bytes(b"old")
    assert mapgen("view", mask, "--png", out).code == 5
    assert out.read_bytes() == b"old"
    run = mapgen("view", mask, "--png", out, "--overwrite")
    assert "pixels" in run.err
    assert read(out).shape[2] == 3
    assert mapgen("view", mask, "--png", out, "--overwrite", "--quiet").err == ""


def test_verbose_twice_shows_the_traceback(mask: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mapgen", "view", str(tmp_path / "gone.tif"), "-vv"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 4
    assert "Traceback" in run.stderr
