"""The reference engine: torch on CUDA, MPS or the CPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from mapgen.arrays import Array
from mapgen.errors import ModelError, ResourceError, UsageError, one_line, option
from mapgen.model.card import ModelCard
from mapgen.model.engine import UNDECIDED, Network, Setup, Tag
from mapgen.model.network import agrees, build, narrow
from mapgen.settings import Device, Precision

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """`Engine` by torch; in float32 the reference that the others are compared with."""

    name = "torch"

    def __init__(self, network: Network, setup: Setup, device: Device = "auto") -> None:
        self.device = _device(device)
        self.precision = _precision(setup.precision, self.device)
        self.batch = 8 if self.device == "cuda" else 1
        if setup.threads is not None:
            torch.set_num_threads(setup.threads)
        self._net = Raw(load_network(network), setup, _TYPES.get(self.precision)).to(self.device).eval()
        if self.device == "cuda":  # the layout that its tensor cores want
            self._net = self._net.to(memory_format=torch.channels_last)
        self._room: int | None = None

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities or classes of each batch, in order; a GPU works on the next while one is brought back."""
        flying: deque[tuple[Any, list[torch.Tensor] | None]] = deque()
        for tag, pixels in batches:
            flying.append((tag, None if pixels is None else self._started(pixels)))
            while flying and (flying[0][1] is None or len(flying) > self._ahead):
                yield self._landed(*flying.popleft())
        while flying:
            yield self._landed(*flying.popleft())

    @property
    def _ahead(self) -> int:
        return 1 if self.device == "cuda" else 0

    def _started(self, pixels: Array) -> list[torch.Tensor]:
        """Results of the batch on the device, in as many parts as its memory asks for."""
        count, _, height, width = pixels.shape
        source = torch.from_numpy(pixels)
        if self.device == "cuda":
            source = source.pin_memory()
        while True:
            room = min(count, self._room or count)
            try:
                with torch.inference_mode():
                    parts = torch.split(source, room)
                    return [self._net(part.to(self.device, non_blocking=True)) for part in parts]
            except torch.OutOfMemoryError as exc:
                if room == 1:
                    problem = f"a window of {width} × {height} pixels does not fit into the memory of {self.device}"
                    raise ResourceError("torch", problem, f"use a smaller {option('window')}") from exc
                self._room = room // 2
            if self.device == "cuda":
                torch.cuda.empty_cache()

    def _landed(self, tag: Any, parts: list[torch.Tensor] | None) -> tuple[Any, Array | None]:
        return tag, None if parts is None else np.concatenate([part.cpu().numpy() for part in parts])


class Raw(torch.nn.Module):
    """A network that takes raw pixels: its normalization before it, and what the set-up asks for behind it."""

    def __init__(self, net: torch.nn.Module, setup: Setup, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.net = net
        self.dtype = dtype
        """What autocast computes in; None leaves all in float32."""
        self.classes = setup.output == "classes"
        self.mean: torch.Tensor
        self.std: torch.Tensor
        norm = setup.normalization
        self.low, self.high = norm.low, norm.high
        self.register_buffer("mean", torch.tensor(norm.mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(norm.std)[None, :, None, None])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 (N, K, H, W), or classes uint8 (N, H, W), of raw pixels (N, C, H, W)."""
        scores = self.scores(pixels)
        if not self.classes:
            return scores.softmax(1)
        best = scores.argmax(1).to(torch.uint8)
        return best.masked_fill_(~scores.sum(1).isfinite(), UNDECIDED)

    def scores(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scores float32 (N, K, H, W) of raw pixels (N, C, H, W)."""
        x = pixels.float()
        if self.low is not None:
            x = x.clamp(self.low, self.high)
        x = (x - self.mean) / self.std
        if x.device.type == "cuda":
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype is not None):
            scores: torch.Tensor = self.net(x)
        return scores.float()  # half of the numbers is not enough for probabilities that sum to one


def load_network(network: Network) -> torch.nn.Module:
    """The network of a model, its weights loaded strictly, in evaluation mode.

    Raises `ModelError` where the card's architecture does not take the file's tensors, with how many do not fit.
    """
    card = network.card
    try:
        net = build(card.architecture, card.encoder, len(card.bands), len(card.legend), **card.parameters)
    except ModelError as exc:
        asked = f"its card asks for {one_line(exc.subject)}: {one_line(exc.problem)}"
        raise ModelError(network.subject, asked, exc.remedy) from exc
    return with_weights(net, network.load(), card, network.subject)


def with_weights(net: torch.nn.Module, tensors: Mapping[str, Array], card: ModelCard, subject: str) -> torch.nn.Module:
    """The network itself, in evaluation mode, with these tensors, which are to be all of its own."""
    narrower = narrow(net, {k: tuple(v.shape) for k, v in tensors.items()})
    state = net.state_dict()
    problem = misfit({k: tuple(v.shape) for k, v in state.items()}, {k: tuple(v.shape) for k, v in tensors.items()})
    if problem:
        named = f"{card.architecture} {card.encoder}".strip() or "the network"
        raise ModelError(
            subject, f"its tensors do not fit {named}: {problem}", "correct the card and save the model again"
        )
    net.load_state_dict({name: torch.from_numpy(value).to(state[name].dtype) for name, value in tensors.items()})
    net.eval()
    if narrower and not agrees(net, len(card.bands), card.stride):
        raise ModelError(subject, "its tensors have widths that do not go together", "get the file again")
    return net


def misfit(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> str | None:
    """How the given tensors differ from those wanted, in counts and one example; None where they fit."""
    missing, extra = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    shapes = [k for k in wanted.keys() & given.keys() if wanted[k] != given[k]]
    if not (missing or extra or shapes):
        return None
    counts = f"{len(missing)} missing, {len(extra)} unknown, {len(shapes)} of another shape"
    example = min(shapes or missing or extra)
    detail = f" {list(given[example])} for {list(wanted[example])}" if shapes else ""
    return f"{counts} of {len(wanted)} (such as {one_line(example)}{detail})"


def cuda_available() -> bool:
    """Whether torch can compute on an NVIDIA GPU here."""
    return torch.cuda.is_available()


def usual_precision(device: Device) -> Precision:
    """What the engine computes in on `device` where nothing is said. An estimate: the device may not be there."""
    return _precision("auto", find_device(device) or "cpu")


def _precision(wanted: Precision, device: str) -> Precision:
    """`auto`: half precision on CUDA, bf16 where the card has it; elsewhere float32, the reference."""
    if wanted != "auto":
        if wanted == "fp16" and device == "cpu":
            raise UsageError(
                option("precision"),
                "torch does not compute in fp16 on a CPU",
                f"use {option('precision', 'bf16')} or fp32",
            )
        return wanted
    return cuda_half() if device == "cuda" else "fp32"


def _device(wanted: Device) -> str:
    found = find_device(wanted)
    if found is None and wanted == "cuda":
        raise UsageError(
            option("device"),
            "torch finds no CUDA device here",
            f"use {option('device', 'cpu')}, or install a driver and torch for CUDA",
        )
    if found is None:
        raise UsageError(option("device"), "torch finds no Apple GPU here", f"use {option('device', 'cpu')}")
    return found


def find_device(wanted: str) -> str | None:
    """The device called `cpu`, `cuda` or `mps`, None where torch does not find it; `auto` is a GPU where there is one.

    For inference and for training alike.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, found in there.items() if found)
    return wanted if there[wanted] else None


def cuda_half() -> Precision:
    """The half precision of the CUDA device: bf16 where it has it."""
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
