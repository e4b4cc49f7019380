"""What a configuration says of data: sources, labels, classes, the split. No files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mapgen.errors import UsageError
from mapgen.legend import Class, Legend, colors_of
from mapgen.schema import key
from mapgen.settings import parse_size

Use = Literal["split", "training", "validation", "unlabelled"]


def _size(value: str) -> str | None:
    try:
        size = parse_size("", value)
    except UsageError:
        size = None
    good = size is not None and size.unit in ("px", "m") and 0 <= size.value < 1e9
    return None if good else 'a length such as "512px" or "300m"'


def _expression(value: str) -> str | None:
    try:
        groups = re.compile(value).groups
    except re.error as exc:
        return f"a regular expression ({exc})"
    return None if groups == 1 else "a regular expression with one group in ( )"


def _color(value: str) -> str | None:
    return None if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else "a colour of the form #rrggbb"


@dataclass(frozen=True, slots=True)
class ClassConfig:
    """A class of the model, and which label values mean it."""

    id: int = key("Its value in class maps.", low=0, high=254)
    name: str = key("What it is called.")
    color: str = key(
        "How it is drawn, as #rrggbb; else one of a palette.", "", check=lambda v: _color(v) if v else None
    )
    values: tuple[int | str, ...] = key(
        "Label values that mean it: numbers, texts of an attribute (any case), colours such as #3c1098 of RGB masks. "
        "Where empty, its id and its name.", ()
    )  # fmt: skip
    background: bool = key("Whether `vectorize` leaves it out.", False)


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Images and the labels that lie on them."""

    images: tuple[str, ...] = key("Files or patterns (`*`, `**`), from the data folder on.")
    labels: str = key(
        "The labels: one file for all images, a pattern matched to images by file name, or a name with {stem} and "
        "{folder} of the image. Rasters, or polygons in GeoJSON, GPKG and others. Required but for unlabelled images.",
        "",
    )
    use: Use = key(
        "What the images are for; `split` lets [data.split] say, `unlabelled` ones are for [teacher] alone.", "split"
    )
    weight: float = key("How often they are drawn from, in proportion to weight and area.", 1.0, low=0)
    bands: tuple[int | str, ...] = key(
        "The file's bands for `data.bands`: numbers from 1 or names; else found by name.", ()
    )
    attribute: str | None = key("Of polygons: the attribute with the class; else class_id, class_name or class.", None)
    feature_class: str | None = key("Of polygons: the class of all of them.", None, name="class")
    outside: str | None = key("Of polygons: the class of the ground outside them; else it is not labelled.", None)
    priority: tuple[str, ...] = key(
        "Of polygons: classes that win where polygons overlap, the first most; else later polygons win.", ()
    )
    layer: str | None = key("Of polygons: the layer of the file.", None)
    assume_crs: str | None = key("The CRS of labels that name none, such as EPSG:32640.", None)


@dataclass(frozen=True, slots=True)
class SameGround:
    """Two images without georeferencing that picture the same ground."""

    a: str = key("An image, from the data folder on.")
    b: str = key("Another image.")
    shift: tuple[int, int] = key("[rows, columns]: the ground at pixel (r, c) of a is at (r + rows, c + columns) of b.")


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How ground is parted into training and validation."""

    method: Literal["blocks", "groups"] = key("By square blocks of ground, or by whole groups of images.", "blocks")
    validation: float = key("The share of the labelled ground that validates.", 0.2, low=0, high=0.9)
    block: str = key("Side of the blocks, in pixels of training or metres.", "512px", check=_size)
    guard: str = key(
        "Ground around validation that does not train, in pixels of training or metres.", "32px", check=_size
    )
    group: str = key(
        "What of an image's name is its group, as a regular expression; else its folder.",
        "",
        check=lambda v: _expression(v) if v else None,
    )
    groups: tuple[str, ...] = key("The groups that validate; else drawn by the seed.", ())
    folds: tuple[tuple[str, ...], ...] = key(
        "Sets of groups, each left out by a run of its own, which is judged by it; the model itself trains on all.",
        (),
    )
    seed: int = key("Another seed draws other ground.", 0, low=0)


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Imagery, labels and the ground they are split by."""

    sources: tuple[SourceConfig, ...] = key("Images and their labels.")
    classes: tuple[ClassConfig, ...] = key("The classes, in the order of the model's outputs.")
    folder: str = key("Where file names begin, from the configuration's own folder on.", ".")
    bands: tuple[str, ...] = key(
        "What the model calls its bands, such as red, green, blue, nir; else taken from the first image.", ()
    )
    data_type: Literal["auto", "uint8", "uint16", "float32"] = key(
        "The type of the pixel values; `auto` takes that of the images.", "auto"
    )
    resolution_m: float | None = key(
        "Metres per pixel to train at; else that of the images. Images that differ by more than 10 % are resampled.",
        None,
        above=0,
    )
    scale: Literal["measured", "range"] = key(
        "What normalises pixels: mean and deviation of the labelled ground, or the range of values, to -1…1, as the "
        "shipped encoder has learnt it.", "measured",
    )  # fmt: skip
    nodata: float | None = key("The pixel value without data, instead of what the files say.", None)
    ignore: tuple[int | str, ...] = key("Label values that mean: not labelled.", ())
    unlisted: Literal["error", "ignore"] = key("What becomes of label values that no class lists.", "error")
    on_read_error: Literal["fail", "nodata"] = key("What becomes of damaged blocks of an image.", "fail")
    split: SplitConfig = key("The split.", SplitConfig())
    same_ground: tuple[SameGround, ...] = key("Overlaps that files without georeferencing cannot tell.", ())

    @property
    def legend(self) -> Legend:
        """The classes as the model's legend."""
        bare = {i: c.name for i, c in enumerate(self.classes) if not c.color}
        colors = colors_of(bare, (c.color for c in self.classes if c.color))
        return Legend(
            tuple(Class(c.id, c.name, c.color or colors[i], c.background) for i, c in enumerate(self.classes))
        )


