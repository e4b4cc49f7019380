"""Odd pixels: what has no data is nodata in the map, what has data is classified, however the file says it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import (
    LEGEND,
    NODATA,
    cells,
    coordinate_classes,
    coordinates,
    make_raster,
    noise,
    north_up,
    read_map,
)
from rasterio.enums import ColorInterp

SIZE = (150, 170)
HOLE = np.zeros(SIZE, bool)
HOLE[60:70, 50:110] = True
HOLE[100, 100] = True

EXPECTED = np.where(HOLE, NODATA, coordinate_classes(*SIZE))
RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def holed(value: float, dtype: str) -> np.ndarray:
    """The coordinate scene with `value` in all bands of the hole."""
    pixels = coordinates(*SIZE).astype(dtype)
    pixels[:, HOLE] = value
    return pixels


def as_value(path: Path) -> None:
    make_raster(path, holed(60000, "uint16"), nodata=60000)


def as_negative_value(path: Path) -> None:
    make_raster(path, holed(-9999, "int16"), nodata=-9999)


def as_nan(path: Path) -> None:
    make_raster(path, holed(np.nan, "float32"), nodata=np.nan)


def as_undeclared_nan(path: Path) -> None:
    make_raster(path, holed(np.nan, "float32"))


def as_infinity(path: Path) -> None:
    make_raster(path, holed(-np.inf, "float64"))


def as_lowest_float(path: Path) -> None:
    """-3.4e38 as people write it, which no float32 holds exactly."""
    make_raster(path, holed(-3.4e38, "float32"), nodata=-3.4e38)


def as_alpha(path: Path) -> None:
    alpha = np.where(HOLE, 0, 255)[None]
    make_raster(path, np.concatenate([coordinates(*SIZE), alpha]).astype("uint8"), colorinterp=RGBA)


def as_internal_mask(path: Path) -> None:
    make_raster(path, coordinates(*SIZE), mask=np.where(HOLE, 0, 255).astype("uint8"))


def as_side_car_mask(path: Path) -> None:
    make_raster(path, coordinates(*SIZE))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.where(HOLE, 0, 255).astype("uint8"))
    assert path.with_name(path.name + ".msk").exists()


WAYS = [
    as_value, as_negative_value, as_nan, as_undeclared_nan, as_infinity, as_lowest_float,
    as_alpha, as_internal_mask, as_side_car_mask,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_pixels_without_data_are_nodata_and_no_others(tmp_path, segment, engines, way):
    engines.rule = cells
    way(tmp_path / "scene.tif")
    run = segment(tmp_path / "scene.tif")
    assert run.code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), EXPECTED)


@pytest.mark.parametrize("way", WAYS)
def test_pixels_without_data_are_nodata_when_the_network_sees_another_resolution(tmp_path, segment, way):
    way(tmp_path / "scene.tif")
    assert segment(tmp_path / "scene.tif", "--resolution", "1.5").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif") == NODATA, HOLE)


def finite_cells(pixels: np.ndarray) -> np.ndarray:
    assert np.isfinite(pixels).all(), "the network sees what is no number"
    return cells(pixels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("resolution", ["native", "2"])
def test_what_is_no_number_never_reaches_the_network(tmp_path, segment, engines, value, resolution):
    engines.rule = finite_cells
    pixels = holed(0, "float32")
    pixels[1, HOLE] = value  # in one band alone
    make_raster(tmp_path / "scene.tif", pixels)
    with np.errstate(invalid="raise"):
        assert segment(tmp_path / "scene.tif", "--resolution", resolution).code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif") == NODATA, HOLE)


def test_numbers_too_large_for_the_network_are_nodata(tmp_path, segment, engines):
    engines.rule = finite_cells
    make_raster(tmp_path / "scene.tif", holed(1e300, "float64"))
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), EXPECTED)


@pytest.mark.parametrize("resolution", ["native", "2"])
@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_a_scene_without_data_gives_a_map_without_data(tmp_path, segment, engines, resolution, stitch):
    make_raster(tmp_path / "scene.tif", np.zeros((3, 100, 120), "uint8"), nodata=0)
    run = segment(tmp_path / "scene.tif", "--resolution", resolution, "--stitch", stitch)
    assert run.code == 0
    assert "no valid pixel" in run.warnings[0]
    assert (read_map(tmp_path / "scene.mask.tif") == NODATA).all()
    assert engines.seen == []


def test_one_nodata_value_is_no_hole_while_another_band_has_data(tmp_path, segment, engines):
    """Red 0 is a colour; only 0 in all bands is the collar."""
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE), nodata=0)
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_a_nodata_value_that_the_type_cannot_hold_means_nothing(tmp_path, segment, engines):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(*SIZE, "uint8"))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}"><NoDataValue>-9999</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">scene.tif</SourceFilename><SourceBand>{b}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for b in (1, 2, 3)
    )
    (tmp_path / "scene.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIZE[1]}" rasterYSize="{SIZE[0]}">{bands}</VRTDataset>'
    )
    assert segment(tmp_path / "scene.vrt").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_an_alpha_band_that_holds_data_is_data(tmp_path, segment):
    """GDAL tags the fourth band of red, green, blue, near infrared as alpha by itself."""
    make_raster(tmp_path / "scene.tif", noise(*SIZE, 4), colorinterp=RGBA)
    make_raster(tmp_path / "plain.tif", noise(*SIZE, 3))
    run = segment(tmp_path / "scene.tif", tmp_path / "plain.tif", "-o", f"{tmp_path}/out/", "--bands", "1,2,3")
    assert run.code == 0
    assert "band 4 is tagged alpha but holds data" in run.warnings[0]
    scene, plain = (read_map(tmp_path / "out" / f"{name}.mask.tif") for name in ("scene", "plain"))
    np.testing.assert_array_equal(scene, plain)
    assert (scene != NODATA).all()


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 65535), ("uint16", 255), ("float32", 1), ("float32", 255)])
def test_an_alpha_band_of_any_type_is_validity(tmp_path, segment, engines, dtype, top):
    engines.rule = cells
    alpha = np.where(HOLE, 0, top)[None]
    pixels = np.concatenate([coordinates(*SIZE), alpha]).astype(dtype)
    make_raster(tmp_path / "scene.tif", pixels, colorinterp=RGBA)
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), EXPECTED)


@pytest.fixture
def collared(tmp_path):
    """A scene turned by some degrees in a black frame, without a nodata value."""
    rows, cols = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    frame = (rows + cols < 60) | (rows + cols > sum(SIZE) - 60)
    return make_raster(tmp_path / "scene.tif", np.where(frame, 0, noise(*SIZE))), frame


def test_a_black_collar_is_warned_of_with_its_remedy(collared, tmp_path, segment):
    path, _ = collared
    run = segment(path)
    assert run.code == 0
    assert any("corners" in w and "use --nodata 0" in w for w in run.warnings)
    assert (read_map(tmp_path / "scene.mask.tif") != NODATA).all()


def test_the_remedy_for_a_black_collar_works(collared, tmp_path, segment):
    path, frame = collared
    run = segment(path, "--nodata", "0")
    assert (run.code, run.warnings) == (0, [])
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif") == NODATA, frame)


@pytest.mark.parametrize("scale", ["none", "dtype", "0,200", "p2,p98"])
@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_constant_scene_is_one_class(tmp_path, segment, value, scale):
    make_raster(tmp_path / "scene.tif", np.full((3, 100, 120), value, "uint8"))
    run = segment(tmp_path / "scene.tif", "--scale", scale)
    assert run.code == 0
    values = np.unique(read_map(tmp_path / "scene.mask.tif"))
    assert len(values) == 1
    assert values[0] in LEGEND.ids


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("resolution", ["native", "2"])
def test_the_same_values_in_any_type_give_the_same_map(tmp_path, segment, dtype, resolution):
    values = noise(*SIZE) // 2  # 0…127, which all types hold
    make_raster(tmp_path / "expected.tif", values)
    make_raster(tmp_path / "scene.tif", values.astype(dtype))
    run = segment(
        tmp_path / "expected.tif", tmp_path / "scene.tif", "--resolution", resolution, "-o", f"{tmp_path}/out/"
    )
    assert run.code == 0
    expected, result = (read_map(tmp_path / "out" / f"{name}.mask.tif") for name in ("expected", "scene"))
    np.testing.assert_array_equal(result, expected)


def test_scale_and_offset_are_applied(tmp_path, segment, engines):
    """Stored as (value - 5) / 0.5, as an elevation or a reflectance product does."""
    engines.rule = cells
    stored = ((coordinates(*SIZE).astype(int) - 5) * 2).astype("int16")
    make_raster(tmp_path / "scene.tif", stored, scales=(0.5,) * 3, offsets=(5.0,) * 3)
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_nodata_is_compared_before_scale_and_offset(tmp_path, segment, engines):
    engines.rule = cells
    stored = (coordinates(*SIZE) * 2).astype("int16")
    stored[:, HOLE] = -9999
    make_raster(tmp_path / "scene.tif", stored, scales=(0.5,) * 3, offsets=(0.0,) * 3, nodata=-9999)
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), EXPECTED)


def test_class_0_does_not_vanish_with_a_source_nodata_of_0(tmp_path, segment, engines):
    engines.rule = cells
    pixels = coordinates(*SIZE)
    pixels[:, HOLE] = 0
    make_raster(tmp_path / "scene.tif", pixels, nodata=0)
    assert segment(tmp_path / "scene.tif").code == 0
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        assert dataset.nodata == NODATA
        result = dataset.read(1, masked=True)
    assert (result.filled(NODATA) == 0).sum() == (EXPECTED == 0).sum() > 1000
    np.testing.assert_array_equal(result.mask, HOLE)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((noise(80, 80) / 255).astype("float32"), ("0 … 255", "--scale 0,1")),
        (noise(80, 80).astype("uint16") * 200, ("reach", "0 … 255", "--scale p2,p98")),
    ],
)
def test_values_that_disagree_with_the_card_are_warned_of(tmp_path, segment, values, said):
    make_raster(tmp_path / "scene.tif", values, transform=north_up(1.0))
    run = segment(tmp_path / "scene.tif")
    assert run.code == 0
    assert len(run.warnings) == 1
    assert all(word in run.warnings[0] for word in said)


def test_the_remedy_for_values_within_0_and_1_gives_the_map_of_the_original(tmp_path, segment):
    make_raster(tmp_path / "bytes.tif", noise(*SIZE))
    make_raster(tmp_path / "floats.tif", (noise(*SIZE) / 255).astype("float32"))
    assert segment(tmp_path / "bytes.tif").code == 0
    run = segment(tmp_path / "floats.tif", "--scale", "0,1")
    assert (run.code, run.warnings) == (0, [])
    bytes_map, floats_map = (read_map(tmp_path / f"{name}.mask.tif") for name in ("bytes", "floats"))
    assert (bytes_map == floats_map).mean() > 0.999  # 1/255 is no float: the edge of a class may fall either way
