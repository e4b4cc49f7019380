"""What a file is taken for: by its name, and by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapgen.errors import InputError
from mapgen.files.kind import is_lines, is_vectors, kind_of, suffix_of, vector_form


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.tif", "raster"), ("a", "raster"), ("a.GPKG", "layer"), ("a.shp", "layer"), ("a.PMTiles", "tiles"),
     ("a.safetensors", "model"), ("https://b/a.geojson?key=1", "raster"), ("plain", "folder"), ("out", "result"),
     ("set", "tiles"), ("folder.gpkg", "folder")],
)  # fmt: skip
def test_a_name_says_what_is_expected_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, file in (("out", "report.json"), ("set", "tilejson.json"), ("plain", "a.tif"), ("folder.gpkg", "a")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("{}")
    assert kind_of(name) == kind


def test_the_query_of_an_address_is_no_part_of_its_suffix() -> None:
    assert suffix_of("https://b/Area.GeoJSON?key=a.tif") == ".geojson"
    assert is_vectors("https://b/area.geojson?key=a.tif")
    assert suffix_of("what?.tif") == ".tif"
    assert [is_lines(name) for name in ("a.osm.pbf", "a.graphml", "a.gpkg", "a.tif")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("head", "form"),
    [(b"PAR1", "Parquet"), (b"SQLite format 3\0", "SQLite"), (b"fgb\x03fgb\x00", "FlatGeobuf"),
     (b"\0\0\x27\x0a", "Shapefile"), (b'\xef\xbb\xbf {"type":', "GeoJSON"), (b"\x1e{", "GeoJSON"),
     (b"<?xml version='1.0'?><osm version='0.6'>", "OSM"), (b"\0\0\0\x0d\n\x09OSMHeader\x18", "OSM"),
     (b"<kml xmlns='x'>", "XML"), (b"!table\n!version 300", "MapInfo"), (b"  0\nSECTION", "DXF")],
)  # fmt: skip
def test_first_bytes_say_how_a_vector_file_is_read(tmp_path: Path, head: bytes, form: str) -> None:
    (tmp_path / "a").write_bytes(head)
    assert vector_form(tmp_path / "a", "a") == form


def test_what_begins_otherwise_is_refused(tmp_path: Path) -> None:
    for head in (b"", b"<gml>", b"<osmosis>", b"OSMHeader", b"<!-- <osm> -->", b"\xef\xbb\xbfPAR1"):
        (tmp_path / "a").write_bytes(head)
        with pytest.raises(InputError, match="begins as none of"):
            vector_form(tmp_path / "a", "a")
