"""`join`: one map from the parts that machines have made apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapgen import __version__
from mapgen.errors import CheckError, UsageError, option
from mapgen.files.commit import Output, check_output
from mapgen.files.gdal import environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.untrusted import parsed_json
from mapgen.inference.segment import score_path
from mapgen.inference.shard import FOLDER, PLAN, Plan, read_plan
from mapgen.legend import Legend
from mapgen.parallel import Progress
from mapgen.raster.classmap import Scores, join_class_map
from mapgen.settings import PathLike

_TOLD = 8
"""Numbers of parts that an error names, at most."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A map that was joined."""

    output: Path
    folder: Path
    """Where the parts lie."""
    parts: int
    height: int
    width: int
    scores: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {
            "output": str(self.output), "folder": str(self.folder), "parts": self.parts,
            "height": self.height, "width": self.width,
            "scores": [str(path) for path in self.scores],
        }  # fmt: skip


@one_run()
def join(
    parts: PathLike | Sequence[PathLike],
    output: PathLike | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Joined:
    """Write the map whose parts lie in the folders `parts`, by default to where the unsharded run would have.

    The result is that of an unsharded run, byte by byte. Raises `CheckError` unless all parts are there, whole, and of
    one plan; then nothing is written.
    """
    if output is not None:
        check_output(Output(Path(output), overwrite))
    folders = [parts] if isinstance(parts, str) or not isinstance(parts, Sequence) else parts
    plans = [_plan_in(Path(folder)) for folder in folders]
    plan = plans[0]
    for other in plans[1:]:
        if other.sha256 != plan.sha256:
            raise CheckError(other.path, f"is another plan than {plan.path}", "join parts of one plan only")
    if plan.said["mapgen"] != __version__:
        problem = f"its parts are by mapgen {plan.said['mapgen']}, this is {__version__}"
        raise CheckError(plan.path, problem, "join them with that version, or make them again")
    chosen = _chosen(plans)
    target = Path(output) if output is not None else plan.path.parent.with_suffix(".tif")
    files = [(plan.cuts[n] - plan.cuts[n - 1], one.rasters(n)) for n, one in enumerate(chosen, 1)]
    note_inputs(*(str(file) for _, some in files for file in some))
    legend = Legend.from_json(parsed_json(plan.tags["MAPGEN_LEGEND"]))
    bands = {"confidence": ("confidence",), "probabilities": tuple(legend.names)}
    scores = [Scores(score_path(target, kind), bands[kind]) for kind in plan.said["scores"]]
    with environment():
        notes = join_class_map(
            Output(target, overwrite), files, plan.grid, legend, plan.tags, scores=scores, progress=progress
        )
    grid = plan.grid
    paths = tuple(s.path for s in scores)
    return Joined(target, plan.path.parent, plan.parts, grid.height, grid.width, paths, tuple(notes))


def _plan_in(folder: Path) -> Plan:
    """The plan of a folder of parts, or of the folder that a part lies in."""
    folder = folder.parent if folder.is_file() else folder
    if not folder.is_dir():
        raise UsageError(folder, "there is no such folder", f"name the folder of the parts, NAME{FOLDER}")
    found = sorted(folder.glob(f"*{PLAN}"))
    if len(found) != 1:
        problem = f"has {len(found) or 'no'} plan{'s' if len(found) > 1 else ''} of shards"
        raise CheckError(folder, problem, f"name the folder of the parts of one map, NAME{FOLDER}")
    return read_plan(found[0], CheckError)


def _chosen(plans: Sequence[Plan]) -> list[Plan]:
    """For each part the plan beside which it lies, whole. Raises `CheckError` unless all are there."""
    chosen, wrong, missing = list[Plan](), list[str](), list[int]()
    for number in range(1, plans[0].parts + 1):
        there = [plan for plan in plans if plan.part(number).exists()]
        problems = {plan: plan.problem(number) for plan in there}
        whole = [plan for plan in there if not problems[plan]]
        if not there:
            missing.append(number)
        elif not whole:
            wrong.append(f"part {number}: {next(iter(problems.values()))}")
        elif len({str(plan.record(number)["sha256"]) for plan in whole}) > 1:  # type: ignore[index]
            wrong.append(f"part {number}: it is there twice, with different bytes")
        else:
            chosen.append(whole[0])
    subject = plans[0].path.parent
    if missing:
        told = ", ".join(map(str, missing[:_TOLD])) + (" …" if len(missing) > _TOLD else "")
        problem = f"{len(missing)} of {plans[0].parts} parts are missing: {told}"
        raise CheckError(subject, problem, f"run these with {option('shard', f'{missing[0]}/{_count(plans)}')}")
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise CheckError(subject, f"{wrong[0]}{more}", "run this shard again, it replaces its part")
    return chosen


def _count(plans: Iterable[Plan]) -> int:
    return int(next(iter(plans)).said["shards"])
