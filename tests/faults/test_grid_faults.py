"""Grids of every kind: the map lies where the scene lies, and the container of the pixels makes no difference."""

import json
import math

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from factory import CRS, cells, coordinate_classes, coordinates, make_raster, noise, north_up, read_map
from layer_maps import class_map, town
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.vrt import WarpedVRT

from mapgen.grid import ControlPoints, Grid, Window

SIZE = (97, 101)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 1000), (1000, 1), (2, 3), (7, 64), (64, 64), (65, 127), (97, 211), (128, 640)]
)
@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_any_size_is_mapped_pixel_by_pixel(tmp_path, segment, engines, size, stitch):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*size))
    assert segment(tmp_path / "scene.tif", "--stitch", stitch).code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*size))


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (97, 101)])
@pytest.mark.parametrize("resolution", ["0.5", "3"])
def test_any_size_is_mapped_whole_at_another_resolution(tmp_path, segment, size, resolution):
    make_raster(tmp_path / "scene.tif", noise(*size))
    assert segment(tmp_path / "scene.tif", "--resolution", resolution).code == 0
    result = read_map(tmp_path / "scene.mask.tif")
    assert result.shape == size
    assert (result != 255).all()


CONTAINERS = {
    "strips": {"blockysize": 7},
    "one strip": {"blockysize": SIZE[0]},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 48},
    "planar": {"interleave": "band"},
    "planar tiles": {"interleave": "band", "tiled": True, "blockxsize": 32, "blockysize": 32},
    "big endian": {"ENDIANNESS": "BIG"},
    "big endian BigTIFF": {"ENDIANNESS": "BIG", "BIGTIFF": "YES"},
    "BigTIFF": {"BIGTIFF": "YES"},
    "LZW with predictor": {"compress": "LZW", "predictor": 2},
    "ZSTD": {"compress": "ZSTD"},
    "COG": {"driver": "COG"},
    "Erdas": {"driver": "HFA"},
    "PNG": {"driver": "PNG"},
    "JPEG 2000": {"driver": "JP2OpenJPEG", "REVERSIBLE": "YES", "QUALITY": "100", "YCBCR420": "NO"},
    "sparse": {"SPARSE_OK": True, "tiled": True, "blockxsize": 16, "blockysize": 16},
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_the_same_pixels_give_the_same_map_in_any_container(tmp_path, segment, engines, container):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), **container)
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


DEGREE = 1 / 111_320
GRIDS = {
    "north up": (CRS, north_up(1.0)),
    "south up": (CRS, Affine(1, 0, 500_000, 0, 1, 2_700_000)),
    "rotated": (CRS, Affine.translation(500_000, 2_700_000) @ Affine.rotation(33) @ Affine.scale(1, -1)),
    "sheared": (CRS, Affine(1, 0.2, 500_000, 0.1, -1, 2_700_000)),
    "oblong": (CRS, Affine(0.95, 0, 500_000, 0, -1.05, 2_700_000)),
    "feet": ("EPSG:2263", Affine(3.28, 0, 980_000, 0, -3.28, 200_000)),
    "degrees": ("EPSG:4326", Affine(DEGREE, 0, 55.3, 0, -DEGREE, 0.2)),
    "antimeridian": ("EPSG:4326", Affine(DEGREE, 0, 180 - 40 * DEGREE, 0, -DEGREE, 0.2)),
    "polar": ("EPSG:3031", Affine(1, 0, -50, 0, -1, 50)),
    "compound": ("EPSG:32640+5773", north_up(1.0)),
    "millimetres from zero": (CRS, Affine(1, 0, 500_000.0007, 0, -1, 2_700_000.0003)),
}


@pytest.mark.parametrize(("crs", "transform"), GRIDS.values(), ids=GRIDS.keys())
def test_the_map_lies_exactly_where_the_scene_lies(tmp_path, segment, engines, crs, transform):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), crs=crs, transform=transform)
    run = segment(tmp_path / "scene.tif", "--resolution", "native")
    assert (run.code, run.warnings) == (0, [])
    assert_same_place(tmp_path / "scene.tif", tmp_path / "scene.mask.tif")
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


@pytest.mark.parametrize(("crs", "transform"), GRIDS.values(), ids=GRIDS.keys())
def test_the_map_lies_where_the_scene_lies_at_another_resolution(tmp_path, segment, crs, transform):
    make_raster(tmp_path / "scene.tif", noise(*SIZE), crs=crs, transform=transform)
    assert segment(tmp_path / "scene.tif", "--resolution", "2.5").code == 0
    assert_same_place(tmp_path / "scene.tif", tmp_path / "scene.mask.tif")


