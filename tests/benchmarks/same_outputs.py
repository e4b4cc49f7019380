"""Do two checkouts write the same? A recorded set of commands, run by both on the same drawn ground, compared.

    git worktree add ../old e189888
    python tests/benchmarks/same_outputs.py ../old . [--only vectorize] [--keep FOLDER]

Each checkout runs all commands in one process of its own, with the interpreter that runs this file. What is compared
is what a map is made of, byte for byte: pixels, grid, nodata and palette of rasters; GeoJSON as text; the rows of a
GeoPackage with their geometry; the tiles of PMTiles, MBTiles and folders; figures of `evaluate`. Notes beside them
(reports with times, styles, metadata) are not. One line a command: `same`, or the files that are not. Exit 1 if any
differs or is missing. A tile or a layer that is to change (a mended fault) shows here as a difference: that is meant.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

HERE = Path(__file__).parents[2]
SIDE = 700
"""Pixels of the drawn scene's width; several windows, blocks and strips."""

COMMANDS = {
    "segment-crop": "segment town.tif -o {out}/mask.tif",
    "segment-blend": "segment town.tif -o {out}/mask.tif --stitch blend --confidence",
    "segment-resampled": "segment town.tif -o {out}/mask.tif --resolution 1.7 --window 256",
    "segment-probabilities": "segment town.tif -o {out}/mask.tif --probabilities --confidence --window 320 --halo 32",
    "segment-tta": "segment part.tif -o {out}/mask.tif --tta flip",
    "segment-aoi": "segment town.tif -o {out}/mask.tif --aoi aoi.geojson",
    "segment-degrees": "segment degrees.tif -o {out}/mask.tif --bbox 54.901,23.779,54.904,23.782",
    "vectorize-plain": "vectorize truth.tif -o {out}/layer.geojson",
    "vectorize-simplify": "vectorize truth.tif noise.tif -o {out} --simplify 1.5px",
    "vectorize-visvalingam": "vectorize noise.tif -o {out}/layer.geojson --simplify 2m --method vw --min-hole 9px",
    "vectorize-smooth": "vectorize truth.tif -o {out}/layer.geojson --smooth 2 --simplify 1px",
    "vectorize-sieve": "vectorize noise.tif turned.tif -o {out} --sieve 20px --min-area 30m2 --max-area 9000m2",
    "vectorize-gpkg": "vectorize truth.tif -o {out}/layer.gpkg --simplify 1px --confidence grey.tif",
    "vectorize-gpkg-dissolved": "vectorize turned.tif -o {out}/layer.gpkg --dissolve --background 2",
    "vectorize-degrees": "vectorize world.tif -o {out}/layer.geojson --simplify 1px",
    "vectorize-clip": "vectorize truth.tif -o {out}/layer.geojsonl --clip aoi.geojson --classes 1,3",
    "vectorize-utm": "vectorize noise.tif -o {out}/layer.gpkg --crs EPSG:3857 --sieve 5px",
    "tiles-pmtiles": "tiles truth.tif turned.tif -o {out} --container pmtiles",
    "tiles-mbtiles": "tiles town.tif -o {out}/tiles.mbtiles --zoom 13-17",
    "tiles-folder": "tiles noise.tif -o {out}/tiles --tile-size 512 --resampling nearest",
    "tiles-imagery": "tiles grey.tif -o {out}/tiles.pmtiles --kind imagery --scale p2,p98 --format png",
    "tiles-world": "tiles world.tif -o {out}/tiles.pmtiles --zoom 0-4",
    "tiles-vector": "tiles truth.tif noise.tif --vector -o {out} --container mbtiles",
    "tiles-vector-confidence": "tiles turned.tif --vector -o {out}/tiles.pmtiles --confidence turned_grey.tif",
    "tiles-vector-world": "tiles world.tif --vector -o {out}/tiles.pmtiles --zoom 0-3 --simplify 0",
    "tiles-vector-layer": "tiles parcels.geojson --vector -o {out}/tiles.pmtiles --zoom 12-16",
    "map": "map town.tif -o {out} --name town --confidence",
    "map-mosaic": "map west.tif east.tif -o {out} --name both --format geojson --simplify 2px --zoom 14-16",
    "evaluate": "evaluate noise.tif truth.tif --boundary 3 --objects 2,3 --block 40 --json",
    "evaluate-polygons": "evaluate truth.tif parcels.geojson --boundary 5 --outside 2 --priority 5,4 --json",
    "evaluate-turned": "evaluate turned.tif truth.tif --objects 1 --json",
}
"""By name: the command, in the folder of the ground; `{out}` is a folder of its own."""


