"""Quantising: a network's graph with its convolutions in 8-bit integers, by NNCF, from windows of real imagery."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Sequence
from typing import Any

from mapgen.arrays import Array
from mapgen.model.engine import unreported
from mapgen.model.runtime import core, written

METHOD = "NNCF {version} post-training quantisation, mixed preset, fast bias correction, {count} windows of {side} px"


def quantized(graph: tuple[bytes, bytes], samples: Sequence[Array]) -> tuple[bytes, bytes, str]:
    """The int8 form of a graph (OpenVINO's XML and numbers): its XML, its numbers, and one line on how it was made.

    `samples` are normalised pixels, float32 (1, C, H, W); each layer's range is taken from what they make of it.
    Weights are symmetric with a scale for each output channel; activations behind a ReLU are unsigned, others
    asymmetric; biases make up for the mean error of their layer.
    """
    nncf = _nncf()
    from openvino._offline_transformations import apply_moc_transformations

    model = core().read_model(*graph)
    apply_moc_transformations(model, cf=True)  # norms become part of the convolutions, as in what is quantised
    with _silence():
        model = nncf.quantize(
            model,
            nncf.Dataset(samples),
            subset_size=len(samples),
            preset=nncf.QuantizationPreset.MIXED,
        )
    side = max(max(sample.shape[2:]) for sample in samples)
    return *written(model), METHOD.format(version=nncf.__version__, count=len(samples), side=side)


def _nncf() -> Any:
    """The package, imported without a word to its makers or to the terminal."""
    named = "NNCF_CI" in os.environ
    os.environ.setdefault("NNCF_CI", "1")  # else it reports, should the package for it be loaded
    try:
        with _silence(), unreported():
            import nncf
    finally:
        if not named:
            del os.environ["NNCF_CI"]
    return nncf


@contextlib.contextmanager
def _silence() -> Any:
    """Keep progress bars and hints of the libraries off the terminal: stdout is for results."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
