"""A map by the workers of a cluster is the map of one run; what goes wrong there has its sentence."""

import json

import pytest
from factory import brightness, make_model, make_raster, noise

from mapgen.errors import InputError, NetworkError, PartialError, ResourceError, UsageError
from mapgen.inference import cluster as clusters
from mapgen.inference.cluster import Cluster, map_on
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    """A scheduler and two workers that are threads of this process."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", memory_limit=0,
            scheduler_kwargs={"dashboard": False},
        ) as local,
        distributed.Client(local) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture
def cluster(client, engines):
    engines.rule = brightness
    clusters._segmenter.cache_clear()
    return Cluster(client, "local:2")


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(2600, 60))


@pytest.fixture
def options(tmp_path_factory):
    return SegmentOptions(model=make_model(tmp_path_factory.mktemp("model") / "m.safetensors"), confidence=True)


def mapped(cluster, scene, options, **more):
    return map_on(cluster, Segmenter(options), str(scene), scene.with_name("c.mask.tif"), least=512, **more)


def test_the_map_of_a_cluster_is_that_of_one_run(tmp_path, cluster, scene, options):
    seen = []
    found = mapped(cluster, scene, options, progress=lambda done, total: seen.append((done, total)))
    Segmenter(options)(str(scene), tmp_path / "w.mask.tif")
    assert found.parts == 5
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert (tmp_path / "c.mask.tif").read_bytes() == (tmp_path / "w.mask.tif").read_bytes()
    assert (tmp_path / "c.confidence.tif").read_bytes() == (tmp_path / "w.confidence.tif").read_bytes()


def test_a_part_that_fails_fails_alone_and_is_made_again_alone(tmp_path, cluster, scene, options, monkeypatch):
    made = []

    def broken(part, progress=None):
        made.append(part.shard.number)
        if part.shard.number == 2:
            raise InputError("scene.tif", "a block is damaged", "copy it again")
        if part.shard.number == 3:
            raise ValueError("a fault of ours")
        return real(part, progress)

    real = clusters.Sharded.__call__
    monkeypatch.setattr(clusters.Sharded, "__call__", broken)
    with pytest.raises(PartialError, match="2 of 5 parts failed, part 2: a block is damaged; run it again"):
        mapped(cluster, scene, options)
    assert not (tmp_path / "c.mask.tif").exists()
    assert sorted(made) == [1, 2, 3, 4, 5]
    made.clear()
    monkeypatch.setattr(
        clusters.Sharded, "__call__", lambda part, *given: made.append(part.shard.number) or real(part, *given)
    )
    mapped(cluster, scene, options)
    assert sorted(made) == [2, 3]


def test_an_error_of_the_network_is_tried_again(cluster, scene, options, monkeypatch):
    tries = []

    def flaky(part, progress=None):
        tries.append(part.shard.number)
        if part.shard.number == 1 and tries.count(1) < 3:
            raise NetworkError("scene.tif", "the server is busy", "run it again")
        return real(part, progress)

    real = clusters.Sharded.__call__
    monkeypatch.setattr(clusters.Sharded, "__call__", flaky)
    mapped(cluster, scene, options)
    assert sorted(tries) == [1, 1, 1, 2, 3, 4, 5]


def test_workers_of_another_version_are_refused(client, monkeypatch):
    answers = iter([{"mapgen": "0.0.2"}, *[{"mapgen": "0.0.1"}] * 2])  # here first
    monkeypatch.setattr(clusters, "versions", lambda: next(answers))
    with pytest.raises(UsageError, match=r"has mapgen 0\.0\.1, .*, and here is mapgen 0\.0\.2.*install the same"):
        Cluster(client, "tcp://localhost:1")


def test_a_cluster_without_workers_is_said(monkeypatch):
    monkeypatch.setattr(clusters, "_WORKERS_S", 0.2)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False}
        ) as local,
        distributed.Client(local) as client,
        pytest.raises(ResourceError, match="the cluster has no workers; start some"),
    ):
        Cluster(client, "local:0")


@pytest.mark.parametrize(
    ("given", "words"),
    [(("--cluster", "local:0"), ("'local:0' does not say how many", "--cluster local:2")),
     (("--cluster", "here"), ("'here' is not a cluster", "tls://HOST:PORT")),
     (("--cluster", "none.json"), ("none.json is not a scheduler file",)),
     (("--cluster", "tcp://example.org:8786"), ("tcp://example.org:8786 is not encrypted", "use tls://")),
     (("--cluster", "tls://example.org:8786", "--cluster-tls", "no.pem,no.pem,no.pem"), ("there is no file no.pem",)),
     (("--cluster", "tls://example.org:8786", "--cluster-tls", "no.pem"), ("--cluster-tls",)),
     (("--cluster-tls", "a,b,c"), ("of no use without a cluster",)),
     (("--shards", "3"), ("of no use without a cluster",)),
     (("--cluster", "local:2", "--shard", "1/2"), ("leave out --shard",)),
     (("--cluster", "local:2", "--dry-run"), ("leave out --cluster",))],
)  # fmt: skip
def test_a_cluster_that_cannot_be_is_refused(refuses, scene, engines, given, words):
    refuses(2, words, scene, *given)


def test_a_scheduler_that_is_gone_or_foreign_by_its_file_is_said(refuses, tmp_path, scene, monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.3)
    refuses(7, ("tcp://127.0.0.1:9: no scheduler answers", "dask scheduler"), scene, "--cluster", "tcp://127.0.0.1:9")
    (tmp_path / "s.json").write_text(json.dumps({"address": "tcp://10.1.2.3:8786"}))
    refuses(2, ("tcp://10.1.2.3:8786 is not encrypted",), scene, "--cluster", tmp_path / "s.json")


def test_shards_say_how_many_parts_a_cluster_makes(tmp_path, segment, scene, engines, client, monkeypatch):
    """Through the command line, on the scheduler that is there, with and without a scheduler file."""
    engines.rule = brightness
    clusters._segmenter.cache_clear()
    where = client.scheduler.address
    monkeypatch.setattr(clusters, "_address", lambda *_: client.cluster)
    for count, given in ((2, ("--shards", 2)), (5, ())):
        out = tmp_path / f"{count}.mask.tif"
        run = segment(scene, "-o", out, "--cluster", where, "--shard-rows", 512, *given)
        assert (run.code, run.out) == (0, f"{out}\n"), run
        assert f"{count} parts joined" in run.err


def test_a_cluster_by_tls_needs_its_three_files(tmp_path, segment, scene, engines):
    engines.rule = brightness
    clusters._segmenter.cache_clear()
    secrets = distributed.Security.temporary()
    names = []
    for key in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        names.append(tmp_path / f"{key}.pem")
        names[-1].write_text(getattr(secrets, key))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tls", security=secrets, memory_limit=0,
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
    ) as local:  # fmt: skip
        where = ("--cluster", local.scheduler_address, "--shard-rows", 512)
        assert local.scheduler_address.startswith("tls://")
        run = segment(scene, *where, "--cluster-tls", ",".join(map(str, names)))
        assert (run.code, run.out) == (0, f"{tmp_path / 'scene.mask.tif'}\n"), run
        run = segment(scene, *where, "--overwrite")
        assert run.code == 2
        assert "--cluster-tls" in run.errors[0]
        names[0].write_text("no certificate")
        run = segment(scene, *where, "--overwrite", "--cluster-tls", ",".join(map(str, names)))
        assert run.code == 2
        assert "not the files" in run.errors[0]
