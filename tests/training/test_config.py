"""Configurations: read strictly, written back, documented."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapgen.errors import InputError, UsageError
from mapgen.schema import entries, toml_value
from mapgen.training.config import TrainConfig, config_of, content_key, parse_config, read_config, resolved

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "training.md"
LEAST = """
name = "fields"
[[data.sources]]
images = "images/*.tif"
labels = "labels/*.tif"
[[data.classes]]
id = 1
name = "field"
[[data.classes]]
id = 2
name = "wood"
values = [2, "forest"]
"""


def test_the_least_configuration_has_a_default_for_all_else():
    config = parse_config(LEAST)
    assert config.run.steps == 2000
    assert config.data.split.method == "blocks"
    assert config.data.sources[0].images == ("images/*.tif",)
    assert config.data.legend.names == ("field", "wood")


FULL = (
    LEAST
    + """
[model]
from = "imagenet"
parameters = { decoder_channels = [64, 32, 16, 8, 4], nested = { a = "b" } }
[run]
epochs = 3
stages = [{ start = 0, batch = 4, crop = 64 }, { start = 0.5, batch = 2, crop = 96 }]
[loss]
shares = { dice = 1 }
class_weights = { field = 2, wood = 1 }
[card]
domain = 'a "quoted" \\ line'
"""
)


@pytest.mark.parametrize("text", [LEAST, FULL], ids=["least", "full"])
def test_a_resolved_configuration_reads_back_as_it_was(text):
    config = parse_config(text)
    written = resolved(config)
    assert parse_config(written) == config
    assert resolved(parse_config(written)) == written
    assert tomllib.loads(written)["augment"]["flips"] is True


@given(st.text())
def test_any_text_survives_toml(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(f"a = {toml_value(text)}")["a"] == text


WRONG = [
    ("[run]\nbacth = 3", "run.bacth is not a key; did you mean run.batch?"),
    ("[modle]\n", "modle is not a key; did you mean model?"),
    ("[augment]\nmosaic = 1", "augment.mosaic is not a key; [augment] takes flips"),
    ('[run]\nrate = "fast"', 'run.rate is "fast", expected a number'),
    ("[run]\nsteps = 1.5", "run.steps is 1.5, expected a whole number"),
    ("[run]\nsteps = true", "run.steps is true, expected a whole number"),
    ("[run]\nrate = nan", "run.rate is nan, expected a number"),
    ("[run]\nrate = 0", "run.rate is 0.0, expected more than 0 and at most 1"),
    ("[run]\nbatch = 0", "run.batch is 0, expected 1 to 4096"),
    ("[run]\ndevice = 'cuda:0'", 'expected "auto" or "cpu" or "cuda" or "mps"; did you mean "cuda"?'),
    ("[run]\nsteps = 3\nepochs = 1", "run has steps and epochs"),
    ("[run]\nstages = [{ start = 0.5, batch = 1, crop = 64 }]", "run.stages start at [0.5]"),
    ("[run]\nstages = [{ start = 0, batch = 1, corp = 64 }]", "did you mean run.stages[1].crop?"),
    ("[run]\nstages = 3", "run.stages is 3, expected a list of tables"),
    ("[model]\nfreeze = 0.1\nfreeze_epochs = 2", "model has freeze and freeze_epochs"),
    ("[model]\nparameters = { since = 1979-05-27 }", "model.parameters.since is 1979-05-27, expected a value"),
    ("[loss]\nshares = { focal = 1 }", "expected shares above 0 of cross_entropy or dice"),
    ("[loss]\nclass_weights = 'even'", 'expected "none", "auto" or a table of class = weight'),
    ("[loss]\nclass_weights = { filed = 1 }", "loss.class_weights names 'filed', which is not a class; use field"),
    ("[augment]\nzoom = [1.5, 0.5]", "augment.zoom is [1.5, 0.5], expected two numbers around 1"),
    ("[augment]\nzoom = [1]", "augment.zoom is [1], expected a list of 2 numbers"),
    ("[data.split]\nblock = '3 miles'", 'data.split.block is "3 miles", expected a length such as "512px" or "300m"'),
    ("[data.split]\ngroup = 'tile'", "expected a regular expression with one group in ( )"),
    ("[run]\nrate = 1" + 400 * "0", "run.rate is 1000"),
    ("[data.split]\nvalidation = 20", "data.split.validation is 20.0, expected 0 to 0.9"),
    ("[[data.classes]]\nid = 2\nname = 'lake'", "data.classes has the id 2 twice"),
    ("[[data.classes]]\nid = 3\nname = 'Wood'", "data.classes has the name wood twice"),
    ("[[data.classes]]\nid = 3\nname = 'lake'\nvalues = ['Forest']", "the label value 'Forest' means wood and lake"),
    ("[[data.classes]]\nname = 'lake'", "data.classes[3].id is missing"),
    ("[[data.classes]]\nid = 255\nname = 'lake'", "data.classes[3].id is 255, expected 0 to 254"),
    ("[[data.classes]]\nid = 3\nname = 'lake'\ncolor = 'blue'", 'is "blue", expected a colour of the form #rrggbb'),
    ("[[data.sources]]\nimages = []\nlabels = 'x'", "data.sources[2].images is empty"),
    ("[[data.sources]]\nimages = 'a'\nlabels = 'x'\noutside = 'sea'", "not a class; use one of field, wood"),
    ("[[data.sources]]\nimages = 'a'\nlabels = 'x'\nuse = 'valid'", 'did you mean "validation"?'),
    ("[[data.sources]]\nimages = 'a'\nlabels = 'x'\nattribute = 'c'\nclass = 'wood'", "has an attribute and a class"),
    ("[", "is not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "message"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_named_with_its_key_and_a_remedy(more, message):
    with pytest.raises(UsageError) as found:
        parse_config(LEAST + more, "fields.toml")
    assert message in str(found.value)
    assert str(found.value).startswith("fields.toml: ")
    assert found.value.remedy
    assert found.value.exit_code == 2


def test_a_value_may_mean_one_thing_only():
    with pytest.raises(UsageError, match="the label value 'forest' means ignore and wood"):
        parse_config(LEAST.replace("[[data.sources]]", '[data]\nignore = ["forest"]\n[[data.sources]]', 1))


def test_a_seed_that_torch_cannot_take_is_refused():
    with pytest.raises(UsageError, match="seed is 4294967296, expected 0 to 4294967295"):
        parse_config(f"seed = 4294967296\n{LEAST}", "fields.toml")


@pytest.mark.parametrize("missing", ["name", "data"])
def test_a_missing_table_or_key_is_named(missing):
    table = {k: v for k, v in tomllib.loads(LEAST).items() if k != missing}
    with pytest.raises(UsageError, match=f"{missing} is missing"):
        config_of(table)


def test_the_key_of_a_run_changes_with_what_decides_its_weights_alone():
    config = parse_config(LEAST)
    same = ["[data]\nfolder = 'elsewhere'", "[run]\nthreads = 3", "[run]\nsave_every = 7", "[run]\nsteps = 2000"]
    same += ["[model]\nencoder_rate = 1.0", "[data]\nscale = 'measured'"]
    other = ["[run]\nsteps = 2001", "[augment]\nhaze = 0", "seed = 1", "[data.split]\nseed = 1"]
    other += ["[model]\nencoder_rate = 0.3", "[data]\nscale = 'range'"]
    keys = {text: content_key(parse_config(_with(text))) for text in same + other}
    assert {keys[text] for text in same} == {content_key(config)}
    assert len({content_key(config), *(keys[text] for text in other)}) == 1 + len(other)


def _with(text):
    return (
        LEAST.replace('name = "fields"', f'name = "fields"\n{text}', 1)
        if "[data]" not in text and "[" not in text[0]
        else f"{LEAST}{text}"
        if "[data]" not in text
        else LEAST.replace("[[data.sources]]", f"{text}\n[[data.sources]]", 1)
    )


def test_names_in_a_file_begin_at_the_file(tmp_path):
    (tmp_path / "start.safetensors").write_bytes(b"")
    path = tmp_path / "fields.toml"
    path.write_text(LEAST + '[model]\nfrom = "start.safetensors"\n')
    config = read_config(path)
    assert Path(config.data.folder) == tmp_path
    assert config.model.start == str(tmp_path / "start.safetensors")


def test_files_that_are_no_configuration_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(InputError, match="is a folder"):
        read_config(tmp_path)
    (tmp_path / "scene.tif").write_bytes(b"II*\0\xff\xfe\xfd")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_config(tmp_path / "scene.tif")


def test_the_recipe_of_the_built_in_model_can_be_said():
    recipe = tomllib.loads((ROOT / "examples/builtin_model/recipe.toml").read_text())
    ground = json.loads((ROOT / "examples/builtin_model/ground.json").read_text())
    sources = [
        {"images": [f"{n}.jpg"], "labels": "{folder}/{stem}.png", "use": "training", "weight": w}
        for n, w in ground["training"].items()
    ]
    sources += [
        {"images": [f"{n}.jpg"], "labels": "{folder}/{stem}.png", "use": "validation"} for n in ground["validation"]
    ]
    overlaps = [
        {
            "a": f"{o['a']}.jpg",
            "b": f"{o['b']}.jpg",
            "shift": [b - a for a, b in zip(o["a_window"][:2], o["b_window"][:2], strict=True)],
        }
        for o in ground["same_ground"]
    ]
    run = recipe["run"]
    stages = [{"start": s["start"], "batch": s["count"], "crop": s["size"]} for s in run["stages"]]
    same = {
        k: run[k] for k in ("steps", "rate", "warmup", "weight_decay", "ema_decay", "clip", "save_every", "check_every")
    }
    names = ("building", "land", "road", "vegetation", "water")
    config = config_of(
        {
            "name": "drycity-rgb-1m", "seed": run["seed"], "model": recipe["model"],
            "run": same | {"stages": stages, "precision": "bf16"}, "loss": recipe["loss"],
            "sampling": {"balance": recipe["sampling"]["balance"]},
            "augment": recipe["sampling"]["geometry"] | recipe["sampling"]["light"],
            "data": {
                "sources": sources, "classes": [{"id": i, "name": n} for i, n in enumerate(names, 1)], "ignore": [0],
                "resolution_m": 1.03, "same_ground": overlaps,
            },
        }
    )  # fmt: skip
    assert config.run.stages[1].crop == 384
    assert config.augment.noise == recipe["sampling"]["light"]["noise"]


def test_every_key_says_what_it_means_and_is_in_the_reference():
    text = (ROOT / "docs" / "training_keys.md").read_text(encoding="utf-8")
    found = list(entries(TrainConfig))
    assert len(found) > 70
    for entry in found:
        section = text.split(f"## `[{entry.table}]`" if entry.table else "## At the top")[1].split("\n## ")[0]
        assert f"| `{entry.name}` | {entry.kind} |" in section, entry
        assert entry.about.endswith("."), entry


def test_the_guide_shows_configurations_that_are_read():
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    whole = [b for b in blocks if b.lstrip().startswith(("name", "#"))]
    assert whole
    for block in whole:
        parse_config(block)
