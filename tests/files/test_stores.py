"""Object stores: scenes are read where they lie, and refusals are told apart without secrets."""

import json

import numpy as np
import pytest
from factory import CRS, make_raster, noise, north_up, read_map
from rasterio.errors import RasterioIOError
from stores import running_store

from mapgen.files.stores import refusal

SECRETS = ("AKIDHUSH", "hushkey", "hushtoken", "aHVzaA")


@pytest.fixture
def store(monkeypatch):
    """A store on loopback that GDAL takes for S3, Google's and Azure's; a new bucket for each test.

    GDAL remembers within a process what lies behind an address.
    """
    with running_store() as store:
        for name, value in {
            "AWS_S3_ENDPOINT": store.host, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDHUSH", "AWS_SECRET_ACCESS_KEY": "hushkey", "AWS_SESSION_TOKEN": "hushtoken",
            "CPL_GS_ENDPOINT": f"http://{store.host}/", "GS_NO_SIGN_REQUEST": "YES",
            "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=aHVzaA==;"
            f"BlobEndpoint=http://{store.host}/acc;",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield store


def bucket(store):
    return f"b{store.server_port}"


def put(store, key, data):
    """The object under the names of all three stores and of a plain web server; the part behind `KIND://`."""
    name = f"{bucket(store)}/{key}"
    store.objects[f"/{name}"] = store.objects[f"/acc/{name}"] = data
    return name


def scene(folder, height=400, width=500, name="scene.tif"):
    profile = {"crs": CRS, "transform": north_up(1.0), "tiled": True, "blockxsize": 128, "blockysize": 128}
    return make_raster(folder / name, noise(height, width), **profile)


def no_secret(folder, *texts):
    """That no secret is in a text nor in any file of a folder, packed tags included."""
    said = [text.encode() for text in texts] + [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not [secret for secret in SECRETS for text in said if secret.encode() in text]


def test_a_scene_is_the_same_from_stores_from_a_web_server_and_from_its_file(store, tmp_path, segment):
    path = scene(tmp_path)
    data = path.read_bytes()
    assert segment(path).code == 0
    want = read_map(tmp_path / "scene.mask.tif")
    for kind in ("s3", "gs", "az", "http"):
        name = put(store, f"a b {kind}.tif", data)
        source = f"http://{store.host}/{name}" if kind == "http" else f"{kind}://{name}"
        store.log.clear()
        run = segment(source, "-o", tmp_path / f"{kind}.tif", "-vv", "--json")
        assert run.code == 0, run
        np.testing.assert_array_equal(read_map(tmp_path / f"{kind}.tif"), want)
        assert {path.split("/")[-1].split("?")[0] for _, path, _ in store.log} == {f"a%20b%20{kind}.tif"}
        assert not [path for _, path, _ in store.log if "?" in path], "a listing was asked for"
        assert store.bytes_sent() <= 1.1 * len(data) + 2 * 16384  # the first look, and one of us
        no_secret(tmp_path, run.out, run.err)


def test_of_a_part_of_a_scene_little_more_is_fetched_than_the_tiles_under_it(store, tmp_path, segment):
    path = scene(tmp_path, 3000, 900)
    name = put(store, "part.tif", path.read_bytes())
    left, top = north_up(1.0) @ (0, 0)
    box = f"{left},{top - 256},{left + 900},{top}"
    store.log.clear()
    run = segment(f"s3://{name}", "--bbox", box, "--window", 128, "--nodata", 0, "-o", tmp_path / "part.mask.tif")
    assert run.code == 0, run
    assert store.bytes_sent() < 0.7 * len(path.read_bytes())


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, "NoSuchKey"), "the store has no such object (404)"),
        ((403, "AccessDenied"), "the store forbids it (403)"),
        ((503, "SlowDown"), "the store is busy (503)"),
    ],
)
def test_what_a_store_refuses_is_told_apart(store, refuses, monkeypatch, kind, answer, words):
    monkeypatch.setattr("mapgen.files.remote.TRIES", 1)
    store.answers = [answer] * 99
    run = refuses(7, ("x.tif", words), f"{kind}://{bucket(store)}/x.tif")
    assert not [secret for secret in SECRETS if secret in run.err]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, "ExpiredToken"), ("the credentials have expired", "get fresh ones")),
        ((403, "InvalidAccessKeyId"), ("does not know these credentials (403)",)),
        ((403, "SignatureDoesNotMatch"), ("does not know these credentials (403)",)),
        ((404, "NoSuchBucket"), ("no such bucket (404)",)),
        ((301, "PermanentRedirect"), ("in another region", "AWS_REGION")),
    ],
)
def test_what_is_wrong_with_credentials_or_a_bucket_of_s3_is_said(store, refuses, answer, words):
    store.answers = [answer] * 99
    run = refuses(7, ("x.tif", *words), f"s3://{bucket(store)}/x.tif")
    assert not [secret for secret in SECRETS if secret in run.err]


