"""Exit 1 unless every class map named is a valid COG with classes in it, and every layer opens with valid polygons."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import pyogrio
import rasterio
import shapely
from rio_cogeo.cogeo import cog_validate


def problems_of_map(path: str) -> Iterator[str]:
    valid, errors, notes = cog_validate(path, strict=True, quiet=True)
    if not valid:
        yield f"not a COG: {errors + notes}"
    with rasterio.open(path) as dataset:
        if dataset.nodata != 255 or dataset.dtypes != ("uint8",) or dataset.crs is None:
            yield f"{dataset.dtypes}, nodata {dataset.nodata}, {dataset.crs}"
        if "MAPGEN_LEGEND" not in dataset.tags():
            yield "says nothing of its classes"
        if (dataset.read(1) == 255).all():
            yield "is empty"


def problems_of_layer(path: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pyogrio.read_dataframe(path)
    missing = {"class_id", "class_name", "area_m2", "perimeter_m"} - set(frame.columns)
    if missing:
        yield f"lacks {', '.join(sorted(missing))}"
    if not len(frame):
        yield "is empty"
    broken = int((~shapely.is_valid(frame.geometry.values)).sum())
    if broken:
        yield f"{broken} polygons of {len(frame)} are not valid"
    if frame.crs is None:
        yield "has no CRS"


def main(paths: list[str]) -> int:
    failed = 0
    for path in paths:
        problems = list(problems_of_map(path) if path.endswith(".tif") else problems_of_layer(path))
        print(f"{path}: {'; '.join(problems) or 'good'}")
        failed += bool(problems)
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