def draw(folder: Path) -> None:
    """The ground: a town and its truth, halves of it, a noisy class map, a turned one, one in degrees, polygons."""
    import numpy as np
    import rasterio
    from affine import Affine

    subprocess.run(
        [sys.executable, HERE / "examples/make_scene.py", "--width", str(SIDE), "--height", str(SIDE - 120),
         "--out", folder / "town.tif", "--truth", folder / "truth.tif"], check=True, capture_output=True,
    )  # fmt: skip
    with rasterio.open(folder / "town.tif") as town, rasterio.open(folder / "truth.tif") as truth:
        pixels, place, mask = town.read(), town.transform, truth.read(1)
        plain = {"driver": "GTiff", "crs": town.crs, "transform": place, "dtype": "uint8", "count": 1}
        palette = truth.colormap(1)
    rng = np.random.default_rng(7)
    noise = _noise(rng, *mask.shape)
    turned = place @ Affine.rotation(25) @ Affine.shear(4)

    def write(name: str, array: np.ndarray, **profile: object) -> None:
        array = array[None] if array.ndim == 2 else array
        shape = dict(zip(("count", "height", "width"), array.shape, strict=True))
        with rasterio.open(folder / name, "w", **(plain | {"dtype": array.dtype} | shape | profile)) as target:
            target.write(array)
            if profile.get("nodata") == 0:
                target.write_colormap(1, palette)

    grey = (pixels.astype(np.float32).mean(0) / 255).astype(np.float32)
    holed = np.where(rng.random(mask.shape) < 0.001, 0, mask).astype(np.uint8)
    write("noise.tif", noise, nodata=255)
    write("turned.tif", holed, nodata=0, transform=turned)
    write("grey.tif", grey)
    write("turned_grey.tif", grey, transform=turned)
    write("part.tif", pixels[:, :300, :280])
    write("west.tif", pixels[:, :, :400])
    write("east.tif", pixels[:, :, 350:], transform=place @ Affine.translation(350, 0))
    write("degrees.tif", pixels, crs="EPSG:4326", transform=Affine(1e-5, 0, 54.9, 0, -1e-5, 23.785))
    write("world.tif", noise[:180, :360], crs="EPSG:4326", transform=Affine(1, 0, -180, 0, -1, 90), nodata=255)
    _write_polygons(folder, place, plain["crs"])


def _noise(rng, height: int, width: int):  # type: ignore[no-untyped-def]
    """Blobs of four classes 0…3, with salt."""
    import numpy as np

    fields = rng.random((4, height, width))
    for axis in (1, 2):
        for _ in range(3):
            fields = sum(np.roll(fields, shift, axis) for shift in range(-3, 4))
    salt = rng.random((height, width)) < 0.01
    return np.where(salt, 3 - fields.argmax(0), fields.argmax(0)).astype(np.uint8)


