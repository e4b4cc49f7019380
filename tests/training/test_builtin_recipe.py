"""The configuration of the built-in model says what was recorded with the run that made it."""

import importlib
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from mapgen.legend import BUILTIN
from mapgen.model.file import find_model
from mapgen.training.config import read_config
from mapgen.training.pace import Recipe, Stage
from mapgen.training.parts import recipe_of, sampling_of

FOLDER = Path(__file__).parents[2] / "examples" / "builtin_model"


class Ground:
    """As much of a dataset as recipe and sampling look at."""

    pixels = {"training": (1,)}  # noqa: RUF012
    high = 255.0


def test_the_configuration_says_the_recipe_and_the_split_that_were_recorded():
    config = read_config(FOLDER / "drycity.toml")
    recorded = tomllib.loads((FOLDER / "recipe.toml").read_text())
    run, sampling = recorded["run"], recorded["sampling"]
    stages = tuple(Stage(**s) for s in run["stages"])
    assert recipe_of(config, Ground, config.run.precision) == Recipe(**{**run, "stages": stages})
    said = sampling_of(config, Ground)
    assert said.balance == sampling["balance"]
    assert {k: getattr(said.light, k) for k in sampling["light"]} == sampling["light"]
    geometry = {k: tuple(v) if isinstance(v, list) else v for k, v in sampling["geometry"].items()}
    assert {k: getattr(said.geometry, k) for k in geometry} == geometry
    assert (dict(config.loss.shares), config.loss.smoothing) == (
        recorded["loss"]["shares"], recorded["loss"]["smoothing"],
    )  # fmt: skip
    ground = json.loads((FOLDER / "ground.json").read_text())
    parts = {(s.use, image.removesuffix(".jpg")): s.weight for s in config.data.sources for image in s.images}
    assert {name: w for (use, name), w in parts.items() if use == "training"} == ground["training"]
    assert sorted(name for use, name in parts if use == "validation") == sorted(ground["validation"])
    shifts = {(s.a.removesuffix(".jpg"), s.b.removesuffix(".jpg"), *s.shift) for s in config.data.same_ground}
    assert shifts == {
        (o["a"], o["b"], *(b - a for a, b in zip(o["a_window"][:2], o["b_window"][:2], strict=True)))
        for o in ground["same_ground"]
    }


def test_the_configuration_makes_a_model_of_the_same_kind():
    config, card = read_config(FOLDER / "drycity.toml"), find_model("drycity-rgb-1m").card
    assert config.data.legend == card.legend == BUILTIN
    assert (config.name, config.data.bands, config.data.resolution_m) == (card.name, card.bands, card.resolution_m)
    assert (config.model.architecture, config.model.encoder) == (card.architecture, card.encoder)
    assert (config.card.domain, config.card.license) == (card.domain, card.license)


def test_both_configurations_name_the_same_ground():
    one, other = (read_config(FOLDER / name).data for name in ("drycity.toml", "drycity_lite.toml"))
    assert [(s.use, s.weight, s.images) for s in one.sources] == [(s.use, s.weight, s.images) for s in other.sources]
    assert one.same_ground == other.same_ground


def test_no_city_both_trains_and_judges_in_a_fold():
    """Tiles that share ground are of one city and are left out together; each tile judges once."""
    spec = importlib.util.spec_from_file_location("folds", FOLDER / "folds.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    config = read_config(FOLDER / "drycity_lite.toml")
    tiles = {image.split("/")[0] for source in config.data.sources for image in source.images}
    assert sorted(tile for fold in script.FOLDS for tile in fold) == sorted(tiles)
    city = {tile: fold for fold in script.FOLDS for tile in fold}
    assert all(city[s.a.split("/")[0]] == city[s.b.split("/")[0]] for s in config.data.same_ground)
    for fold in script.FOLDS:
        own = script.left_out(config, fold)
        assert {source.use for source in own.data.sources} == {"split"}
        groups = {re.match(own.data.split.group, image)[1] for source in own.data.sources for image in source.images}
        assert set(own.data.split.groups) == set(fold) < groups


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module(script.stem).__doc__
