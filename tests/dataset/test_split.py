"""The split: training and validation share no ground, whichever files show it."""

from types import SimpleNamespace

import numpy as np
import pyproj
import pytest
import torch
from factory import make_raster, north_up
from grounds import PAIRS, data_of, kinds, make_pair, places
from hypothesis import given
from hypothesis import strategies as st

from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.read import read_dataset
from mapgen.dataset.split import Split, choose
from mapgen.errors import InputError, UsageError
from mapgen.training.augment import Geometry, Light
from mapgen.training.samples import Sampler, Sampling

GUARD = 8
BLOCKS = {"block": "64px", "guard": f"{GUARD}px", "validation": 0.3}


def read(folder, sources=None, name="prepared", split=None, **more):
    return read_dataset(data_of(folder, sources or PAIRS, split=split or BLOCKS, **more), folder / name)


def ground(pieces, labelled=True):
    """Which (row, column) of the ground the pixels of pieces show, or those with a label alone, as booleans.

    It is read from the pixels themselves: what the split thinks of them does not matter.
    """
    found = np.zeros((2000, 2000), bool)
    for p in pieces:
        on = p.label != IGNORE if labelled else np.ones(p.label.shape, bool)
        found[tuple(np.asarray(p.image[b])[on] for b in (0, 1))] = True
    return found


def near(cells, margin):
    """The same with all within `margin` rows and columns."""
    for axis in (0, 1):
        cells = np.any([np.roll(cells, n, axis) for n in range(-margin, margin + 1)], axis=0)
    return cells


def test_no_pixel_of_validation_ground_is_in_a_training_image(tmp_path):
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b", row=120, col=100)  # shows a quarter of the same ground
    make_pair(tmp_path, "c", row=500)
    data = read(tmp_path)
    judged = ground(data.validation)
    assert 0.15 < judged.sum() / (judged | ground(data.training)).sum() < 0.45
    assert not (ground(data.training, labelled=False) & judged).any()
    assert not (ground(data.training) & near(judged, GUARD - 1)).any()
    assert {p.name.split()[0] for p in data.validation} == {f"images/{n}.tif" for n in "abc"}


def test_labels_of_validation_are_right_and_each_counts_once(tmp_path):
    make_pair(tmp_path, "a")
    data = read(tmp_path)
    seen = []
    for p in data.validation:
        on = p.label != IGNORE
        rows, cols = (np.asarray(p.image[b])[on].astype(int) - 1000 for b in (0, 1))
        np.testing.assert_array_equal(p.label[on] + 1, kinds(200, 240)[rows, cols])
        seen += list(zip(rows.tolist(), cols.tolist(), strict=True))
    assert len(seen) == len(set(seen)) == sum(data.pixels["validation"])
    fact = data.report["images"][0]
    total = fact["training"] + fact["validation"] + fact["guard"] + fact["left_out"]
    assert total == 200 * 240
    assert fact["training"] == sum(data.pixels["training"])


def test_crops_do_not_depend_on_validation_pixels(tmp_path):
    make_pair(tmp_path, "a")
    before = read(tmp_path)
    image = places(200, 240)
    image[:, ground(before.validation)[1000:1200, 1000:1240]] += 7
    make_raster(tmp_path / "images" / "a.tif", image)
    after = read(tmp_path)
    sampling = Sampling(
        geometry=Geometry(flips=True, angle_deg=45, zoom=(0.5, 2)), light=Light(contrast=0.2), full=2000
    )
    crops, others = (Sampler(d.training, 3, sampling, 3).batch(0, 16, 96) for d in (before, after))
    assert all(torch.equal(a, b) for a, b in zip(crops, others, strict=True))
    assert (np.asarray(before.validation[0].image) != np.asarray(after.validation[0].image)).any()
    assert before.mean == after.mean


