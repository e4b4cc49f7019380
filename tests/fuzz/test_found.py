"""What damage and hostility have found, one by one: each ended in a bug, without end, or in all of the memory."""

import gzip
import json
import sqlite3

import pytest
from factory import contents

from mapgen.errors import InputError
from mapgen.files.untrusted import json_object, parsed_json, unpacked
from mapgen.results.verify import verify
from mapgen.tiling.containers.container import open_tiles

SET = {"format": "png", "minzoom": 0, "maxzoom": 1, "bounds": [-10, -10, 10, 10], "center": [0, 0, 0]}


def test_packed_bytes_unpack_to_a_limit():
    for data in (gzip.compress(bytes(2000)), gzip.compress(bytes(1200)) * 2):
        with pytest.raises(ValueError, match="more than 1000 bytes"):
            unpacked(data, 1000)
    assert unpacked(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
    assert unpacked(gzip.compress(b"")) == b""
    with pytest.raises(ValueError, match="cut off"):
        unpacked(gzip.compress(bytes(2000))[:-9])


def test_json_that_nests_too_deeply_is_none():
    with pytest.raises(ValueError, match="too deeply"):
        parsed_json("[" * 100_000)
    with pytest.raises(ValueError, match="not an object"):
        json_object("[]")


@pytest.mark.parametrize(
    "change", [{"bounds": [0, 0, 1e30, 1]}, {"maxzoom": "x"}, {"maxzoom": 99}, {"rows": 0}, {"vector_layers": [1]}]
)
def test_a_set_of_tiles_that_cannot_be_is_refused(tmp_path, change):
    (tmp_path / "tilejson.json").write_text(json.dumps(SET | change))
    with pytest.raises(InputError):
        open_tiles(tmp_path)


def test_a_database_whose_tiles_never_end_is_refused(tmp_path):
    path = tmp_path / "x.mbtiles"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metadata (name, value)")
        database.execute(
            "CREATE VIEW tiles AS WITH RECURSIVE t(z) AS (SELECT 0 UNION ALL SELECT 0 FROM t) "
            "SELECT z AS zoom_level, 0 AS tile_column, 0 AS tile_row, 1 AS tile_data FROM t"
        )
    database.close()
    with pytest.raises(InputError, match="calls itself"):
        open_tiles(path)


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_report_that_names_its_own_folder_is_no_circle(tmp_path, name):
    (tmp_path / "report.json").write_text(json.dumps({"mapgen_report": 1, "files": {"map": name}}))
    before = contents(tmp_path)
    assert "outside of its folder" in verify(tmp_path).faults[0]
    assert contents(tmp_path) == before


def test_a_report_whose_classes_have_no_names_is_told(tmp_path, mapgen):
    report = {"mapgen_report": 1, "files": {}, "classes": [{"pixels": 3, "share": 0.5}]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert mapgen("info", tmp_path).code == 0
    (tmp_path / "report.json").write_text(json.dumps(report | {"classes": [7]}))
    assert mapgen("info", tmp_path).code == 4
