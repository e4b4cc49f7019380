"""A process that helps another in the benchmark of batches; its network is a line of numpy too."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

import mapgen.inference.segment
from mapgen.cli.main import help_another
from mapgen.model.fake import FakeEngine


def brightest(pixels: Any) -> Any:
    """A rule that costs next to nothing: the band that is the brightest."""
    return pixels.argmax(axis=1)


def open_fake(network: Any, setup: Any, name: str, device: str) -> FakeEngine:
    """In place of an engine."""
    del name, device
    return FakeEngine(network, setup, brightest)


def pretend() -> None:
    """From now on this process has no other engine."""
    mapgen.inference.segment.open_engine = open_fake  # type: ignore[assignment]


def help_with_fake(pipe: Connection, arguments: list[str], names: list[str], count: int) -> None:
    """What a worker begins with."""
    pretend()
    help_another(pipe, arguments, names, count)
