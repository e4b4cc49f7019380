"""Opening scenes: what may be read, on which grid, and what to warn of, before the first pixel is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import InputError, MapgenError, ResourceError, one_line, option
from mapgen.files.gdal import MEBIBYTE, gdal_errors
from mapgen.files.inputs import note_inputs
from mapgen.files.kind import suffix_of
from mapgen.files.limits import BLOCK_BYTES, PIXELS, may_be_moved
from mapgen.files.remote import Remote, answers_head, ask
from mapgen.files.stores import refusal
from mapgen.files.tiff import tiff_pages
from mapgen.files.vet import check_url, driver_of, gdal_name, is_http, is_stored, is_url, public_name
from mapgen.files.vrt import places_a_file, vrt_sources
from mapgen.grid import ControlPoints, Grid, is_singular
from mapgen.raster.blocks import lacks_blocks
from mapgen.raster.scene import RasterScene

SIDE_LIMIT = 10_000_000
"""Pixels of a side."""

_URL_DRIVERS = {".jp2": "JP2OpenJPEG", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".img": "HFA"}


def open_scene(name: str | Path, *, any_kind: bool = False) -> RasterScene:
    """The scene called `name`, a path or an http(s) URL, vetted and open for reading; all colour bands selected.

    `any_kind` also takes pixels that are no intensities, such as the palette indices of a class map.

    Raises `InputError` for what is no readable raster, `ResourceError` for dimensions or blocks that would exhaust the
    memory, `NetworkError` for a URL that does not answer.
    """
    from rasterio.enums import ColorInterp

    remote = _asked(str(name)) if is_http(str(name)) else None
    with opened_dataset(name) as (subject, dataset):
        if is_stored(str(name)):  # of which GDAL says what is wrong
            remote = _asked(str(name))
        if not any_kind:
            _check_kind(subject, dataset)
        scene = RasterScene(subject, dataset, grid_of(dataset, subject), remote=remote)
        alphas = [i for i, c in enumerate(dataset.colorinterp, 1) if c is ColorInterp.alpha]
        scene.bands = tuple(i for i in dataset.indexes if i not in alphas) or tuple(dataset.indexes)
        if alphas and len(alphas) < dataset.count:
            _settle_alpha(scene, alphas[0])
        scene.look_for_blocks()
        _place_warnings(scene)
        _file_warnings(scene, None if is_url(str(name)) else Path(name))
    return scene


@contextmanager
def opened_dataset(name: str | Path, **options: Any) -> Iterator[tuple[str, Any]]:
    """What a path or URL is called in errors, and its rasterio dataset, vetted; closed again if the block raises.

    `options` go to the GeoTIFF driver. Raises `InputError`, `ResourceError` or `NetworkError`, also for what GDAL finds
    wrong within the block: keys of the georeferencing are read as late as that.
    """
    subject = public_name(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rasterio's, of files without georeferencing: that is said in our own words
        dataset = _open(str(name), subject, options)
        try:
            _check_numbers(subject, dataset)
            check_size(subject, dataset)
            note_inputs(*dataset.files)
            yield subject, dataset
        except gdal_errors() as exc:
            dataset.close()
            raise InputError(subject, f"cannot be read ({gdal_reason(exc)})", "get the file again") from exc
        except BaseException:
            dataset.close()
            raise


def _open(name: str, subject: str, options: dict[str, Any]) -> Any:
    import rasterio

    around: dict[str, str] = {}
    if is_url(name):
        check_url(name)
        target, driver = gdal_name(name), _URL_DRIVERS.get(suffix_of(name), "GTiff")
        around = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}  # no listing, no side-cars, whoever opens it
        if name.lower().startswith("az:") or (is_http(name) and answers_head(name)):
            around["CPL_VSIL_CURL_USE_HEAD"] = "YES"  # else GDAL asks for all of it to learn its size, and hangs up
    else:
        # The absolute name, since GDAL gives a meaning of its own to relative ones such as `GTIFF_DIR:2:scene.tif`.
        target, driver = os.path.abspath(name), driver_of(Path(name))
    try:
        with rasterio.Env(**around) if around else nullcontext():
            return rasterio.open(target, driver=driver, **(options if driver == "GTiff" else {}))
    except gdal_errors() as exc:
        if is_stored(name):
            raise _not_opened(name, subject, exc) from exc
        if is_url(name):
            ask(name)  # which says what is wrong with the address, if anything is
            raise InputError(subject, f"cannot be read ({gdal_reason(exc)})", "check what lies there") from exc
        raise InputError(subject, f"cannot be read ({gdal_reason(exc)})", "get the file again") from exc


def _not_opened(name: str, subject: str, exc: Exception) -> MapgenError:
    """What is wrong with an object that cannot be opened: that the store keeps it, or what it is."""
    if "not recognized as" in str(exc):
        return InputError(subject, "is not a raster that mapgen knows", "name a GeoTIFF, JPEG 2000, PNG or JPEG")
    return refusal(name, exc)


def _asked(url: str) -> Remote:
    """The address, once it is known to lead somewhere: GDAL does not say what is wrong with one that does not."""
    check_url(url)
    return Remote(url, ask(url))


def gdal_reason(exc: Exception) -> str:
    """What GDAL says is wrong, on one line and without the name of the file."""
    text = one_line(exc.__cause__ or exc)
    return text.split(": ", 1)[-1][:160]


def grid_of(dataset: Any, subject: str) -> Grid:
    """The grid of an open dataset. Raises `InputError` for a transform that gives pixels no area."""
    transform = dataset.transform
    if is_singular(transform):
        raise InputError(subject, f"its transform {tuple(transform)[:6]} gives pixels no area", "georeference it again")
    crs = dataset.crs.to_wkt() if dataset.crs else None
    control = control_of(dataset) if transform.is_identity and not crs else None
    return Grid(crs or None, transform, dataset.height, dataset.width, control)


def control_of(dataset: Any) -> ControlPoints | None:
    """The ground control points of an open dataset, if it has any."""
    points, crs = dataset.gcps
    if not points:
        return None
    return ControlPoints(crs.to_wkt() if crs else None, tuple((p.row, p.col, p.x, p.y, p.z or 0.0) for p in points))


def check_size(subject: str, dataset: Any) -> None:
    """Raise `ResourceError` before the first read of what could not be read within bounds."""
    if max(dataset.height, dataset.width) > SIDE_LIMIT:
        size = f"{dataset.width} × {dataset.height} pixels"
        raise ResourceError(
            subject, f"claims {size}, the limit is {SIDE_LIMIT} a side", "cut it with gdal_translate -srcwin"
        )
    most = PIXELS.get()
    if dataset.height * dataset.width > most:
        problem = f"claims {dataset.width} × {dataset.height} pixels, the limit is {most:.3g}"
        raise ResourceError(subject, problem, f"cut it with gdal_translate -srcwin{_or_raise('max_pixels', PIXELS)}")
    height, width = dataset.block_shapes[0]
    planes = dataset.count if str(dataset.interleaving).lower().endswith("pixel") else 1
    block, most = height * width * planes * np.dtype(dataset.dtypes[0]).itemsize, BLOCK_BYTES.get()
    if block > most:
        raise ResourceError(
            subject,
            f"one block ({width} × {height}) takes {block // MEBIBYTE} MiB, the limit is {most // MEBIBYTE}",
            f"rewrite it with gdal_translate -co TILED=YES{_or_raise('max_block_memory', BLOCK_BYTES)}",
        )


def _or_raise(name: str, limit: ContextVar[int]) -> str:
    return f", or raise {option(name)}" if may_be_moved(limit) else ""


def _check_numbers(subject: str, dataset: Any) -> None:
    """Raise `InputError` for complex pixels, of which numpy does not even know every type."""
    kinds = [kind for kind in dataset.dtypes if "complex" in kind]
    if kinds:
        raise InputError(subject, f"holds complex numbers ({kinds[0]})", "convert them to intensities first")


def _check_kind(subject: str, dataset: Any) -> None:
    """Raise `InputError` for pixels whose numbers are no intensities: palette, CMYK, bits."""
    from rasterio.enums import ColorInterp

    kinds = set(dataset.colorinterp)
    if dataset.count == 0:
        raise InputError(subject, "has no bands", "name the raster inside it (gdalinfo lists its subdatasets)")
    if ColorInterp.palette in kinds:
        raise InputError(subject, "holds palette indices, not colours", "expand it with gdal_translate -expand rgb")
    # GDAL shows the inks of most files as red, green, blue and alpha, by a formula that no model was trained with.
    inks = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE") in ("CMYK", "YCbCrK")
    if inks or {ColorInterp.cyan, ColorInterp.magenta} & kinds:
        raise InputError(subject, "holds CMYK inks, not red, green and blue", "convert it to RGB first")
    if dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1":
        raise InputError(subject, "holds one bit per pixel", "mapgen needs imagery of 8 bits or more")


def _settle_alpha(scene: RasterScene, band: int) -> None:
    """Take the band tagged alpha as validity if it looks like one, else as data, with a warning.

    GDAL tags the fourth band of any four-band uint8 file as alpha on its own; in R, G, B, NIR imagery it is data.
    """
    bands = scene.bands
    scene.bands = (band,)
    values = scene.sample().values
    scene.bands = bands
    top = 255 if scene.dtype == np.uint8 else values.max()  # 255 too where 8 bits were widened, 1 in floats
    if np.isin(values, (0, top)).mean() >= 0.99:
        scene.alpha = band
    else:
        scene.bands = (*bands, band)
        scene.warnings.append(f"band {band} is tagged alpha but holds data (near infrared?); it is not used as a mask")


def _place_warnings(scene: RasterScene) -> None:
    bare, crs = scene.dataset.transform.is_identity, scene.dataset.crs
    if bare and scene.grid.control is not None:
        said = "has ground control points only; the map stays in pixel space and has them too"
        scene.warnings.append(f"{said}: warp it with gdalwarp, before or afterwards")
    elif bare and scene.dataset.rpcs:
        what = "rational polynomials (RPC)"
        scene.warnings.append(f"has {what} only; the map stays in pixel space: warp it first with gdalwarp")
    elif bare and scene.grid.crs is None:
        scene.warnings.append("has no georeferencing; the map stays in pixel space")
    elif scene.grid.crs is None:
        scene.warnings.append("has no CRS; its map has none either and its resolution in metres is unknown")
    elif bare:
        scene.warnings.append("has a CRS but no transform, so its pixels count as units of it: georeference it")
    elif crs.is_geographic:
        scene.warnings += _strange_degrees(scene.grid.bounds)
    elif not crs.is_projected:
        scene.warnings.append(
            "has a local CRS, which is not a place on Earth; layers and tiles cannot be made of its map"
        )


def _strange_degrees(bounds: tuple[float, float, float, float]) -> Iterator[str]:
    """What is odd about bounds (west, south, east, north) in degrees; a pixel's rounding is not."""
    west, south, east, north = bounds
    if max(-south, north) > 90.001:
        yield f"reaches latitude {max(-south, north):.6g}, beyond the pole: its transform or CRS is wrong"
    elif west > 180 - 1e-9 or (west >= -0.001 and east > 270):  # what crosses the antimeridian ends a little behind it
        yield f"has longitudes of 0 … 360 (to {east:.6g}); other programs may place its map 360° away"


