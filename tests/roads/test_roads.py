"""`mapgen roads` and `mapgen route`: networks in every format, as others read them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import rasterio
from affine import Affine
from city import city, damaged
from factory import Run, make_raster

from mapgen.legend import Class, Legend
from mapgen.roads.options import NetworkFormat

Array = np.ndarray[Any, np.dtype[Any]]
STREETS = Legend((Class(0, "land", "#c0b090"), Class(3, "road", "#808080"), Class(4, "water", "#4060c0")))


def street_map(path: Path, roads: Array, **profile: Any) -> Path:
    tags = {"MAPGEN_LEGEND": json.dumps(STREETS.to_json())}
    return make_raster(path, np.where(roads, 3, 0).astype(np.uint8), nodata=255, tags=tags, **profile)


def probabilities(path: Path, p: Array, **profile: Any) -> Path:
    return make_raster(path, np.round(p * 250).astype(np.uint8), nodata=255, scales=(0.004,), **profile)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A damaged drawn town of 512 × 512 pixels, as a class map and as probabilities."""
    folder = tmp_path_factory.mktemp("town")
    p = damaged(city(8, 512, stubs=6), 1)
    return street_map(folder / "town.mask.tif", p > 0.5), probabilities(folder / "town.probabilities.tif", p)


@pytest.fixture(scope="module")
def networks(town: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The town's network in every format."""
    from mapgen.roads.extract import extract_roads

    folder = tmp_path_factory.mktemp("networks")
    for form in get_args(NetworkFormat):
        extract_roads(town[0], folder / f"town.{form}", probabilities_raster=town[1])
    return {form: folder / f"town.{form}" for form in get_args(NetworkFormat)}


def edges_of(path: Path, layer: str | None = None) -> tuple[dict[str, Any], Array]:
    import pyogrio
    import shapely

    meta, _, geometry, fields = pyogrio.raw.read(path, layer=layer)
    return dict(zip(meta["fields"].tolist(), fields, strict=True)), shapely.from_wkb(geometry)


def graph_of(path: Path) -> Any:
    """The network of a GeoPackage as a graph of networkx, joined by u and v."""
    nx = pytest.importorskip("networkx")
    columns, _ = edges_of(path, "edges")
    graph = nx.MultiGraph()
    for u, v, length in zip(columns["u"], columns["v"], columns["length_m"], strict=True):
        graph.add_edge(int(u), int(v), length=float(length))
    return graph


def test_the_network_of_a_class_map_lies_beside_it(mapgen: Callable[..., Run], town: tuple[Path, Path]) -> None:
    run = mapgen("roads", town[0], "--overwrite")
    assert run.code == 0, run.err
    assert Path(run.out.strip()) == town[0].with_name("town.roads.gpkg")
    assert "km of roads" in run.err


def test_ends_of_edges_are_their_nodes_bit_for_bit(networks: dict[str, Path]) -> None:
    import shapely

    columns, lines = edges_of(networks["gpkg"], "edges")
    table, points = edges_of(networks["gpkg"], "nodes")
    assert (np.diff(table["id"]) == 1).all()
    place = shapely.get_coordinates(points)
    for ends, which in ((columns["u"], 0), (columns["v"], -1)):
        assert (shapely.get_coordinates(shapely.get_point(lines, which)) == place[ends]).all()
    degrees = np.bincount(np.concatenate((columns["u"], columns["v"])), minlength=len(place))
    assert (table["degree"] == degrees).all()


def test_lengths_are_those_of_the_written_lines_on_the_ellipsoid(networks: dict[str, Path]) -> None:
    import pyproj
    import shapely

    geod = pyproj.Geod(ellps="WGS84")
    to = pyproj.Transformer.from_crs("EPSG:32640", "EPSG:4326", always_xy=True)
    for form, layer in (("gpkg", "edges"), ("fgb", None), ("geojson", None)):
        columns, lines = edges_of(networks[form], layer)
        if form != "geojson":
            lines = shapely.transform(lines, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1))
        for length, line in zip(columns["length_m"], lines, strict=True):
            assert length == pytest.approx(geod.geometry_length(line), abs=1.1e-3)


def test_every_format_holds_the_same_network(networks: dict[str, Path]) -> None:
    from mapgen.roads.lines import read_lines

    whole = read_lines(networks["gpkg"]).ways
    for form, path in networks.items():
        if form == "geojsonl":
            continue
        found = read_lines(path).ways
        assert (len(found), found.count) == (len(whole), whole.count), form
        assert np.allclose(np.sort(found.length), np.sort(whole.length), atol=0.05), form


