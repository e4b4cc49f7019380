"""Odd inputs and broken outputs of `tiles`: what a user sees, and that nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from factory import CRS, Run, contents, make_raster, noise, north_up
from memory import peak_bytes, sparse_raster
from mosaics import tile_images
from rasterio.control import GroundControlPoint

from mapgen.tiling.containers.container import open_tiles
from mapgen.tiling.tiles import tiles

Mapgen = Callable[..., Run]
ROOT = Path(__file__).parents[2]
NAMES = ("out.pmtiles", "out.mbtiles", "out")


def squares(path: Path, height: int = 120, width: int = 110, **profile: Any) -> Path:
    """A class map of squares of four classes."""
    rows, cols = np.mgrid[0:height, 0:width]
    return make_raster(path, ((rows // 9 + cols // 11) % 4).astype(np.uint8), **({"nodata": 255} | profile))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return squares(tmp_path / "map.tif")


@pytest.fixture
def refused(mapgen: Mapgen, tmp_path: Path) -> Callable[..., Run]:
    """`refused(code, words, arguments…)`: this exit code, one error line with all words, everything as it was."""

    def check(code: int, words: tuple[str, ...], *arguments: object) -> Run:
        before = contents(tmp_path)
        run = mapgen("tiles", *formed(*arguments))
        assert (run.code, len(run.errors), run.out) == (code, 1, ""), run
        assert all(word in run.errors[0] for word in words), run.errors
        assert contents(tmp_path) == before
        return run

    return check


def formed(*arguments: object) -> list[object]:
    """The arguments, with -f folder where -o names something without a suffix."""
    given = list(arguments)
    plain = "-o" in given and "." not in Path(str(given[given.index("-o") + 1])).name
    return [*given, "-f", "folder"] if plain else given


# --- places -----------------------------------------------------------------------------------------------------------


def test_without_a_crs_one_must_be_assumed(tmp_path: Path, refused: Callable[..., Run]) -> None:
    path = squares(tmp_path / "m.tif", crs=None)
    refused(4, ("m.tif", "has no CRS", "--assume-crs EPSG:n"), path)


def test_a_map_with_a_crs_takes_no_other(source: Path, refused: Callable[..., Run]) -> None:
    refused(4, ("map.tif", "has a CRS of its own", "leave out --assume-crs"), source, "--assume-crs", "EPSG:3857")


def test_without_georeferencing_it_must_be_warped_first(tmp_path: Path, refused: Callable[..., Run]) -> None:
    path = squares(tmp_path / "m.tif", crs=None, transform=Affine.identity())
    refused(4, ("m.tif", "has no georeferencing", "warp it first"), path)
    refused(4, ("m.tif", "has no georeferencing", "warp it first"), path, "--assume-crs", "EPSG:32640")


def test_ground_control_points_must_be_warped_first(tmp_path: Path, refused: Callable[..., Run]) -> None:
    path = squares(tmp_path / "m.tif", crs=None, transform=Affine.identity())
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = ([GroundControlPoint(r, c, 8 + c / 9e4, 47 - r / 9e4) for r in (0, 99) for c in (0, 99)], CRS)
    refused(4, ("m.tif", "has ground control points only", "warp it first with gdalwarp"), path)


def test_what_lies_beyond_web_mercator_is_cut_with_a_warning(tmp_path: Path, mapgen: Mapgen) -> None:
    transform = Affine(0.1, 0, 10, 0, -0.1, 89)
    run = mapgen("tiles", squares(tmp_path / "m.tif", crs="EPSG:4326", transform=transform), "--zoom", "3-auto")
    assert run.code == 0
    assert [w for w in run.warnings if "reaches beyond ±85.05°" in w and "cut" in w] == run.warnings
    assert {y for z, _, y in tile_images(tmp_path / "m.pmtiles") if z == 3} == {0, 1}
    with open_tiles(tmp_path / "m.pmtiles") as found:
        assert found.info.bounds[3] <= 90


def test_what_lies_beyond_it_altogether_is_refused(tmp_path: Path, refused: Callable[..., Run]) -> None:
    path = squares(tmp_path / "m.tif", crs="EPSG:3413", transform=Affine(100, 0, 0, 0, -100, 0))
    refused(4, ("m.tif", "lies beyond ±85.05°", "--tms"), path)


def test_a_map_across_the_antimeridian_is_on_both_edges(tmp_path: Path) -> None:
    result = tiles(squares(tmp_path / "m.tif", crs="EPSG:32660", transform=Affine(40, 0, 830_000, 0, -40, 100_000)))
    z = result.zoom[1]
    columns = {x for zoom, x, _ in tile_images(result.output) if zoom == z}
    assert {0, 2**z - 1} <= columns
    assert max(x for x in columns if x < 2 ** (z - 1)) < 3
    record = json.loads((tmp_path / "m.pmtiles.json").read_text())
    assert record["bounds"][::2] == [-180, 180]
    assert abs(record["center"][0]) > 179


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_the_smallest_maps_have_tiles(tmp_path: Path, shape: tuple[int, int]) -> None:
    result = tiles(make_raster(tmp_path / "m.tif", np.ones(shape, np.uint8), nodata=255))
    images = tile_images(result.output)
    counts = {
        z: sum(int((i[..., 3] > 0).sum()) for (zoom, _, _), i in images.items() if zoom == z) for z, _, _ in images
    }
    assert counts[result.zoom[1]] >= 0.5 * shape[0] * shape[1]
    assert all(counts.values())


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_map_makes_an_empty_set_and_a_warning(tmp_path: Path, mapgen: Mapgen, name: str) -> None:
    path = make_raster(tmp_path / "m.tif", np.full((200, 200), 255, np.uint8), nodata=255)
    run = mapgen("tiles", *formed(path, "-o", tmp_path / name))
    assert (run.code, run.out) == (0, f"{tmp_path / name}\n")
    assert len(run.warnings) == 1
    assert "nothing to write: the set of tiles is empty" in run.warnings[0]
    with open_tiles(tmp_path / name) as found:
        assert list(found.tiles()) == []


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", ("is empty", "get the file again")), (b"<html>log in</html>", ("is a web page",)), (b"text", ("no",))],
)
def test_what_is_no_raster_is_refused(
    tmp_path: Path, refused: Callable[..., Run], content: bytes, words: tuple[str, ...]
) -> None:
    (tmp_path / "m.tif").write_bytes(content)
    refused(4, ("m.tif", *words), tmp_path / "m.tif")


def test_a_damaged_map_is_refused_with_the_place(tmp_path: Path, refused: Callable[..., Run]) -> None:
    path = make_raster(
        tmp_path / "m.tif", noise(600, 600, 1) // 40, nodata=255, compress="deflate", tiled=True,
        blockxsize=256, blockysize=256,
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\0" * 400
    path.write_bytes(bytes(data))
    refused(4, ("m.tif", "is damaged in the rows", "get the file again"), path)


def test_a_failed_input_does_not_stop_the_others(tmp_path: Path, mapgen: Mapgen, source: Path) -> None:
    (tmp_path / "bad.tif").write_text("no")
    run = mapgen("tiles", tmp_path / "bad.tif", source)
    assert (run.code, run.out) == (3, f"{tmp_path / 'map.pmtiles'}\n")


def test_a_bug_is_called_one(source: Path, refused: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("mapgen.tiling.job.palette_png", broken)
    refused(1, ("a bug in mapgen", "ZeroDivisionError"), source)


# --- outputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_exists_is_refused(tmp_path: Path, source: Path, refused: Callable[..., Run], name: str) -> None:
    tiles(source, tmp_path / name)
    refused(5, (name, "exists", "use --overwrite", "-o"), source, "-o", tmp_path / name)


@pytest.mark.parametrize("how", ["name", "symbolic link", "hard link"])
def test_the_map_is_never_the_output(tmp_path: Path, refused: Callable[..., Run], how: str) -> None:
    path = squares(tmp_path / "map.pmtiles")
    other = tmp_path / "other.pmtiles"
    if how == "name":
        other = path
    elif how == "symbolic link":
        other.symlink_to(path)
    else:
        other.hardlink_to(path)
    refused(5, (other.name, "is also an input"), path, "-o", other, "--overwrite")


def test_a_folder_with_the_map_in_it_is_never_replaced(
    tmp_path: Path, source: Path, refused: Callable[..., Run]
) -> None:
    tiles(source, tmp_path / "out")
    inside = source.rename(tmp_path / "out" / "map.tif")
    refused(5, ("out", "holds map.tif, which is not a tile"), inside, "-o", tmp_path / "out", "--overwrite")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_folder_is_refused(tmp_path: Path, source: Path, refused: Callable[..., Run], name: str) -> None:
    refused(5, (name, "nowhere does not exist", "create it first"), source, "-o", tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_folder_is_refused(
    tmp_path: Path, source: Path, refused: Callable[..., Run], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    refused(5, (name, "is not writable", "choose another with -o"), source, "-o", tmp_path / name)


@pytest.mark.parametrize(
    "name", ["with spaces.pmtiles", "ünïcödé 地図.mbtiles", "new\nline.pmtiles", "quotes'\"#?%20.mbtiles"]
)
def test_any_name_is_written(tmp_path: Path, source: Path, mapgen: Mapgen, name: str) -> None:
    assert mapgen("tiles", source, "-o", tmp_path / name).code == 0
    assert tile_images(tmp_path / name)


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from mosaics import tile_images
from mapgen.cli.main import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
source, output, *limits = {arguments!r}
seen = []
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    form = [] if Path(output).suffix else ["-f", "folder"]
    code = run(["tiles", "-q", source, "-o", output, "--overwrite", *form])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    there = sorted(p.name for p in Path(output).parent.iterdir())
    tiles = sorted(map(list, tile_images(Path(output)))) if code == 0 else []
    seen.append([limit, code, there, tiles])
sys.stdout.write("\\n" + json.dumps(seen))
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_is_full_at_any_byte_leaves_the_right_set_or_none(tmp_path: Path, source: Path, name: str) -> None:
    """Played by a limit of the size of files, from nothing to more than all of it."""
    (tmp_path / "known").mkdir()
    result = tiles(source, tmp_path / "known" / name)
    known = sorted(map(list, tile_images(result.output)))
    size = max(p.stat().st_size for p in [result.output, *result.output.rglob("*")] if p.is_file())
    (tmp_path / "there").mkdir()
    limits = [*(int(share * size) for share in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)), size - 1, size + 50_000]
    arguments = [str(source), str(tmp_path / "there" / name), *limits]
    text = LIMITED.format(tests=str(Path(__file__).parent), arguments=arguments)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert [code for _, code, _, _ in seen] == [5] * 8 + [0], done.stderr
    assert all(there == [] for _, code, there, _ in seen if code == 5)
    assert name in seen[-1][2]
    assert seen[-1][3] == known


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_system_that_refuses_is_named(
    tmp_path: Path, source: Path, refused: Callable[..., Run], name: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    refused(5, (name, "-o"), source, "-o", tmp_path / name)


WAITING = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import mapgen.tiling.job as tool
def encode(*arguments):
    os.write({pipe}, b"running")
    threading.Event().wait(60)
tool.palette_png = encode
from mapgen.cli.main import main
tool.TileSet.put
main(sys.argv[1:])
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_killed_leaves_the_older_set_as_it_was(tmp_path: Path, source: Path, name: str) -> None:
    tiles(source, tmp_path / name)
    before = contents(tmp_path)
    heard, said = os.pipe()
    command = [sys.executable, "-c", WAITING.format(pipe=said)]
    command += map(str, formed("tiles", source, "-o", tmp_path / name, "--overwrite"))
    process = subprocess.Popen(command, pass_fds=(said,), cwd=ROOT, stderr=subprocess.PIPE)
    os.close(said)
    assert os.read(heard, 7) == b"running"
    os.close(heard)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    after = {k: v for k, v in contents(tmp_path).items() if not k.startswith(".mapgen-")}
    assert after == before


# --- memory -----------------------------------------------------------------------------------------------------------

TILES = """
import json, resource
from mapgen.cli.main import run
code = run(["tiles", "-q", "--threads", "2", *{arguments!r}])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def test_tiles_need_no_more_memory_for_a_map_eight_times_as_tall(tmp_path: Path) -> None:
    peaks = []
    for height in (2048, 8 * 2048):
        path = sparse_raster(tmp_path / f"{height}.tif", height, 1, nodata=0)
        peaks.append(peak_bytes(TILES, path, "-o", tmp_path / f"{height}.pmtiles"))
    assert peaks[1] < 1.15 * peaks[0], peaks


def test_the_place_of_the_sparse_map_is_on_the_ground(tmp_path: Path) -> None:
    """The memory test would hold for a map that no tile meets."""
    path = sparse_raster(tmp_path / "m.tif", 4096, 1, nodata=0)
    with rasterio.open(path) as dataset:
        assert dataset.transform == north_up(1.0)
    assert len(tile_images(tiles(path).output)) > 10
