"""Unlabelled ground: there for teachers alone, and never ground that judges."""

import numpy as np
import pytest
from factory import make_raster, north_up
from grounds import CLASSES, PAIRS, data_of, make_pair, places

from mapgen.dataset.check import check_dataset
from mapgen.dataset.dataset import EMPTY, IGNORE
from mapgen.dataset.read import read_dataset
from mapgen.errors import InputError, UsageError
from mapgen.training.config import config_of

BARE = {"images": "bare/*.tif", "use": "unlabelled"}
BLOCKS = {"block": "64px", "guard": "8px", "validation": 0.3}


def make_bare(folder, name, height=200, width=240, row=0, col=0, **profile):
    """`bare/NAME.tif` of the ground from (row, col) on; no labels lie anywhere."""
    (folder / "bare").mkdir(exist_ok=True)
    place = {"transform": north_up(1.0, (500_000.0 + col, 2_700_000.0 - row))} | profile
    make_raster(folder / "bare" / f"{name}.tif", places(height, width, row, col), **place)


def read(folder, sources=None, split=BLOCKS):
    return read_dataset(data_of(folder, sources or [*PAIRS, BARE], split=split), folder / "prepared")


def shown(pieces):
    """The (row, column) of the ground that pieces show, as booleans, from the pixels themselves."""
    found = np.zeros((3000, 3000), bool)
    for p in pieces:
        found[tuple(np.asarray(p.image[b]) for b in (0, 1))] = True
    return found


def test_it_is_a_piece_without_labels_and_changes_nothing_of_the_labelled_ones(tmp_path):
    make_pair(tmp_path, "a")
    plain = read(tmp_path, PAIRS)
    make_bare(tmp_path, "far", row=900)
    data = read(tmp_path)
    (piece,) = data.unlabelled
    assert piece.name == "bare/far.tif"
    assert (piece.label == IGNORE).all()
    np.testing.assert_array_equal(piece.image, places(200, 240, 900))
    for key in ("mean", "std", "pixels", "high"):
        assert getattr(data, key) == getattr(plain, key)
    for one, other in zip((*plain.training, *plain.validation), (*data.training, *data.validation), strict=True):
        np.testing.assert_array_equal(one.label, other.label)
        np.testing.assert_array_equal(one.image, other.image)
    again = read(tmp_path)  # what lies there already
    np.testing.assert_array_equal(again.unlabelled[0].image, piece.image)


def test_it_shows_nothing_of_validation_ground(tmp_path):
    make_pair(tmp_path, "a")
    make_bare(tmp_path, "b", row=60, col=60)
    data = read(tmp_path)
    judged = np.zeros((3000, 3000), bool)
    for p in data.validation:
        on = p.label != IGNORE
        judged[tuple(np.asarray(p.image[b])[on] for b in (0, 1))] = True
    assert judged.any()
    assert not (shown(data.unlabelled) & judged).any()
    assert any("bare/b.tif: shows validation ground, which is taken out of it" in w for w in data.warnings)
    (piece,) = data.unlabelled
    assert set(np.unique(piece.label)) == {EMPTY, IGNORE}
    on = piece.label == IGNORE
    assert (np.asarray(piece.image)[:, on] == places(200, 240, 60, 60)[:, on]).all()


def test_an_image_that_is_all_validation_ground_is_refused(tmp_path):
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b", row=500)
    make_bare(tmp_path, "same", 100, 100, row=540, col=40)
    sources = [
        {"images": "images/a.tif", "labels": "labels/a.png", "use": "training"},
        {"images": "images/b.tif", "labels": "labels/b.png", "use": "validation"},
        BARE,
    ]
    with pytest.raises(InputError, match=r"bare/same\.tif: is unlabelled, and all of it is validation ground; leave"):
        read(tmp_path, sources)


def test_pixels_without_data_are_not_ground_to_learn(tmp_path):
    make_pair(tmp_path, "a")
    make_bare(tmp_path, "b", row=900)
    image = places(200, 240, 900)
    image[:, :50] = 0
    make_raster(tmp_path / "bare" / "b.tif", image, transform=north_up(1.0, (500_000.0, 2_699_100.0)), nodata=0)
    (piece,) = read(tmp_path).unlabelled
    assert (piece.label[-150:] == IGNORE).all()
    assert (piece.label[:-150] == EMPTY).all()


def test_the_survey_says_how_much_there_is(tmp_path):
    make_pair(tmp_path, "a")
    make_bare(tmp_path, "far", row=900)
    survey = check_dataset(read(tmp_path))
    assert survey.record["for_teachers"] == {"pieces": 1, "pixels": 48_000}
    assert "0.05 Mpx of unlabelled images are for teachers alone" in survey.text()
    assert not survey.failed


def test_an_image_cannot_be_labelled_and_unlabelled(tmp_path):
    make_pair(tmp_path, "a")
    with pytest.raises(UsageError, match=r"data\.sources 1 and 2 with another use or weight"):
        read(tmp_path, [*PAIRS, BARE | {"images": "images/*.tif"}])


@pytest.mark.parametrize(
    ("sources", "teacher", "words"),
    [
        ([*PAIRS, BARE], {}, r"data\.sources\[2\] is unlabelled, and nothing teaches there; add \[teacher\]"),
        ([*PAIRS, BARE], {"from": "average", "share": 0.0}, "nothing teaches there"),
        ([BARE], {"from": "average"}, "are all unlabelled; add one with labels"),
        ([*PAIRS, BARE | {"labels": "x.gpkg"}], {"from": "average"}, "is unlabelled and has labels"),
        ([*PAIRS, BARE | {"class": "wood"}], {"from": "average"}, "is unlabelled and has class"),
        ([{"images": "a.tif"}], {}, r'labels is missing; name them, or say use = "unlabelled"'),
        ([*PAIRS, BARE | {"use": "unlabeled"}], {}, 'did you mean "unlabelled"?'),
    ],
)
def test_what_a_configuration_cannot_say_of_it(sources, teacher, words):
    data = {"folder": ".", "classes": CLASSES, "sources": sources}
    with pytest.raises(UsageError, match=words):
        config_of({"name": "test", "data": data, "teacher": teacher})
