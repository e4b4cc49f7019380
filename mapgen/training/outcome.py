"""What training tells: of each step, of a run that is done, of a check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapgen.dataset.check import Survey
from mapgen.model.card import ModelCard
from mapgen.training.runs import Run

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Report:
    """What a step tells: steps done, of how many, and at the start; its loss and rate; the last mIoU, else NaN."""

    step: int
    end: int
    begun: int
    loss: float
    rate: float
    miou: float


@dataclass(frozen=True, slots=True, repr=False)
class Trained:
    """A run that is done. `model` is the best average of its weights, with its card."""

    run: Run
    model: Path
    steps: int
    end: int
    begun: int
    """The step it went on from; 0 for a run from nothing, `steps` for one that was done before."""
    card: ModelCard
    seconds: float
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        score = self.card.scores.get("miou")
        known = f", mIoU {score:.3f}" if isinstance(score, float) else ""
        return f"<model {self.model}: step {self.steps} of {self.end}{known}>"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {
            "run": str(self.run.path), "model": str(self.model), "steps": self.steps, "end": self.end,
            "begun": self.begun, "scores": dict(self.card.scores), "warnings": list(self.warnings),
            "seconds": self.seconds, "exit_code": 0,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found, and the picture that it drew."""

    survey: Survey
    picture: Path

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return self.survey.to_json() | {"picture": str(self.picture), "exit_code": 9 if self.survey.failed else 0}
