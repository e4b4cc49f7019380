"""Make the int8 graph of a built-in model: python compress.py DATA MODEL OUT [--windows N].

DATA is the folder of read.py, MODEL its file, OUT the file to write. The ranges are taken from the training
ground alone; mIoU and agreement are measured on the validation ground, as `mapgen segment` and `mapgen evaluate` give
them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ground import read_ground

from mapgen.training.compress import compress

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--windows", type=int, default=64)
    args = parser.parse_args()
    ground = read_ground(HERE / "ground.json")
    pairs = [(str(args.data / f"{name}.jpg"), str(args.data / f"{name}.png")) for name in ground.validation]
    result = compress(
        args.model,
        [args.data / f"{name}.jpg" for name in ground.training],
        args.out,
        windows=args.windows,
        evaluate=tuple(pairs),
        ignore=("0",),  # not drawn
        overwrite=True,
    )
    print(json.dumps(result.to_json(), indent=1, default=str))


if __name__ == "__main__":
    main()
