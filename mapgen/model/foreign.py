"""Networks from elsewhere as they were found, and what their files do not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mapgen.model.card import Origin
from mapgen.model.onnx_keys import Said


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a file may not say of its network, or says wrongly; None leaves it to the file."""

    resolution: float | None = None
    classes: tuple[str, ...] = ()
    background: str | None = None
    bands: tuple[str, ...] = ()
    scale: str | None = None
    """0,1 or 0,255: the range that the pixels of its type become; or the mean and deviation of each band, MEAN/STD."""
    data_type: str | None = None
    gives: str | None = None
    """probabilities, scores or ids, where its output does not show it."""
    threshold: float | None = None
    head: int | None = None
    colors: tuple[str, ...] = ()
    license: str = ""
    name: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A network as it was found: what it is called, where it comes from, what is known of it, and how it is opened."""

    name: str
    origin: Origin
    said: Said
    network: Any
    """`mapgen.model.heads.Brought`."""
    scaled: bool = True
    """Whether pixels from 0 to 1 may be taken for granted, as in ONNX files by the custom of their programs."""