def _file_warnings(scene: RasterScene, path: Path | None) -> None:
    """Warn of what the file holds beside the pixels that are read, or of where it lies being told by another."""
    dataset = scene.dataset
    if scene.sparse:
        scene.warnings.append("has blocks that it does not store, taken as no data; gdal_translate makes them black")
    if path is None:
        return
    pages = tiff_pages(path) if dataset.driver == "GTiff" else 1
    if pages > 1:
        scene.warnings.append(f"has {pages} pages, of which the first is mapped; gdal_translate takes the others out")
    if dataset.driver == "VRT":
        places = {_crs_of(source) for source in vrt_sources(path)}
        if len(places) > 1:
            scene.warnings.append(f"is a VRT of files in {len(places)} CRSs, which it lays side by side as if in one")
        if not scene.has_validity and any(map(_is_sparse, vrt_sources(path))):
            problem = "shows blocks that its files do not store as black ground"
            scene.warnings.append(f"{problem}; where there is no data, use {option('nodata', 0)} or name the files")
    side_car = path.with_name(path.name + ".aux.xml")
    if dataset.driver == "GTiff" and places_a_file(side_car):
        own = _place_without_side_cars(path)
        if own is not None and own != (dataset.crs, dataset.transform):
            scene.warnings.append(f"lies where {side_car.name} says, not where it says itself; delete what is old")


def _crs_of(path: Path) -> str:
    """The CRS of a raster as text, empty where it has none."""
    with opened_dataset(path) as (_, dataset), dataset:
        return dataset.crs.to_wkt() if dataset.crs else ""


def _is_sparse(path: Path) -> bool:
    with opened_dataset(path) as (_, dataset), dataset:
        return lacks_blocks(dataset)


def _place_without_side_cars(path: Path) -> tuple[Any, Any] | None:
    """The CRS and the transform that a GeoTIFF itself has; None where it lacks one of them."""
    import rasterio

    with rasterio.Env(GDAL_PAM_ENABLED="NO"), opened_dataset(path) as (_, dataset), dataset:
        own = dataset.crs, dataset.transform
    return None if own[0] is None or own[1].is_identity else own
