"""Each target of the fuzzer with some seeds: what it would find in its first second."""

import os

import numpy as np
import pytest
from damage import damaged
from targets import TARGETS, examples

SEEDS = int(os.environ.get("MAPGEN_FUZZ_SEEDS", "40"))


@pytest.fixture(scope="module")
def whole(ground):
    """Bytes that each target takes as they are."""
    return examples(ground)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_of_our_own_takes_any_bytes(whole, name):
    """Hostile files: it returns, or raises what it says that it raises; `target` lets nothing else through."""
    if name not in whole:
        pytest.skip("what makes its example is not installed")
    target, _ = TARGETS[name]
    target(whole[name])
    rng = np.random.default_rng(1)
    for seed in range(SEEDS):
        target(damaged(whole[name], seed))
        target(rng.bytes(int(rng.integers(60))))
