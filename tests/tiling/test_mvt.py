"""Vector tiles as bytes: what decoders of others make of them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import shapely
from decoding import by_gdal, by_mapbox, polygons_of
from hypothesis import given
from hypothesis import strategies as st

from mapgen.tiling.mvt import EXTENT, TileShapes, encode_layer


def squares(corners: list[tuple[int, int]], side: int = 10, hole: bool = False) -> TileShapes:
    """A feature for each corner: a square, perhaps with a square hole."""
    x, y, rings, polygons = [], [], [0], [0]
    for left, top in corners:
        x += [left, left + side, left + side, left]
        y += [top, top, top + side, top + side]
        rings.append(len(x))
        if hole:
            x += [left + 2, left + 2, left + 4, left + 4]
            y += [top + 2, top + 4, top + 4, top + 2]
            rings.append(len(x))
        polygons.append(len(rings) - 1)
    features = np.arange(len(corners) + 1)
    return TileShapes(np.array(x, np.int32), np.array(y, np.int32), np.array(rings), np.array(polygons), features)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_two_decoders_find_name_ids_attributes_and_every_vertex(tmp_path):
    shapes = squares([(0, 0), (-64, 4150), (4000, 17)], hole=True)
    values = [7, -3, 2**40, "Wald, groß", "", True, 0.125]
    both = np.arange(3)
    tags = [(both, np.array([0, 1, 2])), (np.array([0, 2]), np.array([3, 4])), (np.array([1]), np.array([5])),
            (np.array([2]), np.array([6]))]  # fmt: skip
    ids = np.array([1, 300, 2**53 - 1], np.uint64)
    data = encode_layer("Bodenbedeckung", shapes, ["n", "text", "flag", "share"], values, tags, ids)
    path = write(tmp_path / "tile.pbf", data)
    (layers,) = by_mapbox(path)
    layer = layers["Bodenbedeckung"]
    assert (layer["version"], layer["extent"]) == (2, EXTENT)
    assert [f["id"] for f in layer["features"]] == ids.tolist()
    assert [f["properties"] for f in layer["features"]] == [
        {"n": 7, "text": "Wald, groß"}, {"n": -3, "flag": True}, {"n": 2**40, "text": "", "share": 0.125}
    ]  # fmt: skip
    found = np.array([shapely.geometry.shape(f["geometry"]) for f in layer["features"]])
    assert shapely.equals(found, polygons_of(shapes)).all()
    columns, read = by_gdal(path)
    assert columns["mvt_id"].tolist() == ids.tolist()
    assert columns["n"].tolist() == [7, -3, 2**40]
    assert shapely.equals(read, polygons_of(shapes)).all()
    assert shapely.get_num_coordinates(read).tolist() == [10, 10, 10]


@given(
    corners=st.lists(st.tuples(st.integers(-200, 4300), st.integers(-200, 4300)), min_size=1, max_size=30, unique=True),
    hole=st.booleans(),
)
def test_gdal_reads_back_what_was_encoded(tmp_path_factory, corners, hole):
    shapes = squares(corners, hole=hole)
    places = np.arange(len(corners))
    data = encode_layer("layer", shapes, ["i"], places.tolist(), [(places, places)])
    columns, read = by_gdal(write(tmp_path_factory.mktemp("tiles") / "t.pbf", data))
    assert columns["i"].tolist() == places.tolist()
    assert shapely.equals(read, polygons_of(shapes)).all()


def test_exteriors_have_positive_and_holes_negative_area_by_the_surveyors_formula():
    """As the specification has it (4.3.4.4): read from the commands themselves, without a decoder's repairs."""
    data = encode_layer("layer", squares([(5, 9)], hole=True), [], [], [])
    areas = [_area(ring) for ring in _rings(data)]
    assert areas == [100, -4]


def test_features_of_several_polygons_are_one_multipolygon(tmp_path):
    parts = squares([(0, 0), (100, 0), (200, 0)])
    shapes = TileShapes(parts.x, parts.y, parts.rings, parts.polygons, np.array([0, 2, 3]))
    (layers,) = by_mapbox(write(tmp_path / "t.pbf", encode_layer("a", shapes, [], [], [])))
    assert [f["geometry"]["type"] for f in layers["a"]["features"]] == ["MultiPolygon", "Polygon"]


def test_layers_follow_one_another_in_one_tile(tmp_path):
    one, other = (encode_layer(name, squares([(0, 0)]), [], [], []) for name in ("one", "other"))
    (layers,) = by_mapbox(write(tmp_path / "t.pbf", one + other))
    assert list(layers) == ["one", "other"]


def test_an_empty_layer_is_still_a_layer(tmp_path):
    (layers,) = by_mapbox(write(tmp_path / "t.pbf", encode_layer("bare", squares([]), ["k"], [1], [])))
    assert layers["bare"]["features"] == []


@pytest.mark.parametrize("value", [0, 127, 128, 2**63 - 1, 2**64 - 1, -1, -(2**63), 1e300, -0.0, False])
def test_values_keep_their_kind(tmp_path, value):
    data = encode_layer("a", squares([(0, 0)]), ["v"], [value], [(np.array([0]), np.array([0]))])
    (layers,) = by_mapbox(write(tmp_path / "t.pbf", data))
    found = layers["a"]["features"][0]["properties"]["v"]
    assert (found, type(found)) == (value, type(value))


# --- a decoder of our own, as far as the commands of a polygon go ---------------------------------------------------


def _fields(data: bytes) -> list[tuple[int, bytes | int]]:
    out, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 2:
            size, at = _varint(data, at)
            out.append((key >> 3, data[at : at + size]))
            at += size
        elif key & 7 == 1:
            out.append((key >> 3, struct.unpack_from("<q", data, at)[0]))
            at += 8
        else:
            value, at = _varint(data, at)
            out.append((key >> 3, value))
    return out


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def _rings(tile: bytes) -> list[list[tuple[int, int]]]:
    ((_, layer),) = _fields(tile)
    ((_, feature),) = [f for f in _fields(layer) if f[0] == 2]
    ((_, geometry),) = [f for f in _fields(feature) if f[0] == 4]
    numbers, at = [], 0
    while at < len(geometry):
        number, at = _varint(geometry, at)
        numbers.append(number)
    rings, x, y, i = [], 0, 0, 0
    while i < len(numbers):
        command, count = numbers[i] & 7, numbers[i] >> 3
        i += 1
        if command == 7:
            continue
        if command == 1:
            rings.append([])
        for _ in range(count):
            x += (numbers[i] >> 1) ^ -(numbers[i] & 1)
            y += (numbers[i + 1] >> 1) ^ -(numbers[i + 1] & 1)
            rings[-1].append((x, y))
            i += 2
    return rings


def _area(ring: list[tuple[int, int]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)) / 2


def test_compressed_tiles_are_read_as_well(tmp_path):
    data = gzip.compress(encode_layer("a", squares([(3, 4)]), [], [], []), mtime=0)
    _, read = by_gdal(write(tmp_path / "t.pbf", data))
    assert shapely.bounds(read).tolist() == [[3, 4, 13, 14]]
