"""TIFF directories: what is read here is what GDAL says, and damage is no error."""

import numpy as np
import pytest
import rasterio
import tiffs
from factory import make_raster, noise

from mapgen.files.tiff import stored_blocks, tiff_pages
from mapgen.raster import blocks

LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 32}, "strips": {"blockysize": 5},
    "one strip": {"blockysize": 60}, "planar": {"interleave": "band", "blockysize": 7}, "big": {"BIGTIFF": "YES"},
    "big-endian": {"ENDIANNESS": "BIG", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "big-endian and big": {"ENDIANNESS": "BIG", "BIGTIFF": "YES", "blockysize": 3},
    "compressed": {"compress": "DEFLATE", "blockysize": 4},
}  # fmt: skip


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_blocks_are_stored_where_gdal_says_so(tmp_path, layout, sparse):
    array = noise(60, 70)
    array[:, 17:50, :40] = 0
    path = make_raster(tmp_path / "scene.tif", array, **layout, SPARSE_OK=sparse)
    with rasterio.open(path) as dataset:
        places = [(row, col) for (row, col), _ in dataset.block_windows(1)]
        tags = (f"BLOCK_OFFSET_{col}_{row}" for row, col in places)
        expected = [dataset.get_tag_item(tag, "TIFF", bidx=1) is not None for tag in tags]
        found = stored_blocks(path)
        if layout != LAYOUTS["one strip"]:  # which GDAL takes for several
            np.testing.assert_array_equal(found[: len(places)], expected)
            assert len(found) == len(places) * (3 if layout.get("interleave") == "band" else 1)
        assert blocks.lacks_blocks(dataset) == (not all(expected))


def test_gdal_is_not_asked_for_each_block(tmp_path, monkeypatch):
    """Of a scene of ten million blocks that would take half a minute, before the first is read."""
    path = make_raster(tmp_path / "scene.tif", noise(60, 70), tiled=True, blockxsize=16, blockysize=16)
    monkeypatch.setattr(blocks, "_stored", lambda *arguments: 1 // 0)
    with rasterio.open(path) as dataset:
        assert not blocks.lacks_blocks(dataset)


def test_what_a_file_does_not_say_is_asked_of_gdal(tmp_path, monkeypatch):
    path = make_raster(tmp_path / "scene.tif", noise(60, 70), tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(path) as dataset:
        for said in (None, np.ones(3, bool)):
            monkeypatch.setattr(blocks, "stored_blocks", lambda path, said=said: said)
            assert not blocks.lacks_blocks(dataset)


@pytest.mark.parametrize("value", [2**31, 4090, 0])
def test_a_table_that_the_file_does_not_hold_is_none(tmp_path, value):
    """Nothing is allocated for what a directory promises."""
    path = tiffs.bare_tiff(tmp_path / "scene.tif", tiffs.grey(10, 10) | {tiffs.OFFSETS: value})
    data = bytearray(path.read_bytes())
    at = data.index(tiffs.OFFSETS.to_bytes(2, "little") + tiffs.LONG.to_bytes(2, "little"))
    data[at + 4 : at + 8] = (2**30).to_bytes(4, "little")  # the number of its values
    path.write_bytes(data)
    assert stored_blocks(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"II*\0\x08\0\0\0\xff\xff", b"MM\0+" + bytes(12)]
)
def test_what_is_no_directory_has_neither_pages_nor_blocks(tmp_path, content):
    (tmp_path / "scene.tif").write_bytes(content)
    assert tiff_pages(tmp_path / "scene.tif") == 0
    assert stored_blocks(tmp_path / "scene.tif") is None
    assert stored_blocks(tmp_path / "gone.tif") is None
