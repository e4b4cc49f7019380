"""The answers of the methods to a question, and how far each is to be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from mapgen.arrays import Array, Floats, Longs
from mapgen.explain.faithful import Chance, Faithfulness, chance, faithfulness
from mapgen.explain.options import BY_SEGMENT, ExplainOptions
from mapgen.explain.place import Place
from mapgen.explain.probe import Probe, Question
from mapgen.explain.segments import LIME_SEGMENTS, SHAP_SEGMENTS, kernel_shap, lime, slic
from mapgen.explain.trying import bands, occlusion
from mapgen.inference.job import Job
from mapgen.model.engine import Setup
from mapgen.model.file import network_of

AGREED, FITTED = 0.9, 0.5
"""Correlation of two halves of the samples, and R², below which an answer is doubted."""

TITLES = {
    "gradient": "gradient × input", "ig": "integrated gradients", "cam": "Grad-CAM", "occlusion": "occlusion",
    "lime": "LIME", "shap": "KernelSHAP", "bands": "bands",
}  # fmt: skip
"""What the methods are called on the sheet."""


@dataclass(slots=True)
class Answer:
    """What a method says: attributions (H, W), or one for each band, and what else is to be known of them."""

    method: str
    values: Floats
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    faith: Faithfulness | None = None
    labels: Longs | None = None
    """The segment (H, W) of each pixel, of methods that have a value for each of these."""
    parts: Floats | None = None
    """Those values."""

    @property
    def is_map(self) -> bool:
        """Whether there is a value for each pixel."""
        return self.values.ndim == 2

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        found: dict[str, Any] = {"seconds": round(self.seconds, 2), "sum": round(float(self.values.sum()), 4)}
        return found | self.facts | ({"faithfulness": self.faith.to_json()} if self.faith else {})


def answers_of(
    job: Job, probe: Probe, place: Place, asked: Question, methods: tuple[str, ...], options: ExplainOptions
) -> Iterator[Answer]:
    """The answer of each method, and how faithful it is."""
    base = place.base(job.normalization.mean)
    ways = _ways(job, probe, place, asked, options)
    random: Chance | None = None
    for method in methods:
        began = time.perf_counter()
        if method in BY_SEGMENT:
            answer = _by_segments(method, probe, place, base, options.seed)
        else:
            answer = Answer(method, *ways[method](base))
        answer.seconds = time.perf_counter() - began
        if answer.is_map:
            random = random or chance(probe, place.pixels, base, options.seed)
            answer.faith = faithfulness(probe, place.pixels, base, np.where(place.valid, answer.values, 0.0), random)
        yield answer


def _by_segments(method: str, probe: Probe, place: Place, base: Array, seed: int) -> Answer:
    """LIME or KernelSHAP; the value of a segment is spread over its pixels."""
    count, ask, told = (LIME_SEGMENTS, lime, "r2") if method == "lime" else (SHAP_SEGMENTS, kernel_shap, "seeds_agree")
    labels = slic(place.pixels, count)
    parts, figure = ask(probe, place.pixels, base, labels, seed)
    values = (parts / np.bincount(labels.ravel()))[labels]
    facts = {"segments": len(parts), told: round(figure, 4)}
    return Answer(method, values, facts, labels=labels, parts=parts)


def doubts(answers: list[Answer]) -> Iterator[str]:
    """What to warn of."""
    for one in answers:
        if one.facts.get("seeds_agree", 1.0) < AGREED:
            agree = one.facts["seeds_agree"]
            yield f"two halves of the samples of {one.method} correlate by {agree:.2f} only: mostly chance"
        if one.facts.get("r2", 1.0) < FITTED:
            yield f"the model of {one.method} explains {one.facts['r2']:.0%} of the score only: try another method"


Way = Callable[[Array], tuple[Floats, dict[str, Any]]]


def _ways(job: Job, probe: Probe, place: Place, asked: Question, options: ExplainOptions) -> dict[str, Way]:
    """How each method is asked, given the base."""
    pixels, names = place.pixels, job.model.card.bands

    def tried_bands(base: Array) -> tuple[Floats, dict[str, Any]]:
        found = bands(probe, pixels, base)
        return found, {"bands": {n: round(float(v), 4) for n, v in zip(names, found, strict=True)}}

    network = cache(lambda: _differentiable(job, asked, options))

    def by(derive: Callable[[Any, Array], tuple[Floats, dict[str, Any]]]) -> Way:
        return lambda base: derive(network(), base)

    def gradient(score: Any, base: Array) -> tuple[Floats, dict[str, Any]]:
        from mapgen.explain.gradients import gradient

        return gradient(score, pixels, base).sum(0), {}

    def integrated(score: Any, base: Array) -> tuple[Floats, dict[str, Any]]:
        from mapgen.explain.gradients import integrated

        found, missed = integrated(score, pixels, base)
        parts = {n: round(float(v), 4) for n, v in zip(names, found.sum((1, 2)), strict=True)}
        return found.sum(0), {"missed": round(missed, 5), "bands": parts}

    def cam(score: Any, base: Array) -> tuple[Floats, dict[str, Any]]:
        from mapgen.explain.gradients import cam

        return cam(score, pixels, options.stage), {"stage": "last" if options.stage is None else options.stage}

    return {
        "occlusion": lambda base: (occlusion(probe, pixels, base), {}), "bands": tried_bands,
        "gradient": by(gradient), "ig": by(integrated), "cam": by(cam),
    }  # fmt: skip


def _differentiable(job: Job, asked: Question, options: ExplainOptions) -> Any:
    from mapgen.explain.gradients import Differentiable
    from mapgen.model.torch import Raw, find_device, load_network

    setup = Setup(job.normalization, np.dtype(np.float32))
    device = "cpu" if options.engine == "openvino" else find_device(options.device) or "cpu"
    return Differentiable(Raw(load_network(network_of(job.model)), setup), asked, device)
