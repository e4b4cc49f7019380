"""Transfer: a network that begins as another one, for labels that are too few to learn everything from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mapgen.errors import UsageError
from mapgen.model.card import ModelCard
from mapgen.model.network import agrees, build, imagenet, narrow

Part = Literal["all", "encoder"]

RGB = ("red", "green", "blue")
"""The bands that ImageNet's pictures have."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network begins as: what errors call it, its bands and classes, and its tensors by name."""

    name: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    tensors: Mapping[str, Tensor]


def model_origin(name: str, card: ModelCard, tensors: Mapping[str, NDArray[Any]], wanted: ModelCard) -> Origin:
    """The model with this card and these tensors, as a beginning for the model `wanted`, whole.

    Raises `UsageError` where the two are not of one architecture, encoder and parameters.
    """
    for key in ("architecture", "encoder", "parameters"):
        _agree(name, key, getattr(card, key), getattr(wanted, key))
    return _origin(name, card, tensors)


def encoder_origin(name: str, card: ModelCard, tensors: Mapping[str, NDArray[Any]], wanted: ModelCard) -> Origin:
    """The same for its encoder alone, which must be the one that is wanted."""
    _agree(name, "encoder", card.encoder, wanted.encoder)
    origin = _origin(name, card, tensors)
    encoder = {k: v for k, v in origin.tensors.items() if k.startswith("encoder.")}
    return Origin(name, origin.bands, (), encoder)


def imagenet_origin(wanted: ModelCard) -> Origin:
    """The encoder of `wanted` as trained on ImageNet. Raises `NetworkError` or `UsageError`; see `imagenet`."""
    tensors = imagenet(wanted.architecture, wanted.encoder, **wanted.parameters)
    return Origin("imagenet", RGB, (), tensors)


def _origin(name: str, card: ModelCard, tensors: Mapping[str, NDArray[Any]]) -> Origin:
    values = {k: torch.from_numpy(v) for k, v in tensors.items()}
    return Origin(name, card.bands, card.legend.names, values)


def _agree(name: str, key: str, theirs: Any, ours: Any) -> None:
    one, other = (v.lower() if isinstance(v, str) else dict(v) for v in (theirs, ours))
    if one != other:
        shown = theirs if isinstance(theirs, str) else dict(theirs)
        remedy = f"set model.{key} = {shown!r}" + ("" if key == "encoder" else ', or model.take = "encoder"')
        raise UsageError("model.from", f"{name} has the {key} {shown!r}, the configuration says {ours!r}", remedy)


def transplant(network: nn.Module, wanted: ModelCard, origin: Origin) -> list[str]:
    """Give `network`, freshly built after the card `wanted`, the tensors of `origin`; what was adapted, in words.

    The first layer is fitted to the bands by `adapted_stem`, the last to the classes by `adapted_head`. Raises
    `UsageError` where another tensor has another shape.
    """
    fresh = network.state_dict()
    stems, heads = _ends(wanted, fresh, origin)
    values: dict[str, Tensor] = {}
    for name, theirs in origin.tensors.items():
        if name in stems:
            theirs = adapted_stem(theirs.float(), origin.bands, wanted.bands)
        elif name in heads:
            theirs = adapted_head(theirs.float(), origin.classes, wanted.legend.names, fresh[name])
        values[name] = theirs
    if origin.classes:  # whole, so that it may be a pruned one
        narrower = narrow(network, {name: value.shape for name, value in values.items()})
        if narrower and not agrees(network, len(wanted.bands), wanted.stride):
            raise UsageError("model.from", f"{origin.name} has widths that do not go together", "get the file again")
        fresh = network.state_dict()
    for name, theirs in values.items():
        if name not in fresh or theirs.shape != fresh[name].shape:
            shapes = f"{list(theirs.shape)} for {list(fresh[name].shape) if name in fresh else 'nothing'}"
            raise UsageError("model.from", f"{origin.name} does not fit: {name} is {shapes}", "use its architecture")
    network.load_state_dict({**fresh, **values})
    return _notes(wanted, origin)


def adapted_stem(weight: Tensor, old: Sequence[str], new: Sequence[str]) -> Tensor:
    """The kernels (O, len(new), h, w) of a first layer whose kernels (O, len(old), h, w) know other bands.

    Bands are matched by name (any case); one that is not known gets the mean of those that are. All are scaled by
    len(old) / len(new), so that what comes out stays as large. Law: where no old band is left out, scaled pixels that
    are alike in all bands give what they gave before.
    """
    index = {band.casefold(): i for i, band in enumerate(old)}
    unknown = weight.mean(1)
    kernels = [weight[:, index[b.casefold()]] if b.casefold() in index else unknown for b in new]
    return torch.stack(kernels, 1) * (len(old) / len(new))


def adapted_head(rows: Tensor, old: Sequence[str], new: Sequence[str], fresh: Tensor) -> Tensor:
    """The rows (len(new), …) of a last layer whose rows (len(old), …) are other classes.

    Classes are matched by name (any case); one that is not known keeps its row of `fresh`.
    """
    index = {name.casefold(): i for i, name in enumerate(old)}
    fresh = fresh[:, : rows.shape[1]] if rows.ndim > 1 else fresh  # as narrow as a pruned one
    picked = [rows[index[n.casefold()]] if n.casefold() in index else fresh[k] for k, n in enumerate(new)]
    return torch.stack([row.to(fresh) for row in picked])


def _ends(wanted: ModelCard, fresh: Mapping[str, Tensor], origin: Origin) -> tuple[set[str], set[str]]:
    """The names of the tensors that grow with the bands and with the classes, where these are not the origin's."""
    bands = tuple(b.casefold() for b in origin.bands) != tuple(b.casefold() for b in wanted.bands)
    names = tuple(c.casefold() for c in wanted.legend.names)
    classes = bool(origin.classes) and tuple(c.casefold() for c in origin.classes) != names
    if not bands and not classes:
        return set(), set()
    sizes = len(wanted.bands) + bands, len(wanted.legend) + classes
    other = build(wanted.architecture, wanted.encoder, *sizes, **wanted.parameters).state_dict()
    stems = {n for n, v in fresh.items() if v.ndim > 1 and v.shape[1] + 1 == other[n].shape[1]}
    heads = {n for n, v in fresh.items() if v.ndim and v.shape[0] + 1 == other[n].shape[0]}
    return stems, heads


def _notes(wanted: ModelCard, origin: Origin) -> list[str]:
    known, names = {b.casefold() for b in origin.bands}, {c.casefold() for c in origin.classes}
    averaged = [b for b in wanted.bands if b.casefold() not in known]
    kept = [c for c in wanted.legend.names if c.casefold() in names]
    notes = [f"begins as {origin.name}" + ("" if origin.classes else ", its encoder")]
    if averaged:
        notes.append(f"the mean of {', '.join(origin.bands)} stands in for {', '.join(averaged)}")
    if origin.classes and len(kept) < len(wanted.legend):
        notes.append(f"of the classes, {', '.join(kept) or 'none'} begin as they were")
    return notes
