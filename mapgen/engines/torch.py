"""The reference engine: torch on CUDA, MPS or the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from mapgen.engines.protocol import Array, Network, Setup, Tag
from mapgen.errors import ModelError, ResourceError, UsageError, one_line
from mapgen.learn.network import build
from mapgen.settings import Device


class TorchEngine:
    """`Engine` by torch in float32, the reference that the others are compared with."""

    name = "torch"

    def __init__(self, network: Network, setup: Setup, device: Device = "auto") -> None:
        self.device = _device(device)
        self._net = Normalized(load_network(network), setup).to(self.device).eval()

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities of each batch, in order."""
        for tag, pixels in batches:
            if pixels is None:
                yield tag, None
                continue
            try:
                with torch.inference_mode():
                    result = self._net(torch.from_numpy(pixels).to(self.device)).cpu().numpy()
            except torch.OutOfMemoryError as exc:
                count, _, height, width = pixels.shape
                problem = f"{count} windows of {width} × {height} pixels do not fit into the memory of {self.device}"
                raise ResourceError("torch", problem, "use a smaller --batch or --window") from exc
            yield tag, result


class Normalized(torch.nn.Module):
    """A network with its normalization before it and a softmax behind it: raw pixels in, probabilities out."""

    def __init__(self, net: torch.nn.Module, setup: Setup) -> None:
        super().__init__()
        self.net = net
        self.mean: torch.Tensor
        self.std: torch.Tensor
        norm = setup.normalization
        self.low, self.high = norm.low, norm.high
        self.register_buffer("mean", torch.tensor(norm.mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(norm.std)[None, :, None, None])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 (N, K, H, W) of raw pixels (N, C, H, W)."""
        x = pixels.float()
        if self.low is not None:
            x = x.clamp(self.low, self.high)
        scores: torch.Tensor = self.net((x - self.mean) / self.std)
        return scores.softmax(1)


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
    tensors = network.load()
    problem = misfit(
        {k: tuple(v.shape) for k, v in net.state_dict().items()}, {k: tuple(v.shape) for k, v in tensors.items()}
    )
    if problem:
        raise ModelError(
            network.subject,
            f"its tensors do not fit {card.architecture} {card.encoder}: {problem}",
            "correct the card and save the model again",
        )
    net.load_state_dict(
        {name: torch.from_numpy(value).to(net.state_dict()[name].dtype) for name, value in tensors.items()}
    )
    return net.eval()


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


def _device(wanted: Device) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "--device", "torch finds no CUDA device here", "use --device cpu, or install a driver and torch for CUDA"
        )
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device", "torch finds no Apple GPU here", "use --device cpu")
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def probabilities_module(network: Network) -> Any:
    """The bare network with a softmax behind it, for engines that convert graphs."""

    class WithSoftmax(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.net(x)
            return scores.softmax(1)

    return WithSoftmax(load_network(network)).eval()