def assert_same_place(scene, result):
    with rasterio.open(scene) as one, rasterio.open(result) as other:
        assert other.transform == one.transform
        assert other.crs == one.crs
        assert other.shape == one.shape


def test_pixels_that_are_points_are_not_shifted(tmp_path, segment, engines):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), tags={"AREA_OR_POINT": "Point"})
    make_raster(tmp_path / "area.tif", coordinates(*SIZE))
    assert segment(tmp_path / "scene.tif").code == 0
    assert_same_place(tmp_path / "scene.tif", tmp_path / "scene.mask.tif")
    assert_same_place(tmp_path / "area.tif", tmp_path / "scene.mask.tif")


@pytest.mark.parametrize(
    ("crs", "transform", "seen"),
    [
        ("EPSG:2263", Affine(1, 0, 980_000, 0, -1, 200_000), 0.3048),
        ("EPSG:4326", Affine(DEGREE / 2, 0, 55.3, 0, -DEGREE / 2, 0.2), 0.5),
        ("EPSG:4326", Affine(DEGREE / 2, 0, 180 - 20 * DEGREE, 0, -DEGREE / 2, 0.2), 0.5),
        ("EPSG:3857", Affine(1, 0, 6_000_000, 0, -1, 8_399_738), 0.5),  # at 60° north all lengths are doubled
        ("EPSG:3031", Affine(0.5, 0, -25, 0, -0.5, 25), 0.5),
        ("EPSG:32640+5773", north_up(0.5), 0.5),
    ],
)
def test_the_network_sees_true_metres(tmp_path, segment, engines, crs, transform, seen):
    make_raster(tmp_path / "scene.tif", noise(100, 120), crs=crs, transform=transform)
    assert segment(tmp_path / "scene.tif", "--window", "128").code == 0
    _, _, height, width = engines.seen[0]  # padded to a multiple of 8
    assert height - 8 < 100 * seen < height + 1
    assert width - 8 < 120 * seen < width + 1


def test_a_scene_far_too_coarse_is_refused_with_both_resolutions(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", noise(20, 20), transform=north_up(10.0))
    refuses(4, ("scene.tif", "10 m", "to 1 m", "--resolution native"), path)


def test_without_a_crs_the_map_has_none_either_and_that_is_said(tmp_path, segment, engines):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), crs=None)
    run = segment(tmp_path / "scene.tif")
    assert run.code == 0
    assert "no CRS" in run.warnings[0]
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        assert dataset.crs is None
        assert dataset.transform == north_up(1.0)


def test_a_plain_picture_is_mapped_in_pixel_space_and_that_is_said(tmp_path, segment, engines):
    engines.rule = cells
    make_raster(tmp_path / "scene.png", coordinates(*SIZE), driver="PNG", crs=None, transform=None)
    run = segment(tmp_path / "scene.png")
    assert run.code == 0
    assert "no georeferencing" in run.warnings[0]
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_a_world_file_is_obeyed(tmp_path, segment):
    make_raster(tmp_path / "scene.png", noise(*SIZE), driver="PNG", crs=None, transform=None)
    (tmp_path / "scene.png.aux.xml").unlink(missing_ok=True)
    (tmp_path / "scene.pgw").write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    run = segment(tmp_path / "scene.png")
    assert run.code == 0
    assert "no CRS" in run.warnings[0]
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        assert dataset.transform == Affine(0.5, 0, 1000, 0, -0.5, 2000)


def polynomials() -> RPC:
    one = [1.0] + [0.0] * 19
    return RPC(0, 1, 25, 1, one, one, 50, 50, 55, 1, one, one, 50, 50, None, None)


def corner_points() -> list[GroundControlPoint]:
    corners = ((0, 0), (0, SIZE[1]), (SIZE[0], 0), (SIZE[0], SIZE[1]))
    return [GroundControlPoint(row, col, 500_000 + col, 2_700_000 - row) for row, col in corners]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("known", [rasterio.CRS.from_string(CRS), rasterio.CRS()])
@pytest.mark.parametrize("options", [(), ("--co", "LEVEL=9")])
def test_control_points_alone_give_a_map_in_pixel_space_that_has_them_too(tmp_path, segment, engines, options, known):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), transform=None, gcps=corner_points(), crs=known)
    run = segment(tmp_path / "scene.tif", "--confidence", *options)
    assert run.code == 0
    assert "ground control points only" in run.warnings[0]
    assert "gdalwarp" in run.warnings[0]
    for name in ("scene.mask.tif", "scene.confidence.tif"):
        with rasterio.open(tmp_path / name) as dataset:
            assert dataset.transform.is_identity
            assert dataset.crs is None
            points, crs = dataset.gcps
            assert crs == (known or None)
            assert [(p.row, p.col, p.x, p.y) for p in points] == [(p.row, p.col, p.x, p.y) for p in corner_points()]
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_map_with_control_points_is_warped_as_its_scene_is(tmp_path, segment, engines):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), transform=None, gcps=corner_points())
    assert segment(tmp_path / "scene.tif").code == 0
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset, WarpedVRT(dataset) as warped:
        assert warped.transform.almost_equals(north_up(1.0), 1e-3)
        np.testing.assert_array_equal(warped.read(1), coordinate_classes(*SIZE))


