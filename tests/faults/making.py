"""Outputs of each kind made in this process, with the n-th operation on the disk failing, or ending the process.

As a program (`python making.py KIND INPUTS FOLDER`) it makes the output in children of its own, one for each of some
operations, and each is killed at its operation: a process that has imported everything once is quickly doubled.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

NAMES = {
    "class map": "map.tif", "geojson": "layer.geojson", "gpkg": "layer.gpkg", "pmtiles": "set.pmtiles",
    "mbtiles": "set.mbtiles", "folder": "set", "model": "model.safetensors",
}  # fmt: skip
"""Kinds of outputs, and what each is called here."""

MOMENTS = 9


def inputs(folder: Path) -> Path:
    """A scene, a class map and a model, in a folder."""
    import numpy as np
    from factory import make_model, make_raster, noise
    from layer_maps import class_map, town

    folder.mkdir()
    make_raster(folder / "scene.tif", np.tile(noise(600, 90), (1, 2, 1)), nodata=0)
    class_map(folder / "town.tif", town(200, 180))
    make_model(folder / "fake.safetensors")
    return folder


def make(kind: str, given: Path, target: Path) -> None:
    """Make an output over whatever is there."""
    if kind == "class map":
        from mapgen.inference.segment import segment

        model = str(given / "fake.safetensors")
        segment(given / "scene.tif", target, model=model, overwrite=True, window=64, threads=1)
    elif kind in ("geojson", "gpkg"):
        from mapgen.layers.vectorize import vectorize

        vectorize(given / "town.tif", target, overwrite=True, threads=1)
    elif kind == "model":
        import numpy as np
        from factory import card

        from mapgen.files.commit import Output
        from mapgen.model.write import write_tensors

        write_tensors({"weight": np.ones((20, 30), np.float32)}, card(), Output(target, overwrite=True))
    else:
        from mapgen.tiling.tiles import tiles

        tiles(given / "town.tif", target, overwrite=True, threads=1)


class Operations:
    """Counts what is done to a folder: opening for writing, writing, flushing to disk, moving; `act` hears of each."""

    def __init__(self, folder: Path, act: Callable[[int], None]) -> None:
        self.folder, self.act, self.count = str(folder), act, 0

    def __call__(self) -> None:
        """One operation is about to be done."""
        self.count += 1
        self.act(self.count)

    @contextmanager
    def watched(self) -> Iterator[Operations]:
        """While the block runs, operations of this process are counted."""
        true = {name: getattr(os, name) for name in ("fsync", "replace", "link", "rename", "mkdir", "open")}
        opening = io.open

        def counted(name: str) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                reads = name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                if not reads and (name == "fsync" or str(arguments[0]).startswith(self.folder)):
                    self()
                return true[name](*arguments, **options)

            return call

        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            writes = set(mode) & set("wxa+") and str(file).startswith(self.folder)
            if writes:
                self()
            stream = opening(file, mode, *arguments, **options)
            return Written(stream, self) if writes else stream

        try:
            for name in true:
                setattr(os, name, counted(name))
            builtins.open = io.open = opened
            yield self
        finally:
            for name, function in true.items():
                setattr(os, name, function)
            builtins.open = io.open = opening


class Written:
    """A stream whose writes are counted."""

    def __init__(self, stream: Any, operation: Operations) -> None:
        self._stream, self._operation = stream, operation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def write(self, data: Any) -> Any:
        self._operation()
        return self._stream.write(data)


def failing(number: int) -> Callable[[int], None]:
    """The operation of this number finds the disk full."""

    def act(count: int) -> None:
        if count == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return act


def killed(number: int) -> Callable[[int], None]:
    """The process ends before the operation of this number."""

    def act(count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def child(kind: str, given: Path, target: Path, act: Callable[[int], None]) -> bool:
    """Make the output in a child of this process; whether it was killed."""
    process = os.fork()
    if process == 0:
        with Operations(target.parent, act).watched():
            make(kind, given, target)
        os._exit(0)
    return os.waitpid(process, 0)[1] == signal.SIGKILL


def main(kind: str, given: Path, folder: Path) -> None:
    """Kill runs at `MOMENTS` operations, each over an older output in a folder of its own."""
    import factory

    import mapgen.inference.segment
    import mapgen.layers.vectorize
    import mapgen.layers.write
    import mapgen.tiling.tiles

    mapgen.inference.segment.open_engine = factory.Engines().open
    (folder / "whole").mkdir()
    operations = Operations(folder / "whole", lambda count: None)
    with operations.watched():  # in this very process, which loads what is compiled for all its children
        make(kind, given, folder / "whole" / NAMES[kind])
    total = operations.count
    for moment in range(MOMENTS):
        place = folder / f"{moment}"
        place.mkdir()
        if kind != "folder":
            (place / NAMES[kind]).write_bytes(b"precious")
        assert child(kind, given, place / NAMES[kind], killed(1 + moment * (total - 1) // (MOMENTS - 1)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