@pytest.mark.parametrize(
    ("kind", "said", "variable"),
    [
        ("s3", "AWS_SECRET_ACCESS_KEY and AWS_NO_SIGN_REQUEST configuration options not defined", "AWS_PROFILE"),
        ("gs", "GS_SECRET_ACCESS_KEY+GS_ACCESS_KEY_ID or /h/.boto configuration options not defined", "GS_NO_SIGN"),
        ("az", "Missing AZURE_STORAGE_ACCOUNT+(AZURE_STORAGE_ACCESS_KEY or ...", "AZURE_NO_SIGN_REQUEST"),
    ],
)
def test_without_credentials_the_variables_are_named(kind, said, variable):
    """GDAL's own words, since it looks for credentials at Amazon's machines for a long time."""
    error = refusal(f"{kind}://box/x.tif", RasterioIOError(said))
    assert error.exit_code == 7
    assert "no credentials" in str(error)
    assert variable in str(error)


def test_a_body_that_is_cut_is_a_failure_of_the_network_and_leaves_nothing(store, refuses, tmp_path):
    name = put(store, "cut.tif", scene(tmp_path).read_bytes())
    store.answers = [None, *["cut"] * 99]
    refuses(7, ("cut.tif", "broke off", "run the same command again"), f"s3://{name}")


def test_a_store_that_is_busy_for_a_moment_is_asked_again(store, tmp_path, segment):
    name = put(store, "busy.tif", scene(tmp_path).read_bytes())
    store.answers = [(503, "SlowDown")]
    assert segment(f"s3://{name}", "-o", tmp_path / "map.tif").code == 0


def test_what_is_no_raster_is_no_failure_of_the_network(store, refuses):
    name = put(store, "page.tif", b"<!doctype html><title>Log in</title>")
    refuses(4, ("page.tif", "is not a raster"), f"s3://{name}")


@pytest.mark.parametrize("name", ["s3://", "s3://box", "s3://box/", "gs:///x.tif", "s3://id:hushkey@box/x.tif"])
def test_an_address_that_names_no_object_is_refused_without_what_may_be_secret(refuses, name):
    run = refuses(4, ("names no object in a store",), name)
    assert "hushkey" not in run.err


def test_the_reader_who_pays_says_so_to_the_store(store, tmp_path, segment, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_PAYER", "requester")
    name = put(store, "paid.tif", scene(tmp_path).read_bytes())
    assert segment(f"s3://{name}", "-o", tmp_path / "map.tif").code == 0
    asked = [{key.lower(): value for key, value in seen.items()} for seen in store.headers_seen]
    assert all(seen.get("x-amz-request-payer") == "requester" for seen in asked)


def test_info_knows_a_scene_in_a_store(store, tmp_path, mapgen):
    name = put(store, "info.tif", scene(tmp_path).read_bytes())
    run = mapgen("info", f"s3://{name}", "--json")
    assert (run.code, json.loads(run.out)["kind"]) == (0, "scene"), run
    assert not [path for _, path, _ in store.log if "?" in path or "aux" in path or "msk" in path]
