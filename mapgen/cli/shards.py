"""`--shard I/N`: the part of a run that falls to one of several machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapgen.cli.batch import Batch, Work
from mapgen.cli.console import console
from mapgen.cli.progress import Progress
from mapgen.errors import UsageError, option
from mapgen.files.vet import public_name

if TYPE_CHECKING:
    from mapgen.inference.segment import Segmenter
    from mapgen.inference.shard import Shard

Pairs = list[tuple[str, Path]]


def shard_of(given: Mapping[str, Any]) -> Shard | None:
    """Which part was asked for. Raises `UsageError` for what is none, and for options that are of no use with it."""
    way = next((key for key in ("shard", "cluster") if given[key] is not None), None)
    for key, wanted in (("cluster_tls", "cluster"), ("shards", "cluster")):
        if given[key] is not None and way != wanted:
            raise UsageError(option(key), "is of no use without a cluster", f"add {option(wanted, 'local:2')}")
    if way is None and given["shard_rows"] is not None:
        problem = "says how high parts are, and no part is asked for"
        raise UsageError(option("shard_rows"), problem, f"add {option('shard', 'I/N')}")
    if way is not None and given["dry_run"]:
        raise UsageError(option("dry_run", True), "tells of whole scenes", f"leave out {option(way)}")
    if way == "shard" and given["cluster"] is not None:
        problem = "a cluster makes all parts, and one is asked for"
        raise UsageError(option("cluster"), problem, f"leave out {option('shard')}")
    if way != "shard":
        return None
    from mapgen.inference.shard import parse_shard

    return parse_shard("shard", given["shard"])


def dealt(pairs: Pairs, shard: Shard) -> Pairs:
    """The scenes of this part: every N-th of all, so that each is in one part."""
    mine = pairs[shard.number - 1 :: shard.count]
    console.note(f"part {shard}: {len(mine)} of {len(pairs)} scenes")
    return mine


def run_part(
    run: Segmenter, batch: Batch, target: Path, shard: Shard, given: Mapping[str, Any], telling: Callable[..., Work]
) -> int:
    """Make the part of the map of the one scene of a batch, unless it is there; return the exit code.

    `telling` makes of what maps a scene the work of a batch.
    """
    from mapgen.inference.shard import LEAST_ROWS, Sharded

    source = batch.names[0]
    least = given["shard_rows"] if given["shard_rows"] is not None else LEAST_ROWS
    part = Sharded(run, source, target, shard, least)
    name = public_name(source)
    if part.idle:
        console.note(f"{name}: it has {part.plan.parts} parts of {least} rows or more, and none is left for {shard}")
        return 0
    if part.overhead >= 0.005:
        console.note(f"{name}: its {part.plan.parts} parts run {part.overhead:.0%} more windows than the whole")

    def make(source: str, path: Path, progress: Progress) -> dict[str, Any]:
        about = {"shard": asdict(shard), "parts": part.plan.parts, "plan": str(part.plan.path)}
        if part.done:
            console.note(f"{name}: part {shard} is done already")
            return {"source": name, "output": str(path), "done_before": True} | about
        return telling(lambda *_: part(progress))(source, path, progress) | about

    return batch.run([(source, part.part)], make, unit="px", about=run.described())


def run_on_cluster(run: Segmenter, batch: Batch, pairs: Pairs, given: Mapping[str, Any]) -> int:
    """Make the maps of all scenes, one after the other, on the workers of a cluster; return the exit code."""
    from mapgen.inference.cluster import connected, map_on
    from mapgen.inference.shard import LEAST_ROWS

    least = given["shard_rows"] if given["shard_rows"] is not None else LEAST_ROWS
    with connected(given["cluster"], given["cluster_tls"]) as cluster:
        console.note(f"{cluster.workers} workers at {given['cluster']}")

        def work(source: str, target: Path, progress: Progress) -> dict[str, Any]:
            found = map_on(cluster, run, source, target, shards=given["shards"], least=least, progress=progress)
            console.note(f"{public_name(source)}: {found.parts} parts joined, which stay in {found.folder}")
            return {"source": public_name(source), **found.to_json()}

        return batch.run(pairs, work, unit="parts", about=run.described(), unlike=run.unlike)
