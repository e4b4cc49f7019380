"""The check of a dataset: what it says, what it refuses, and the sheet to look at."""

import dataclasses
import json

import numpy as np
import pytest
from grounds import CLASSES, PAIRS, box, data_of, feature, kinds, make_pair, write_features

from mapgen.dataset.check import check_dataset
from mapgen.dataset.contact_sheet import SIDE, draw_contact
from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.read import read_dataset
from mapgen.files.pictures import LINE

SPLIT = {"block": "64px", "guard": "8px", "validation": 0.3}


def read(folder, sources=None, **more):
    return read_dataset(data_of(folder, sources or PAIRS, split=SPLIT, **more), folder / "prepared", lenient=True)


@pytest.fixture
def two(tmp_path):
    """Two scenes that overlap on 80 × 140 m."""
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b", row=120, col=100)
    return tmp_path


def test_the_survey_counts_what_there_is(two):
    data = read(two)
    survey = check_dataset(data)
    record = json.loads(json.dumps(survey.to_json()))
    assert record["failed"] == []
    assert (record["images"], record["pixels"]) == (2, 2 * 200 * 240)
    for side in ("training", "validation"):
        counts = np.array(data.pixels[side])
        labels = np.concatenate([p.label[p.label != IGNORE] for p in getattr(data, side)])
        np.testing.assert_array_equal(np.bincount(labels, minlength=3), counts)
        np.testing.assert_allclose(record["sides"][side]["shares"], counts / counts.sum())
        assert record["sides"][side]["labelled"] == counts.sum()
    spent = sum(record["sides"][s]["labelled"] for s in ("training", "validation"))
    assert spent + record["guard"] + record["left_out"] == 2 * 200 * 240
    assert record["overlaps"] == [{"a": "images/a.tif", "b": "images/b.tif", "pixels": 80 * 140, "area_m2": 80 * 140.0}]
    assert record["shared"] == []


def test_the_text_says_it_to_people(two):
    text = check_dataset(read(two)).text()
    for words in (
        "2 images, 0.10 Mpx at 1 m; row, col as uint16", "blocks of 64 px validate, with a guard of 8 px",
        "images/a.tif and images/b.tif overlap on 0.0112 km²", "training and validation share no ground",
        "field", "wood", "lake", "validation mean",
    ):  # fmt: skip
        assert words in text
    assert "failed" not in text


def test_names_of_bands_are_text_also_without_validation(two):
    """A name may hold anything, such as what moves a terminal's cursor."""
    data = dataclasses.replace(read(two), bands=("row\x1b[2J", "col"), validation=())
    text = check_dataset(data).text()
    assert "\x1b" not in text
    assert "row\\x1b[2J" in text


def leaking(data, number=0):
    """The dataset with the labels of a validation piece in the training image that shows its ground."""
    judged = data.validation[number]
    entry = data.report["pieces"]["validation"][number]
    row, col = entry["place"]
    pieces = []
    for piece, made in zip(data.training, data.report["pieces"]["training"], strict=True):
        label = np.array(piece.label)
        if made["image"] == entry["image"]:
            top, left = row - made["place"][0], col - made["place"][1]
            part = label[max(top, 0) : top + judged.label.shape[0], max(left, 0) : left + judged.label.shape[1]]
            part[part == IGNORE] = 1
        pieces.append(dataclasses.replace(piece, label=label))
    return dataclasses.replace(data, training=tuple(pieces))


@pytest.mark.parametrize("bare", [False, True], ids=["georeferenced", "bare"])
def test_ground_on_both_sides_is_found_from_the_labels_themselves(tmp_path, bare):
    place = {"crs": None, "transform": None} if bare else {}
    make_pair(tmp_path, "a", **place)
    data = read(tmp_path, **({"resolution_m": 1.0} if bare else {}))
    assert not check_dataset(data).failed
    survey = check_dataset(leaking(data))
    assert survey.record["shared"]
    assert any("share" in text and "pixels of ground" in text for text in survey.failed)
    name = data.validation[0].name
    found = next(s for s in survey.record["shared"] if s["validation"] == name)
    assert found["pixels"] == (data.validation[0].label != IGNORE).sum()


