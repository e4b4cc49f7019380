"""Several scenes as one: no seam, the first wins, and what does not fit is refused with the command that warps it."""

import shlex
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import rasterio
from factory import CRS, ORIGIN, coordinates, make_raster, noise, north_up, read_map
from rasterio.enums import ColorInterp

from mapgen.errors import InputError, ResourceError
from mapgen.grid import Window
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.raster.mosaic import open_mosaic
from mapgen.raster.open import open_scene
from mapgen.raster.scene import with_bands

RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def part(path: Path, array, row=0, col=0, resolution=1.0, **profile):
    """The raster `array` whose upper left pixel is (row, col) of the lattice at ORIGIN."""
    origin = (ORIGIN[0] + col * resolution, ORIGIN[1] - row * resolution)
    return str(make_raster(path, array, transform=north_up(resolution, origin), **profile))


def cut(tmp_path: Path, array, cuts, **profile):
    """The windows `cuts` (row, col, height, width) of an array as files."""
    return [
        part(tmp_path / f"part{n}.tif", array[:, r : r + h, c : c + w], r, c, **profile)
        for n, (r, c, h, w) in enumerate(cuts)
    ]


@pytest.mark.parametrize(
    "cuts",
    [
        [(0, 0, 150, 97), (0, 97, 150, 103)],
        [(0, 0, 71, 200), (71, 0, 79, 200)],
        [(0, 97, 150, 103), (0, 0, 150, 110)],  # the first is on the right, and they overlap
        [(40, 0, 110, 60), (0, 0, 60, 200), (40, 60, 110, 140)],
    ],
)
def test_parts_of_a_scene_give_its_own_map(tmp_path, model, engines, cuts):
    scene = noise(150, 200)
    scene[:, 60:75, 80:120] = 0
    whole = part(tmp_path / "whole.tif", scene, nodata=0)
    names = cut(tmp_path, scene, cuts, nodata=0)
    options = SegmentOptions(model=str(model), resolution="model")
    Segmenter(options)(whole, tmp_path / "whole.mask.tif")
    asked = list(engines.seen)
    Segmenter(options, opener=lambda _: open_mosaic(names))(names[0], tmp_path / "parts.mask.tif")
    np.testing.assert_array_equal(read_map(tmp_path / "parts.mask.tif"), read_map(tmp_path / "whole.mask.tif"))
    assert engines.seen[len(asked) :] == asked
    with (
        open_scene(tmp_path / "whole.mask.tif", any_kind=True) as a,
        open_scene(tmp_path / "parts.mask.tif", any_kind=True) as b,
    ):
        assert a.grid == b.grid


def test_parts_give_the_same_map_at_another_resolution_too(tmp_path, model, engines):
    scene = noise(300, 260)
    whole = part(tmp_path / "whole.tif", scene, resolution=0.5)
    names = [
        part(tmp_path / "a.tif", scene[:, :, :131], resolution=0.5),
        part(tmp_path / "b.tif", scene[:, :, 131:], 0, 131, resolution=0.5),
    ]
    options = SegmentOptions(model=str(model))
    Segmenter(options)(whole, tmp_path / "whole.mask.tif")
    Segmenter(options, opener=lambda _: open_mosaic(names))(names[0], tmp_path / "parts.mask.tif")
    np.testing.assert_array_equal(read_map(tmp_path / "parts.mask.tif"), read_map(tmp_path / "whole.mask.tif"))


def test_every_pixel_is_where_it_was(tmp_path):
    scene = coordinates(90, 120)
    names = cut(tmp_path, scene, [(50, 30, 40, 90), (0, 0, 60, 70)])
    with open_mosaic(names) as mosaic:
        pixels, valid = mosaic.read(mosaic.grid.window)
    assert valid[:60, :70].all()
    assert valid[50:, 30:].all()
    assert not valid[:50, 70:].any()
    assert not valid[60:, :30].any()
    np.testing.assert_array_equal(pixels[:, valid], scene[:, valid])


def test_the_first_with_data_wins(tmp_path):
    one, two = np.full((3, 10, 10), 50, np.uint8), np.full((3, 10, 10), 90, np.uint8)
    one[:, 3:5] = 0
    names = [part(tmp_path / "one.tif", one, nodata=0), part(tmp_path / "two.tif", two, 0, 5, nodata=0)]
    with open_mosaic(names) as mosaic:
        row, hole = (mosaic.read(Window(r, 0, 1, 15)) for r in (0, 3))
    assert row[0][0, 0].tolist() == [50] * 10 + [90] * 5
    assert row[1].all()
    assert hole[0][0, 0, 5:].tolist() == [90] * 10
    assert hole[1][0].tolist() == [False] * 5 + [True] * 10


def test_ground_that_none_covers_has_no_data(tmp_path):
    names = cut(tmp_path, noise(40, 40), [(0, 0, 20, 20), (20, 20, 20, 20)])
    with open_mosaic(names) as mosaic:
        assert mosaic.has_validity
        assert not mosaic.read(Window(0, 20, 20, 20))[1].any()
    with open_mosaic(cut(tmp_path, noise(40, 40), [(0, 0, 20, 40), (20, 0, 20, 40)])) as mosaic:
        assert not mosaic.has_validity