@pytest.mark.parametrize("crs", ["EPSG:32639", "EPSG:4326", "EPSG:3857"])
def test_ground_is_kept_apart_across_crss(tmp_path, crs):
    """Two scenes of one ground in two CRSs; where pixels lie is found by PROJ alone."""
    make_pair(tmp_path, "a", 160, 160)
    to = pyproj.Transformer.from_crs("EPSG:32640", crs, always_xy=True)
    left, top = to.transform(500_000, 2_700_000)
    x1, y1 = to.transform(500_160, 2_699_840)
    step = (x1 - left) / 160, (y1 - top) / 160
    transform = north_up(1.0, (0, 0)).__class__(step[0], 0, left, 0, step[1], top)
    make_raster(tmp_path / "images" / "z.tif", places(160, 160), crs=crs, transform=transform)
    make_raster(tmp_path / "labels" / "z.tif", kinds(160, 160), crs=crs, transform=transform)
    (tmp_path / "labels" / "a.png").rename(tmp_path / "labels" / "a_.png")
    make_raster(tmp_path / "labels" / "a.tif", kinds(160, 160))
    data = read(tmp_path, [{"images": "images/*.tif", "labels": "labels/*.tif"}], resolution_m=1.0)
    assert {p.name.split()[0] for p in data.validation} == {"images/a.tif", "images/z.tif"}
    back = pyproj.Transformer.from_crs(crs, "EPSG:32640", always_xy=True)

    def metres(pieces):
        found = []
        for p in pieces:
            on = p.label != IGNORE
            rows, cols = (np.asarray(p.image[b])[on].astype(float) - 999.5 for b in (0, 1))
            if p.name.startswith("images/z"):
                found.append(np.stack(back.transform(left + cols * step[0], top + rows * step[1]), 1))
            else:
                found.append(np.stack((500_000 + cols, 2_700_000 - rows), 1))
        return np.concatenate(found)

    learnt, judged = metres(data.training), metres(data.validation)
    assert len(learnt) > 5000
    cells = [tuple((v - (499_000, 2_699_000)).astype(int).T) for v in (learnt, judged)]
    held = np.zeros((2000, 2000), bool)
    held[cells[1]] = True
    assert not near(held, GUARD - 3)[cells[0]].any()


def test_whole_groups_validate(tmp_path):
    for n, name in enumerate(("t1_a", "t1_b", "t2_a", "t3_a")):
        make_pair(tmp_path, name, 60, 60, row=200 * n)
    split = {"method": "groups", "group": r"(t\d)_", "groups": ["t1"]}
    data = read(tmp_path, split=split)
    assert [p.name for p in data.validation] == ["images/t1_a.tif", "images/t1_b.tif"]
    assert [p.name for p in data.training] == ["images/t2_a.tif", "images/t3_a.tif"]
    drawn = read(tmp_path, split={"method": "groups", "group": r"(t\d)_"})
    sides = [{p.name[7:9] for p in side} for side in (drawn.training, drawn.validation)]
    assert not sides[0] & sides[1]
    assert all(sides)
    with pytest.raises(UsageError, match="there is no group 't9'; the groups are 't1', 't2', 't3'"):
        read(tmp_path, split=split | {"groups": ["t9"]})
    with pytest.raises(InputError, match="finds no group in it"):
        read(tmp_path, split=split | {"group": r"(x\d)_"})
    with pytest.raises(UsageError, match="1 groups, of which 0 validate"):
        read(tmp_path, split={"method": "groups"})


def test_training_leaves_out_what_a_validation_image_shows(tmp_path):
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b", 100, 100, row=50, col=100)
    sources = [
        {"images": "images/a.tif", "labels": "labels/*.png", "use": "training"},
        {"images": "images/b.tif", "labels": "labels/*.png", "use": "validation"},
    ]
    data = read(tmp_path, sources)
    judged = ground(data.validation)
    assert judged.sum() == 100 * 100
    assert not (ground(data.training, labelled=False) & judged).any()
    shown = np.zeros_like(judged)
    shown[1000:1200, 1000:1240] = True
    np.testing.assert_array_equal(ground(data.training), shown & ~near(judged, GUARD))
    (overlap,) = data.report["overlaps"]
    assert (overlap["a"], overlap["b"], overlap["area_m2"]) == ("images/a.tif", "images/b.tif", 10_000)


def test_an_image_that_is_all_for_training_leaves_out_validation_blocks(tmp_path):
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b", row=60, col=60)
    source = {"images": "images/a.tif", "labels": "labels/*.png"}
    data = read(tmp_path, [source, source | {"images": "images/b.tif", "use": "training"}])
    judged = ground(data.validation)
    assert {p.name.split()[0] for p in data.validation} == {"images/a.tif"}
    assert (ground(data.training[1:], labelled=False) & near(judged, 60)).any()
    assert not (ground(data.training, labelled=False) & judged).any()
    assert not (ground(data.training) & near(judged, GUARD - 1)).any()


def test_images_without_georeferencing_that_are_said_to_overlap_are_kept_apart(tmp_path):
    bare = {"crs": None, "transform": None}
    make_pair(tmp_path, "a", 200, 200, **bare)
    make_pair(tmp_path, "b", 200, 200, row=90, col=-40, **bare)
    same = [{"a": "images/a.tif", "b": "images/b.tif", "shift": [-90, 40]}]
    data = read(tmp_path, resolution_m=1.0, same_ground=same)
    judged = ground(data.validation)
    assert {p.name.split()[0] for p in data.validation} == {"images/a.tif", "images/b.tif"}
    assert not (ground(data.training, labelled=False) & judged).any()
    assert not (ground(data.training) & near(judged, GUARD - 1)).any()
    assert data.report["overlaps"][0]["pixels"] == 110 * 160
    apart = read(tmp_path, resolution_m=1.0)
    assert (ground(apart.training) & ground(apart.validation)).any(), "unsaid, nobody can know"
    with pytest.raises(UsageError, match=r"'b.tif' is not an image of the sources"):
        read(tmp_path, resolution_m=1.0, same_ground=[same[0] | {"b": "b.tif"}])
    with pytest.raises(InputError, match=r"shifted against images/.* in two ways"):
        read(tmp_path, resolution_m=1.0, same_ground=[*same, same[0] | {"shift": [-90, 41]}])


