"""What a network costs, whatever machine runs it: multiplications for a pixel, and the weights that it has."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from mapgen.model.file import Model
from mapgen.training.parts import loaded

_SIDE = 256


def multiplications(model: Model) -> float | None:
    """Multiply-adds of a model for a pixel, on windows of about 256²; None for networks that are held as a graph.

    Nothing is computed: shapes alone run through the network, on torch's meta device.
    """
    if model.card.graph is not None:
        return None
    network = loaded(model).to("meta").eval()
    stride = model.card.stride
    side = -(-_SIDE // stride) * stride
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, len(model.card.bands), side, side, device="meta"))
    return counter.get_total_flops() / 2 / side**2
