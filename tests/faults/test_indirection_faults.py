"""Files that stand for other files: VRTs of local rasters alone, and never a chain of GDAL's virtual file systems."""

import os
import zipfile

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from factory import cells, coordinate_classes, coordinates, make_raster, noise, read_map
from rasterio.vrt import WarpedVRT

SIZE = (60, 70)


def band(number: int, source: str, *, relative: int = 1, kind: str = "SimpleSource", more: str = "") -> str:
    """One band of a VRT."""
    return (
        f'<VRTRasterBand dataType="UInt16" band="{number}"{more}><{kind}>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>{number}</SourceBand>'
        f"</{kind}></VRTRasterBand>"
    )


def vrt(bands: str) -> str:
    """A VRT of these bands."""
    return f'<VRTDataset rasterXSize="{SIZE[1]}" rasterYSize="{SIZE[0]}">{bands}</VRTDataset>'


def three(source: str, **options: object) -> str:
    """A VRT that shows three bands of `source`."""
    return vrt("".join(band(number, source, **options) for number in (1, 2, 3)))


@pytest.fixture
def source(tmp_path):
    """A scene for VRTs to point to."""
    return make_raster(tmp_path / "source.tif", coordinates(*SIZE))


@pytest.mark.parametrize("relative", [0, 1])
def test_a_vrt_of_local_rasters_is_read(tmp_path, segment, engines, source, relative):
    engines.rule = cells
    (tmp_path / "scene.vrt").write_text(three(source.name if relative else str(source), relative=relative))
    assert segment(tmp_path / "scene.vrt").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_a_relative_source_is_found_from_any_folder(tmp_path, segment, source, monkeypatch):
    (tmp_path / "scene.vrt").write_text(three(source.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert segment("../scene.vrt").code == 0


def test_a_vrt_that_gdal_wrote_is_read(tmp_path, segment, engines, source):
    engines.rule = cells
    rasterio.shutil.copy(source, tmp_path / "scene.vrt", driver="VRT")
    assert segment(tmp_path / "scene.vrt").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_a_warped_vrt_is_read(tmp_path, segment):
    """The remedy for scenes with control points only: gdalwarp -of VRT costs no disk."""
    path = make_raster(tmp_path / "source.tif", noise(*SIZE, dtype="uint16"))
    with rasterio.open(path) as dataset, WarpedVRT(dataset, crs="EPSG:4326") as warped:
        rasterio.shutil.copy(warped, tmp_path / "scene.vrt", driver="VRT")
        crs, transform = warped.crs, warped.transform
    assert segment(tmp_path / "scene.vrt").code == 0
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        assert (dataset.crs, dataset.transform) == (crs, transform)


def test_odd_names_in_a_vrt_are_understood(tmp_path, segment):
    make_raster(tmp_path / "a & ü 'b'.tif", noise(*SIZE, dtype="uint16"))
    (tmp_path / "scene.vrt").write_text(three("a &amp; ü &apos;b&apos;.tif"), encoding="utf-8")
    assert segment(tmp_path / "scene.vrt").code == 0


def test_a_missing_source_is_named(tmp_path, refuses):
    (tmp_path / "scene.vrt").write_text(three("gone.tif"))
    refuses(4, ("scene.vrt", "gone.tif is missing", "restore it"), tmp_path / "scene.vrt")


@pytest.mark.parametrize("how", ["scene.vrt", "./scene.vrt", "link.vrt"])
def test_a_vrt_of_itself_is_refused(tmp_path, refuses, how):
    (tmp_path / "scene.vrt").write_text(three(how))
    (tmp_path / "link.vrt").symlink_to("scene.vrt")
    refuses(4, ("scene.vrt", "names itself", "repair it"), tmp_path / "scene.vrt")


@pytest.mark.parametrize("suffix", ["vrt", "tif"])
def test_a_vrt_of_vrts_is_refused(tmp_path, refuses, source, suffix):
    (tmp_path / f"other.{suffix}").write_text(three(source.name))
    (tmp_path / "scene.vrt").write_text(three(f"other.{suffix}"))
    refuses(4, (f"other.{suffix}", "VRT"), tmp_path / "scene.vrt")


@pytest.mark.parametrize("tag", ["SourceFilename", "sourcefilename", "SOURCEFILENAME"])
def test_a_source_that_is_no_raster_is_refused(tmp_path, refuses, tag):
    (tmp_path / "notes.tif").write_text("some text")
    (tmp_path / "scene.vrt").write_text(three("notes.tif").replace("SourceFilename", tag))
    refuses(4, ("notes.tif", "is not a raster", "mapgen reads"), tmp_path / "scene.vrt")


PYTHON_BAND = (
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand"><PixelFunctionType>f</PixelFunctionType>'
    "<PixelFunctionLanguage>Python</PixelFunctionLanguage></VRTRasterBand>"
)
RAW_BAND = (
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
    '<SourceFilename relativeToVRT="0">/etc/passwd</SourceFilename></VRTRasterBand>'
)


@pytest.mark.parametrize(
    "text",
    [
        vrt(PYTHON_BAND),
        vrt(RAW_BAND),
        vrt(RAW_BAND.replace("VRTRawRasterBand", "VRTRa&#119;RasterBand")),
        three("/vsicurl/http://127.0.0.1:9/x.tif", relative=0),
        three("http://127.0.0.1:9/x.tif", relative=0),
        three("&#47;vsizip/x.zip", relative=0),
        three("https&#58;//127.0.0.1:9/x.tif", relative=0),
        three("GTIFF_DIR:1:source.tif"),
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]>' + three("&a;"),
        three("source.tif").replace("SimpleSource", "KernelFilteredSource"),
        '<VRTDataset rasterXSize="9" rasterYSize="9" subClass="VRTWarpedDataset"><GDALWarpOptions>'
        "<SourceDataset>/vsicurl/http://127.0.0.1:9/x.tif</SourceDataset></GDALWarpOptions></VRTDataset>",
        '<VRTDataset rasterXSize="9" rasterYSize="9" subClass="VRTPansharpenedDataset"></VRTDataset>',
        three("source.tif").replace("</VRTDataset>", "<MaskBand>" + RAW_BAND + "</MaskBand></VRTDataset>"),
        '<VRTDataset rasterXSize="9" rasterYSize="9"/>',
        "<VRTDataset",
    ],
)  # fmt: skip
def test_a_vrt_that_does_more_than_arrange_local_rasters_is_refused(tmp_path, refuses, source, text):
    (tmp_path / "scene.vrt").write_text(text)
    refuses(4, ("scene.vrt",), tmp_path / "scene.vrt")


def test_a_vrt_under_another_name_is_refused(tmp_path, refuses, source):
    (tmp_path / "scene.tif").write_text(three(source.name))
    refuses(4, ("scene.tif", "is a VRT under another name", "rename it to .vrt"), tmp_path / "scene.tif")


def test_an_archive_is_refused_with_the_way_in(tmp_path, refuses, source):
    with zipfile.ZipFile(tmp_path / "scene.zip", "w") as archive:
        archive.write(source, "source.tif")
    refuses(4, ("scene.zip", "is a zip archive", "unpack it"), tmp_path / "scene.zip")


@pytest.mark.parametrize(
    "name", ["/vsizip/{}/scene.zip/source.tif", "/vsicurl/http://127.0.0.1:9/x.tif", "/vsimem/x.tif", "/vsistdin/"]
)
def test_chains_of_virtual_files_are_refused_with_a_hint(tmp_path, refuses, name):
    refuses(4, ("/vsi", "virtual file systems", "name a local file"), name.format(tmp_path))


@pytest.mark.parametrize("name", ["GTIFF_DIR:1:{}", "GTIFF_RAW:{}"])
def test_names_that_only_gdal_understands_are_refused(tmp_path, refuses, source, name):
    refuses(4, ("no such file", "check the path"), name.format(source))


@pytest.mark.parametrize("name", ["hdfs://bucket/x.tif", "ftp://host/x.tif"])
def test_addresses_that_only_gdal_understands_are_refused(tmp_path, refuses, name):
    refuses(4, (name, "which mapgen does not read", "copy it to a file"), name)


def test_a_file_whose_name_looks_like_a_command_to_gdal_is_just_a_file(tmp_path, segment, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_raster(tmp_path / "GTIFF_DIR:2:x.tif", noise(*SIZE))
    run = segment("GTIFF_DIR:2:x.tif")
    assert run.code == 0
    assert os.path.exists("GTIFF_DIR:2:x.mask.tif")
