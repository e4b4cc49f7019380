"""Processes that make crops: the same ones in the same order, and none is left behind."""

import multiprocessing
import os
import pickle
import signal
from contextlib import closing

import numpy as np
import pytest
import torch
from runs import make_run

from mapgen.dataset.dataset import Piece
from mapgen.dataset.mapped import mapped, received, sent
from mapgen.errors import Interrupted, ResourceError
from mapgen.model.file import open_model, read_tensors
from mapgen.training.augment import Geometry, Light
from mapgen.training.config import content_key, parse_config, read_config
from mapgen.training.samples import Sampler, Sampling
from mapgen.training.train import run, train
from mapgen.training.workers import Workers, crops_of

STRONG = Sampling(0.5, Geometry(True, 20, (0.6, 1.6)), Light(0.1, 0.3, 0.3, 0.1, 0.5, 0.3, 0.03, 0.3))
PLAN = [(3, 2, 32), (4, 2, 32), (5, 4, 32), (6, 1, 64), (7, 1, 64)]


@pytest.fixture
def pieces(tmp_path):
    """Two pieces of ground: a window of what lies in a file, and one in memory."""
    rng = np.random.default_rng(0)
    rng.integers(0, 256, (3, 96, 128), np.uint8).tofile(tmp_path / "images.bin")
    rng.integers(0, 3, (96, 128), np.uint8).tofile(tmp_path / "labels.bin")
    image = mapped(tmp_path / "images.bin", np.dtype(np.uint8)).reshape(3, 96, 128)
    label = mapped(tmp_path / "labels.bin", np.dtype(np.uint8)).reshape(96, 128)
    plain = Piece("b", np.array(image[:, :64, :64]), np.array(label[:64, :64]))
    return Piece("a", image[:, 10:90, 5:], label[10:90, 5:]), plain


def test_batches_are_the_same_whoever_makes_them(pieces):
    sampler = Sampler(pieces, 3, STRONG, seed=4)
    alone = [sampler.batch(*place) for place in PLAN]
    for count in (0, 1, 3):
        with crops_of(sampler, PLAN, count) as batches:
            made = [batches.batch(*place) for place in PLAN]
        for one, other in zip(alone, made, strict=True):
            assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not multiprocessing.active_children()


def test_ground_in_files_is_not_sent_but_found(pieces):
    parcel = pickle.dumps(sent(pieces[:1]))
    assert len(parcel) < 2000
    (piece,) = received(pickle.loads(parcel))
    np.testing.assert_array_equal(piece.image, pieces[0].image)
    np.testing.assert_array_equal(piece.label, pieces[0].label)
    assert not piece.image.flags.writeable
    assert received(sent(pieces[1:]))[0].image is pieces[1].image


def test_a_process_that_is_lost_is_said(pieces):
    with closing(Workers(Sampler(pieces, 3, STRONG), PLAN, 1)) as workers:
        workers.batch(*PLAN[0])
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(ResourceError, match=r"run\.workers: a process .* was ended by SIGKILL; .* use fewer"):
            list(map(workers.batch, *zip(*PLAN[1:], strict=True)))
    assert not multiprocessing.active_children()


def test_a_run_with_processes_is_the_run_without_and_a_stop_ends_them(tmp_path):
    config = make_run(tmp_path)
    plain = train(config, tmp_path / "plain")
    with_workers = read_config(make_run(tmp_path, "two.toml", run={"workers": 1}))
    assert content_key(with_workers) == content_key(parse_config(config.read_text()))
    steps = []

    def stop(report):
        steps.append(report.step)
        if report.step == 6:
            raise Interrupted("SIGINT", "stopped", "")

    with pytest.raises(Interrupted):
        run(with_workers, tmp_path / "other", progress=stop)
    assert not multiprocessing.active_children()
    other = train(config, tmp_path / "other")  # and it goes on without them
    assert (steps[-1], other.begun) == (6, 6)
    one, two = (read_tensors(open_model(done.model)) for done in (plain, other))
    assert all(np.array_equal(one[k], two[k]) for k in one)