def test_ground_on_both_sides_is_found_in_another_file(two):
    data = read(two)
    whole = read_dataset(data_of(two, PAIRS, split=SPLIT | {"validation": 0.0}), two / "whole")
    report = data.report | {"pieces": data.report["pieces"] | {"training": whole.report["pieces"]["training"]}}
    mixed = dataclasses.replace(data, training=whole.training, report=report)
    pairs = {(s["training"], s["validation"].split()[0]) for s in check_dataset(mixed).record["shared"]}
    assert ("images/a.tif", "images/b.tif") in pairs
    assert ("images/b.tif", "images/a.tif") in pairs
    total = sum(s["pixels"] for s in check_dataset(mixed).record["shared"] if s["training"] == "images/a.tif")
    judged = [p for p in data.validation if p.name.startswith("images/a.tif")]
    assert total > sum(int((p.label != IGNORE).sum()) for p in judged)


def test_values_that_no_class_lists_fail_the_check_and_are_listed(tmp_path):
    make_pair(tmp_path, "a")
    data = read(tmp_path, classes=CLASSES[:2])
    survey = check_dataset(data)
    count = int((kinds(200, 240) == 3).sum())
    assert survey.failed == (f"{tmp_path}/labels/a.png holds labels that no class lists: 3 ({count})",)
    assert f"not listed by any class: 3 ({count})" in survey.text()
    assert not check_dataset(data, unlisted="ignore").failed


def test_repaired_and_lost_features_are_in_the_survey(tmp_path):
    make_pair(tmp_path, "a")
    x, y = 500_000, 2_700_000
    tie = [(x, y - 200), (x + 240, y), (x + 240, y - 200), (x, y)]
    write_features(
        tmp_path / "l.geojson",
        [feature(tie, c="field"), feature(None, c="wood"), feature(box(x, y - 9, x + 9, y), c="shed")],
    )
    data = read(tmp_path, [{"images": "images/a.tif", "labels": "l.geojson", "attribute": "c", "outside": "wood"}])
    survey = check_dataset(data)
    assert "l.geojson: 3 features, 1 repaired, 1 no geometry" in survey.text()
    assert "l.geojson: not listed by any class: shed (1)" in survey.text()
    assert len(survey.failed) == 1


def test_the_contact_sheet_shows_labels_over_the_image_where_they_are(tmp_path):
    make_pair(tmp_path, "a", 100, 120, row=0)
    data = read_dataset(data_of(tmp_path, PAIRS, ignore=[3], split={"validation": 0.0}), tmp_path / "prepared")
    sheet = draw_contact(data)
    assert sheet.dtype == np.uint8
    gap, top = 10, 10 + LINE + 4  # the margin, and the line of the name
    plain = sheet[top : top + 100, gap : gap + 120].astype(float)
    over = sheet[top : top + 100, gap + SIDE + 4 : gap + SIDE + 124].astype(float)
    label = kinds(100, 120)
    np.testing.assert_array_equal(over[label == 3], plain[label == 3])
    for k in (1, 2):
        rgb = np.array(data.legend.find(k).rgb)
        expected = 0.45 * plain[label == k] + 0.55 * rgb
        assert np.abs(over[label == k] - expected).max() <= 1.5


def test_the_contact_sheet_has_a_place_for_both_sides_and_a_legend(two):
    data = read(two)
    sheet = draw_contact(data, 6)
    assert sheet.shape[0] > 2 * SIDE
    for c in data.legend:
        assert (sheet == c.rgb).all(-1).sum() >= 200, "a legend entry"
    assert (sheet == (200, 60, 0)).all(-1).any(), "a validation place"
    np.testing.assert_array_equal(sheet, draw_contact(data, 6))
