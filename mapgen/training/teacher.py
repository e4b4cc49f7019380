"""The teacher: what other models answer, learned beside the labels, also where nobody drew any.

Hinton et al. 2015, Distilling the Knowledge in a Neural Network; with the run's own average as teacher, Tarvainen and
Valpola 2017, Mean teachers are better role models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mapgen.errors import UsageError
from mapgen.model.card import ModelCard
from mapgen.model.network import channels_last
from mapgen.training.fit import State

SAME = 0.1
"""A teacher's resolution may differ from that of training by this share, as that of images may."""


def taught(scores: Tensor, wanted: Tensor, temperature: float = 1.0, sure: Tensor | None = None) -> Tensor:
    """The mean over all pixels of T²·KL(wanted ‖ softmax(scores / T)), 0 where `sure` (N, H, W) is false.

    `scores` (N, K, H, W); `wanted` (N, K, H, W) are probabilities at the temperature T. The factor keeps gradients as
    large as those of labels (Hinton et al. 2015, section 2). Law: 0 and without gradient where both agree.
    """
    log_q = F.log_softmax(scores / temperature, 1)
    gap = (torch.xlogy(wanted, wanted) - wanted * log_q).sum(1)
    if sure is not None:
        gap = torch.where(sure, gap, torch.zeros_like(gap))
    return temperature**2 * gap.mean()


@dataclass(frozen=True, slots=True)
class Tutor:
    """One of the models that teach: its network (the run's average where None), and how it sees the run's pixels."""

    network: nn.Module | None
    bands: tuple[int, ...]
    """Its bands, by their places among those of training."""
    mean: Tensor
    std: Tensor
    """(1, C, 1, 1), of its bands, in pixel values."""
    channels: tuple[int, ...]
    """Its channels in the order of the classes that are taught."""

    def scores(self, images: Tensor, state: State) -> Tensor:
        """Its scores (N, K', H, W) of the classes that are taught, for images (N, C, H, W) of pixel values."""
        network = state.average if self.network is None else self.network
        x = (images[:, list(self.bands)] - self.mean) / self.std
        found: Tensor = network(x.contiguous(memory_format=torch.channels_last)).float()
        return found[:, list(self.channels)]


class Teacher:
    """A term of the loss: `share` × the mean answer of the tutors. It never learns, and knows `classes` alone.

    `classes` are channels of the run's network; a class that the tutors lack gets no pull, up or down. Pixels where
    their most likely class has a probability below `trust` teach nothing.
    """

    def __init__(
        self, tutors: Sequence[Tutor], classes: Sequence[int], share: float, temperature: float, trust: float
    ) -> None:
        self._tutors, self._classes = tuple(tutors), list(classes)
        self._share, self._temperature, self._trust = share, temperature, trust

    def __call__(self, images: Tensor, scores: Tensor, state: State) -> Tensor:
        """The loss of `scores` (N, K, H, W), the network's for `images` (N, C, H, W)."""
        with torch.no_grad():
            answers = [tutor.scores(images, state) for tutor in self._tutors]
            wanted = torch.stack([(a / self._temperature).softmax(1) for a in answers]).mean(0)
            sure = None
            if self._trust:
                sure = torch.stack([a.softmax(1) for a in answers]).mean(0).amax(1) >= self._trust
        return self._share * taught(scores[:, self._classes], wanted, self._temperature, sure)


def tutor(name: str, card: ModelCard, network: nn.Module, wanted: ModelCard) -> Tutor:
    """The model with this card as a tutor of the model `wanted`. Bands and classes are matched by name, in any case.

    Raises `UsageError` where it wants bands that training lacks, has classes that the run lacks or but one, or knows
    another type of pixel values or another resolution.
    """
    bands = _places(card.bands, wanted.bands, name, "band")
    _places(card.legend.names, wanted.legend.names, name, "class")
    if len(card.legend) < 2:
        raise _refusal(name, "has one class, which teaches nothing", "name another model")
    if card.data_type != wanted.data_type:
        raise _refusal(name, f"knows pixels of {card.data_type}, the run has {wanted.data_type}", "name another model")
    there, here = card.resolution_m, wanted.resolution_m
    if there and here and abs(there / here - 1) > SAME:
        raise _refusal(name, f"knows {there:g} m a pixel, the run has {here:g}", f"set data.resolution_m = {there:g}")
    theirs = {c.casefold(): i for i, c in enumerate(card.legend.names)}
    channels = tuple(theirs[c.casefold()] for c in wanted.legend.names if c.casefold() in theirs)
    return Tutor(network.eval().requires_grad_(False), bands, *_scale(card), channels)


def own_average(wanted: ModelCard, classes: Sequence[int]) -> Tutor:
    """The run's own average as its tutor in these of its classes."""
    return Tutor(None, tuple(range(len(wanted.bands))), *_scale(wanted), tuple(classes))


def _scale(card: ModelCard) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the card's bands, each (1, C, 1, 1)."""
    mean, std = (torch.tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in (card.mean, card.std))
    return mean, std


def on_device(one: Tutor, device: torch.device) -> Tutor:
    """The same tutor where the run computes."""
    network = None if one.network is None else channels_last(one.network.to(device))
    return replace(one, network=network, mean=one.mean.to(device), std=one.std.to(device))


def taught_classes(cards: Mapping[str, ModelCard], wanted: ModelCard) -> tuple[int, ...]:
    """The channels of `wanted` that the models with these cards know. Raises `UsageError` where they know others each.

    Their answers are averaged, which only models of the same classes allow.
    """
    known = {name: frozenset(c.casefold() for c in card.legend.names) for name, card in cards.items()}
    first = next(iter(known), None)
    other = next((name for name in known if known[name] != known[first]), None) if first is not None else None
    if first is not None and other is not None:
        raise _refusal(other, f"has other classes than {first}", "let teachers of one run know the same classes")
    names = [c.casefold() for c in wanted.legend.names]
    return tuple(k for k, name in enumerate(names) if first is None or name in known[first])


def _places(theirs: Sequence[str], ours: Sequence[str], name: str, what: str) -> tuple[int, ...]:
    index = {one.casefold(): i for i, one in enumerate(ours)}
    lacking = [one for one in theirs if one.casefold() not in index]
    if lacking:
        raise _refusal(
            name, f"knows the {what} {lacking[0]}, which the run lacks", f"name another model, or rename the {what}"
        )
    return tuple(index[one.casefold()] for one in theirs)


def _refusal(name: Any, problem: str, remedy: str) -> UsageError:
    return UsageError("teacher.from", f"{name} {problem}", remedy)
