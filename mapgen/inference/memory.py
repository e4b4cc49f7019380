"""Windows and requests that fit into a memory limit: how much a network needs, by what was measured of its kind.

The figures are peak resident memory of OpenVINO on the CPU, at windows of 512² and 1024² pixels; what grows with the
window is counted per pixel and request, the rest per parameter. See docs/benchmarks.md, "Memory of networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mapgen.model.card import ModelCard
from mapgen.parallel import share
from mapgen.plan import Plan, Span, plan_windows
from mapgen.settings import Precision

DEFAULT_LIMIT = 1_000_000_000
"""Bytes that a run stays under where nothing is said. The same everywhere, so that a precision chooses the same windows
on every machine; under `auto` the precision, and the window with it, is that of the processor."""

PROCESS = 160_000_000
"""Bytes of the interpreter with rasterio and the engine, before any network."""

_PARAMETER = {"fp32": 8, "fp16": 6, "bf16": 6, "int8": 2}
"""Bytes of a parameter: the weights as read, and once more as the engine packs them."""

_PIXEL = {
    "PSPNet": (124, 84), "DeepLabV3Plus": (208, 126), "Linknet": (236, 140), "FPN": (267, 156), "Unet": (300, 172),
    "MAnet": (301, 178), "UPerNet": (556, 300), "Segformer": (684, 364), "UnetPlusPlus": (684, 364),
}  # fmt: skip
"""Bytes of a pixel of a window in float32 and in bfloat16, by architecture, with a ResNet of any depth."""

_UNKNOWN = (700, 370)

_FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Sides of windows that are tried, in those of the model's own."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A window, how many of them may run at once, and what that takes."""

    window: tuple[int, int]
    """Height and width."""
    requests: int
    bytes: int


def share_machine(jobs: int) -> None:
    """From now on this process takes one of `jobs` equal shares of the memory limit and of the threads."""
    share(jobs)


def pixel_bytes(card: ModelCard, precision: Precision) -> int:
    """Bytes that one pixel of a window takes while the network runs on it."""
    single, half = _PIXEL.get(card.network.partition(" ")[0], _UNKNOWN)
    return {"fp32": single, "int8": half // 2}.get(precision, half)


def candidates(card: ModelCard, halo: int, height: int, width: int) -> Iterator[tuple[tuple[int, int], Plan]]:
    """Windows (height, width) that suit the model, and the plan of a scene with each."""
    for factor in _FACTORS:
        side = int(card.window * factor) // card.stride * card.stride
        if side - 2 * halo >= max(card.stride, 2 * halo):  # below that, more is thrown away than kept
            plan = plan_windows(height, width, side, halo, card.stride)
            window = (tightened(plan.rows, side, halo, card.stride), tightened(plan.cols, side, halo, card.stride))
            yield window, plan_windows(height, width, window, halo, card.stride)


def tightened(spans: Sequence[Span], window: int, halo: int, stride: int) -> int:
    """The smallest window that covers the axis in as many spans as `window` does, and keeps something beside its halos.

    Then the last is about as long as the others: fewer shapes to compile, less memory.
    """
    length = spans[-1].end + 2 * halo * (len(spans) - 1)
    side = -(-length // len(spans))
    return min(window, max(2 * halo + stride, -(-side // stride) * stride))


def choose(
    card: ModelCard,
    precision: Precision,
    parameters: int,
    size: tuple[int, int],
    halo: int,
    room: int,
    window: int | tuple[int, ...] | None = None,
    most: int = 64,
    carried: int = 0,
    own: int | None = None,
) -> Budget:
    """The window that reads a scene of `size` (height, width) with least repetition and leaves room for two at a time.

    `room` are the bytes for the network; `window` is taken where it is given; at most `most` requests. `carried` are
    the bytes of a pixel of a window that goes in and comes out, once for each request and once each for the window
    that waits and the one that is worked on; they reduce the requests, never the window, so that the map is the same
    whatever is written beside it. `own` is the room of requests where other jobs share the rest. Where even the
    smallest window does not fit, it is returned with one request: its `bytes` then exceed the room.
    """
    found: list[tuple[int, int, Budget]] = []
    plans = (
        candidates(card, halo, *size)
        if window is None
        else [(_sides(window), plan_windows(*size, _sides(window), halo, card.stride))]
    )
    for sides, plan in plans:
        pixels = max(1, pixels_at_once(plan, card.lattice))
        weights, one = parameters * _PARAMETER.get(precision, 8), pixels * pixel_bytes(card, precision)
        fits = weights + one * min(2, len(plan), most) <= room
        around, each = weights + 2 * carried * pixels, one + carried * pixels
        alone, shared = (
            max(1, min(most, len(plan), (bytes - around) // each)) for bytes in (room, room if own is None else own)
        )
        budget = Budget(sides, shared, around + shared * each)
        found.append((_read_pixels(plan) if fits else 1 << 62, around + alone * each, budget))
    return min(found, key=lambda one: one[:2])[2]


def _sides(window: int | tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a window."""
    return (window, window) if isinstance(window, int) else (window[0], window[1])


def pixels_at_once(plan: Plan, stride: int | tuple[int, ...]) -> int:
    """Pixels of the windows of a row, one of each size: an engine keeps a graph for each of these."""
    rows, cols = _sides(stride)
    heights = {-(-(s.end - s.start) // rows) * rows for s in plan.rows}
    widths = {-(-(s.end - s.start) // cols) * cols for s in plan.cols}
    return max(heights) * sum(widths)


def _read_pixels(plan: Plan) -> int:
    """Pixels that the network runs over, those of overlaps as often as they are seen."""
    return sum(s.end - s.start for s in plan.rows) * sum(s.end - s.start for s in plan.cols)
