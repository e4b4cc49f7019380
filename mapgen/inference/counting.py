"""What became of a scene: its result, and the pixels and windows that are counted on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Array, is_uniform
from mapgen.files.vet import public_name
from mapgen.grid import Window
from mapgen.inference.job import Job
from mapgen.inference.sureness import Sureness, doubt
from mapgen.legend import NODATA
from mapgen.model.card import ModelCard
from mapgen.model.engine import Engine
from mapgen.parallel import Progress
from mapgen.raster.patch import Patch


@dataclass(slots=True, repr=False)
class Result:
    """What became of one scene."""

    source: str
    output: Path
    engine: str
    device: str
    precision: str = "fp32"
    scores: tuple[Path, ...] = ()
    """The rasters of confidence and probabilities that were asked for."""
    windows: int = 0
    skipped: int = 0
    resumed: int = 0
    """Rows that an earlier run had finished; its windows are not among those of this one."""
    seconds: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    """Share of each class among the pixels with data."""
    valid_share: float = 0.0
    confidence: float | None = None
    """Mean probability of the class that was chosen, of a sample of the pixels; None where it was not looked at."""
    warnings: tuple[str, ...] = ()
    damaged: tuple[tuple[int, int], ...] = ()

    def __repr__(self) -> str:
        engine = f"{self.engine} on {self.device} in {self.precision}"
        return f"<map {self.output}: {self.windows} windows by {engine}, {self.seconds:.1f} s>"

    def described_engine(self) -> dict[str, Any]:
        """What a report says of the engine."""
        return {
            "name": self.engine, "device": self.device, "precision": self.precision, "windows": self.windows,
            "skipped": self.skipped,
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"output": str(self.output), "scores": [str(path) for path in self.scores]}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Result:
        """The result of `to_json`."""
        result = cls(**{**said, "output": Path(said["output"]), "warnings": tuple(said["warnings"])})
        result.scores = tuple(map(Path, said["scores"]))
        result.damaged = tuple((row, col) for row, col in said["damaged"])
        return result


class PixelCount:
    """Counts windows and pixels of a class map as they pass."""

    def __init__(self, card: ModelCard, sureness: Sureness | None = None) -> None:
        self.card = card
        self.sureness = sureness
        self.windows = self.run = self.resumed = 0
        self.pixels = np.zeros(256, np.int64)

    def read(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        for patch in patches:
            self.run += patch.values is not None
            if self.sureness is not None:
                self.sureness.look(patch)
            yield patch

    def judged(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """The patches of what the network gave, as they pass."""
        return iter(patches) if self.sureness is None else self.sureness.passed(patches)

    def watched(
        self, parts: Iterable[tuple[int, Array]], progress: Progress | None, within: Window
    ) -> Iterator[tuple[int, Array]]:
        for row, strip in parts:
            classes = strip if strip.ndim == 2 else strip[0]
            if is_uniform(classes):
                self.pixels[classes[0, 0]] += classes.size
            else:
                for value in (*self.card.legend.ids, NODATA):  # several times as fast as counting all 256 values
                    self.pixels[value] += np.count_nonzero(classes == value)
            yield row, strip
            if progress and self.windows:  # not while the strips of an earlier run pass
                progress((row + len(classes)) * within.width, within.area)

    def result(
        self, job: Job, engine: Engine, output: Path, scores: tuple[Path, ...], seconds: float, more: Sequence[str],
        confidence: float | None = None,
    ) -> Result:
        known = int(self.pixels.sum() - self.pixels[NODATA])
        notes = [*job.warnings, *more]
        if not known:
            notes.append("has no valid pixel; its map is all nodata")
        unsure = doubt(confidence, job.model.card.name, job.model.card.domain)
        notes += [unsure] if unsure else []
        if job.scene.damaged:
            row, col = job.scene.damaged[0]
            notes.append(
                f"{len(job.scene.damaged)} damaged blocks were taken as nodata, the first at row {row}, column {col}"
            )
        return Result(
            source=public_name(job.scene.name), output=output, engine=engine.name, device=engine.device,
            precision=engine.precision, scores=scores, seconds=round(seconds, 3),
            windows=self.windows, skipped=self.windows - self.run, resumed=self.resumed,
            shares={c.name: round(float(self.pixels[c.id] / max(1, known)), 6) for c in self.card.legend},
            valid_share=round(known / max(1, int(self.pixels.sum())), 6),
            confidence=confidence, warnings=tuple(notes), damaged=tuple(job.scene.damaged),
        )  # fmt: skip
