"""VRTs: let through only where they arrange local rasters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, fromstring

from mapgen.errors import InputError, one_line

SIZE_LIMIT = 50_000_000

_ELEMENTS = frozenset(
    """
    vrtdataset srs geotransform metadata gcplist gcp maskband overviewlist blockxsize blockysize
    vrtrasterband description colorinterp nodatavalue hidenodatavalue unittype offset scale overview
    colortable entry categorynames category gdalrasterattributetable fielddefn name type usage row f
    histograms histitem histmin histmax bucketcount includeoutofrange approximate histcounts
    simplesource complexsource averagedsource sourcefilename sourceband sourceproperties srcrect dstrect
    nodata usemaskband scaleoffset scaleratio lut colortablecomponent exponent srcmin srcmax dstmin dstmax clamp
    gdalwarpoptions warpmemorylimit resamplealg workingdatatype option sourcedataset transformer bandlist bandmapping
    srcnodatareal srcnodataimag dstnodatareal dstnodataimag srcalphaband dstalphaband
    approxtransformer maxerror basetransformer genimgprojtransformer reprojecttransformer reprojectiontransformer
    srcgeotransform srcinvgeotransform dstgeotransform dstinvgeotransform sourcesrs targetsrs
    srcgcptransformer gcptransformer order reversed options
    """.split()  # noqa: SIM905 - a list of a hundred strings would fill a page
)
"""What gdalbuildvrt, gdal_translate and gdalwarp write of plain rasters: no pixel functions, raw bands, expressions."""

_SUBCLASSES = ("vrtsourcedrasterband", "vrtwarpeddataset", "vrtwarpedrasterband")
_REMEDY = "mapgen reads VRTs of local files only; gdal_translate it to a GeoTIFF"


def vet_vrt(path: Path, vet_source: Callable[[Path], object]) -> None:
    """Raise `InputError` unless the VRT only arranges local rasters that are there and that `vet_source` lets through.

    A VRT can name any file as raw pixels, run Python, or reach the network: none of that is wanted from a scene. Names
    are compared in lower case because GDAL reads them in any.
    """
    subject = one_line(path)
    for element in _elements(_root(path, subject)):
        tag = element.tag.lower()
        attributes = {key.lower(): value for key, value in element.attrib.items()}
        subclass = attributes.get("subclass", "")
        if tag not in _ELEMENTS or (subclass and subclass.lower() not in _SUBCLASSES):
            raise InputError(subject, f"this VRT uses {one_line(subclass or element.tag)[:80]!r}", _REMEDY)
        if tag in ("sourcefilename", "sourcedataset"):
            _vet_source(path, (element.text or "").strip(), attributes.get("relativetovrt", "0"), vet_source)


def vrt_sources(path: Path) -> list[Path]:
    """The files that a VRT, vetted before, is made of, each once."""
    found = [e for e in _elements(_root(path, one_line(path))) if e.tag.lower() in ("sourcefilename", "sourcedataset")]
    names = [((e.text or "").strip(), {k.lower(): v for k, v in e.attrib.items()}) for e in found]
    return list(dict.fromkeys(path.parent / n if a.get("relativetovrt") == "1" else Path(n) for n, a in names))


def places_a_file(side_car: Path) -> bool:
    """Whether there is an `.aux.xml` of GDAL's that says where its raster lies."""
    try:
        text = side_car.read_bytes() if side_car.stat().st_size <= SIZE_LIMIT else b""
    except OSError:
        return False
    return b"<SRS" in text or b"<GeoTransform" in text


def _root(path: Path, subject: str) -> Element:
    if path.stat().st_size > SIZE_LIMIT:
        raise InputError(subject, "this VRT is larger than 50 MB", _REMEDY)
    text = path.read_bytes()
    # Neither is ever written by GDAL; an entity could hide or multiply anything.
    for foreign in (b"<!DOCTYPE", b"<!ENTITY"):
        if foreign in text.upper():
            raise InputError(subject, f"this VRT uses {foreign.decode()!r}", _REMEDY)
    try:
        return fromstring(text)
    except (ParseError, ValueError, LookupError) as exc:
        raise InputError(subject, f"this VRT is not XML ({one_line(exc)})", "build the VRT again") from exc


def _elements(root: Element) -> Iterator[Element]:
    """All elements but those inside metadata, where anything is just text."""
    yield root
    if root.tag.lower() != "metadata":
        for child in root:
            yield from _elements(child)


def _vet_source(path: Path, name: str, relative: str, vet_source: Callable[[Path], object]) -> None:
    subject = one_line(path)
    if name.startswith("/vsi") or "://" in name or relative not in ("0", "1"):
        raise InputError(subject, f"this VRT uses {one_line(name)[:80]!r}", _REMEDY)
    source = path.parent / name if relative == "1" else Path(name)
    if source.resolve() == path.resolve():
        raise InputError(subject, "this VRT names itself as its source", "repair it")
    if not source.is_file():
        raise InputError(subject, f"its source {one_line(source)} is missing", "restore it or build the VRT again")
    if source.suffix.lower() == ".vrt":
        raise InputError(subject, f"its source {one_line(source)} is a VRT again", "gdal_translate it to a GeoTIFF")
    vet_source(source)
