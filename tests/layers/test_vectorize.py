"""`mapgen vectorize`, as it is typed: what each option changes, pipes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from factory import Run, contents, make_raster, north_up
from layer_maps import TOWN, class_map, read_layer, town
from memory import growing
from patterns import PATTERNS
from shapely.geometry import box

from mapgen.layers.vectorize import vectorize
from mapgen.settings import Size, parse_size

Mapgen = Callable[..., Run]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return class_map(tmp_path / "scene.mask.tif")


def areas(path: Path) -> dict[str, float]:
    """Square metres of each class of a layer."""
    columns, _ = read_layer(path)
    names, area = np.asarray(columns["class_name"]), columns["area_m2"]
    return {name: float(area[names == name].sum()) for name in sorted(set(names))}


def test_the_layer_lies_beside_the_class_map_and_its_path_is_all_that_stdout_says(mapgen: Mapgen, mask: Path) -> None:
    result = mapgen("vectorize", mask)
    assert (result.code, result.out) == (0, f"{mask.with_suffix('.geojson')}\n")
    assert set(areas(mask.with_suffix(".geojson"))) == {"building", "land", "road", "vegetation"}


def test_what_is_background_or_nodata_is_not_written_and_that_is_said(mapgen: Mapgen, mask: Path) -> None:
    result = mapgen("vectorize", mask, "--sieve", "5")
    assert "background, not written: other" in result.err
    assert "nodata" in result.err
    assert "absorbed" in result.err


@pytest.mark.parametrize("form", ["gpkg", "geojson", "parquet"])
def test_the_result_is_at_hand_as_a_table_of_geopandas(mask: Path, tmp_path: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    result = vectorize(mask, tmp_path / f"layer.{form}")
    frame = result.to_geodataframe()
    assert len(frame) == result.features
    assert {"class_id", "class_name", "area_m2"} <= set(frame.columns)
    assert frame.crs is not None


def test_quiet_says_nothing(mapgen: Mapgen, mask: Path) -> None:
    assert mapgen("vectorize", mask, "-q").err == ""


def test_json_reports_each_class_with_its_drift(mapgen: Mapgen, mask: Path) -> None:
    first, summary = map(json.loads, mapgen("vectorize", mask, "--json", "--simplify", "2").out.splitlines())
    assert first["features"] == sum(c["polygons"] for c in first["classes"].values())
    assert first["classes"]["building"]["drift_px"] != 0
    assert set(first["not_written"]) == {"nodata", "background"}
    assert summary["summary"] == {"done": 1, "failed": 0, "exit_code": 0}


def test_several_maps_by_name_and_from_stdin_go_to_a_folder(
    mapgen: Mapgen, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    other = class_map(tmp_path / "b.mask.tif")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{mask}\n\n{other}\n"))
    result = mapgen("vectorize", "-", "-f", "gpkg", "-o", f"{tmp_path / 'layers'}/")
    assert result.out.split() == [str(tmp_path / "layers" / name) for name in ("scene.mask.gpkg", "b.mask.gpkg")]
    assert areas(tmp_path / "layers" / "b.mask.gpkg") == areas(tmp_path / "layers" / "scene.mask.gpkg")


def test_one_bad_map_among_good_ones_is_exit_3(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    bad = make_raster(tmp_path / "bad.tif", np.zeros((3, 3), np.float32))
    result = mapgen("vectorize", bad, mask, "-o", f"{tmp_path / 'out'}/")
    assert result.code == 3
    assert len(result.errors) == 1
    assert result.out.strip() == str(tmp_path / "out" / "scene.mask.geojson")


def test_a_dash_streams_features_to_stdout(mapgen: Mapgen, mask: Path) -> None:
    features = [json.loads(line) for line in mapgen("vectorize", mask, "-o", "-").out.splitlines()]
    assert len(features) == len(read_layer(vectorize(mask).output)[1])
    assert {f["properties"]["class_name"] for f in features} == {"building", "land", "road", "vegetation"}


@pytest.mark.parametrize("arguments", [["-f", "gpkg"], ["--json"]])
def test_only_lines_of_geojson_can_be_streamed(mapgen: Mapgen, mask: Path, arguments: list[str]) -> None:
    assert mapgen("vectorize", mask, "-o", "-", *arguments).code == 2


def test_classes_are_chosen_by_name_or_number_and_stay_as_they_were(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    mapgen("vectorize", mask, "-o", tmp_path / "all.gpkg", "--simplify", "1.5")
    mapgen("vectorize", mask, "-o", tmp_path / "some.gpkg", "--classes", "Road,4", "--simplify", "1.5")
    columns, polygons = read_layer(tmp_path / "all.gpkg")
    some, chosen = read_layer(tmp_path / "some.gpkg")
    assert set(some["class_name"]) == {"road", "vegetation"}
    which = np.isin(columns["class_name"], ["road", "vegetation"])
    assert list(chosen) == list(polygons[which])


def test_a_background_class_is_written_when_asked_for_by_name(mapgen: Mapgen, mask: Path) -> None:
    mapgen("vectorize", mask, "--classes", "other")
    assert set(areas(mask.with_suffix(".geojson"))) == {"other"}


def test_background_is_left_out(mapgen: Mapgen, mask: Path) -> None:
    result = mapgen("vectorize", mask, "--background", "land,2", "--background", "road")
    assert set(areas(mask.with_suffix(".geojson"))) == {"building", "vegetation"}
    assert "land, road, other" in result.err


def test_class_zero_is_a_class_like_any_other(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "zero.tif", np.array([[0, 1]], np.uint8), legend=None)
    assert read_layer(vectorize(mask).output)[0]["class_id"].tolist() == [0, 1]


def test_the_sieve_leaves_no_small_region_and_no_gap(mapgen: Mapgen, mask: Path) -> None:
    for size, least in (("20px", 20.0), ("30m2", 30.0)):
        mapgen("vectorize", mask, "--sieve", size, "--overwrite", "--background", "2")
        columns, _ = read_layer(mask.with_suffix(".geojson"))
        assert columns["area_m2"].min() >= least * 0.999


@pytest.mark.parametrize(("flag", "size", "keep"), [
    ("--min-area", "12", lambda a: a > 11.99), ("--min-area", "12.5m2", lambda a: a >= 12.5),
    ("--max-area", "12px", lambda a: a < 12.1), ("--max-area", "11m2", lambda a: a <= 11),
])  # fmt: skip
def test_areas_choose_polygons(
    mapgen: Mapgen, mask: Path, flag: str, size: str, keep: Callable[[np.ndarray], np.ndarray]
) -> None:
    every = read_layer(vectorize(mask).output)[0]["area_m2"]
    result = mapgen("vectorize", mask, flag, size, "--overwrite")
    area = read_layer(mask.with_suffix(".geojson"))[0]["area_m2"]
    assert keep(area).all()
    assert len(area) == keep(every).sum() < len(every)
    assert flag in result.err


def test_small_holes_are_filled(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "holes.tif", np.pad(np.array([[9, 255], [3, 3]], np.uint8), 3, constant_values=1))
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--min-hole", "5px")
    assert areas(tmp_path / "a.gpkg") == {"building": pytest.approx(64, rel=1e-2)}
    mapgen("vectorize", mask, "-o", tmp_path / "b.gpkg", "--min-hole", "3.5m2")
    assert len(read_layer(tmp_path / "b.gpkg")[1]) == 2


def test_simplify_takes_pixels_or_metres(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "half.tif", transform=north_up(0.5))
    outputs = {
        text: read_layer(vectorize(mask, tmp_path / f"{i}.gpkg", simplify=parse_size("", text)).output)[1]
        for i, text in enumerate(("0", "2px", "1m", "2"))
    }
    counts = {text: shapely.get_num_coordinates(polygons).sum() for text, polygons in outputs.items()}
    assert counts["0"] > counts["2px"] == counts["2"]
    assert counts["1m"] == pytest.approx(
        counts["2px"], rel=0.01
    )  # a pixel of 0.5 m on the map is 0.5002 m on the ground
    moved = shapely.hausdorff_distance(shapely.boundary(outputs["0"]), shapely.boundary(outputs["1m"]))
    assert 0.5 < moved.max() <= 1.001


def test_method_and_smooth_change_the_borders(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    texts = set()
    for arguments in ([], ["--method", "vw"], ["--smooth", "1"], ["--smooth", "2"]):
        mapgen("vectorize", mask, "-o", tmp_path / "a.geojson", "--overwrite", "--simplify", "1.5", *arguments)
        texts.add((tmp_path / "a.geojson").read_text())
    assert len(texts) == 4


def test_square_gives_buildings_right_angles_and_map_does_too(mapgen: Mapgen, tmp_path: Path) -> None:
    """--square of vectorize, as a class, with a size and with 45°; `map` takes the same."""
    from mapgen.layers.options import Square
    from mapgen.results.options import MapOptions

    rows, cols = np.mgrid[:70, :70] + 0.5 - 35
    u, v = cols * 0.8 + rows * 0.6, rows * 0.8 - cols * 0.6
    mask = class_map(tmp_path / "a.tif", np.where((abs(u) < 15) & (abs(v) < 9), 1, 2).astype(np.uint8))
    corners = []
    for arguments in ([], ["--square", "building"], ["--square", "building:45=2px"], ["--square", "1=1.5m"]):
        run = mapgen("vectorize", mask, "-o", tmp_path / "a.geojson", "--overwrite", "--json", *arguments)
        columns, shapes = read_layer(tmp_path / "a.geojson")
        corners.append(len(shapely.get_coordinates(shapes[columns["class_id"] == 1])) - 1)
        facts = json.loads(run.out.splitlines()[0])["classes"]["building"]
        assert ("squared" in facts) == bool(arguments)
        assert abs(facts["drift_px"]) < 8
    assert corners[0] > 20
    assert corners[1:] == [4, 4, 4]
    assert "1 of 1 rings got right angles" in mapgen("vectorize", mask, "--square", "building", "--overwrite").err
    assert mapgen("vectorize", mask, "--square", "castle", "--overwrite").code == 2
    for wrong in ("building:30", "=2px", "building=2m2"):
        assert mapgen("vectorize", mask, "--square", wrong, "--overwrite").code == 2
    assert MapOptions(square="building:45=3px").vectorize.square == (Square("building", Size(3.0), True),)


def test_dissolve_writes_one_multipolygon_for_each_class(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    before = areas(vectorize(mask).output)
    mapgen("vectorize", mask, "--dissolve", "-o", tmp_path / "a.gpkg")
    columns, polygons = read_layer(tmp_path / "a.gpkg")
    assert columns["class_id"].tolist() == [1, 2, 3, 4]
    assert shapely.get_type_id(polygons).tolist() == [6, 6, 6, 6]
    assert shapely.is_valid(polygons).all()
    assert areas(tmp_path / "a.gpkg") == pytest.approx(before, abs=1e-3)


def test_clip_keeps_the_pixels_inside(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    area = box(500_010, 2_699_960, 500_040, 2_699_990)
    geopandas.GeoSeries([area], crs="EPSG:32640").to_crs(4326).to_file(tmp_path / "area.geojson")
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--clip", tmp_path / "area.geojson")
    expected = np.isin(town()[10:40, 10:40], [1, 2, 3, 4]).sum()
    polygons = read_layer(tmp_path / "a.gpkg")[1]
    assert shapely.area(polygons).sum() == pytest.approx(expected)
    assert area.buffer(1e-6).contains(shapely.union_all(polygons))


def test_confidence_adds_mean_and_minimum(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 251, town().shape).astype(np.uint8)
    values[town() == 3] = 255
    raster = make_raster(tmp_path / "conf.tif", values, nodata=255, scales=[0.004], offsets=[0.0])
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--confidence-raster", raster, "--dissolve")
    columns, _ = read_layer(tmp_path / "a.gpkg")
    for i, value in enumerate(columns["class_id"]):
        inside = values[town() == value] * 0.004
        if value == 3:
            assert np.isnan(columns["confidence"][i])
        else:
            assert columns["confidence"][i] == pytest.approx(inside.mean(), abs=1e-9)
            assert columns["confidence_min"][i] == pytest.approx(inside.min(), abs=1e-9)


def test_a_confidence_of_another_size_is_refused(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    raster = make_raster(tmp_path / "conf.tif", np.zeros((5, 5), np.uint8))
    result = mapgen("vectorize", mask, "--confidence-raster", raster)
    assert result.code == 4
    assert "5 × 5" in result.errors[0]
    assert not mask.with_suffix(".geojson").exists()


def test_crs_moves_the_layer(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--crs", "EPSG:3857")
    columns, polygons = read_layer(tmp_path / "a.gpkg")
    assert columns["crs"] == "EPSG:3857"
    assert 6.3e6 < polygons[0].bounds[0] < 6.4e6


@pytest.mark.parametrize("crs", ["EPSG:32640", "nonsense"])
def test_geojson_in_another_crs_is_a_wrong_usage(mapgen: Mapgen, mask: Path, crs: str) -> None:
    assert mapgen("vectorize", mask, "--crs", crs).code == 2
    assert mapgen("vectorize", mask, "--crs", "EPSG:4326").code == 0


def test_a_map_without_a_crs_needs_one_assumed(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "bare.tif", crs=None)
    result = mapgen("vectorize", mask)
    assert result.code == 4
    assert "--assume-crs EPSG:n" in result.errors[0]
    assert mapgen("vectorize", mask, "--assume-crs", "EPSG:32640").code == 0
    assert areas(mask.with_suffix(".geojson"))["building"] > 0


def test_an_assumed_crs_does_not_override_the_file_s_own(mapgen: Mapgen, mask: Path) -> None:
    assert mapgen("vectorize", mask, "--assume-crs", "EPSG:32640").code == 4


def test_a_map_without_georeferencing_is_refused(mapgen: Mapgen, tmp_path: Path) -> None:
    from affine import Affine

    mask = class_map(tmp_path / "bare.tif", crs=None, transform=Affine.identity())
    result = mapgen("vectorize", mask, "--assume-crs", "EPSG:32640")
    assert result.code == 4
    assert "warp it first" in result.errors[0]


def test_precision_sets_the_decimals_but_not_below_what_keeps_borders_apart(mapgen: Mapgen, mask: Path) -> None:
    mapgen("vectorize", mask, "--decimals", "9")
    fine = json.loads(mask.with_suffix(".geojson").read_text())["features"][0]["geometry"]["coordinates"]
    assert max(len(repr(x).partition(".")[2]) for x in np.ravel(fine[0]).tolist()) == 9
    result = mapgen("vectorize", mask, "--decimals", "4", "--overwrite")
    assert (result.code, "use 7 or more" in result.errors[0]) == (2, True)


def test_layer_names_the_layer(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--layer-name", "land use")
    mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--layer-name", "more", "--append")
    assert len(read_layer(tmp_path / "a.gpkg", "land use")[1]) == len(read_layer(tmp_path / "a.gpkg", "more")[1]) > 0


def test_an_output_that_exists_is_replaced_only_when_asked(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.gpkg"
    output.write_text("mine")
    before = contents(tmp_path)
    assert mapgen("vectorize", mask, "-o", output).code == 5
    assert contents(tmp_path) == before
    assert mapgen("vectorize", mask, "-o", output, "--overwrite").code == 0
    assert areas(output)


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["-o", "{tmp}/a.xyz"], 2, ("a.xyz", ".gpkg")), (["-o", "{tmp}/a"], 2, ("has no suffix", "a.geojson")),
    (["-o", "{tmp}/none/a.gpkg"], 5, ("does not exist",)), (["-o", "{mask}", "-f", "gpkg"], 5, ("also an input",)),
    (["-f", "gkpg"], 2, ("did you mean gpkg",)), (["--method", "dq"], 2, ("'dq' is not one of dp, vw",)),
    (["--simplify", "2m2"], 2, ("--simplify",)), (["--simplify", "-1"], 2, ("--simplify",)),
    (["--sieve", "3m"], 2, ("--sieve",)), (["--sieve", "some"], 2, ("not a size",)),
    (["--classes", "roads"], 2, ("building, land, road",)), (["--classes", ","], 2, ("--classes",)),
    (["--clip", "{tmp}/none.geojson"], 4, ("--clip", "no such file")),
    (["--confidence-raster", "{tmp}/none.tif"], 4, ("none.tif", "no such file")),
    (["--append", "-f", "fgb"], 2, ("--append",)),
])  # fmt: skip
def test_refusals_name_cause_and_remedy_and_leave_all_as_it_was(
    mapgen: Mapgen, mask: Path, tmp_path: Path, arguments: list[str], code: int, words: tuple[str, ...]
) -> None:
    before = contents(tmp_path)
    result = mapgen("vectorize", mask, *(a.format(tmp=tmp_path, mask=mask) for a in arguments))
    assert (result.code, len(result.errors), result.out) == (code, 1, "")
    assert all(word in result.errors[0] for word in words), result.errors
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("array", "words"), [
    (np.zeros((4, 4), np.float32), ("float32", "gdal_translate")), (np.zeros((4, 4), np.complex64), ("complex",)),
    (np.zeros((3, 4, 4), np.uint8), ("3 bands",)),
], ids=["float", "complex", "bands"])  # fmt: skip
def test_rasters_that_are_no_class_maps_are_refused(
    mapgen: Mapgen, tmp_path: Path, array: np.ndarray, words: tuple[str, ...]
) -> None:
    result = mapgen("vectorize", make_raster(tmp_path / "a.tif", array))
    assert (result.code, len(result.errors)) == (4, 1)
    assert all(word in result.errors[0] for word in words)
    assert {p.name for p in tmp_path.iterdir()} == {"a.tif"}


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>", b"II*\0garbage"])
def test_files_that_are_no_rasters_are_refused(mapgen: Mapgen, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert mapgen("vectorize", tmp_path / "a.tif").code == 4
    assert mapgen("vectorize", tmp_path / "missing.tif").code == 4
    assert mapgen("vectorize", tmp_path).code == 4


def test_a_truncated_map_names_the_rows(mapgen: Mapgen, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = class_map(tmp_path / "a.tif", rng.integers(0, 250, (600, 300)).astype(np.uint8), compress="deflate")
    data = path.read_bytes()
    path.write_bytes(data[:5000] + b"\0" * 20_000 + data[25_000:])
    result = mapgen("vectorize", path)
    assert result.code == 4
    assert "rows 0…" in result.errors[0]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (97, 83)])
def test_every_shape_of_map_becomes_a_valid_layer(tmp_path: Path, pattern: str, shape: tuple[int, int]) -> None:
    mask = class_map(tmp_path / "a.tif", PATTERNS[pattern](*shape), legend=None)
    for how in ({}, {"simplify": Size(2), "smooth": 2}):
        _, polygons = read_layer(vectorize(mask, overwrite=True, **how).output)  # type: ignore[arg-type]
        assert shapely.is_valid(polygons).all()
        assert shapely.coverage_is_valid(polygons)


def test_a_checkerboard_of_131072_polygons_takes_little_memory(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "board.tif", np.where(PATTERNS["checkerboard"](512, 512) > 0, 1, 255).astype(np.uint8))
    vectorize(class_map(tmp_path / "town.tif"))  # what is compiled and loaded once
    with growing() as grown:
        assert vectorize(mask, tmp_path / "board.geojson").features == 131_072
    assert grown[0] < 400e6


@pytest.mark.parametrize("profile", [
    {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"blockysize": 1}, {"compress": "lzw"}, {"BIGTIFF": "YES"},
    {"ENDIANNESS": "BIG"}, {"dtype": "int16"}, {"dtype": "uint32"},
])  # fmt: skip
def test_the_same_pixels_give_the_same_layer_in_any_container(tmp_path: Path, profile: dict[str, Any]) -> None:
    plain = vectorize(class_map(tmp_path / "a.tif"), tmp_path / "x.geojson").output.read_bytes()
    other = class_map(tmp_path / "b.tif", town().astype(profile.get("dtype", "uint8")), **profile)
    assert vectorize(other, tmp_path / "x.geojson", overwrite=True).output.read_bytes() == plain


def test_the_height_of_the_strips_leaves_no_trace(tmp_path: Path, mask: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vectorize(mask, tmp_path / "x.geojson", simplify=Size(1)).output.read_bytes()
    for rows in (1, 7, 59):
        monkeypatch.setattr("mapgen.raster.masks.Mask.strip_rows", rows)
        again = vectorize(mask, tmp_path / "x.geojson", simplify=Size(1), overwrite=True, threads=3)
        assert again.output.read_bytes() == plain


def test_a_mask_band_is_nodata(tmp_path: Path) -> None:
    valid = np.full(town().shape, 255, np.uint8)
    valid[20:30] = 0
    inside = class_map(tmp_path / "a.tif", mask=None, legend=TOWN, nodata=None)
    masked = make_raster(tmp_path / "b.tif", town(), mask=valid)
    assert sum(areas(vectorize(inside).output).values()) == pytest.approx(town().size, rel=0.2)
    assert sum(areas(vectorize(masked).output).values()) == pytest.approx((valid > 0).sum(), rel=0.01)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, mask: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before = contents(tmp_path)
    monkeypatch.setattr("mapgen.layers.write._json_parts", stop)
    with pytest.raises(KeyboardInterrupt):
        vectorize(mask)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("text", "size"), [
    ("8", Size(8)), ("8px", Size(8)), (" 1.5 m", Size(1.5, "m")), ("20m2", Size(20, "m2")),
    ("0", Size(0)), ("0.5ha", Size(5000.0, "m2")), ("2 km2", Size(2e6, "m2")), ("3m²", Size(3.0, "m2")),
])  # fmt: skip
def test_sizes_are_read_as_people_type_them(text: str, size: Size) -> None:
    assert parse_size("sieve", text) == size


def test_class_zero_without_a_name_is_mentioned(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "zero.tif", np.array([[0, 1]], np.uint8), legend=None)
    assert "--background 0" in mapgen("vectorize", mask).err


def test_noise_is_asked_whether_it_is_a_class_map(mapgen: Mapgen, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 200, (110, 110)).astype(np.uint8)
    assert "is it a class map?" in mapgen("vectorize", class_map(tmp_path / "a.tif", noise)).err


def test_one_class_for_each_thing_will_do(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "things.tif", np.arange(4000, dtype=np.int32).reshape(50, 80), legend=None, nodata=None)
    result = vectorize(mask, tmp_path / "things.gpkg")
    assert read_layer(result.output)[0]["class_id"].tolist() == list(range(4000))
    assert len(result.classes) == 4000


def test_appending_in_another_crs_is_refused(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.gpkg"
    mapgen("vectorize", mask, "-o", output)
    before = contents(tmp_path)
    result = mapgen("vectorize", mask, "-o", output, "--append", "--crs", "EPSG:4326")
    assert (result.code, "--crs" in result.errors[0]) == (2, True)
    assert contents(tmp_path) == before


def test_only_geopackages_are_appended_to(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    assert mapgen("vectorize", mask, "-o", tmp_path / "a.fgb", "--append").code == 2
    (tmp_path / "a.gpkg").write_text("no database")
    assert mapgen("vectorize", mask, "-o", tmp_path / "a.gpkg", "--append").code == 4
    assert (tmp_path / "a.gpkg").read_text() == "no database"


def test_a_confidence_from_elsewhere_is_refused(mapgen: Mapgen, mask: Path, tmp_path: Path) -> None:
    raster = make_raster(tmp_path / "conf.tif", town(), transform=north_up(1.0, (500_001.0, 2_700_000.0)))
    assert "lies elsewhere" in mapgen("vectorize", mask, "--confidence-raster", raster).errors[0]


def test_threads_are_as_many_as_asked_for(tmp_path, mapgen, monkeypatch):
    import mapgen.layers.vectorize as module

    mask, seen, opened = class_map(tmp_path / "town.tif"), [], module.open_mask
    monkeypatch.setattr(module, "open_mask", lambda source, threads: seen.append(threads) or opened(source, threads))
    for threads in (1, 3):
        output = tmp_path / f"{threads}" / "town.geojson"
        output.parent.mkdir()
        assert mapgen("vectorize", mask, "--threads", threads, "-o", output).code == 0
    assert seen == [1, 3]
    assert (tmp_path / "1" / "town.geojson").read_bytes() == (tmp_path / "3" / "town.geojson").read_bytes()
