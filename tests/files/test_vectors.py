"""Vector files are vetted by their first bytes: no driver that reads other files or the network gets one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from factory import make_raster

from mapgen.errors import InputError
from mapgen.files.vectors import facts_of, layer_facts, reading

SQUARE = shapely.box(500_010, 2_699_960, 500_040, 2_699_990)


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and what it was asked for."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def virtual(path: Path, address: str) -> Path:
    source = f"<SrcDataSource>{address}/a.geojson</SrcDataSource>"
    path.write_text(f'<OGRVRTDataSource><OGRVRTLayer name="a">{source}</OGRVRTLayer></OGRVRTDataSource>')
    return path


@pytest.mark.parametrize("suffix", ["geojson", "gml", "kml", "gpkg", "shp", "vrt", "parquet", "tab"])
def test_a_virtual_layer_of_any_name_is_refused_unread(tmp_path, asked, suffix):
    address, seen = asked
    path = virtual(tmp_path / f"area.{suffix}", address)
    for read in (lambda: facts_of(path, "area", None), lambda: layer_facts(path)):
        with pytest.raises(InputError, match="cannot be read"):
            read()
    assert seen == []


@pytest.mark.parametrize("before", ["<!-- <kml> -->", "<kml/>", "<?xml?><!-- <osm> -->", '{"type": "', "fgb", "PAR1"])
def test_a_virtual_layer_does_not_hide_behind_another_beginning(tmp_path, asked, before):
    address, seen = asked
    path = virtual(tmp_path / "area.kml", address)
    path.write_text(before + path.read_text())
    with pytest.raises(InputError, match="cannot be read"):
        facts_of(path, "area", None)
    assert seen == []


@pytest.mark.parametrize(
    "text", ["<WFSDataSource/>", "<OGRWFSDataSource><URL>{0}</URL></OGRWFSDataSource>", "GFT:x", "/vsicurl/{0}/a.json",
             "WFS:{0}", "PGB:x", "\0\0\0", "PK\x03\x04"],
)  # fmt: skip
def test_what_begins_as_no_known_format_is_refused(tmp_path, asked, text):
    address, seen = asked
    path = tmp_path / "area.geojson"
    path.write_text(text.format(address))
    with pytest.raises(InputError, match="begins as none of GeoJSON, GeoPackage"):
        facts_of(path, "area", None)
    assert seen == []


@pytest.mark.parametrize("suffix", ["geojson", "geojsonl", "gpkg", "fgb", "shp", "kml", "gml", "tab", "dxf"])
def test_every_format_that_is_promised_passes(tmp_path, suffix):
    drivers = {"kml": "KML", "tab": "MapInfo File", "dxf": "DXF", "geojsonl": "GeoJSONSeq"}
    path = tmp_path / f"area.{suffix}"
    frame = geopandas.GeoDataFrame(geometry=[SQUARE], crs="EPSG:32640")
    if suffix in ("geojson", "geojsonl", "kml"):
        frame = frame.to_crs("EPSG:4326")
    frame.to_file(path, driver=drivers.get(suffix))
    assert facts_of(path, "area", None)["features"] in (1, -1)


def test_a_parquet_is_one_whatever_it_is_called(tmp_path):
    pytest.importorskip("pyarrow")
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[SQUARE], crs="EPSG:32640")
    frame.to_parquet(tmp_path / "a.geojson")
    frame.to_crs("EPSG:4326").to_file(tmp_path / "b.geojson")
    (tmp_path / "b.geojson").rename(tmp_path / "b.parquet")
    found = [facts_of(tmp_path / name, name, None)["driver"] for name in ("a.geojson", "b.parquet")]
    assert found == ["Parquet", "GeoJSON"]


def test_settings_of_reading_last_as_long_as_anybody_reads(tmp_path):
    import pyogrio

    def limit() -> object:
        return pyogrio.get_gdal_config_option("OGR_GEOJSON_MAX_OBJ_SIZE")

    pyogrio.set_gdal_config_options({"OGR_GEOJSON_MAX_OBJ_SIZE": 7})
    try:
        with reading("a"):
            with pytest.raises(ZeroDivisionError), reading("b"):
                raise ZeroDivisionError
            assert limit() == 0
        assert limit() == 7
        geopandas.GeoDataFrame(geometry=[SQUARE], crs="EPSG:32640").to_file(tmp_path / "a.gpkg")
        facts_of(tmp_path / "a.gpkg", "area", None)
        assert limit() == 7
    finally:
        pyogrio.set_gdal_config_options({"OGR_GEOJSON_MAX_OBJ_SIZE": None})


def test_no_command_follows_a_virtual_layer(tmp_path, asked, mapgen, segment, engines):
    address, seen = asked
    area = virtual(tmp_path / "area.geojson", address)
    scene = make_raster(tmp_path / "scene.tif", np.zeros((3, 20, 20), np.uint8))
    mask = make_raster(tmp_path / "mask.tif", np.ones((1, 20, 20), np.uint8))
    runs = [
        segment(scene, "--aoi", area, "-o", tmp_path / "a.tif"),
        mapgen("vectorize", mask, "--clip", area, "-o", tmp_path / "a.gpkg"),
        mapgen("evaluate", mask, area),
        mapgen("tiles", area, "--vector", "-o", tmp_path / "a.pmtiles"),
        mapgen("view", area, "--png", tmp_path / "a.png"),
        mapgen("info", area),
        mapgen("route", virtual(tmp_path / "net.gpkg", address), "25,55", "25,55.1"),
    ]
    assert [run.code for run in runs] == [4] * len(runs)
    assert all("cannot be read" in run.err for run in runs), [run.err for run in runs]
    assert seen == []