def test_a_part_of_a_grid_with_control_points_has_them_where_they_were():
    grid = Grid(None, Affine.identity(), 50, 60, ControlPoints(None, ((0, 0, 7, 8, 0), (40, 30, 9, 9, 0))))
    part = grid.crop(Window(10, 20, 5, 6))
    assert (part.transform, part.height, part.width) == (Affine.identity(), 5, 6)
    assert part.control.points == ((-10, -20, 7, 8, 0), (30, 10, 9, 9, 0))
    assert part.crop(Window(-10, -20, 50, 60)) == grid


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rational_polynomials_alone_give_a_map_in_pixel_space_and_that_is_said(tmp_path, segment):
    make_raster(tmp_path / "scene.tif", noise(*SIZE), transform=None, crs=None, rpcs=polynomials())
    run = segment(tmp_path / "scene.tif")
    assert run.code == 0
    assert "rational polynomial" in run.warnings[0]
    assert "gdalwarp" in run.warnings[0]


NOWHERE = {
    "nothing": ({}, "has no georeferencing"),
    "control points": ({"gcps": corner_points(), "crs": CRS}, "has ground control points only"),
    "rational polynomials": ({"rpcs": polynomials()}, "has no georeferencing"),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("command", ["vectorize", "tiles", "roads"])
@pytest.mark.parametrize(("place", "words"), NOWHERE.values(), ids=NOWHERE.keys())
def test_layers_and_tiles_need_a_place_on_the_ground(tmp_path, refuses, mapgen, command, place, words):
    """Also where a CRS is assumed, which does not say where in it."""
    path = class_map(tmp_path / "map.tif", town(*SIZE), **({"transform": None, "crs": None} | place))
    for more in ((), ("--assume-crs", CRS)):
        refuses(4, ("map.tif", words, "warp it first"), command, path, *more, run=mapgen)


@pytest.mark.parametrize("command", ["vectorize", "tiles", "roads"])
def test_where_the_crs_alone_is_missing_it_may_be_assumed(tmp_path, refuses, mapgen, command):
    path = class_map(tmp_path / "map.tif", town(*SIZE), crs=None)
    refuses(4, ("map.tif", "has no CRS", "--assume-crs"), command, path, run=mapgen)
    assert mapgen(command, path, "--assume-crs", CRS).code == 0


@pytest.mark.parametrize(
    "transform",
    [
        Affine(1, 1, 500_000, 1, 1, 2_700_000),
        Affine(1, 2, 500_000, 0.5, 1, 2_700_000),
        Affine(math.nan, 0, 500_000, 0, -1, 2_700_000),
        Affine(1, 0, math.inf, 0, -1, 2_700_000),
        Affine(1e-200, 0, 500_000, 0, -1e-200, 2_700_000),
    ],
)
def test_a_transform_that_gives_pixels_no_area_is_refused(tmp_path, refuses, transform):
    path = make_raster(tmp_path / "scene.tif", noise(*SIZE), transform=transform)
    refuses(4, ("scene.tif", "its transform", "georeference it again"), path)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", north_up(1.0)),  # metres under a geographic CRS
        ("EPSG:32640", Affine(1, 0, 1e30, 0, -1, 1e30)),  # beyond any projection
        ('LOCAL_CS["site grid",UNIT["metre",1]]', north_up(1.0)),
        ("EPSG:4978", north_up(1.0)),
    ],
)
def test_a_place_that_is_nowhere_on_earth_is_no_bug_of_ours(tmp_path, segment, engines, crs, transform):
    """The pixels are as good as any, so there is a map, or a refusal that says what is wrong with the place."""
    make_raster(tmp_path / "scene.tif", noise(*SIZE), crs=crs, transform=transform)
    run = segment(tmp_path / "scene.tif")
    assert run.code in (0, 4)
    assert run.code == 0 or "CRS" in run.errors[0]
    native = segment(tmp_path / "scene.tif", "--resolution", "native", "--overwrite")
    assert native.code == 0
    assert_same_place(tmp_path / "scene.tif", tmp_path / "scene.mask.tif")


