"""The configuration among the examples."""

from pathlib import Path

from mapgen.legend import BUILTIN
from mapgen.training.config import read_config
from mapgen.training.train import check_network

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_scene.toml"


def test_the_example_can_be_trained_and_knows_the_classes_of_its_scene():
    config = read_config(EXAMPLE)
    assert config.data.legend == BUILTIN
    check_network(config)
