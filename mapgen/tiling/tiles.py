"""`tiles`: map tiles from a class map, imagery or a confidence raster."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from mapgen.errors import UsageError, option
from mapgen.files.commit import Output, locked
from mapgen.files.gdal import cache_bytes, environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.kind import TILEJSON, is_vectors
from mapgen.files.vet import beside, public_name
from mapgen.kernels import announced
from mapgen.parallel import Progress, threads
from mapgen.settings import PathLike, taking
from mapgen.tiling.containers.container import check_tiles, writing_tiles
from mapgen.tiling.job import Job, Result
from mapgen.tiling.options import TilesKeys, TilesOptions
from mapgen.tiling.quadtree import find_tiling
from mapgen.tiling.source import open_source
from mapgen.tiling.tilejson import Container

if TYPE_CHECKING:
    from mapgen.tiling.class_job import VectorJob
    from mapgen.tiling.layer_job import LayerJob


def default_output(source: str, folder: Path | None = None, container: Container = "pmtiles") -> Path:
    """`scene.mask.tif` → `scene.mask.pmtiles`, beside the raster (a URL: in the current folder) or in `folder`."""
    return beside(source, "" if container == "folder" else f".{container}", folder)


@taking(TilesOptions, TilesKeys)
def tiles(source: PathLike, output: PathLike | None = None, **options: Unpack[TilesKeys]) -> Result:
    """Write map tiles of the raster `source` to `output`, by default `NAME.pmtiles` beside it.

    `options` are the fields of `TilesOptions`. Raises `InputError`, `OutputError` or `UsageError`; then nothing is
    written.
    """
    settled = TilesOptions(**options)
    target = Path(output) if output is not None else default_output(str(source), None, settled.format or "pmtiles")
    return Tiler(settled)(str(source), target)


def is_tile_folder(name: str) -> bool:
    """Whether there is a folder of tiles of this name, so that an output of that name means itself."""
    return (Path(name) / TILEJSON).is_file()


class Tiler:
    """The options of one run, checked, ready for any number of rasters."""

    def __init__(self, options: TilesOptions, announce: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.announce = announce
        self.threads = threads(options.threads)
        self.tiling = find_tiling(options.tms)

    @one_run()
    def __call__(self, source: str, output: Path, progress: Progress | None = None) -> Result:
        """Write the tiles of the raster `source` to `output`."""
        start = time.perf_counter()
        options = self.options
        note_inputs(source, options.confidence_raster)
        place = Output(output, options.overwrite)
        check_tiles(place, scheme=options.scheme, tiling=self.tiling)
        listening = announced(self.announce) if self.announce else contextlib.nullcontext()
        with locked(output), listening, environment(), contextlib.ExitStack() as stack:
            job = self._job(source, stack)
            info = job.info(output.stem)
            with writing_tiles(
                place, info, scheme=options.scheme, tiling=self.tiling, base_url=options.base_url
            ) as sink:
                job.write(sink, self.threads, progress)
                sink.info = dataclasses.replace(info, classes=job.classes())
            result = job.result(source, output, sink)
        result.seconds = round(time.perf_counter() - start, 3)
        return result

    def _job(self, source: str, stack: contextlib.ExitStack) -> Job | VectorJob | LayerJob:
        from mapgen.tiling.class_job import VectorJob
        from mapgen.tiling.layer_job import LayerJob

        options = self.options
        if is_vectors(source):
            if not options.vector:
                raise UsageError(
                    option("vector"), f"{public_name(source)} is a layer of polygons", f"add {option('vector', True)}"
                )
            return LayerJob(source, options, self.tiling)
        raster = open_source(
            source, kind=options.kind, threads=self.threads, bands=options.bands, nodata=options.nodata,
            stretch=options.stretch,
        )  # fmt: skip
        stack.callback(raster.close)
        job = Job(raster, public_name(source), options, self.tiling)
        stack.enter_context(environment(cache_bytes(raster.grid.width, job.rows_at_once, raster.itemsize)))
        return VectorJob(job, options, stack) if options.vector else job


# --- how pixels are taken, shrunk and written: of classes, of colours ----------------------------------------------
