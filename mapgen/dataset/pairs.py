"""Pairs: which images there are to train from, and which labels lie on each."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mapgen.dataset.config import DataConfig, SourceConfig
from mapgen.errors import InputError, UsageError, one_line

_BESIDE = (".aux.xml", ".ovr", ".msk", ".tfw", ".jgw", ".pgw", ".wld", ".prj", ".qml")
"""Ends of names that a pattern such as `images/*` finds beside images."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its labels, each with the number of the source that names it; later labels lie over earlier ones.
    An unlabelled one has none.

    `name` is the image's path from the data folder on, with slashes.
    """

    name: str
    image: Path
    labels: tuple[tuple[Path, int], ...]
    source: SourceConfig
    group: str


def find_pairs(data: DataConfig) -> list[Pair]:
    """Every image that the sources name, by source and name, with its labels and its group.

    Raises `InputError` for patterns that match nothing, and for images without labels or with more than one to choose
    from; `UsageError` where two sources say different things of an image.
    """
    folder = Path(data.folder)
    if not folder.is_dir():
        raise InputError(one_line(folder), "is not a folder", "correct data.folder")
    found: dict[Path, Pair] = {}
    for number, source in enumerate(data.sources):
        for image, label in _matched(folder, source):
            pair = found.get(image)
            if pair is None:
                name = _name(folder, image)
                labels = () if label is None else ((label, number),)
                group = _group(name, data.split.group) if labels else ""  # which are for the split
                found[image] = Pair(name, image, labels, source, group)
                continue
            if (pair.source.use, pair.source.weight) != (source.use, source.weight):
                first = data.sources.index(pair.source)
                problem = f"is in data.sources {first + 1} and {number + 1} with another use or weight"
                raise UsageError(one_line(image), problem, "give both the same")
            if label is not None:
                found[image] = Pair(pair.name, image, (*pair.labels, (label, number)), pair.source, pair.group)
    return list(found.values())


def _matched(folder: Path, source: SourceConfig) -> Sequence[tuple[Path, Path | None]]:
    images = list(dict.fromkeys(path for pattern in source.images for path in _files(folder, pattern, "images")))
    if source.use == "unlabelled":
        return [(image, None) for image in images]
    if "{" in source.labels:
        pairs = [(image, _filled(folder, source.labels, image)) for image in images]
    elif glob.has_magic(source.labels):
        pairs = _by_stem(images, _files(folder, source.labels, "labels"), source.labels)
    else:
        (label,) = _files(folder, source.labels, "labels")
        pairs = [(image, label) for image in images]
    labels = {label for _, label in pairs}
    pairs = [(image, label) for image, label in pairs if image not in labels]  # one pattern may find both
    if not pairs:
        raise InputError(one_line(folder / source.images[0]), "matches labels alone", "name the images")
    missing = [(image, label) for image, label in pairs if not label.exists()]
    if missing:
        image, label = missing[0]
        what = f"and {len(missing) - 1} more have" if len(missing) > 1 else "has"
        raise InputError(one_line(image), f"{what} no labels: there is no {one_line(label)}", "correct `labels`")
    return pairs


def _files(folder: Path, pattern: str, what: str) -> list[Path]:
    """The files that a name or pattern means, sorted."""
    if not glob.has_magic(pattern):
        path = folder / pattern
        if not path.exists():
            raise InputError(one_line(path), "no such file", f"correct `{what}` in [[data.sources]]")
        return [path]
    names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))
    paths = [folder / n for n in names if not n.lower().endswith(_BESIDE) and (folder / n).is_file()]
    if not paths:
        raise InputError(one_line(folder / pattern), "matches no file", f"correct `{what}` in [[data.sources]]")
    return paths


def _filled(folder: Path, template: str, image: Path) -> Path:
    text = template.replace("{stem}", image.stem).replace("{folder}", image.parent.as_posix())
    if "{" in text and "{" in re.sub(r"\{(stem|folder)\}", "", template):
        raise UsageError(
            "data.sources.labels", f"{template!r} has other braces than {{stem}} and {{folder}}", "use these"
        )
    return folder / text


def _by_stem(images: Iterable[Path], labels: Iterable[Path], pattern: str) -> list[tuple[Path, Path]]:
    known: dict[str, list[Path]] = {}
    for label in labels:
        known.setdefault(label.stem, []).append(label)
    pairs = []
    for image in images:
        own = [p for p in known.get(image.stem, []) if p != image]
        if len(own) > 1:
            own = [p for p in own if p.parent.name == image.parent.name]
        if len(own) != 1:
            what = "no labels" if not own else f"{len(own)} labels"
            problem = f"has {what} of its name in {pattern}"
            raise InputError(one_line(image), problem, 'say how they are named, such as "labels/{stem}_mask.tif"')
        pairs.append((image, own[0]))
    return pairs


def _name(folder: Path, image: Path) -> str:
    try:
        return image.relative_to(folder).as_posix()
    except ValueError:
        return image.as_posix()


def _group(name: str, expression: str) -> str:
    if not expression:
        return str(PurePosixPath(name).parent)
    found = re.search(expression, name)
    if found is None or found.group(1) is None:
        raise InputError(
            one_line(name), f"data.split.group ({expression}) finds no group in it", "correct the expression"
        )
    return found.group(1)