def _write_polygons(folder: Path, place, crs) -> None:  # type: ignore[no-untyped-def]
    from rasterio.warp import transform_geom

    def feature(kind: int, *corners: tuple[float, float]) -> dict[str, object]:
        ring = [place @ corner for corner in (*corners, corners[0])]
        geometry = transform_geom(crs, "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
        return {"type": "Feature", "properties": {"class_id": kind}, "geometry": geometry}

    parcels = [
        feature(1 + (row + col) % 5, (col, row), (col + 61, row + 7), (col + 55, row + 70), (col - 5, row + 66))
        for row in range(20, 480, 80) for col in range(20, 600, 70)
    ]  # fmt: skip
    aoi = [feature(1, (90.3, 60.7), (610.2, 150.1), (480.6, 520.4), (130.9, 470.2))]
    for name, features in (("parcels", parcels), ("aoi", aoi)):
        (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def run_all(checkout: Path, ground: Path, results: Path, only: str) -> None:
    """All commands by the package in `checkout`, which must be what `import mapgen` finds; codes in codes.json."""
    import mapgen
    from mapgen.cli.main import run

    assert Path(mapgen.__file__).parents[1] == checkout, f"{mapgen.__file__} is not in {checkout}"
    os.chdir(ground)
    codes = {}
    for name, command in COMMANDS.items():
        if only in name:
            out = results / name
            out.mkdir(parents=True)
            with (out / "stdout").open("w") as said, redirect_stdout(said):
                codes[name] = run([*command.format(out=out).split(), "--quiet"])
    (results / "codes.json").write_text(json.dumps(codes))


def contents(folder: Path) -> dict[str, str]:
    """Of every part of the results in a folder its digest: one a file, or one a tile."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        for part, data in _parts(path):
            found[f"{path.relative_to(folder)}{part}"] = hashlib.sha256(data).hexdigest()
    return found


def _parts(path: Path) -> Iterator[tuple[str, bytes]]:
    suffix = path.suffix
    if suffix == ".tif":
        yield from _raster(path)
    elif suffix in (".geojson", ".geojsonl") or (suffix in (".png", ".webp", ".pbf") and path.stem.isdigit()):
        yield "", path.read_bytes()
    elif suffix == ".gpkg":
        yield from _gpkg(path)
    elif suffix == ".mbtiles":
        with sqlite3.connect(path) as db:
            for zoom, col, row, data in db.execute("select * from tiles order by 1, 2, 3"):
                yield f" {zoom}/{col}/{row}", _plain(data)
    elif suffix == ".pmtiles":
        from pmtiles.reader import MmapSource, all_tiles

        with path.open("rb") as file:
            for place, data in all_tiles(MmapSource(file)):
                yield " " + "/".join(map(str, place)), _plain(data)
    elif path.name == "stdout" and path.parent.name.startswith("evaluate"):
        yield "", re.sub(rb'"(seconds|version|output)": [^,}]*[,}]', b"", path.read_bytes())


def _plain(tile: bytes) -> bytes:
    return gzip.decompress(tile) if tile[:2] == b"\x1f\x8b" else tile


def _raster(path: Path) -> Iterator[tuple[str, bytes]]:
    import rasterio

    with rasterio.open(path) as raster:
        yield " pixels", raster.read().tobytes()
        facts = [raster.crs, raster.transform, raster.nodata, raster.dtypes, raster.descriptions, raster.colorinterp]
        yield " grid", repr([*facts, raster.overviews(1)]).encode()
        palette = raster.colorinterp[0].name == "palette"
        yield " palette", repr(raster.colormap(1) if palette else None).encode()
        yield (
            " overviews",
            b"".join(
                raster.read(out_shape=(raster.count, raster.height // by, raster.width // by)).tobytes()
                for by in raster.overviews(1)
            ),
        )


def _gpkg(path: Path) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(path) as db:
        for (table,) in db.execute("select table_name from gpkg_contents where data_type = 'features'").fetchall():
            yield f" {table}", repr(db.execute(f'select * from "{table}" order by fid').fetchall()).encode()


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What is not in both, or not the same in both; at most ten of them by name."""
    wrong = [f"{name} is missing" for name in old.keys() - new.keys()]
    wrong += [f"{name} is new" for name in new.keys() - old.keys()]
    wrong += [name for name in old.keys() & new.keys() if old[name] != new[name]]
    return sorted(wrong)[:10] + ([f"… {len(wrong)} in all"] if len(wrong) > 10 else [])


def compare(old: Path, new: Path) -> bool:
    """Whether the results of the two checkouts are the same; a line a command on stdout."""
    codes = [json.loads((folder / "codes.json").read_text()) for folder in (old, new)]
    all_same = True
    for name in codes[0]:
        parts = [contents(folder / name) for folder in (old, new)]
        wrong = differences(*parts)
        if codes[0][name] != codes[1][name] or not parts[0]:
            wrong.insert(0, f"exit codes {codes[0][name]} and {codes[1][name]}, {len(parts[0])} parts")
        all_same &= not wrong
        print(f"{name:26} {f'same ({len(parts[0])} parts)' if not wrong else 'DIFFERS: ' + '; '.join(wrong)}")
    return all_same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", nargs=2, type=Path, metavar="CHECKOUT")
    parser.add_argument("--only", default="", help="commands whose name holds this")
    parser.add_argument("--keep", type=Path, help="a folder for ground and results; a temporary one unless given")
    parser.add_argument("--in", dest="place", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    old, new = (checkout.resolve() for checkout in args.checkouts)
    if args.place:
        run_all(old, *args.place, args.only)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.keep or Path(scratch)).resolve()
        (folder / "ground").mkdir(parents=True)
        draw(folder / "ground")
        for name, checkout in (("old", old), ("new", new)):
            command = [sys.executable, __file__, str(checkout), str(checkout), "--only", args.only]
            environment = os.environ | {"PYTHONPATH": str(checkout)}
            place = [str(folder / "ground"), str(folder / name)]
            subprocess.run([*command, "--in", *place], env=environment, check=True, cwd=checkout)
        sys.exit(not compare(folder / "old", folder / "new"))


if __name__ == "__main__":
    main()
