"""The configuration of the built-in model says what was recorded with the run that made it."""

import json
import tomllib
from pathlib import Path

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
