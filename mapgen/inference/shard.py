"""Shards: parts of one map that machines make apart, so that joined they are the map that one would have made.

What machines could decide otherwise (model, scaling, windows, precision, cuts) is written down by whoever comes first,
in a plan beside the parts; all others keep it or stop. A part is an ordinary class map with a record beside it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from affine import Affine

from mapgen import __version__
from mapgen.errors import InputError, MapgenError, ResourceError, UsageError, one_line, option
from mapgen.files.commit import Output, check_output, translated, write_once, write_whole
from mapgen.files.fingerprint import digest
from mapgen.files.inputs import looked_at, note_inputs
from mapgen.files.untrusted import json_object
from mapgen.files.vet import public_name
from mapgen.grid import ControlPoints, Grid, Window
from mapgen.inference.counting import Result
from mapgen.inference.done import lasting, mark_of
from mapgen.inference.job import Job
from mapgen.inference.resume import Ran, key_of
from mapgen.inference.segment import Segmenter, origin_tags, score_path
from mapgen.parallel import Progress
from mapgen.plan import plan_windows
from mapgen.raster.cog import TILE
from mapgen.raster.open import opened_dataset
from mapgen.settings import Device, EngineName

FORMAT = 1

FOLDER, PLAN = ".shards", ".plan.json"

LEAST_ROWS = 16_384
"""Rows of a part at least: what is computed twice at its cuts is then a few percent."""

_SHARED_OVERVIEWS = 3
"""Cuts lie on multiples of 512 · 2³ rows where parts are so large, so that overviews to the third are copied too."""

PLAN_TAG, SHARD_TAG = "MAPGEN_PLAN", "MAPGEN_SHARD"


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number` of `count`, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(key: str, text: str) -> Shard:
    """`3/40` as a shard. Raises `UsageError`."""
    number, sign, count = text.partition("/")
    if sign and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= 1_000_000:
        return Shard(int(number), int(count))
    problem = f"{text!r} is not I/N, a part from 1 to N of N"
    raise UsageError(option(key), problem, f"such as {option(key, '3/40')}")


def cuts(height: int, count: int, least: int = LEAST_ROWS) -> list[int]:
    """The rows at which parts begin, and the height: `count` parts, or fewer where these would have under `least` rows.

    Laws: they rise; all but the last are multiples of `TILE`, and of 8 tiles where `least` is as much.
    """
    many = max(1, min(count, height // least))
    unit = next(TILE << k for k in range(_SHARED_OVERVIEWS, -1, -1) if TILE << k <= least)
    return [height * part // many // unit * unit for part in range(many)] + [height]


def shard_folder(output: Path) -> Path:
    """`big.mask.tif` → `big.mask.shards`, where its parts lie."""
    return output.with_suffix(FOLDER)


def plan_path(output: Path) -> Path:
    """`big.mask.tif` → `big.mask.shards/big.mask.plan.json`."""
    return shard_folder(output) / f"{output.stem}{PLAN}"


class Plan:
    """What all parts of a map have in common, as `NAME.plan.json` says it."""

    def __init__(self, path: Path, said: Mapping[str, Any]) -> None:
        self.path, self.said = path, said
        self.sha256 = str(said["sha256"])
        self.cuts: list[int] = said["cuts"]
        self.engine = Ran(*said["key"]["engine"])
        self.tags: dict[str, str] = said["tags"]
        self.window: tuple[int, int] = tuple(said["key"]["window"])

    @property
    def parts(self) -> int:
        """How many there are, which may be fewer than machines."""
        return len(self.cuts) - 1

    @property
    def grid(self) -> Grid:
        """The grid of the whole map."""
        grid = self.said["grid"]
        control = grid["control"]
        points = ControlPoints(control[0], tuple(map(tuple, control[1]))) if control else None
        return Grid(grid["crs"], Affine(*grid["transform"]), grid["height"], grid["width"], points)

    def part(self, number: int) -> Path:
        """Where the part `number` lies."""
        return self.path.with_name(f"{number:04d}.tif")

    def rasters(self, number: int) -> list[Path]:
        """The files of a part: its classes, and the scores that were asked for."""
        part = self.part(number)
        return [part, *(score_path(part, kind) for kind in self.said["scores"])]

    def record(self, number: int) -> dict[str, Any] | None:
        """What the record of a part says; None where there is none that can be read."""
        try:
            return json_object(self.part(number).with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def problem(self, number: int) -> str:
        """What is wrong with the part `number`; empty where nothing is. All of it is read."""
        said, files = self.record(number), self.rasters(number)
        missing = [file.name for file in files if not file.is_file()]
        if said is None or missing:
            return f"{missing[0] if missing else self.part(number).with_suffix('.json').name} is missing"
        if said.get("plan") != self.sha256:
            return "it was made by another plan"
        stated = said.get("sha256")
        changed = [file.name for file in files if not isinstance(stated, dict) or stated.get(file.name) != digest(file)]
        return f"{changed[0]} is not as its record says: cut off or changed" if changed else ""


def read_plan(path: Path, error: type[MapgenError] = UsageError) -> Plan:
    """The plan at `path`. Raises `error` for one that is damaged, was edited, or is of another mapgen."""
    try:
        said = json_object(path.read_text(encoding="utf-8"))
        whole = said["mapgen_plan"] == FORMAT and said["sha256"] == _mark(said)
        plan = Plan(path, said) if whole else None
    except OSError as exc:
        raise error(path, f"cannot be read ({exc.strerror})", "run a shard first") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise error(path, f"is not a plan of shards ({one_line(exc)[:80]})", _anew(path)) from exc
    if plan is None:
        raise error(path, "is not as it was written: edited by hand, or of another mapgen", _anew(path))
    return plan


def _anew(path: Path) -> str:
    return f"remove {path.parent} to begin again"


def _mark(said: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in said.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def plan_of(job: Job, engine: Ran, shard: Shard, least: int) -> dict[str, Any]:
    """What a plan says of the map of a job. Raises `InputError` where the content of the scene cannot be told."""
    key = key_of(job, engine)
    if key is None:
        problem = "nothing tells its content from another, so machines could map different scenes"
        raise InputError(public_name(job.scene.name), problem, "copy it to where all machines read it")
    grid = job.scene.grid.crop(job.within)
    control = [grid.control.crs, grid.control.points] if grid.control else None
    said = {
        "mapgen_plan": FORMAT, "mapgen": __version__, "source": public_name(job.scene.name), "shards": shard.count,
        "cuts": cuts(job.within.height, shard.count, least), "key": lasting(key) | {"versions": key["versions"]},
        "grid": {"crs": grid.crs, "transform": tuple(grid.transform)[:6], "height": grid.height, "width": grid.width,
                 "control": control},
        "scores": [kind for kind in ("confidence", "probabilities") if getattr(job.options, kind)],
        "tags": origin_tags(job, engine, mark_of(key)),
    }  # fmt: skip
    said = json.loads(json.dumps(said))
    return said | {"sha256": _mark(said)}


def overhead(job: Job, rows: list[int]) -> float:
    """The share of windows that parts cut at these rows run on more than the whole does."""
    scale = job.grid.height / job.scene.grid.height
    places = [(job.within.row + row) * scale for row in rows]
    blended = job.options.stitch == "blend"
    spans = [(s.start, s.end) if blended else (s.first, s.last) for s in job.plan.rows]
    runs = [sum(a < bottom and b > top for a, b in spans) for top, bottom in pairwise(places)]
    once = sum(a < places[-1] and b > places[0] for a, b in spans)
    return sum(runs) / max(1, once) - 1


class Sharded:
    """One part of the map of a scene, made after the plan that lies beside the parts."""

    def __init__(self, run: Segmenter, source: str, output: Path, shard: Shard, least: int = LEAST_ROWS) -> None:
        """Agree on the plan, writing it where there is none yet.

        Raises `UsageError` where this machine or these options cannot keep the one that is there.
        """
        _check(run, least)
        self.run, self.source, self.shard = run, source, shard
        note_inputs(source)
        path = plan_path(output)
        with run.planned(source) as job:
            if not path.exists():
                engine = run.engine(job)
                ran = Ran(engine.name, engine.device, engine.precision)
                _begin(path, plan_of(job, ran, shard, least))
                run.release()
            self.plan = read_plan(path)
            mine = plan_of(_pinned(job, self.plan), self.plan.engine, shard, least)
            self.overhead = overhead(_pinned(job, self.plan), self.plan.cuts)
        if differs := _difference(self.plan.said, mine):
            raise UsageError(path, f"{differs}, and parts must be alike", f"run it the same way, or {_anew(path)}")

    @property
    def idle(self) -> bool:
        """Whether there are fewer parts than machines and none for this one."""
        return self.shard.number > self.plan.parts

    @property
    def part(self) -> Path:
        """Where the part lies."""
        return self.plan.part(self.shard.number)

    @property
    def done(self) -> bool:
        """Whether the part is there and whole, and need not be made again."""
        return not self.run.options.overwrite and not self.plan.problem(self.shard.number)

    def __call__(self, progress: Progress | None = None) -> Result:
        """Make the part, and its record once it is verified."""
        plan, number = self.plan, self.shard.number
        mine = says_plan(self.part) == plan.sha256
        options = _settled(self.run.options, plan.engine)
        run = self.run.limited(
            dataclasses.replace(options, overwrite=options.overwrite or mine),
            lambda job: _cut(_pinned(job, plan), plan, number),
            {PLAN_TAG: plan.sha256, SHARD_TAG: f"{number}/{plan.parts}"},
        )
        self._check_engine(run)
        result = run(self.source, self.part, progress)
        said = {
            "mapgen_part": FORMAT, "plan": plan.sha256, "part": number, "rows": plan.cuts[number - 1 : number + 1],
            "sha256": {file.name: digest(file) for file in plan.rasters(number)}, "host": platform.node(),
            "mapgen": __version__, "result": result.to_json(),
        }  # fmt: skip
        write_whole(Output(self.part.with_suffix(".json"), overwrite=True), json.dumps(said, indent=1) + "\n")
        return result

    def _check_engine(self, run: Segmenter) -> None:
        """Raise `UsageError` unless this machine computes as the plan says."""
        wanted = self.plan.engine
        said = f"the plan has {wanted.name} on {wanted.device} in {wanted.precision}"
        remedy = f"use a machine like the first, or {_anew(self.plan.path)} with {option('precision', 'fp32')}"
        with run.planned(self.source) as job:
            try:
                engine = run.engine(job)
            except UsageError as exc:
                raise UsageError(self.plan.path, f"{said}, and here {exc.problem}", remedy) from exc
        if (found := Ran(engine.name, engine.device, engine.precision)) != wanted:
            here = f"{found.name} on {found.device} in {found.precision}"
            raise UsageError(self.plan.path, f"{said}, this machine {here}", remedy)


def _check(run: Segmenter, least: int) -> None:
    if run.options.creation_options:
        problem = "parts are joined without packing them again, which needs mapgen's own layout"
        raise UsageError(option("creation_options"), problem, "leave it out")
    if least < TILE or least % TILE:
        problem = f"{least} is not a multiple of the {TILE} rows of a tile"
        raise UsageError(option("shard_rows"), problem, f"use {max(1, round(least / TILE)) * TILE}")


def _begin(path: Path, said: Mapping[str, Any]) -> None:
    """Write a plan, unless another machine is first."""
    if not path.parent.parent.is_dir():
        check_output(Output(path.parent))  # which says what is wrong with the place
    with translated(path.parent):
        path.parent.mkdir(exist_ok=True)
    write_once(path, json.dumps(said, indent=1, sort_keys=True) + "\n")


def _difference(plan: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """In words, what this run has otherwise than a plan; empty where nothing. The scene may lie at another path."""
    for name in ("shards", "cuts"):
        if plan[name] != mine[name]:
            what = "shards" if name == "shards" else "cuts at rows"
            return f"the plan has {what} {plan[name]}, this run {mine[name]}"
    for name in ("scene", "aoi", "model", "int8"):
        if plan["key"][name] != mine["key"][name]:
            return f"{'the int8 graph' if name == 'int8' else f'the {name}'} is not that of the plan: it has changed"
    theirs, ours = _flat(plan["key"]), _flat(mine["key"])
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            return f"the plan has {name} {theirs.get(name, 'none')}, this run {ours.get(name, 'none')}"
    return ""


def _flat(key: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(key)
    return {name: v for name, v in flat.items() if not isinstance(v, dict)} | flat["options"] | flat["versions"]


def _settled(options: Any, engine: Ran) -> Any:
    """Options with what `auto` came to on the machine that made the plan."""
    known = {"engine": get_args(EngineName), "device": get_args(Device), "precision": (engine.precision,)}
    chosen = {"engine": engine.name, "device": engine.device.partition(":")[0], "precision": engine.precision}
    auto = {name: v for name, v in chosen.items() if getattr(options, name) == "auto" and v in known[name]}
    return dataclasses.replace(options, **auto)


def _pinned(job: Job, plan: Plan) -> Job:
    """The job with the windows of the plan, whatever the memory here suggests."""
    if job.budget.window == plan.window:
        return job
    halo = job.options.halo if job.options.halo is not None else job.model.card.halo
    windows = plan_windows(job.grid.height, job.grid.width, plan.window, halo, job.model.card.stride)
    return dataclasses.replace(job, plan=windows, budget=dataclasses.replace(job.budget, window=plan.window))


def _cut(job: Job, plan: Plan, number: int) -> Job:
    """The rows of a job that a part has. Law: its map is these rows of the whole map, bit by bit."""
    top, bottom = plan.cuts[number - 1 : number + 1]
    return dataclasses.replace(
        job, within=Window(job.within.row + top, job.within.col, bottom - top, job.within.width)
    )


def says_plan(path: Path) -> str:
    """Which plan the part at `path` says that it was made by; empty where there is no such file."""
    try:
        with looked_at(), opened_dataset(path) as (_, dataset), dataset:
            return str(dataset.tags().get(PLAN_TAG, ""))
    except (InputError, ResourceError, OSError):
        return ""

