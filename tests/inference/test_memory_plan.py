"""Windows that fit into a memory limit."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapgen.inference.memory import candidates, choose, pixel_bytes, pixels_at_once, tightened
from mapgen.legend import BUILTIN
from mapgen.model.card import ModelCard
from mapgen.plan import plan_windows

CARD = ModelCard("m", "Unet", "resnet18", ("red",), (0.0,), (1.0,), BUILTIN, 1.0, window=512, halo=32)
MB = 1_000_000


@given(st.integers(1, 5000), st.sampled_from([128, 256, 512]), st.sampled_from([0, 32]))
def test_a_tightened_window_takes_as_many_steps_and_none_smaller_does(size, window, halo):
    spans = plan_windows(size, size, window, halo, 32).rows
    side = tightened(spans, window, halo, 32)
    assert side <= window
    assert len(plan_windows(size, size, side, halo, 32).rows) == len(spans)
    if side > 2 * halo + 32:
        assert len(plan_windows(size, size, side - 32, halo, 32).rows) > len(spans)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(30, 2000))
def test_what_is_chosen_fits_where_anything_does(height, width, room):
    got = choose(CARD, "fp32", 1_000_000, (height, width), 32, room * MB)
    smallest = min(pixels_at_once(plan, 32) for _, plan in candidates(CARD, 32, height, width))
    fixed = 8 * 1_000_000
    if fixed + smallest * pixel_bytes(CARD, "fp32") <= room * MB:
        assert got.bytes <= room * MB
    assert got.requests >= 1
    assert all(side % 32 == 0 for side in got.window)


def test_more_memory_buys_larger_windows_and_less_repetition():
    windows = [max(choose(CARD, "fp32", 0, (9000, 9000), 32, room * MB).window) for room in (50, 200, 800)]
    assert windows == sorted(windows)
    assert windows[0] < windows[2]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_less_precision_takes_less_memory(precision):
    assert pixel_bytes(CARD, precision) < pixel_bytes(CARD, "fp32")
    assert pixel_bytes(dataclasses.replace(CARD, architecture="Strange"), "fp32") >= pixel_bytes(CARD, "fp32")


def test_what_is_carried_takes_requests_and_never_changes_the_window():
    light, heavy = (choose(CARD, "fp32", 0, (9000, 9000), 32, 700 * MB, carried=c) for c in (0, 200))
    assert light.window == heavy.window
    assert light.requests > heavy.requests


def test_a_window_that_was_asked_for_is_taken():
    assert choose(CARD, "fp32", 0, (3000, 3000), 32, 10 * MB, window=1024).window == (1024, 1024)


def test_jobs_that_share_memory_take_fewer_windows_at_once_and_no_other_ones():
    """Law: the window, and with it every pixel, is that of one job."""
    for room in (300_000_000, 1_000_000_000):
        alone = choose(CARD, "fp32", 1_000_000, (4000, 4000), 32, room)
        shared = choose(CARD, "fp32", 1_000_000, (4000, 4000), 32, room, own=room // 3)
        assert shared.window == alone.window
        assert 1 <= shared.requests < alone.requests
        assert shared.bytes < alone.bytes
