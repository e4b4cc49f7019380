"""Raster tiles: the top zoom is the raster warped, lower pixels come of their four children; options; imagery."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from factory import Run, contents, coordinates, make_raster, noise, north_up
from mosaics import ids, mosaic, rgba, tile_images
from PIL import Image

from mapgen.legend import PALETTE
from mapgen.raster.halve import first_color, first_of, mean_of, mode_of
from mapgen.tiling.containers.container import open_tiles
from mapgen.tiling.quadtree import WEB_MERCATOR, Tile, to_lonlat
from mapgen.tiling.tiles import tiles

Array = np.ndarray[Any, np.dtype[Any]]
Mapgen = Callable[..., Run]
COLORS = {v: tuple(int(PALETTE[v][i : i + 2], 16) for i in (1, 3, 5)) for v in range(len(PALETTE))}
PLACES: dict[str, dict[str, Any]] = {
    "UTM": {},
    "degrees": {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 8.01, 0, -1.1e-5, 47.2)},
    "degrees beyond 180": {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 190.0, 0, -1e-4, -20)},
    "web": {"crs": "EPSG:3857", "transform": Affine(0.913, 0, 900_000.3, 0, -0.913, 5_800_000.7)},
    "feet": {"crs": "EPSG:2263", "transform": Affine(3.0, 0, 980_000, 0, -3.0, 200_000)},
    "polar": {"crs": "EPSG:3413", "transform": Affine(30.0, 0, -2_000_000, 0, -30.0, -1_000_000)},
    "south up": {"transform": Affine(1, 0, 500_000, 0, 1, 2_700_000)},
    "rotated": {"transform": Affine.translation(500_000, 2_700_000) @ Affine.rotation(30) @ Affine.scale(1.0, -1.3)},
    "antimeridian": {"crs": "EPSG:32660", "transform": Affine(40, 0, 820_000, 0, -40, 100_000)},
    "around the pole": {"crs": "EPSG:3413", "transform": Affine(40_000.0, 0, -3_000_000, 0, -40_000.0, 3_400_000)},
    "half the world": {"crs": "EPSG:4326", "transform": Affine(1.1, 0, -90.0, 0, -0.95, 80)},
}


def class_map(path: Path, height: int = 170, width: int = 150, seed: int = 5, **profile: Any) -> Path:
    """Blobs of eight classes with holes of no data."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 8, (height // 7 + 2, width // 7 + 2))
    mask = np.kron(coarse, np.ones((7, 7), int))[:height, :width].astype(np.uint8)
    speckle = rng.random(mask.shape) < 0.1
    mask[speckle] = rng.integers(0, 8, int(speckle.sum()))
    mask[height // 3 : height // 2, width // 4 : width // 3] = 255
    return make_raster(path, mask, **({"nodata": 255, "tiled": True, "blockxsize": 64, "blockysize": 64} | profile))


def warped(path: Path, z: int, window: tuple[int, int, int, int], size: int = 256) -> Array:
    """The raster nearest to each pixel of a window (column, row, width, height) of a zoom, each transformed by GDAL."""
    col, row, width, height = window
    with rasterio.open(path) as dataset:
        mask, crs, inverse = dataset.read(1).astype(int), dataset.crs, ~dataset.transform
        left = dataset.transform.c
    step = WEB_MERCATOR.resolution(z, size)
    cols, rows = np.meshgrid(np.arange(col, col + width) + 0.5, np.arange(row, row + height) + 0.5)
    xs, ys = WEB_MERCATOR.left + cols.ravel() * step, WEB_MERCATOR.top - rows.ravel() * step
    xs, ys = (np.array(v) for v in rasterio.warp.transform("EPSG:3857", crs, xs, ys))
    if crs.is_geographic and left > 0:
        xs = np.where(xs < left, xs + 360, xs)
    at_col, at_row = (inverse.a * xs + inverse.b * ys + inverse.c, inverse.d * xs + inverse.e * ys + inverse.f)
    at_col, at_row = np.floor(at_col + 1e-10), np.floor(at_row + 1e-10)
    inside = (at_col >= 0) & (at_col < mask.shape[1]) & (at_row >= 0) & (at_row < mask.shape[0])
    out = np.full(height * width, 255)
    out[inside] = mask[at_row[inside].astype(int), at_col[inside].astype(int)]
    return out.reshape(height, width)


def mode(pixels: Array) -> Array:
    """The mode of every 2 × 2 pixels by counting; 255 counts for nothing, ties go to the lower."""
    four = np.stack([pixels[r::2, c::2] for r in (0, 1) for c in (0, 1)])
    counts = np.stack([(four == value).sum(0) for value in range(8)])
    return np.where(counts.any(0), counts.argmax(0), 255)


@pytest.mark.parametrize("place", PLACES)
def test_the_top_zoom_is_the_class_map_warped_nearest(tmp_path: Path, place: str) -> None:
    source = class_map(tmp_path / "map.tif", **PLACES[place])
    result = tiles(source)
    images = tile_images(result.output)
    assert images
    z = result.zoom[1]
    for (zoom, x, y), image in images.items():
        if zoom == z:
            np.testing.assert_array_equal(ids(image, COLORS, 255), warped(source, z, (x * 256, y * 256, 256, 256)))
    left = [(x, y) for zoom, x, y in images if zoom == z]
    known = warped_extent(source, z)
    assert set(left) >= known


def warped_extent(path: Path, z: int) -> set[tuple[int, int]]:
    """The tiles that pixel centres of the raster with data lie in."""
    with rasterio.open(path) as dataset:
        rows, cols = np.nonzero(dataset.read(1) != 255)
        xs, ys = rasterio.transform.xy(dataset.transform, rows, cols)
        xs, ys = (np.array(v) for v in rasterio.warp.transform(dataset.crs, "EPSG:3857", xs, ys))
    side, half = WEB_MERCATOR.side(z), WEB_MERCATOR.span / 2
    with np.errstate(invalid="ignore"):
        inside = (np.abs(xs) < half) & (np.abs(ys) < half)
    places = np.stack(((xs[inside] + half) // side, (half - ys[inside]) // side), 1).astype(int)
    # A centre near the border of a tile may be no pixel's nearest: count those where many are.
    found, counts = np.unique(places, axis=0, return_counts=True)
    return {(int(x), int(y)) for (x, y), count in zip(found, counts, strict=True) if count > 50}


def test_where_gdal_approximates_it_is_off_by_no_more_than_it_says(tmp_path: Path) -> None:
    """rasterio's reproject may be an eighth of a pixel off: nowhere else may it differ."""
    source = class_map(tmp_path / "map.tif")
    result = tiles(source)
    col, row, image = mosaic(tile_images(result.output), result.zoom[1])
    ours = ids(image, COLORS, 255)
    transform = WEB_MERCATOR.transform(result.zoom[1]) @ Affine.translation(col, row)
    theirs = np.full(ours.shape, 255, np.uint8)
    with rasterio.open(source) as dataset:
        rasterio.warp.reproject(
            rasterio.band(dataset, 1), theirs, dst_transform=transform, dst_crs="EPSG:3857", dst_nodata=255,
            resampling=rasterio.warp.Resampling.nearest,
        )  # fmt: skip
        inverse = ~dataset.transform
        rows, cols = np.nonzero(ours != theirs)
        xs, ys = rasterio.transform.xy(transform, rows, cols)
        xs, ys = (np.array(v) for v in rasterio.warp.transform("EPSG:3857", dataset.crs, xs, ys))
    assert len(rows) < 0.02 * ours.size
    at = np.stack((inverse.a * xs + inverse.c, inverse.e * ys + inverse.f))
    assert (np.abs(at - np.rint(at)).min(0) < 0.13).all()


@pytest.mark.parametrize(("place", "size"), [("UTM", 256), ("UTM", 512), ("antimeridian", 256)])
def test_each_lower_pixel_is_the_mode_of_its_four_children(tmp_path: Path, place: str, size: int) -> None:
    source = class_map(tmp_path / "map.tif", 600, 700, **PLACES[place])
    result = tiles(source, zoom=(0, None), tile_size=size)
    images = {key: ids(image, COLORS, 255) for key, image in tile_images(result.output).items()}
    nothing = np.full((size, size), 255)
    parents = {(z - 1, x >> 1, y >> 1) for z, x, y in images if z}
    assert parents <= images.keys()
    assert {(0, 0, 0)} == {key for key in images if key[0] == 0}
    for z, x, y in parents:
        north, south = (
            np.concatenate([images.get((z + 1, 2 * x + c, 2 * y + r), nothing) for c in (0, 1)], 1) for r in (0, 1)
        )
        np.testing.assert_array_equal(images[z, x, y], mode(np.concatenate((north, south))))
    assert all((image != 255).any() for image in images.values()), "an empty tile was written"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_the_mode_of_four_is_found_by_counting(dtype: str) -> None:
    """Every combination of four of five values, one of them no data."""
    values = np.array(list(itertools.product([0, 1, 2, 9, 255 if dtype == "uint8" else -7], repeat=4)), dtype)
    nodata = values[-1, -1]
    tile = values.reshape(-1, 2, 2).transpose(1, 0, 2).reshape(2, -1)
    out, first = (np.empty((1, len(values)), dtype) for _ in range(2))
    mode_of(int(nodata))(tile, out)
    first_of(int(nodata))(tile, first)
    for four, found, one in zip(values.tolist(), out[0].tolist(), first[0].tolist(), strict=True):
        data = [v for v in four if v != nodata]
        counts = {v: data.count(v) for v in data}
        most = [v for v, n in counts.items() if n == max(counts.values())]
        assert found == (min(most) if most else nodata)
        assert one == (data[0] if data else nodata)


def test_colours_are_averaged_by_how_valid_they_are() -> None:
    tile = np.array([[[10, 20], [31, 200]], [[255, 255], [255, 0]]], np.uint8)
    out = np.empty((2, 1, 1), np.uint8)
    mean_of()(tile, out)
    assert out.ravel().tolist() == [20, 191]  # (10 + 20 + 31) / 3 = 20.33; 765 / 4 = 191.25
    first_color()(tile, out)
    assert out.ravel().tolist() == [10, 255]
    mean_of()(np.zeros_like(tile), out)
    assert out.ravel().tolist() == [0, 0]


@pytest.mark.parametrize("name", ["a.pmtiles", "a.mbtiles", "a"])
def test_threads_do_not_change_a_byte(tmp_path: Path, name: str) -> None:
    source = class_map(tmp_path / "map.tif", 3000, 2500)
    for threads in (1, 2, 5):
        (tmp_path / str(threads)).mkdir()
        tiles(source, tmp_path / str(threads) / name, threads=threads)
    one, two, five = (contents(tmp_path / str(threads)) for threads in (1, 2, 5))
    assert one == two == five


@pytest.mark.parametrize("name", ["a.pmtiles", "a"])
def test_every_container_holds_the_same_tiles(tmp_path: Path, name: str) -> None:
    source = class_map(tmp_path / "map.tif")
    with open_tiles(tiles(source, tmp_path / "b.mbtiles").output) as known:
        want = {(z, x, y): data for z, x, y, data in known.tiles()}
    with open_tiles(tiles(source, tmp_path / name).output) as found:
        assert {(z, x, y): data for z, x, y, data in found.tiles()} == want


def test_empty_tiles_are_left_out_and_equal_ones_are_kept_once(tmp_path: Path) -> None:
    mask = np.full((2000, 2000), 255, np.uint8)
    mask[:900, :900], mask[1700:, 1700:] = 3, 3
    result = tiles(make_raster(tmp_path / "map.tif", mask, nodata=255))
    images = tile_images(result.output)
    whole = WEB_MERCATOR.covering(
        rasterio.warp.transform_bounds("EPSG:32640", "EPSG:3857", 500_000, 2_698_000, 502_000, 2_700_000),
        result.zoom[1],
    )
    top = [key for key in images if key[0] == result.zoom[1]]
    assert 0 < len(top) < len(whole)
    assert all(image[..., 3].any() for image in images.values())
    full = [key for key, image in images.items() if image[..., 3].all()]
    assert len(full) > 3
    with open_tiles(result.output) as source:
        assert len({source.get(*key) for key in full}) == 1
        assert source.contents == len({data for *_, data in source.tiles()})


def test_mbtiles_are_opened_by_gdal(tmp_path: Path) -> None:
    source = class_map(tmp_path / "map.tif")
    result = tiles(source, tmp_path / "a.mbtiles")
    col, row, image = mosaic(tile_images(result.output), result.zoom[1])
    with rasterio.open(result.output, driver="MBTiles", ZOOM_LEVEL=result.zoom[1]) as dataset:
        assert dataset.crs == "EPSG:3857"
        assert dataset.count == 4
        west, north = dataset.transform.c, dataset.transform.f
        step = dataset.transform.a
        assert np.isclose(step, WEB_MERCATOR.resolution(result.zoom[1]))
        at_col, at_row = round((west - WEB_MERCATOR.left) / step), round((WEB_MERCATOR.top - north) / step)
        pixels = dataset.read()
        assert len(dataset.overviews(1)) == result.zoom[1] - result.zoom[0]
    common = image[at_row - row :, at_col - col :][: pixels.shape[1], : pixels.shape[2]]
    theirs = pixels[:, : common.shape[0], : common.shape[1]].transpose(1, 2, 0)
    seen = common[..., 3] > 0
    np.testing.assert_array_equal(theirs[..., 3] > 0, seen)
    np.testing.assert_array_equal(theirs[seen], common[seen])


def test_tiles_carry_no_more_bits_than_their_classes_need(tmp_path: Path) -> None:
    """Told by the PNG itself: bit depth and length of the palette."""
    for count, depth in ((2, 1), (3, 2), (5, 4), (16, 4), (17, 8), (256, 8)):
        mask = (np.arange(256 * 256).reshape(256, 256) * 7 % count).astype(np.uint8)
        box = WEB_MERCATOR.bounds(Tile(15, 20_000, 12_000))
        transform = Affine((box[2] - box[0]) / 256, 0, box[0], 0, (box[1] - box[3]) / 256, box[3])
        source = make_raster(tmp_path / f"{count}.tif", mask, crs="EPSG:3857", transform=transform)
        result = tiles(source, kind="classes", zoom=(15, 15))
        with open_tiles(result.output) as found:
            ((z, x, y, data),) = found.tiles()
        assert (z, x, y) == (15, 20_000, 12_000)
        assert (data[24], data[25]) == (depth, 3)
        assert data[33 + 4 : 33 + 8] == b"PLTE"
        assert int.from_bytes(data[33:37], "big") == 3 * count
        with rasterio.open(source) as dataset:
            known = np.array([[*COLORS[v % 16], 255] for v in range(256)], np.uint8)[dataset.read(1)]
        np.testing.assert_array_equal(rgba(data), known)


def test_more_classes_than_a_palette_holds_keep_their_colours(tmp_path: Path) -> None:
    mask = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    result = tiles(make_raster(tmp_path / "map.tif", mask))
    image = mosaic(tile_images(result.output), result.zoom[1])[2]
    assert {tuple(c) for c in image[image[..., 3] > 0][:, :3].tolist()} == set(COLORS.values())
    assert any("more than are listed" in note for note in result.notes)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", None), ("uint16", 65535), ("int16", -1), ("int32", None)])
def test_any_integers_are_classes(tmp_path: Path, dtype: str, nodata: int | None) -> None:
    mask = (np.arange(100 * 90).reshape(100, 90) // 700).astype(dtype)
    mask[:9] = 5 if nodata is None else nodata
    result = tiles(make_raster(tmp_path / "map.tif", mask, nodata=nodata), kind="classes")
    assert set(result.classes) == set(np.unique(mask).tolist()) - {nodata}


def test_a_mask_band_is_no_data(tmp_path: Path) -> None:
    mask = np.full((200, 200), 3, np.uint8)
    valid = np.zeros((200, 200), np.uint8)
    valid[50:100, 60:120] = 255
    plain = tiles(make_raster(tmp_path / "a.tif", np.where(valid > 0, mask, 255).astype(np.uint8), nodata=255))
    masked = tiles(make_raster(tmp_path / "b.tif", mask, mask=valid), kind="classes")
    one, two = (tile_images(r.output) for r in (plain, masked))
    assert one.keys() == two.keys()
    assert all((one[key] == two[key]).all() for key in one)


def test_names_and_colours_come_along_and_background_is_transparent(tmp_path: Path) -> None:
    legend = [
        {"id": 0, "name": "background", "color": "#000000", "background": True},
        {"id": 1, "name": "roof", "color": "#aa0000"},
        {"id": 2, "name": "tree", "color": "#00bb00"},
    ]
    mask = (np.arange(150 * 150).reshape(150, 150) // 7500).astype(np.uint8)
    result = tiles(make_raster(tmp_path / "m.tif", mask, tags={"MAPGEN_LEGEND": json.dumps(legend)}))
    assert result.classes == {1: "roof", 2: "tree"}
    assert result.notes == ("background, transparent: background",)
    image = mosaic(tile_images(result.output), result.zoom[1])[2]
    seen = {tuple(c) for c in image[image[..., 3] == 255][:, :3].tolist()}
    assert seen == {(0xAA, 0, 0), (0, 0xBB, 0)}


# --- imagery ----------------------------------------------------------------------------------------------------------


def smooth(height: int, width: int) -> Array:
    """Three smooth bands (3, H, W), so that any sensible resampling agrees to a few grey values."""
    rows, cols = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 31) + np.cos(cols / 27), np.sin((rows + cols) / 41), np.cos((rows - cols) / 37)]
    return np.stack([np.interp(w, (w.min(), w.max()), (20, 235)) for w in waves]).round().astype(np.uint8)


@pytest.mark.parametrize("how", ["bilinear", "cubic", "nearest"])
def test_imagery_is_warped_as_gdal_does(tmp_path: Path, how: str) -> None:
    source = make_raster(tmp_path / "scene.tif", smooth(400, 380), photometric="RGB")
    result = tiles(source, tile_format="png", resampling=how)
    assert result.kind == "imagery"
    col, row, image = mosaic(tile_images(result.output), result.zoom[1])
    transform = WEB_MERCATOR.transform(result.zoom[1]) @ Affine.translation(col, row)
    theirs = np.zeros((3, *image.shape[:2]), np.uint8)
    with rasterio.open(source) as dataset:
        rasterio.warp.reproject(
            rasterio.band(dataset, [1, 2, 3]), theirs, dst_transform=transform, dst_crs="EPSG:3857",
            resampling=rasterio.warp.Resampling[how],
        )  # fmt: skip
    inside = (image[..., 3] == 255) & (theirs > 0).all(0)
    assert inside.mean() > 0.3
    off = np.abs(image[..., :3].astype(int) - theirs.transpose(1, 2, 0))[inside]
    assert off.max() <= (9 if how == "nearest" else 3)
    assert np.median(off) == 0


def test_lower_zooms_of_imagery_are_means(tmp_path: Path) -> None:
    result = tiles(make_raster(tmp_path / "scene.tif", smooth(900, 800), photometric="RGB"), tile_format="png")
    images = tile_images(result.output)
    nothing = np.zeros((256, 256, 4), np.uint8)
    for z, x, y in images:
        if z < result.zoom[1]:
            north, south = (
                np.concatenate([images.get((z + 1, 2 * x + c, 2 * y + r), nothing) for c in (0, 1)], 1) for r in (0, 1)
            )
            four = np.concatenate((north, south)).astype(float).reshape(256, 2, 256, 2, 4)
            weight = four[..., 3:].sum((1, 3))
            mean = (four[..., :3] * four[..., 3:]).sum((1, 3)) / np.maximum(weight, 1)
            seen = images[z, x, y][..., 3] > 0
            np.testing.assert_array_equal(seen, weight[..., 0] >= 2)
            assert np.abs(images[z, x, y][..., :3] - mean)[seen].max() <= 0.51


def test_imagery_is_webp_and_what_has_no_data_is_transparent(tmp_path: Path) -> None:
    pixels = smooth(500, 500)
    pixels[:, :200] = 0
    result = tiles(make_raster(tmp_path / "scene.tif", pixels, nodata=0, photometric="RGB"))
    assert result.format == "webp"
    with open_tiles(result.output) as source:
        kinds = {data[8:12] for *_, data in source.tiles()}
    assert kinds == {b"WEBP"}
    image = mosaic(tile_images(result.output), result.zoom[1])[2]
    share = (image[..., 3] == 255).sum() / (image[..., 3] >= 0).sum()
    assert 0.1 < share < 0.6


def test_a_confidence_raster_is_grey_and_transparent_without_data(tmp_path: Path) -> None:
    values = np.full((200, 200), 125, np.uint8)
    values[:100] = 255
    source = make_raster(tmp_path / "c.tif", values, nodata=255, scales=(0.004,))
    result = tiles(source)
    assert (result.kind, result.format) == ("confidence", "png")
    image = mosaic(tile_images(result.output), result.zoom[1])[2]
    assert {tuple(c) for c in image[image[..., 3] == 255].tolist()} == {(128, 128, 128, 255)}  # 0.5


def test_a_scene_whose_pixels_say_where_they_are_is_put_there(tmp_path: Path) -> None:
    """Column and row of the scene, read from a tile, are those of the place where the pixel lies."""
    source = make_raster(tmp_path / "s.tif", coordinates(240, 230, "uint8"), photometric="RGB")
    result = tiles(source, resampling="nearest", tile_format="png", kind="imagery")
    col, row, image = mosaic(tile_images(result.output), result.zoom[1])
    step = WEB_MERCATOR.resolution(result.zoom[1])
    rows, cols = np.nonzero(image[..., 3])
    xs, ys = WEB_MERCATOR.left + (col + cols + 0.5) * step, WEB_MERCATOR.top - (row + rows + 0.5) * step
    lon, lat = to_lonlat(xs, ys)
    with rasterio.open(source) as dataset:
        east, north = rasterio.warp.transform("EPSG:4326", dataset.crs, lon, lat)
        at_rows, at_cols = rasterio.transform.rowcol(dataset.transform, east, north)
    found = image[rows, cols].astype(int)
    assert np.abs(found[:, 0] - at_rows).max() <= 1
    assert np.abs(found[:, 1] - at_cols).max() <= 1
    assert (found[:, 0] == at_rows).mean() > 0.999


# --- options ----------------------------------------------------------------------------------------------------------


def test_output_names_the_set_and_its_container(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    for name in ("b.pmtiles", "b.mbtiles", "b"):
        form = () if Path(name).suffix else ("-f", "folder")
        run = mapgen("tiles", source, "-o", tmp_path / name, *form)
        assert (run.code, run.out) == (0, f"{tmp_path / name}\n")
    assert (tmp_path / "b.pmtiles").read_bytes().startswith(b"PMTiles\x03")
    assert (tmp_path / "b.mbtiles").read_bytes().startswith(b"SQLite format 3")
    assert (tmp_path / "b" / "tilejson.json").is_file()


def test_container_is_that_of_outputs_without_a_name(tmp_path: Path, mapgen: Mapgen) -> None:
    source, other = class_map(tmp_path / "map.tif"), class_map(tmp_path / "two.tif")
    assert mapgen("tiles", source).out == f"{tmp_path / 'map.pmtiles'}\n"
    assert mapgen("tiles", source, "--format", "mbtiles").out == f"{tmp_path / 'map.mbtiles'}\n"
    run = mapgen("tiles", source, other, "--format", "folder", "-o", f"{tmp_path}/all/")
    assert run.out == f"{tmp_path}/all/map\n{tmp_path}/all/two\n"
    assert (tmp_path / "all" / "two" / "style.json").is_file()


def test_many_maps_come_from_a_pipe(tmp_path: Path, mapgen: Mapgen, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [class_map(tmp_path / name) for name in ("a.tif", "b.tif")]
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("".join(f"{n}\n" for n in names)))
    run = mapgen("tiles", "-")
    assert run.out == f"{tmp_path / 'a.pmtiles'}\n{tmp_path / 'b.pmtiles'}\n"


@pytest.mark.parametrize(
    ("text", "zooms"),
    [("auto", (17, 17)), ("15", (15, 15)), ("12-16", (12, 16)), ("16-18", (16, 18)), ("14-auto", (14, 17))],
)
def test_zoom_says_what_is_written(tmp_path: Path, mapgen: Mapgen, text: str, zooms: tuple[int, int]) -> None:
    source = class_map(tmp_path / "map.tif", 200, 200)
    assert mapgen("tiles", source, "--zoom", text).code == 0
    images = tile_images(tmp_path / "map.pmtiles")
    found = sorted({z for z, _, _ in images})
    if text == "auto":
        assert found[-1] == 17
    else:
        assert found == list(range(zooms[0], zooms[1] + 1))


def test_zooms_further_out_are_made_from_all_pixels(tmp_path: Path) -> None:
    source = class_map(tmp_path / "map.tif", 700, 700)
    whole, part = (tiles(source, tmp_path / f"{name}.pmtiles", zoom=zoom).output
                   for name, zoom in (("whole", (12, None)), ("part", (12, 13))))  # fmt: skip
    want = {key: image for key, image in tile_images(whole).items() if key[0] <= 13}
    found = tile_images(part)
    assert found.keys() == want.keys()
    assert all((found[key] == want[key]).all() for key in want)


def test_tile_size_is_the_side_of_a_tile(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    assert mapgen("tiles", source, "--tile-size", 512).code == 0
    assert {image.shape for image in tile_images(tmp_path / "map.pmtiles").values()} == {(512, 512, 4)}
    style = json.loads((tmp_path / "map.pmtiles.style.json").read_text())
    assert style["sources"]["tiles"]["tileSize"] == 512


def test_format_is_that_of_the_tiles(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    sets = {}
    for form in ("png", "webp"):
        assert mapgen("tiles", source, "-o", tmp_path / f"{form}.mbtiles", "--tile-format", form).code == 0
        sets[form] = tile_images(tmp_path / f"{form}.mbtiles")
    assert sets["png"].keys() == sets["webp"].keys()
    for key, image in sets["png"].items():
        seen = image[..., 3] > 0
        np.testing.assert_array_equal(image[..., 3], sets["webp"][key][..., 3])
        np.testing.assert_array_equal(image[seen], sets["webp"][key][seen])


def test_quality_is_that_of_lossy_formats(tmp_path: Path, mapgen: Mapgen) -> None:
    source = make_raster(tmp_path / "s.tif", noise(400, 400), photometric="RGB")
    sizes = []
    for quality in (20, 90):
        output = tmp_path / f"{quality}.pmtiles"
        assert mapgen("tiles", source, "-o", output, "--tile-format", "jpeg", "--quality", quality).code == 0
        sizes.append(output.stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]
    with open_tiles(output) as found:
        assert Image.open(__import__("io").BytesIO(next(found.tiles())[3])).format == "JPEG"


def test_kind_says_what_a_raster_is(tmp_path: Path, mapgen: Mapgen) -> None:
    few = make_raster(tmp_path / "few.tif", noise(200, 200, 1) // 20)
    many = make_raster(tmp_path / "many.tif", noise(200, 200, 1))
    run = mapgen("tiles", few, "--json")
    assert json.loads(run.out.splitlines()[0])["kind"] == "classes"
    assert "--kind imagery" in run.err
    run = mapgen("tiles", many, "--json")
    assert json.loads(run.out.splitlines()[0])["kind"] == "imagery"
    assert "--kind classes" in run.err
    run = mapgen("tiles", few, "--kind", "imagery", "--json", "--overwrite")
    assert json.loads(run.out.splitlines()[0])["kind"] == "imagery"
    assert "--kind" not in run.err


def test_resampling_nearest_takes_one_of_the_four(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif", 700, 700)
    sets = {}
    for how in ("mode", "nearest"):
        output = tmp_path / f"{how}.pmtiles"
        assert mapgen("tiles", source, "-o", output, "--resampling", how).code == 0
        sets[how] = tile_images(output)
    top = max(z for z, _, _ in sets["mode"])
    same = [key for key in sets["mode"] if (sets["mode"][key] == sets["nearest"][key]).all()]
    assert {key for key in sets["mode"] if key[0] == top} <= set(same) < sets["mode"].keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--resampling", "bilinear"), ("would mix the ids of classes", "use mode or nearest")),
        (("--tile-format", "jpeg"), ("JPEG has no exact colours", "use png or webp")),
        (("--quality", "50"), ("without loss", "leave it out")),
        (("--bands", "1"), ("is a class map", "--kind imagery")),
        (("--zoom", "9-5"), ("'9-5' is not MIN-MAX", "such as --zoom 10-16")),
        (("--zoom", "99"), ("'99' is not MIN-MAX",)),
        (("--tile-size", "300"), ("300 pixels", "use 256 or 512")),
        (("--threads", "0"), ("0 is not between 1 and 1024",)),
        (("--tile-format", "gif"), ("'gif' is not one of", "auto, png, webp, jpeg")),
        (("--tms", "WorldCRS84Quad"), ("holds tiles of WebMercatorQuad only", "write a folder")),
        (("--scheme", "tms"), ("counts rows as xyz", "write a folder")),
    ],
)
def test_options_that_would_spoil_a_class_map_are_refused(
    tmp_path: Path, mapgen: Mapgen, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    source = class_map(tmp_path / "map.tif")
    before = contents(tmp_path)
    run = mapgen("tiles", source, *options)
    assert (run.code, len(run.errors)) == (2, 1), run
    assert all(word in run.errors[0] for word in words), run.errors
    assert contents(tmp_path) == before


def test_bands_choose_the_colours(tmp_path: Path, mapgen: Mapgen) -> None:
    flat = np.stack([np.full((200, 200), v, np.uint8) for v in (10, 80, 150, 220)])
    source = make_raster(tmp_path / "s.tif", flat)
    common = ("--tile-format", "png", "--overwrite")
    for bands, color in (("4,3,2", (220, 150, 80)), ("2", (80, 80, 80)), (None, (10, 80, 150))):
        run = mapgen("tiles", source, *common, *(("--bands", bands) if bands else ()))
        assert run.code == 0
        image = mosaic(tile_images(tmp_path / "s.pmtiles"), 17)[2]
        assert {tuple(c[:3]) for c in image[image[..., 3] == 255].tolist()} == {color}


def test_nodata_names_the_value_without_data(tmp_path: Path, mapgen: Mapgen) -> None:
    mask = np.where(np.arange(200)[:, None] < 80, 4, 6).astype(np.uint8) * np.ones((1, 200), np.uint8)
    source = make_raster(tmp_path / "m.tif", mask)
    run = mapgen("tiles", source, "--kind", "classes", "--nodata", "4", "--json")
    assert json.loads(run.out.splitlines()[0])["classes"] == {"6": "6"}


def test_scale_says_what_is_black_and_white(tmp_path: Path, mapgen: Mapgen) -> None:
    values = (np.ones((200, 1)) * np.linspace(0, 3000, 200)).astype(np.uint16)
    source = make_raster(tmp_path / "s.tif", np.stack([values] * 3))
    means = []
    for scale in (None, "0,3000", "0,6000", "p0,p100"):
        options = ("--stretch", scale) if scale else ()
        run = mapgen("tiles", source, "--tile-format", "png", "--overwrite", *options)
        assert run.code == 0
        assert ("is shown as black to white; --stretch sets it" in run.err) == (scale is None)
        image = mosaic(tile_images(tmp_path / "s.pmtiles"), 17)[2]
        means.append(image[image[..., 3] == 255][:, 0].mean())
    assert means[1] == pytest.approx(127.5, abs=3)
    assert means[2] == pytest.approx(63.75, abs=2)
    assert means[3] == pytest.approx(means[1], abs=2)


def test_scheme_counts_the_rows_of_a_folder(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    for scheme in ("xyz", "tms"):
        assert mapgen("tiles", source, "-o", tmp_path / scheme, "--scheme", scheme).code == 0
    xyz, tms = ({str(p.relative_to(tmp_path / s)) for p in (tmp_path / s).rglob("*.png")} for s in ("xyz", "tms"))
    mirrored = {f"{z}/{x}/{2 ** int(z) - 1 - int(name[:-4])}.png" for z, x, name in (p.split("/") for p in xyz)}
    assert tms == mirrored
    assert tms.isdisjoint(xyz)


def test_tms_chooses_the_grid_of_tiles(tmp_path: Path, mapgen: Mapgen) -> None:
    mask = (np.arange(256 * 512).reshape(256, 512) // 1000 % 8).astype(np.uint8)
    transform = Affine(360 / 512, 0, -180, 0, -180 / 256, 90)
    source = make_raster(tmp_path / "m.tif", mask, crs="EPSG:4326", transform=transform, nodata=255)
    run = mapgen("tiles", source, "-o", tmp_path / "t", "--tms", "WorldCRS84Quad", "--zoom", "0-0")
    assert run.code == 0, run
    west, east = (rgba((tmp_path / "t" / "0" / str(x) / "0.png").read_bytes()) for x in (0, 1))
    np.testing.assert_array_equal(ids(np.concatenate((west, east), 1), COLORS, 255), mask)
    assert json.loads((tmp_path / "t" / "tilejson.json").read_text())["tile_matrix_set"] == "WorldCRS84Quad"
    assert not (tmp_path / "t" / "style.json").exists()


def test_assume_crs_places_a_map_that_names_none(tmp_path: Path, mapgen: Mapgen) -> None:
    known, bare = class_map(tmp_path / "a.tif"), class_map(tmp_path / "b.tif", crs=None)
    assert mapgen("tiles", known).code == 0
    assert mapgen("tiles", bare, "--assume-crs", "EPSG:32640").code == 0
    one, two = (tile_images(tmp_path / name) for name in ("a.pmtiles", "b.pmtiles"))
    assert one.keys() == two.keys()


def test_threads_are_as_many_as_asked_for(tmp_path: Path, mapgen: Mapgen, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    seen = []

    def pool(count: int, **more: str) -> ThreadPoolExecutor:
        seen.append((count, bool(more)))
        return ThreadPoolExecutor(count, **more)

    monkeypatch.setattr("mapgen.parallel.ThreadPoolExecutor", pool)
    assert mapgen("tiles", class_map(tmp_path / "map.tif"), "--threads", "3").code == 0
    assert (3, False) in seen


def test_overwrite_replaces_an_older_set(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    (tmp_path / "map.pmtiles").write_text("old")
    assert mapgen("tiles", source).code == 5
    assert (tmp_path / "map.pmtiles").read_text() == "old"
    assert mapgen("tiles", source, "--overwrite").code == 0
    assert tile_images(tmp_path / "map.pmtiles")


def test_json_reports_zooms_tiles_and_classes(tmp_path: Path, mapgen: Mapgen) -> None:
    source = class_map(tmp_path / "map.tif")
    record, summary = map(json.loads, mapgen("tiles", source, "--json").out.splitlines())
    assert record["tiles"] == len(tile_images(tmp_path / "map.pmtiles"))
    assert record["classes"] == {str(v): str(v) for v in range(8)}
    assert (record["container"], record["kind"], record["format"]) == ("pmtiles", "classes", "png")
    assert summary["summary"] == {"done": 1, "failed": 0, "exit_code": 0}


def test_quiet_says_nothing(tmp_path: Path, mapgen: Mapgen) -> None:
    run = mapgen("tiles", class_map(tmp_path / "map.tif"), "-q")
    assert (run.code, run.err) == (0, "")


def test_verbose_twice_shows_the_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mapgen.cli.main import run

    monkeypatch.setattr("mapgen.tiling.job.palette_png", None)
    source = str(class_map(tmp_path / "map.tif"))
    assert run(["tiles", source]) == 1
    assert "Traceback" not in capfd.readouterr().err
    assert run(["tiles", source, "-vv"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_north_up_is_up(tmp_path: Path) -> None:
    """A map whose north is one class and whose south is another."""
    mask = np.repeat(np.array([1, 2], np.uint8), 150)[:, None] * np.ones((1, 300), np.uint8)
    result = tiles(make_raster(tmp_path / "m.tif", mask, transform=north_up(1.0), nodata=255))
    image = ids(mosaic(tile_images(result.output), result.zoom[1])[2], COLORS, 255)
    rows = {value: np.nonzero(image == value)[0].mean() for value in (1, 2)}
    assert rows[1] < rows[2]
