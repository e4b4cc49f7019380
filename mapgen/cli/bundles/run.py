"""Options of a run, whatever it makes: where it goes, how much it says, what it may take."""

from pathlib import Path
from typing import Annotated

from mapgen.cli.bundles.say import Text, say


class Output:
    PANEL = "Output"

    output: Annotated[Text, say("-o", "--output", metavar="PATH", help="The output, or a folder for several.")] = None


class Overwriting:
    PANEL = "Output"

    overwrite: Annotated[bool, say("--overwrite", help="Replace outputs that exist.")] = False


class Json:
    PANEL = "Messages"

    json: Annotated[bool, say("--json", help="Print one JSON object per input, then a summary.")] = False


class Voice:
    PANEL = "Messages"

    quiet: Annotated[bool, say("-q", "--quiet", help="No progress and no notes.")] = False
    verbose: Annotated[int, say("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")] = 0


class Threads:
    PANEL = "Speed and memory"

    threads: Annotated[int | None, say("--threads", metavar="N", help="Threads on a CPU.  [default: all cores]")] = None


def _set_net_timeout(value: float | None) -> float | None:
    from mapgen.files.remote import set_net_timeout

    set_net_timeout(value)
    return value


class Network:
    PANEL = "Input"

    net_timeout: Annotated[
        float | None,
        say(
            "--net-timeout", min=1, max=86400, metavar="SECONDS", callback=_set_net_timeout,
            help="How long one question to a server may take, all that is tried again included.  [default: 60]",
        ),
    ] = None  # fmt: skip


def _set_max_pixels(value: float | None) -> float | None:
    from mapgen.files.limits import MOST_PIXELS, PIXELS

    PIXELS.set(MOST_PIXELS if value is None else int(value))
    return value


def _set_max_block(value: str | None) -> str | None:
    from mapgen.files.limits import BLOCK_BYTES, MOST_BLOCK_BYTES
    from mapgen.settings import parse_bytes

    BLOCK_BYTES.set(MOST_BLOCK_BYTES if value is None else parse_bytes("max_block_memory", value))
    return value


class Limits:
    PANEL = "Input"

    max_pixels: Annotated[
        float | None,
        say(
            "--max-pixels", min=1, metavar="N", callback=_set_max_pixels,
            help="Refuse rasters that claim more pixels, before anything is allocated.  [default: 1e12]",
        ),
    ] = None  # fmt: skip
    max_block_memory: Annotated[
        Text,
        say(
            "--max-block-memory", metavar="SIZE", callback=_set_max_block,
            help="Refuse rasters one block of which takes more memory.  [default: 512MiB]",
        ),
    ] = None  # fmt: skip


def _set_log(value: Path | None) -> Path | None:
    from mapgen.cli.console import console

    console.log_to(value)
    return value


class Log:
    PANEL = "Messages"

    log_file: Annotated[
        Path | None,
        say("--log-file", metavar="FILE", callback=_set_log, help="Append all that is said, as lines of JSON."),
    ] = None


class Resuming:
    PANEL = "Run"

    no_resume: Annotated[
        bool, say("--no-resume", help="Start over, and do not go on from what an interrupted run has left.")
    ] = False


class Sharding:
    PANEL = "Many machines"

    shard: Annotated[
        Text,
        say(
            "--shard", metavar="I/N",
            help="Only part I of N: some rows of one scene, for mapgen join; of several scenes every N-th.",
        ),
    ] = None  # fmt: skip
    shard_rows: Annotated[
        int | None,
        say("--shard-rows", metavar="ROWS", help="Rows of a part at least, a multiple of 512.  [default: 16384]"),
    ] = None
    cluster: Annotated[
        Text,
        say(
            "--cluster", metavar="local:N|tls://HOST:PORT|tcp://HOST:PORT|FILE.json",
            help="Make all parts on the workers of a Dask cluster, and join them.",
        ),
    ] = None  # fmt: skip
    cluster_tls: Annotated[
        Text, say("--cluster-tls", metavar="CA,CERT,KEY", help="Files that prove who is who in the cluster.")
    ] = None
    shards: Annotated[
        int | None, say("--shards", min=1, metavar="N", help="Parts on a cluster.  [default: 4 for each worker]")
    ] = None


class DryRun:
    PANEL = "Run"

    dry_run: Annotated[
        bool, say("--dry-run", help="Say what it would take (windows, time, memory, disk) and write nothing.")
    ] = False


class Batch:
    PANEL = "Run"

    from_: Annotated[
        list[Path] | None,
        say("--from", metavar="LIST", help="Inputs from a file: names, one a line, or the report of a run."),
    ] = None
    only: Annotated[
        Text, say("--only", metavar="failed", help="Of a report that --from names, the inputs that failed last.")
    ] = None
    on_error: Annotated[
        str, say("--on-error", metavar="skip|fail", help="A failed input lets the others go on, or ends the run.")
    ] = "skip"
    skip_done: Annotated[
        bool, say("--skip-done", help="Leave outputs that are whole and were made from the same, by their content.")
    ] = False
    report: Annotated[
        Path | None, say("--report", metavar="FILE.jsonl", help="Append a line of JSON for each input as it ends.")
    ] = None
    jobs: Annotated[
        int, say("--jobs", min=1, metavar="N", help="Inputs that are worked on at once; they share cores and memory.")
    ] = 1