def test_empty_windows_of_a_sparse_scene_are_skipped(tmp_path, segment, engines):
    """8192 × 8192 pixels, of which two blocks are there."""
    path = tmp_path / "scene.tif"
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 3, "height": 8192, "width": 8192, "crs": CRS,
        "transform": north_up(1.0), "nodata": 0, "tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": True,
    }  # fmt: skip
    patch = noise(256, 256)
    with rasterio.open(path, "w", **profile) as dataset:
        for corner in ((0, 0), (4096, 4096)):
            dataset.write(patch, window=((corner[0], corner[0] + 256), (corner[1], corner[1] + 256)))
    run = segment(path, "--window", "1024", "--json")
    assert run.code == 0
    record = json.loads(run.out.splitlines()[0])
    assert (record["windows"], record["windows"] - record["skipped"]) == (81, 2)
    # and a smaller piece, to know whether the network is sure
    assert [shape[-1] for shape in engines.seen].count(1024) == 2
    assert (tmp_path / "scene.mask.tif").stat().st_size < 1_000_000


# Places that are accepted, with a warning ---------------------------------------------------------------------------


def warned(segment, path, *arguments):
    run = segment(path, "--resolution", "native", "-o", path.with_name(f"{path.stem}.map.tif"), *arguments)
    assert run.code == 0, run
    (warning,) = told(run)
    return warning


def told(run):
    """The warnings but those of the ground, which is of another size than the network knows."""
    return [line for line in run.warnings if "treat the map as a guess" not in line]


@pytest.mark.parametrize("how", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}], ids=["classic", "big", "big-endian"])
def test_several_pages_are_told(tmp_path, segment, how):
    path = make_raster(tmp_path / "two.tif", noise(600, 700), **how)
    make_raster(path, noise(40, 50, seed=2), APPEND_SUBDATASET="YES")
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    assert "has 2 pages, of which the first is mapped" in warned(segment, path)


@pytest.mark.parametrize("how", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}], ids=["classic", "big", "big-endian"])
def test_overviews_and_masks_are_no_pages(tmp_path, segment, how):
    path = make_raster(tmp_path / "one.tif", noise(300, 200), mask=np.full((300, 200), 255, np.uint8), **how)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    assert segment(path, "--resolution", "native").warnings == []


def test_a_vrt_of_files_in_several_crs_is_told(tmp_path, segment):
    make_raster(tmp_path / "a.tif", noise(40, 50))
    path = tmp_path / "both.vrt"
    with rasterio.open(tmp_path / "a.tif") as dataset:
        rasterio.shutil.copy(dataset, path, driver="VRT")
    assert segment(path, "--resolution", "native").warnings == []
    make_raster(tmp_path / "b.tif", noise(40, 50), crs="EPSG:32641")
    text = path.read_text()
    source = text[text.index("<SimpleSource>") : text.index("</SimpleSource>") + len("</SimpleSource>")]
    path.write_text(text.replace(source, source + source.replace("a.tif", "b.tif"), 1))
    assert "a VRT of files in 2 CRSs" in warned(segment, path)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"transform": Affine.identity()}, "has a CRS but no transform"),
        ({"crs": 'LOCAL_CS["site",UNIT["metre",1]]'}, "has a local CRS, which is not a place on Earth"),
        (
            {"crs": "EPSG:4326", "transform": Affine(0.1, 0, 10, 0, -0.1, 92)},
            "reaches latitude 92, beyond the pole",
        ),
        ({"crs": "EPSG:4326", "transform": Affine(0.1, 0, 200, 0, -0.1, 50)}, "has longitudes of 0 … 360 (to 205)"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_strange_place_is_told(tmp_path, segment, profile, words):
    path = make_raster(tmp_path / "scene.tif", noise(40, 50), **profile)
    assert words in warned(segment, path)


def test_what_crosses_the_antimeridian_is_not_strange(tmp_path, segment):
    place = Affine(0.1, 0, 178, 0, -0.1, 50)
    path = make_raster(tmp_path / "scene.tif", noise(40, 50), crs="EPSG:4326", transform=place)
    assert told(segment(path, "--resolution", "native")) == []


def test_a_side_car_that_moves_the_file_is_told(tmp_path, segment):
    path = make_raster(tmp_path / "scene.tif", noise(40, 50))
    side_car = path.with_name("scene.tif.aux.xml")
    place = "<PAMDataset><GeoTransform> 400000, 1, 0, 2700000, 0, -1</GeoTransform></PAMDataset>"
    side_car.write_text(place)
    assert "lies where scene.tif.aux.xml says" in warned(segment, path)
    side_car.write_text("<PAMDataset><Metadata><MDI key='a'>b</MDI></Metadata></PAMDataset>")
    assert segment(path, "--resolution", "native").warnings == []