def test_networkx_reads_the_graphml_and_finds_the_same_metres(
    networks: dict[str, Path], mapgen: Callable[..., Run]
) -> None:
    nx = pytest.importorskip("networkx")
    graph = nx.read_graphml(networks["graphml"], node_type=int)
    plain = graph_of(networks["gpkg"])
    assert (len(graph), graph.number_of_edges()) == (len(plain), plain.number_of_edges())
    nodes = sorted(max(nx.connected_components(graph), key=len))
    rng = np.random.default_rng(0)
    for a, b in rng.choice(nodes, (8, 2), replace=False).tolist():
        points = [f"{graph.nodes[n]['x']},{graph.nodes[n]['y']}" for n in (a, b)]
        found = [json.loads(mapgen("route", networks["graphml"], *p).out) for p in (points, points[::-1])]
        wanted = nx.shortest_path_length(graph, a, b, "length")
        for way in found:
            assert way["properties"]["length_m"] == pytest.approx(wanted, abs=2e-3)
        if nx.has_path(plain, a, b):
            assert nx.shortest_path_length(plain, a, b, "length") == pytest.approx(wanted, abs=1.1e-3)


def test_osmium_reads_the_pbf_without_a_missing_reference(networks: dict[str, Path]) -> None:
    if shutil.which("osmium") is None:
        pytest.skip("osmium-tool is not installed: apt-get install osmium-tool")
    done = subprocess.run(["osmium", "check-refs", networks["osm.pbf"]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = [
        subprocess.run(["osmium", "cat", networks[form], "-f", "opl"], capture_output=True, check=True).stdout
        for form in ("osm", "osm.pbf")
    ]
    assert len(text[0].splitlines()) == len(text[1].splitlines())
    assert [line.split(b" T")[1] for line in text[0].splitlines()] == [
        line.split(b" T")[1] for line in text[1].splitlines()
    ]


def test_routino_finds_ways_of_the_same_length(networks: dict[str, Path], tmp_path: Path) -> None:
    if shutil.which("routino-router") is None:
        pytest.skip("Routino is not installed: apt-get install routino")
    from mapgen.roads.lines import read_lines
    from mapgen.roads.ways import distances

    share, ways = Path("/usr/share/routino"), read_lines(networks["osm"]).ways
    subprocess.run(
        ["planetsplitter", "--dir=.", "--prefix=t", "--prune-none", f"--tagging={share}/tagging.xml", networks["osm"]],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    x, y = np.empty(ways.count), np.empty(ways.count)
    for nodes, places in ((ways.u, ways.lines.offsets[:-1]), (ways.v, ways.lines.offsets[1:] - 1)):
        x[nodes], y[nodes] = ways.lines.x[places], ways.lines.y[places]
    far = distances(ways, np.arange(ways.count))
    rng, compared = np.random.default_rng(3), []
    while len(compared) < 15:
        a, b = rng.choice(ways.count, 2, replace=False)
        if not 100 < far[a, b] < np.inf:
            continue
        # From a dead end Routino sometimes begins the wrong way; ways are as long there as back.
        compared.append(
            min(_routino(tmp_path, share, (y[i], x[i]), (y[j], x[j])) for i, j in ((a, b), (b, a))) / far[a, b]
        )
    assert np.abs(np.array(compared) - 1).max() < 0.02, compared


def _routino(folder: Path, share: Path, start: tuple[float, float], end: tuple[float, float]) -> float:
    """Metres of Routino's shortest way between two places (latitude, longitude)."""
    subprocess.run(
        ["routino-router", "--dir=.", "--prefix=t", "--profile=motorcar", f"--profiles={share}/profiles.xml",
         f"--translations={share}/translations.xml", f"--lat1={start[0]}", f"--lon1={start[1]}", f"--lat2={end[0]}",
         f"--lon2={end[1]}", "--shortest", "--output-gpx-track", "--quiet"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return _track_length(folder / "shortest-track.gpx")


def _track_length(path: Path) -> float:
    import re

    import pyproj

    points = re.findall(r'<trkpt lat="([-\d.]+)" lon="([-\d.]+)"', path.read_text())
    lats, lons = zip(*((float(a), float(b)) for a, b in points), strict=True)
    return float(pyproj.Geod(ellps="WGS84").line_length(lons, lats))


@pytest.mark.parametrize("rows", [64, 100, 1024])
@pytest.mark.parametrize("threads", [1, 3])
def test_strips_and_threads_leave_no_trace(town: tuple[Path, Path], rows: int, threads: int) -> None:
    from mapgen.polygons.regions import find_regions, row_strips
    from mapgen.roads.strips import skeleton_in_strips

    with rasterio.open(town[0]) as dataset:
        mask = (dataset.read(1) == 3).astype(np.uint8)
    regions = find_regions(row_strips(mask), mask.shape[1])
    whole = skeleton_in_strips(regions, 20.0, rows=10_000)
    found = skeleton_in_strips(regions, 20.0, rows=rows, threads=threads)
    for name in ("lines", "x", "r", "frame"):
        assert (getattr(found, name) == getattr(whole, name)).all()


@pytest.mark.parametrize("angle", [0, 7, 23, 38, 44, 61, 89])
@pytest.mark.parametrize("width", [3, 8, 20, 40])
@pytest.mark.parametrize("place", ["utm", "lonlat", "feet"])
def test_a_straight_road_across_the_frame_is_one_edge_of_its_length_and_width(
    mapgen: Callable[..., Run], tmp_path: Path, angle: int, width: int, place: str
) -> None:
    side = 240
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    slope = np.radians(angle)
    roads = np.abs(x * np.sin(slope) - y * np.cos(slope)) <= width / 2
    profile = {
        "utm": {}, "lonlat": {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 57.0, 0, -1e-5, 0.001)},
        "feet": {"crs": "EPSG:2263", "transform": Affine(4, 0, 980_000, 0, -4, 200_000)},
    }[place]  # fmt: skip
    path = street_map(tmp_path / "road.tif", roads, **profile)
    run = mapgen("roads", path, "--json", "--max-width", "60px")
    found = json.loads(run.out.splitlines()[0])
    assert (found["edges"], found["frame_ends"], found["dead_ends"]) == (1, 2, 0), run.out
    columns, _ = edges_of(Path(found["output"]), "edges")
    with rasterio.open(path) as dataset:
        from mapgen.raster.open import grid_of

        across, down = grid_of(dataset, "road").resolution_m
    steps = side / max(abs(np.cos(slope)), abs(np.sin(slope)))
    wanted = steps * np.hypot(np.cos(slope) * across, np.sin(slope) * down)
    assert found["length_m"] == pytest.approx(wanted, rel=0.005)
    assert columns["width_m"][0] == pytest.approx(width * across, abs=1.2 * across)


def test_widths_of_straight_roads_are_right_to_half_a_pixel() -> None:
    from mapgen.polygons.regions import find_regions, row_strips
    from mapgen.roads.centre import widths
    from mapgen.roads.skeleton import trace
    from mapgen.roads.spurs import pruned
    from mapgen.roads.strips import skeleton_in_strips

    rng, off, side = np.random.default_rng(0), [], 160
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    for place in range(60):
        angle, width, shift = rng.uniform(0, np.pi / 2), rng.uniform(3, 25), rng.uniform(-5, 5)
        angle = np.pi / 4 if place < 20 else angle  # where depths are whole diagonals, as one in two is too wide
        mask = (np.abs(x * np.sin(angle) - y * np.cos(angle) - shift) <= width / 2).astype(np.uint8)
        graph = pruned(trace(skeleton_in_strips(find_regions(row_strips(mask), side), 60.0)), 10.0)
        assert len(graph) == 1
        off.append(widths(graph)[0][0] - width)
    for some in (off[:20], off[20:]):
        assert np.sqrt(np.mean(np.square(some))) < 0.45
        assert abs(np.mean(some)) < 0.2


def bad_maps(tmp_path: Path) -> dict[str, Array]:
    rows, cols = np.mgrid[:60, :80]
    ring = np.abs(np.hypot(rows - 30, cols - 40) - 20) < 3
    return {
        "empty": rows < 0, "all road": rows >= 0, "checkerboard": (rows + cols) % 2 == 0, "ring": ring,
        "one pixel": (rows == 30) & (cols == 40), "along the frame": rows < 6,
        "eight": (np.abs(np.hypot(rows - 30, cols - 25) - 12) < 3) | (np.abs(np.hypot(rows - 30, cols - 51) - 12) < 3),
        "corner contact": ((rows < 30) == (cols < 40)) & (np.minimum(np.abs(rows - 30), np.abs(cols - 40)) < 5),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "edges"),
    [("empty", 0), ("all road", 1), ("one pixel", 0), ("ring", 1), ("along the frame", 1), ("checkerboard", None),
     ("eight", None), ("corner contact", None)],
)  # fmt: skip
def test_odd_maps_give_the_right_network_or_none(
    mapgen: Callable[..., Run], tmp_path: Path, name: str, edges: int | None
) -> None:
    path = street_map(tmp_path / "odd.tif", bad_maps(tmp_path)[name])
    run = mapgen("roads", path, "--json", "--min-length", "5m")
    assert run.code == 0, run.err
    found = json.loads(run.out.splitlines()[0])
    if edges is not None:
        assert found["edges"] == edges, found
    if name == "ring":
        assert found["loops"] == 1


def test_a_map_without_roads_names_its_classes(mapgen: Callable[..., Run], tmp_path: Path) -> None:
    path = make_raster(tmp_path / "plain.tif", np.ones((9, 9), np.uint8))
    run = mapgen("roads", path)
    assert run.code == 2
    assert "--classes" in run.err
    assert list(tmp_path.iterdir()) == [path]


def test_probabilities_of_another_grid_are_refused(
    mapgen: Callable[..., Run], town: tuple[Path, Path], tmp_path: Path
) -> None:
    other = probabilities(tmp_path / "p.tif", np.zeros((9, 9)))
    run = mapgen("roads", town[0], "--probabilities-raster", other, "-o", tmp_path / "x.gpkg")
    assert run.code == 4
    assert "p.tif" in run.err
    assert not (tmp_path / "x.gpkg").exists()


def test_routes_say_what_is_wrong(mapgen: Callable[..., Run], networks: dict[str, Path], tmp_path: Path) -> None:
    from mapgen.roads.lines import read_lines

    ways = read_lines(networks["gpkg"]).ways
    x, y = float(ways.lines.x[0]), float(ways.lines.y[0])
    here = f"{x},{y}"
    assert json.loads(mapgen("route", networks["gpkg"], here, here).out)["properties"]["length_m"] == 0
    far = mapgen("route", networks["gpkg"], here, f"{x + 1},{y}")
    assert far.code == 4
    swapped = mapgen("route", networks["gpkg"], here, f"{y},{x}")
    assert swapped.code == 4
    assert "longitude comes first" in swapped.err
    assert mapgen("route", networks["gpkg"], here, "north").code == 2
    apart = tmp_path / "apart.geojson"
    lines = [[[57.0, 23.0], [57.001, 23.0]], [[57.0011, 23.0], [57.002, 23.0]]]
    shapes = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": c}} for c in lines
    ]
    apart.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    none = mapgen("route", apart, "57.0,23.0", "57.002,23.0")
    assert none.code == 10
    assert "10 m apart at 57.001" in none.err
    points = tmp_path / "points.geojson"
    shapes[0]["geometry"] = {"type": "Point", "coordinates": [57, 23]}
    points.write_text(json.dumps({"type": "FeatureCollection", "features": shapes[:1]}))
    assert mapgen("route", points, "57,23", "57,23").code == 4


MEMORY = """
import json, resource, sys
from mapgen.cli.main import run
code = run(["roads", "-q", "--classes", "1", *sys.argv[1:]])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def test_roads_need_no_more_memory_for_empty_ground_eight_times_as_tall(tmp_path: Path) -> None:
    peaks = []
    for height in (2048, 8 * 2048):
        path, profile = tmp_path / f"{height}.tif", {"tiled": True, "compress": "deflate", "SPARSE_OK": True}
        place = {"crs": "EPSG:32640", "transform": Affine(1, 0, 5e5, 0, -1, 27e5), "height": height, "width": 4096}
        with rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", count=1, nodata=255, **place, **profile
        ) as dataset:
            for row in range(0, height, 2048):
                block = np.zeros((256, 256), np.uint8)
                block[100:109], block[:, 60:69] = 1, 1
                dataset.write(block[None], window=((row, row + 256), (512, 768)))
        command = [sys.executable, "-c", MEMORY, str(path), "-o", str(tmp_path / f"{height}.gpkg")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        code, kilobytes = json.loads(done.stdout.splitlines()[-1])
        assert code == 0, done.stderr
        peaks.append(kilobytes)
    assert peaks[1] < 1.2 * peaks[0], peaks