def _check_data(data: DataConfig, source: str) -> None:
    if not data.sources:
        raise UsageError(source, "data.sources is empty", "add [[data.sources]] with images and labels")
    _check_folds(data.split, source)
    if not data.classes:
        raise UsageError(source, "data.classes is empty", "add [[data.classes]] with id and name")
    if all(s.use == "unlabelled" for s in data.sources):
        raise UsageError(source, "data.sources are all unlabelled", "add one with labels, which teach what classes are")
    if len(data.classes) > 250:
        raise UsageError(source, f"data.classes has {len(data.classes)} classes, the limit is 250", "join some")
    for what, values in (
        ("id", [str(c.id) for c in data.classes]),
        ("name", [c.name.casefold() for c in data.classes]),
    ):
        twice = [v for v in values if values.count(v) > 1]
        if twice:
            raise UsageError(source, f"data.classes has the {what} {twice[0]} twice", "give each class its own")
    meanings: dict[str, str] = {str(v).casefold(): "ignore" for v in data.ignore}
    for c in data.classes:
        for value in c.values:
            other = meanings.setdefault(str(value).casefold(), c.name)
            if other != c.name:
                raise UsageError(
                    source, f"the label value {value!r} means {other} and {c.name}", "let it mean one thing"
                )
    for i, s in enumerate(data.sources, 1):
        _check_source(s, data, source, f"data.sources[{i}]")


def _check_folds(split: SplitConfig, source: str) -> None:
    """Raise `UsageError` where the sets of groups cannot be left out one after the other."""
    if not split.folds:
        return
    if split.method != "groups" or split.groups:
        problem = 'data.split.folds goes with method = "groups" and without groups'
        raise UsageError(source, problem, "leave out data.split.groups" if split.groups else 'set method = "groups"')
    if len(split.folds) < 2 or not all(split.folds):
        raise UsageError(source, "data.split.folds leaves one set of groups out, or an empty one", "name two or more")
    names = [name for fold in split.folds for name in fold]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(source, f"data.split.folds names the group {twice[0]!r} twice", "name it in one set")


_OF_LABELS = {
    "labels": "labels", "attribute": "attribute", "feature_class": "class", "outside": "outside",
    "priority": "priority", "layer": "layer", "assume_crs": "assume_crs",
}  # fmt: skip
"""What is said of labels: the field of a source, and its key."""


def _check_labels(s: SourceConfig, source: str, path: str) -> None:
    """Raise `UsageError` for a source that lacks labels, or says something of labels that it has not."""
    if s.use != "unlabelled":
        if not s.labels:
            raise UsageError(source, f"{path}.labels is missing", 'name them, or say use = "unlabelled"')
        return
    given = [key for field, key in _OF_LABELS.items() if getattr(s, field)]
    if given:
        raise UsageError(source, f"{path} is unlabelled and has {given[0]}", f"leave out {given[0]}, or the use")


def _check_source(s: SourceConfig, data: DataConfig, source: str, path: str) -> None:
    if not s.images:
        raise UsageError(source, f"{path}.images is empty", 'name files or patterns, such as "images/*.tif"')
    _check_labels(s, source, path)
    if s.attribute is not None and s.feature_class is not None:
        raise UsageError(source, f"{path} has an attribute and a class", "use one of the two")
    named = [("class", s.feature_class), ("outside", s.outside), *(("priority", p) for p in s.priority)]
    for what, name in named:
        if name is not None and name.casefold() not in {n.casefold() for n in data.legend.names}:
            raise UsageError(
                source, f"{path}.{what} is {name!r}, which is not a class", f"use one of {', '.join(data.legend.names)}"
            )
    if s.bands and data.bands and len(s.bands) != len(data.bands):
        problem = f"{path}.bands names {len(s.bands)} bands, data.bands {len(data.bands)}"
        raise UsageError(source, problem, "name one band for each")