def test_a_part_with_alpha_goes_with_one_without(tmp_path):
    plain, alpha = noise(20, 20), np.concatenate([noise(20, 20), np.full((1, 20, 20), 255, np.uint8)])
    alpha[3, :, 10:] = 0
    names = [
        part(tmp_path / "a.tif", alpha, colorinterp=RGBA),
        part(tmp_path / "b.tif", plain, 0, 20),
    ]
    with open_mosaic(names) as mosaic:
        assert mosaic.bands == (1, 2, 3)
        assert mosaic.read(Window(0, 0, 1, 40))[1][0].tolist() == [True] * 10 + [False] * 10 + [True] * 20


def test_each_block_is_read_once_a_window(tmp_path, monkeypatch):
    names = cut(tmp_path, noise(40, 60), [(0, 0, 40, 30), (0, 10, 40, 50)])
    with open_mosaic(names) as mosaic:
        asked = []
        fetch = type(mosaic.parts[0][1])._fetch
        monkeypatch.setattr(
            "mapgen.raster.scene.RasterScene._fetch",
            lambda scene, window: asked.append(scene.name) or fetch(scene, window),
        )
        mosaic.read(Window(0, 0, 40, 30))  # the first covers it, so the second is not asked
    assert asked == [names[0]]


def test_damage_is_told_where_the_mosaic_has_it(tmp_path):
    good = part(tmp_path / "good.tif", noise(64, 64))
    bad = part(
        tmp_path / "bad.tif", coordinates(64, 64, "uint8"), 0, 64,
        tiled=True, blockxsize=32, blockysize=32, compress="deflate",
    )  # fmt: skip
    with rasterio.open(bad) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_1_0", "TIFF", bidx=1))
    with open(bad, "r+b") as stream:
        stream.seek(place)
        stream.write(b"\xaa" * 50)
    with open_mosaic([good, bad]) as mosaic:
        with pytest.raises(InputError, match=r"bad\.tif: is damaged in the block at row 0, column 32"):
            mosaic.read(mosaic.grid.window)
        lenient = with_bands(mosaic, mosaic.bands, None, "nodata")
        _, valid = lenient.read(mosaic.grid.window)
        assert mosaic.damaged == lenient.damaged == [(0, 96)]
        assert not valid[:32, 96:].any()
        assert valid[:, :96].all()
        assert valid[32:].all()


def other_scenes(tmp_path):
    """Scenes that do not go with a plain one, by what is wrong with them."""
    scene = noise(30, 30)
    return {
        "0.50 px off": part(tmp_path / "off.tif", scene, 0.5, 30),
        "0.03 px off": part(tmp_path / "little.tif", scene, 0, 30.03),
        "pixels are 2 × 2 units": part(tmp_path / "coarse.tif", scene, resolution=2.0),
        "its CRS is EPSG:32639": part(tmp_path / "zone.tif", scene, crs="EPSG:32639"),
    }


def test_what_lies_on_another_lattice_is_refused_with_the_command_that_warps_it(tmp_path):
    first = part(tmp_path / "first.tif", noise(30, 30))
    for problem, name in other_scenes(tmp_path).items():
        with pytest.raises(InputError) as info:
            open_mosaic([first, name])
        assert problem in str(info.value)
        assert "gdalwarp -t_srs EPSG:32640 -te" in info.value.remedy
        assert info.value.subject == name


@pytest.mark.skipif(which("gdalwarp") is None, reason="GDAL's programs are not installed")
@pytest.mark.parametrize("problem", ["0.50 px off", "pixels are 2 × 2 units"])
def test_the_command_makes_the_scene_fit(tmp_path, problem):
    first = part(tmp_path / "first.tif", noise(30, 30))
    name = other_scenes(tmp_path)[problem]
    with pytest.raises(InputError) as info:
        open_mosaic([first, name])
    command = shlex.split(info.value.remedy.removeprefix("warp it: "))
    subprocess.run(command, check=True, capture_output=True)
    with open_mosaic([first, command[-1]]) as mosaic:
        assert mosaic.grid.height >= 30


def test_a_hundredth_of_a_pixel_is_no_difference(tmp_path):
    names = [part(tmp_path / "a.tif", noise(30, 30)), part(tmp_path / "b.tif", noise(30, 30), 0, 30.005)]
    with open_mosaic(names) as mosaic:
        assert (mosaic.grid.height, mosaic.grid.width) == (30, 60)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": "uint16"}, "3 bands of uint16"),
        ({"bands": 1}, "1 bands of uint8"),
        ({"crs": None}, "has no CRS, unlike the others"),
        ({"bare": True}, "has no georeferencing"),
    ],
)
def test_what_is_of_another_kind_is_refused(tmp_path, changes, words):
    first = part(tmp_path / "first.tif", noise(30, 30))
    array = noise(30, 30, changes.get("bands", 3), dtype=changes.get("dtype", "uint8"))
    if "bare" in changes:
        other = str(make_raster(tmp_path / "other.tif", array, transform=None, crs=None))
    else:
        other = part(tmp_path / "other.tif", array, 0, 30, crs=changes.get("crs", CRS))
    with pytest.raises(InputError, match=words):
        open_mosaic([first, other])


def test_scenes_a_world_apart_are_too_large(tmp_path):
    names = [part(tmp_path / "a.tif", noise(9, 9)), part(tmp_path / "b.tif", noise(9, 9), 0, 20_000_000)]
    with pytest.raises(ResourceError, match="one by one"):
        open_mosaic(names)
