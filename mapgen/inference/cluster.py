"""`--cluster`: the parts of a map made by the workers of a Dask cluster, and joined here.

Workers write parts to the folder that all see; between processes go only the options and what became of a part.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mapgen.errors import (
    Interrupted,
    MapgenError,
    NetworkError,
    PartialError,
    ResourceError,
    UsageError,
    one_line,
    option,
    require,
)
from mapgen.files.commit import Output, check_output
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.machine import versions
from mapgen.files.untrusted import json_object
from mapgen.files.vet import public_name
from mapgen.inference.join import Joined, join
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.inference.shard import LEAST_ROWS, Shard, Sharded, plan_path, read_plan
from mapgen.parallel import Progress, without_script

_SHARES = 4
"""Parts for each worker where their number is not given, so that a slow one holds up little."""

_AGAIN = 2
"""Times that a part is made again after an error of the network."""

_CONNECT_S, _WORKERS_S = 10, 30
"""Seconds to wait for the scheduler, and for its first worker."""

_STOP_S = 2.0
"""Seconds between two looks at whether the run was stopped."""

_LOCAL = ("127.0.0.1", "localhost", "::1")


class Cluster:
    """A cluster that is connected."""

    def __init__(self, client: Any, where: str) -> None:
        """Raises `UsageError` where a worker has another mapgen, and `ResourceError` where there is none."""
        self.client, self.where = client, where
        try:
            client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError as exc:
            raise ResourceError(where, "the cluster has no workers", "start some: dask worker ADDRESS") from exc
        mine = _told(versions())
        for worker, theirs in client.run(worker_versions, on_error="return").items():
            if theirs != mine:
                problem = f"the worker {worker} has {theirs if isinstance(theirs, str) else one_line(theirs)}"
                raise UsageError(where, f"{problem}, and here is {mine}", "install the same on all")

    @property
    def workers(self) -> int:
        """How many there are now."""
        return len(self.client.nthreads())


def worker_versions() -> str:
    """What a worker has of all that parts depend on."""
    return _told(versions())


def _told(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {found.get(name, 'none')}" for name in ("mapgen", "numpy", "rasterio", "openvino"))


@contextmanager
def connected(where: str, tls: str | None = None) -> Iterator[Cluster]:
    """The cluster `local:N`, at `tcp://` or `tls://`, or that a scheduler file names.

    Raises `UsageError` for what is none of these and for an address that anyone could listen at, `NetworkError` where
    nobody answers.
    """
    address = _address(where, tls)
    require("cluster", option("cluster", where), "a cluster")
    import dask
    from distributed import Client, LocalCluster

    security = _security(tls)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"logging.distributed": "critical"}))
        try:
            if isinstance(address, int):
                stack.enter_context(without_script())  # also when a worker is lost and another one is started
                cluster = LocalCluster(
                    n_workers=address, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False}, memory_limit=0, silence_logs=50,
                )  # fmt: skip
                client = Client(stack.enter_context(cluster))
            else:
                client = Client(address, timeout=_CONNECT_S, security=security)
        except (OSError, TimeoutError, ValueError) as exc:
            told = one_line(exc)[:120] or type(exc).__name__
            raise NetworkError(where, f"no scheduler answers ({told})", "start it: dask scheduler") from exc
        yield Cluster(stack.enter_context(client), where)


def _address(where: str, tls: str | None) -> str | int:
    """The address of a scheduler, or the number of local workers."""
    key = option("cluster")
    if where.startswith("local:"):
        text = where.removeprefix("local:")
        if text.isdecimal() and 1 <= int(text) <= 1024:
            return int(text)
        raise UsageError(key, f"{where!r} does not say how many workers", f"such as {option('cluster', 'local:2')}")
    if where.endswith(".json"):
        try:
            address = str(json_object(Path(where).read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError, KeyError) as exc:
            problem = f"{where} is not a scheduler file ({one_line(exc)[:80]})"
            raise UsageError(key, problem, "name the file of dask scheduler --scheduler-file") from exc
    else:
        address = where
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls"):
        remedy = "use local:N, tls://HOST:PORT, tcp://HOST:PORT or FILE.json"
        raise UsageError(key, f"{where!r} is not a cluster", remedy)
    if parts.scheme == "tls" and not tls:
        problem = f"{address} is encrypted, and no files say who is who"
        raise UsageError(key, problem, f"add {option('cluster_tls', 'ca.pem,cert.pem,key.pem')}")
    if parts.scheme == "tcp" and parts.hostname not in _LOCAL:
        problem = f"{address} is not encrypted, and a scheduler without TLS runs what anyone sends it"
        raise UsageError(key, problem, f"use tls:// with {option('cluster_tls', 'ca.pem,cert.pem,key.pem')}")
    return address


def _security(tls: str | None) -> Any:
    if tls is None:
        return None
    files = tls.split(",")
    wrong = [name for name in files if not os.path.isfile(name)]
    if len(files) != 3 or wrong:
        problem = f"there is no file {wrong[0]}" if wrong else f"{tls!r} is not three files"
        raise UsageError(option("cluster_tls"), problem, f"such as {option('cluster_tls', 'ca.pem,cert.pem,key.pem')}")
    note_inputs(*files)
    from distributed.security import Security

    ca, certificate, key = files
    try:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as exc:
        problem = f"these are not the files of an authority, a certificate and its key ({one_line(exc)[:80]})"
        raise UsageError(option("cluster_tls"), problem, "check their order and content") from exc
    return Security(tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


def map_on(
    cluster: Cluster, run: Segmenter, source: str, output: Path, *,
    shards: int | None = None, least: int = LEAST_ROWS, progress: Progress | None = None,
) -> Joined:  # fmt: skip
    """The map of a scene, by the workers. Law: the bytes are those of a run in one process.

    Raises `PartialError` where some parts failed; those that are done are not made again by the next run.
    """
    check_output(Output(output, run.options.overwrite))
    path = plan_path(output)
    if shards is None:
        shards = int(read_plan(path).said["shards"]) if path.exists() else cluster.workers * _SHARES
    plan = Sharded(run, source, output, Shard(1, shards), least).plan
    numbers = [n for n in range(1, plan.parts + 1) if run.options.overwrite or plan.problem(n)]
    place, name = str(output.resolve()), source if "://" in source else str(Path(source).resolve())
    tasks = {n: (run.options, name, place, n, shards, least) for n in numbers}
    failed = _Course(cluster, tasks, plan.parts, progress).run()
    if failed:
        number, first = next(iter(sorted(failed.items())))
        if len(failed) == plan.parts:
            raise first
        problem = f"{len(failed)} of {plan.parts} parts failed, part {number}: {first.problem}"
        raise PartialError(public_name(source), problem, "run it again, which makes only these")
    return join(path.parent, output, overwrite=run.options.overwrite)


class _Course:
    """The parts on their way: as many in flight as there are workers, so that a worker that dies takes one along."""

    def __init__(self, cluster: Cluster, tasks: dict[int, tuple[Any, ...]], parts: int, progress: Progress | None):
        self.cluster, self.tasks, self.parts, self.progress = cluster, tasks, parts, progress
        self.waiting = list(tasks)
        self.tries = dict.fromkeys(tasks, 0)
        self.failed: dict[int, MapgenError] = {}
        self.flying: dict[Any, int] = {}

    def run(self) -> dict[int, MapgenError]:
        """Make all parts; the errors of those that failed."""
        from distributed import Event, as_completed

        stop = Event(f"mapgen-{uuid.uuid4().hex}", client=self.cluster.client)
        course = as_completed()
        done = self.parts - len(self.tasks)
        try:
            self._send(course, stop.name)
            while self.flying:
                future = next(course)
                number = self.flying.pop(future)
                self._ended(number, future)
                done += number not in self.waiting
                if self.progress:
                    self.progress(done, self.parts)
                self._send(course, stop.name)
        except BaseException:
            stop.set()  # a task that runs is not ended by cancelling it
            raise
        return self.failed

    def _send(self, course: Any, stop: str) -> None:
        while self.waiting and len(self.flying) < max(1, self.cluster.workers):
            number = self.waiting.pop(0)
            future = self.cluster.client.submit(make_part, *self.tasks[number], stop, pure=False)
            self.flying[future] = number
            course.add(future)

    def _ended(self, number: int, future: Any) -> None:
        """Note what became of a part."""
        if future.status == "finished":
            return
        if future.status != "error":
            raise NetworkError(self.cluster.where, "the scheduler is gone", "run it again, which goes on")
        error = future.exception()
        if isinstance(error, NetworkError) and self.tries[number] < _AGAIN:
            self.tries[number] += 1
            self.waiting.append(number)
        elif isinstance(error, MapgenError):
            self.failed[number] = error
        else:
            lost = type(error).__name__ == "KilledWorker"
            problem = "all workers that tried it were lost" if lost else f"it broke ({one_line(repr(error))[:160]})"
            self.failed[number] = ResourceError(f"part {number}", problem, "give workers more memory, or lower parts")


_alone = threading.Lock()
"""A worker with several threads makes one part at a time: the engine uses the processors by itself."""


def make_part(
    options: SegmentOptions, source: str, output: str, number: int, count: int, least: int, stop: str
) -> dict[str, Any]:
    """Make a part, in a worker; its record."""
    import mapgen.files.gdal  # noqa: F401 - cleans the environment before anything loads GDAL

    with _alone, one_run():
        part = Sharded(_segmenter(options), source, Path(output), Shard(number, count), least)
        if not part.done:
            part(_stopping(stop))
        return {"part": number}


@lru_cache(maxsize=1)
def _segmenter(options: SegmentOptions) -> Segmenter:
    """The model and its engine, opened once in a process."""
    return Segmenter(options)


def _stopping(name: str) -> Progress:
    """Raises `Interrupted` once the run was stopped."""
    from distributed import Event

    event, looked = Event(name), time.monotonic()

    def look(done: int, total: int) -> None:
        nonlocal looked
        del done, total
        if time.monotonic() - looked > _STOP_S:
            looked = time.monotonic()
            if event.is_set():
                raise Interrupted("part", "stopped", "run it again, which goes on")

    return look
