"""From a scene to a class map and its polygons, in Python instead of a shell.

    python examples/in_python.py [SCENE] [--out FOLDER] [--model NAME|FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mapgen
from mapgen.settings import DEFAULT_MODEL, Size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", nargs="?", type=Path, default=Path(__file__).with_name("scene.tif"))
    parser.add_argument("--out", type=Path, default=Path("out"), help="a folder, created if need be")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    mask = arguments.out / f"{arguments.scene.stem}.mask.tif"
    layer = arguments.out / f"{arguments.scene.stem}.fgb"

    try:
        result = mapgen.segment(arguments.scene, mask, model=arguments.model, overwrite=True)
        for name, share in result.shares.items():
            print(f"{name:12} {share:6.1%} of the map")
        polygons = mapgen.vectorize(mask, layer, simplify=Size(1.5, "px"), sieve=Size(8, "px"), overwrite=True)
    except mapgen.MapgenError as error:  # one line that says what is wrong and what to do
        raise SystemExit(f"{error} (exit code {error.exit_code})") from error
    print(f"{polygons.features} polygons in {polygons.output}")


if __name__ == "__main__":
    main()