def test_chips_that_name_no_place_are_not_split_by_blocks(tmp_path):
    for name in "abc":
        make_pair(tmp_path, name, 64, 64, crs=None, transform=None)
    with pytest.raises(UsageError, match=r"3 images are no larger than a block of 64 px.*groups"):
        read(tmp_path, resolution_m=1.0)


def test_a_split_that_cannot_be_is_refused(tmp_path):
    make_pair(tmp_path, "a", 60, 60)
    with pytest.raises(UsageError, match=r"one block of 2000 px; use smaller blocks, such as 500px"):
        read(tmp_path, split={"block": "2000px"})
    with pytest.raises(UsageError, match="a guard of 40 px leaves nothing of blocks of 64 px; use 16px"):
        read(tmp_path, split={"block": "64px", "guard": "40m"})


def test_a_share_that_blocks_are_too_large_for_is_said(tmp_path):
    make_pair(tmp_path, "a", 200, 400, crs=None, transform=None)  # two blocks
    split = {"block": "200px", "guard": "4px", "validation": 0.1}
    said = read(tmp_path, split=split, resolution_m=1.0).warnings
    assert any("51% of the labels validate, not 10%: use smaller blocks than 200 px" in w for w in said)
    assert not any("smaller blocks" in w for w in read(tmp_path, resolution_m=1.0).warnings)


def test_without_validation_all_ground_trains(tmp_path):
    make_pair(tmp_path, "a")
    data = read(tmp_path, split=BLOCKS | {"validation": 0.0})
    assert data.validation == ()
    assert sum(data.pixels["training"]) == 200 * 240
    assert any("no ground validates" in w for w in data.warnings)


def test_the_same_seed_splits_the_same_and_another_differently(tmp_path):
    make_pair(tmp_path, "a")
    splits = [read(tmp_path, name=f"p{i}", split=BLOCKS | {"seed": seed}) for i, seed in enumerate((0, 0, 1, 2, 3))]
    grounds = [ground(s.validation) for s in splits]
    np.testing.assert_array_equal(grounds[0], grounds[1])
    assert any((g != grounds[0]).any() for g in grounds[2:])


counts = st.dictionaries(
    st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), min_size=2, max_size=40
)


@given(counts, st.floats(0.05, 0.6), st.integers(0, 5))
def test_a_draw_takes_some_and_leaves_some(counts, share, seed):
    table = {k: np.array(v) for k, v in counts.items()}
    taken = choose(table, share, seed)
    assert taken == choose(dict(reversed(table.items())), share, seed)
    assert 0 < len(taken) < len(table)
    assert taken < set(table)


def test_blocks_of_many_frames_have_codes_of_their_own():
    """A frame each for thousands of images that name no place."""
    frames = SimpleNamespace(seats=[SimpleNamespace(frame=f) for f in (0, 2047, 2048, 2049, 100_000)])
    split = Split(frames, 64, 8)
    codes = [split._code(s, r, c) for s in range(5) for r in (-4_000_000, 0, 4_000_000) for c in (-4_000_000, 3)]
    assert len(set(map(int, codes))) == len(codes)
    assert min(codes) >= 0
    assert sorted(codes) == codes


def test_a_draw_keeps_the_share_and_puts_every_class_on_both_sides():
    rng = np.random.default_rng(5)
    table = {k: np.array([100, rng.integers(0, 60), 0]) for k in range(60)}
    for k in (3, 40, 41):  # a class of three blocks alone
        table[k][2] = 30
    total = sum(table.values())
    for seed in range(8):
        picked = sum(table[k] for k in choose(table, 0.25, seed))
        assert 0.2 < picked.sum() / total.sum() < 0.3
        assert 0 < picked[2] < total[2]
        assert abs(picked[1] / picked.sum() - total[1] / total.sum()) < 0.05


@pytest.mark.parametrize(
    ("apart", "split", "warned"),
    [
        (200, {"method": "groups", "groups": ["t1"]}, True),
        (5000, {"method": "groups", "groups": ["t1"]}, False),
        (200, {"method": "groups", "folds": [["t1"], ["t2"]]}, False),
        (5000, BLOCKS, True),
    ],
)
def test_validation_within_a_kilometre_of_training_is_said_to_tell_little(tmp_path, apart, split, warned):
    for n, name in enumerate(("t1_a", "t2_a")):
        make_pair(tmp_path, name, 150, 150, row=apart * n)
    notes = read(tmp_path, split={"group": r"(t\d)_"} | split).warnings
    assert any("within a kilometre" in n and "data.split.folds" in n for n in notes) == warned
