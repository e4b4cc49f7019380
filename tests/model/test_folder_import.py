"""Networks in folders of `save_pretrained`, and those that a STAC item points to."""

import json

import numpy as np
import pytest
from factory import make_raster, noise, read_map

from mapgen.errors import ModelError, UsageError
from mapgen.model.foreign import ImportOptions
from mapgen.model.importing import import_model

FACTS = {"resolution": 1.0, "classes": ("other", "roof"), "scale": "123.7,116.3,103.5/58.4,57.1,57.4"}


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPGEN_MODELS", str(tmp_path / "models"))


@pytest.fixture(scope="module", params=[1, 2])
def saved(request, tmp_path_factory):
    """A folder of a network of one or two channels as the library saves it; and the network."""
    import segmentation_models_pytorch as smp
    import torch

    torch.manual_seed(2)
    net = smp.Unet(
        "resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(16, 8, 8), classes=request.param
    ).eval()
    folder = tmp_path_factory.mktemp("roofs")
    net.save_pretrained(folder)
    return folder, net


def test_a_folder_of_save_pretrained_maps_as_its_network(saved, tmp_path, mapgen):
    import torch

    folder, net = saved
    done = import_model(folder, ImportOptions(**FACTS, name="roofs"))
    assert done.card.graph.source == "smp"
    assert done.card.legend.classes[0].background
    values = noise(64, 64)
    scene = make_raster(tmp_path / "scene.tif", values)
    run = mapgen("segment", scene, "--model", "roofs", "--precision", "fp32")
    assert run.code == 0, run
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (done.card.mean, done.card.std))
    with torch.inference_mode():
        scores = net(torch.from_numpy((values - mean) / std)[None])[0].numpy()
    wanted = (scores[0] > 0) if len(scores) == 1 else scores.argmax(0)
    assert (read_map(tmp_path / "scene.mask.tif") == wanted).mean() > 0.999


def test_what_a_folder_does_not_say_is_asked_for_at_once(saved):
    with pytest.raises(UsageError, match=r"resolution=.*classes=.*scale="):
        import_model(saved[0], ImportOptions())


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        import_model(tmp_path, ImportOptions())
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    for text, words in (("{", "not JSON"), ("[]", "not a JSON object"), ('{"model_type": "bert"}', "a network of")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ModelError, match=words):
            import_model(tmp_path, ImportOptions())
    (tmp_path / "config.json").write_text(
        '{"_model_class": "Unet", "encoder_name": "resnet18", "encoder_depth": 3, "decoder_channels": [8, 8, 8], '
        '"classes": 2}'
    )
    with pytest.raises(ModelError, match="not a safetensors file"):
        import_model(tmp_path, ImportOptions())


def item(path, href):
    """A STAC item whose model lies at `href`."""
    classes = [{"value": i, "name": name} for i, name in enumerate("abc")]
    properties = {"mlm:name": "roofs", "gsd": 0.5, "mlm:output": [{"classification:classes": classes}]}
    asset = {"href": href, "roles": ["mlm:model"]}
    path.write_text(json.dumps({"type": "Feature", "properties": properties, "assets": {"model": asset}}))
    return path


def test_a_stac_item_says_what_the_file_it_points_to_does_not(tmp_path):
    pytest.importorskip("onnx")
    from onnx_files import brightness_onnx

    brightness_onnx(tmp_path / "net.onnx", keys={})
    done = import_model(item(tmp_path / "item.json", "net.onnx"), ImportOptions())
    assert done.card.legend.names == ("a", "b", "c")
    assert done.card.resolution_m == 0.5


def test_items_without_a_model_of_their_own_are_refused(tmp_path):
    with pytest.raises(ModelError, match="at an address"):
        import_model(item(tmp_path / "item.json", "https://models.example/net.onnx"), ImportOptions())
    with pytest.raises(ModelError, match="no such file"):
        import_model(item(tmp_path / "item.json", "nothing.onnx"), ImportOptions())
    (tmp_path / "item.json").write_text(json.dumps({"type": "Feature", "properties": {}, "assets": {}}))
    with pytest.raises(ModelError, match="not a STAC item of a model"):
        import_model(tmp_path / "item.json", ImportOptions())
