"""Containers of tiles: read by others, by their specification, and by ourselves."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import contents
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.reader import MmapSource, Reader, all_tiles

from mapgen.errors import InputError, OutputError, UsageError
from mapgen.files.commit import Output
from mapgen.files.encoders import encoded
from mapgen.legend import LayerClass
from mapgen.tiling.containers.container import open_tiles, writing_tiles
from mapgen.tiling.containers.pmtiles import Directory, PMTilesReader, first_id
from mapgen.tiling.quadtree import WEB_MERCATOR, to_mercator
from mapgen.tiling.tilejson import TileSetInfo, packed

CLASSES = (LayerClass(1, "road", "#112233"), LayerClass(5, "Wasser ü", "#4455ff"))
INFO = TileSetInfo("town", "png", 2, 9, (7.5, 46.25, 8.5, 47.0), (8.0, 46.6), classes=CLASSES)
NAMES = ("town.pmtiles", "town.mbtiles", "town")

Tiles = dict[tuple[int, int, int], bytes]


def some_tiles(count: int, seed: int = 3, low: int = 2, high: int = 9) -> Tiles:
    """Random places; a third of the tiles are alike."""
    rng = np.random.default_rng(seed)
    found: Tiles = {}
    for i in range(count):
        z = int(rng.integers(low, high + 1))
        data = b"the sea" if i % 3 == 0 else rng.bytes(int(rng.integers(1, 60)))
        found[z, int(rng.integers(2**z)), int(rng.integers(2**z))] = data
    return found


def write(
    path: Path,
    tiles: Tiles | Iterable[tuple[Any, bytes]],
    info: TileSetInfo = INFO,
    *,
    overwrite: bool = False,
    **options: Any,
) -> Path:
    with writing_tiles(Output(path, overwrite), info, **options) as sink:
        for (z, x, y), data in tiles.items() if isinstance(tiles, dict) else tiles:
            sink.put(z, x, y, data)
    return path


def read(path: Path) -> Tiles:
    with open_tiles(path) as source:
        return {(z, x, y): data for z, x, y, data in source.tiles()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 500])
def test_what_was_put_is_read(tmp_path: Path, name: str, count: int) -> None:
    tiles = some_tiles(count)
    write(tmp_path / name, tiles)
    assert read(tmp_path / name) == tiles
    with open_tiles(tmp_path / name) as source:
        assert all(source.get(*place) == data for place, data in tiles.items())
        assert source.get(9, 3, 3) == tiles.get((9, 3, 3))
        info = source.info
    assert (info.name, info.format, info.classes, info.min_zoom, info.max_zoom) == ("town", "png", CLASSES, 2, 9)
    near = 360 / 256 / 2**9 if name.endswith(".mbtiles") else 1e-7  # there on whole pixels of the highest zoom
    np.testing.assert_allclose(info.bounds, INFO.bounds, atol=near)
    np.testing.assert_allclose(info.middle, (8.0, 46.6), atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_vector_tiles_are_read_as_they_were_put(tmp_path: Path, name: str) -> None:
    info = TileSetInfo("v", "mvt", 0, 1, vector_layers=({"id": "classes", "fields": {"class_id": "Number"}},))
    tiles = {(0, 0, 0): packed(b"one"), (1, 1, 0): packed(b"two")}
    write(tmp_path / name, tiles, info)
    assert read(tmp_path / name) == tiles
    with open_tiles(tmp_path / name) as source:
        assert source.info.vector_layers == info.vector_layers
    if name == "town":
        assert (tmp_path / name / "1" / "1" / "0.pbf").read_bytes() == b"two"


@pytest.mark.parametrize("name", NAMES)
def test_equal_tiles_put_in_the_same_order_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    tiles = some_tiles(200)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, tiles)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_pmtiles_archive_does_not_depend_on_the_order_of_its_tiles(tmp_path: Path) -> None:
    tiles = list(some_tiles(300).items())
    write(tmp_path / "one.pmtiles", tiles)
    write(tmp_path / "two.pmtiles", tiles[::-1])
    assert (tmp_path / "one.pmtiles").read_bytes() == (tmp_path / "two.pmtiles").read_bytes()


@pytest.mark.parametrize("count", [1, 300, 40_000])
def test_the_pmtiles_package_reads_the_archive(tmp_path: Path, count: int) -> None:
    tiles = some_tiles(count, high=14)
    write(tmp_path / "a.pmtiles", tiles, TileSetInfo("town", "webp", 2, 14, classes=CLASSES))
    with open(tmp_path / "a.pmtiles", "rb") as stream:
        source = MmapSource(stream)
        assert dict(all_tiles(source)) == tiles
        reader = Reader(source)
        place = next(iter(tiles))
        assert reader.get(*place) == tiles[place]
        assert reader.metadata()["classes"][1] == {"id": 5, "name": "Wasser ü", "color": "#4455ff"}


def varints(data: bytes) -> list[int]:
    """The plain reading of variable-length integers, byte by byte."""
    found, value, shift = [], 0, 0
    for octet in data:
        value |= (octet & 127) << shift
        shift += 7
        if octet < 128:
            found.append(value)
            value = shift = 0
    return found


def entries(data: bytes) -> list[tuple[int, int, int, int]]:
    """A directory as the specification describes it: (id, run, offset, length)."""
    numbers = varints(gzip.decompress(data))
    count, rest = numbers[0], numbers[1:]
    steps, runs, lengths, offsets = (rest[k * count : (k + 1) * count] for k in range(4))
    found, number = [], 0
    for k in range(count):
        number += steps[k]
        offset = offsets[k] - 1 if offsets[k] else found[-1][2] + found[-1][3]
        found.append((number, runs[k], offset, lengths[k]))
    return found


@pytest.mark.parametrize("count", [5, 40_000])
def test_the_archive_keeps_the_specification(tmp_path: Path, count: int) -> None:
    """Header, directories, counts, order and offsets, by arithmetic of our own."""
    tiles = some_tiles(count, high=14)
    tiles |= {(14, x, 0): b"the sea" for x in range(100)}  # in part consecutive on the curve
    info = TileSetInfo("town", "png", 2, 14, (7.5, 46.25, 8.5, 47.0), (8.0, 46.6))
    data = write(tmp_path / "a.pmtiles", tiles, info).read_bytes()
    assert data[:8] == b"PMTiles\x03"
    places = struct.unpack("<8Q", data[8:72])
    root, metadata, leaves, content = zip(places[::2], places[1::2], strict=True)
    assert root[0] == 127
    assert root[0] + root[1] <= 16_384
    assert [part[0] for part in (metadata, leaves, content)] == [sum(part) for part in (root, metadata, leaves)]
    assert sum(content) == len(data)
    addressed, count_entries, count_contents = struct.unpack("<3Q", data[72:96])
    assert tuple(data[96:102]) == (1, 2, 1, 2, 2, 14)  # clustered, gzip, plain, PNG, zooms
    box = struct.unpack("<4i", data[102:118])
    assert box == (75_000_000, 462_500_000, 85_000_000, 470_000_000)
    assert struct.unpack("<B2i", data[118:127]) == (2, 80_000_000, 466_000_000)
    found = []
    for number, run, offset, length in entries(data[root[0] : sum(root)]):
        if run:
            found.append((number, run, offset, length))
        else:
            start = leaves[0] + offset
            leaf = entries(data[start : start + length])
            assert leaf[0][0] == number
            found += leaf
    assert (leaves[1] > 0) == (count > 10_000)
    numbers = [number + k for number, run, _, _ in found for k in range(run)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == addressed == len(tiles)
    assert len(found) == count_entries
    assert len({offset for _, _, offset, _ in found}) == count_contents == len(set(tiles.values()))
    assert content[1] == sum(len(one) for one in set(tiles.values()))
    firsts = list(dict.fromkeys(offset for _, _, offset, _ in found))
    assert firsts == sorted(firsts), "not clustered"
    assert any(run > 1 for _, run, _, _ in found)
    assert min(numbers) >= first_id(2)
    assert all(run > 0 for _, run, _, _ in found)


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(1, 300), st.integers(0, 2**40), st.integers(1, 2**20))))
def test_directories_are_decoded_as_they_were_encoded(rows: list[tuple[int, int, int, int]]) -> None:
    steps, runs, offsets, lengths = np.array(rows, np.int64).reshape(-1, 4).T
    directory = Directory(np.cumsum(steps), runs, offsets, lengths)
    data = directory.encode()
    assert entries(data) == list(zip(*(v.tolist() for v in (directory.ids, runs, offsets, lengths)), strict=True))
    again = Directory.decode(data)
    for name in ("ids", "runs", "offsets", "lengths"):
        np.testing.assert_array_equal(getattr(again, name), getattr(directory, name))


def test_mbtiles_keep_the_specification(tmp_path: Path) -> None:
    tiles = some_tiles(300)
    write(tmp_path / "a.mbtiles", tiles)
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as db:
        rows = dict(db.execute("SELECT name, value FROM metadata"))
        found = {(z, x, 2**z - 1 - y): bytes(d) for z, x, y, d in db.execute("SELECT * FROM tiles")}
        assert db.execute("PRAGMA application_id").fetchone() == (0x4D504258,)
        assert db.execute("SELECT count(*) FROM images").fetchone() == (len(set(tiles.values())),)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert found == tiles
    assert rows["format"] == "png"
    assert (rows["name"], rows["minzoom"], rows["maxzoom"], rows["type"]) == ("town", "2", "9", "overlay")
    near = pytest.approx([7.5, 46.25, 8.5, 47.0], abs=360 / 256 / 2**9)
    assert [float(v) for v in rows["bounds"].split(",")] == near
    assert rows["center"] == "8.0000000,46.6000000,2"
    assert json.loads(rows["classes"])[0] == {"id": 1, "name": "road", "color": "#112233"}


def test_mbtiles_of_vectors_describe_their_layers(tmp_path: Path) -> None:
    layers = ({"id": "classes", "fields": {"class_id": "Number"}},)
    write(tmp_path / "a.mbtiles", {}, TileSetInfo("v", "mvt", 0, 1, vector_layers=layers))
    with closing(sqlite3.connect(tmp_path / "a.mbtiles")) as db:
        rows = dict(db.execute("SELECT name, value FROM metadata"))
    assert rows["format"] == "pbf"
    assert json.loads(rows["json"]) == {"vector_layers": list(layers)}


@pytest.mark.parametrize(("scheme", "row"), [(None, 1), ("xyz", 1), ("tms", 6)])
def test_a_folder_counts_rows_by_its_scheme(tmp_path: Path, scheme: Any, row: int) -> None:
    write(tmp_path / "t", {(3, 5, 1): b"data"}, scheme=scheme)
    assert (tmp_path / "t" / "3" / "5" / f"{row}.png").read_bytes() == b"data"
    assert read(tmp_path / "t") == {(3, 5, 1): b"data"}
    assert json.loads((tmp_path / "t" / "tilejson.json").read_text())["scheme"] == (scheme or "xyz")


@pytest.mark.parametrize("name", NAMES)
def test_tilejson_and_style_lie_beside_the_tiles(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, {(2, 1, 1): b"data"})
    one, two = (
        (path / "tilejson.json", path / "style.json")
        if name == "town"
        else (tmp_path / f"{name}.json", tmp_path / f"{name}.style.json")
    )
    record = json.loads(one.read_text())
    assert record["tilejson"] == "3.0.0"
    assert (record["minzoom"], record["maxzoom"], record["bounds"]) == (2, 9, [7.5, 46.25, 8.5, 47.0])
    assert record["classes"] == [
        {"id": 1, "name": "road", "color": "#112233"}, {"id": 5, "name": "Wasser ü", "color": "#4455ff"},
    ]  # fmt: skip
    if name.endswith(".mbtiles"):  # which no map of MapLibre can show
        assert not two.exists()
        return
    look = json.loads(two.read_text())
    (source,) = look["sources"].values()
    assert source.get("tiles", [f"{source.get('url')}/{{z}}/{{x}}/{{y}}"]) == record["tiles"]
    assert look["metadata"]["classes"] == record["classes"]
    assert look["layers"][0]["paint"]["raster-resampling"] == "nearest"


@pytest.mark.parametrize("base", ["https://example.org/maps", "https://example.org/maps/"])
def test_urls_are_below_the_base_that_is_given(tmp_path: Path, base: str) -> None:
    folder = write(tmp_path / "a b", {}, base_url=base)
    write(tmp_path / "a b.pmtiles", {}, base_url=base)
    template = "https://example.org/maps/a%20b/{z}/{x}/{y}.png"
    for name in ("style.json", "tilejson.json"):
        record = json.loads((folder / name).read_text())
        assert record.get("sources", {"tiles": record})["tiles"]["tiles"] == [template]
    archive = "pmtiles://https://example.org/maps/a%20b.pmtiles"
    assert json.loads((tmp_path / "a b.pmtiles.style.json").read_text())["sources"]["tiles"]["url"] == archive
    assert json.loads((tmp_path / "a b.pmtiles.json").read_text())["tiles"] == [archive + "/{z}/{x}/{y}"]


def test_mbtiles_have_bounds_of_whole_pixels(tmp_path: Path) -> None:
    """GDAL counts pixels from the bounds, so a part of one would move all of them."""
    info = TileSetInfo("a", "png", 4, 15, (7.123456, 46.21, 7.223, 46.3))
    with open_tiles(write(tmp_path / "a.mbtiles", {}, info)) as source:
        west, south, east, north = source.info.bounds
    assert west <= 7.123456 < 7.223 <= east
    assert south <= 46.21 < 46.3 <= north
    places = np.array([*to_mercator(west, south), *to_mercator(east, north)]) + WEB_MERCATOR.top
    pixels = places / WEB_MERCATOR.resolution(15)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)


def image(side: int) -> bytes:
    return encoded(np.full((4, side, side), 200, np.uint8), "png")


@pytest.mark.parametrize("name", ["a.pmtiles", "a.mbtiles"])
@pytest.mark.parametrize("key", [None, "tileSize"])
def test_the_size_of_tiles_of_others_is_seen(tmp_path: Path, monkeypatch: Any, name: str, key: str | None) -> None:
    said = {} if key is None else {key: "512"}
    monkeypatch.setattr(TileSetInfo, "metadata", lambda self: {"name": "theirs", "type": "overlay"} | said)
    write(tmp_path / name, {(4, 8, 5): image(512)}, TileSetInfo("a", "png", 4, 4))
    with open_tiles(tmp_path / name) as source:
        assert source.info.tile_size == 512


@pytest.mark.parametrize("name", ["a.pmtiles", "a.mbtiles"])
def test_what_others_call_classes_is_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, {}, TileSetInfo("a", "png", 4, 4, extra={"classes": ["road", "water"]}))
    with open_tiles(tmp_path / name) as source:
        assert source.info.classes == ()


def test_mbtiles_without_zooms_have_those_of_their_tiles(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mbtiles", {(4, 8, 5): image(256), (6, 32, 20): image(256)})
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM metadata WHERE name IN ('minzoom', 'maxzoom', 'bounds', 'center')")
    with open_tiles(path) as source:
        assert (source.info.min_zoom, source.info.max_zoom) == (4, 6)


def test_a_folder_of_others_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "7" / "8").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no tilejson\.json that says what they are"):
        open_tiles(tmp_path)


@pytest.mark.parametrize("place", ["", "3", "3/4"])
def test_what_file_managers_leave_is_nothing_of_worth(tmp_path: Path, place: str) -> None:
    write(tmp_path / "t", {(3, 4, 5): b"tile"})
    (tmp_path / "t" / place / ".DS_Store").write_bytes(b"Bud1")
    write(tmp_path / "t", {(3, 4, 6): b"new"}, overwrite=True)
    assert read(tmp_path / "t") == {(3, 4, 6): b"new"}


def test_a_style_of_vectors_fills_each_class_with_its_colour(tmp_path: Path) -> None:
    info = TileSetInfo("v", "mvt", 0, 1, classes=CLASSES, vector_layers=({"id": "classes", "fields": {}},))
    write(tmp_path / "v.pmtiles", {}, info)
    (layer,) = json.loads((tmp_path / "v.pmtiles.style.json").read_text())["layers"]
    assert (layer["type"], layer["source-layer"]) == ("fill", "classes")
    assert layer["paint"]["fill-color"] == ["match", ["get", "class_id"], [1], "#112233", [5], "#4455ff", "#808080"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.pmtiles", {"scheme": "tms"}, "counts rows as xyz"),
        ("a.mbtiles", {"scheme": "xyz"}, "counts rows as tms"),
        ("a.tif", {}, "no set of tiles is known by the suffix .tif"),
    ],
)
def test_what_a_container_cannot_hold_is_refused(tmp_path: Path, name: str, options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write(tmp_path / name, {}, **options)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_set_that_exists_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, some_tiles(50))
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="exists; use overwrite=True"):
        write(tmp_path / name, {(2, 0, 0): b"new"})
    assert contents(tmp_path) == before
    write(tmp_path / name, {(2, 0, 0): b"new"}, overwrite=True)
    assert read(tmp_path / name) == {(2, 0, 0): b"new"}
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("name", NAMES)
def test_an_older_set_survives_a_run_that_fails(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, some_tiles(50))
    before = contents(tmp_path)

    def failing() -> Any:
        yield (2, 0, 0), b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path / name, failing(), overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("inside", ["notes.txt", "3/notes.txt", "3/4/notes.txt", "link", "3/link"])
def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path: Path, inside: str) -> None:
    write(tmp_path / "t", {(3, 4, 5): b"tile"})
    if inside.endswith("link"):
        (tmp_path / "t" / inside).symlink_to(tmp_path)
    else:
        (tmp_path / "t" / inside).write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="which is not a tile; name a new folder"):
        write(tmp_path / "t", {}, overwrite=True)
    assert contents(tmp_path) == before


def test_a_folder_that_is_no_set_of_tiles_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "7" / "8").mkdir(parents=True)
    (tmp_path / "7" / "8" / "9.png").write_text("precious")
    with pytest.raises(OutputError, match="which is not a tile"):
        write(tmp_path / "7", {}, overwrite=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_made_meanwhile_by_another_run_is_kept(tmp_path: Path, name: str) -> None:
    def slow() -> Any:
        write(tmp_path / name, {(2, 0, 0): b"theirs"})
        yield (2, 0, 0), b"mine"

    with pytest.raises(OutputError, match=r"exists|was made by another run meanwhile"):
        write(tmp_path / name, slow())
    assert read(tmp_path / name) == {(2, 0, 0): b"theirs"}


def test_a_name_too_long_for_side_cars_has_none(tmp_path: Path) -> None:
    name = "n" * 245 + ".pmtiles"
    write(tmp_path / name, {(2, 0, 0): b"data"})
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert read(tmp_path / name) == {(2, 0, 0): b"data"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["cut", "changed"])
def test_a_set_that_does_not_read_back_is_never_shown(
    tmp_path: Path, name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses what was written, played between the last write and the check."""
    from mapgen.tiling.containers import container as tilesets

    def spoil(path: Path, *arguments: Any) -> None:
        victim = path if path.is_file() else path / "2" / "0" / "0.png"
        data = victim.read_bytes()
        at = data.index(b"precious tile")
        victim.write_bytes(data[: at + 4] if how == "cut" else data.replace(b"precious tile", b"precious til\xff"))
        verify(path, *arguments)

    verify = tilesets._verify
    monkeypatch.setattr(tilesets, "_verify", spoil)
    with pytest.raises(OutputError, match="did not read back as written"):
        write(tmp_path / name, {(2, 0, 0): b"precious tile"})
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("at", [0, 5, 100, 126, 127, 200, 1000])
def test_a_damaged_archive_is_refused(tmp_path: Path, at: int) -> None:
    path = write(tmp_path / "a.pmtiles", some_tiles(100))
    path.write_bytes(path.read_bytes()[:at])
    with pytest.raises(InputError, match="cannot be read"):
        PMTilesReader(path)


@pytest.mark.parametrize("name", ["a.pmtiles", "a.mbtiles", "nothing.pmtiles"])
def test_what_is_no_set_of_tiles_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.pmtiles").write_bytes(hashlib.sha512(b"").digest() * 10)
    (tmp_path / "a.mbtiles").write_bytes(b"SQLite format 3\0" + hashlib.sha512(b"").digest())
    with pytest.raises(InputError, match="cannot be read"):
        open_tiles(tmp_path / name)


def test_a_folder_without_its_tilejson_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder of tiles"):
        open_tiles(tmp_path)
