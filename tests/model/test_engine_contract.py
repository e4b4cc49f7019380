"""What every engine must do, held against torch in float32. The network is a real one with random weights."""

from dataclasses import replace

import numpy as np
import pytest

from mapgen.errors import ModelError, ResourceError, UsageError
from mapgen.legend import BUILTIN
from mapgen.model.card import ModelCard
from mapgen.model.engine import UNDECIDED, Network, Setup
from mapgen.model.normalization import Normalization, normalization
from mapgen.model.select import open_engine
from mapgen.settings import Scale

ENGINES = ("torch", "openvino")


@pytest.fixture(scope="module")
def network():
    import torch

    from mapgen.model.network import build

    torch.manual_seed(3)
    card = ModelCard(
        "tiny", "Unet", "resnet18", ("red", "green", "blue"), (120.0, 110.0, 100.0), (60.0, 55.0, 50.0), BUILTIN, 1.0,
        parameters={"decoder_channels": [32, 16, 8, 8, 8]}, window=64, halo=0,
    )  # fmt: skip
    net = build(card.architecture, card.encoder, 3, 5, **card.parameters).eval()
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    return network_of_tensors(card, state)


def network_of_tensors(card, state):
    """The network with these tensors, and its graph as a model file holds it."""
    from mapgen.model.convert import graph_tensors
    from mapgen.model.stored import REST, TEXT, block, unpacked

    parts = graph_tensors(None, card, state)
    text, numbers = unpacked(parts[TEXT].tobytes()), block(state, parts[REST].tobytes())
    return Network(card, "tiny", lambda: state, "tiny.safetensors", graph=lambda: (text, numbers))


@pytest.fixture
def opened(network):
    def make(name, dtype="uint8", scale=None, **how):
        norm = normalization(network.card, scale or Scale(), np.dtype(dtype))
        return open_engine(network, Setup(norm, np.dtype(dtype), **how), name, "cpu")

    return make


def pixels(seed, height=64, width=64, count=1, dtype="uint8", top=255):
    return np.random.default_rng(seed).integers(0, top, (count, 3, height, width)).astype(dtype)


def run(engine, *arrays):
    return [scores for _, scores in engine.stream(enumerate(arrays))]


@pytest.mark.parametrize("name", ENGINES)
def test_probabilities_are_float32_not_negative_and_sum_to_one(opened, name):
    (scores,) = run(opened(name), pixels(1, 64, 96, count=2))
    assert scores.shape == (2, 5, 64, 96)
    assert scores.dtype == np.float32
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("name", ENGINES)
def test_results_come_in_order_with_their_tags_and_empty_places_stay_empty(opened, name):
    batches = [("a", pixels(1)), ("b", None), ("c", pixels(2, 32, 64)), ("d", pixels(1)), ("e", None)]
    got = list(opened(name).stream(batches))
    assert [tag for tag, _ in got] == ["a", "b", "c", "d", "e"]
    assert [scores is None for _, scores in got] == [False, True, False, False, True]
    assert got[2][1].shape == (1, 5, 32, 64)
    np.testing.assert_array_equal(got[0][1], got[3][1])


@pytest.mark.parametrize("name", ENGINES)
def test_a_result_depends_on_its_own_pixels_alone(opened, name):
    engine = opened(name)
    one, other = pixels(1), pixels(2)
    together = run(engine, np.concatenate([one, other]))[0]
    alone = run(engine, one, other)
    np.testing.assert_allclose(together[0], alone[0][0], atol=2e-6)
    np.testing.assert_allclose(together[1], alone[1][0], atol=2e-6)


@pytest.mark.parametrize("name", ENGINES)
def test_results_do_not_change_when_the_engine_goes_on(opened, name):
    engine = opened(name)
    stream = engine.stream(enumerate([pixels(1), pixels(2), pixels(3), pixels(4)]))
    first = next(stream)[1]
    copy = first.copy()
    list(stream)
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize(
    ("dtype", "top", "scale"),
    [
        ("uint8", 255, Scale()),
        ("uint16", 3000, Scale("range", 100, 2500)),
        ("uint16", 65535, Scale("dtype")),
        ("float32", 255, Scale()),
    ],
)
def test_openvino_agrees_with_torch(opened, dtype, top, scale):
    batch = pixels(7, 96, 64, dtype=dtype, top=top)
    (wanted,), (got,) = run(opened("torch", dtype, scale), batch), run(opened("openvino", dtype, scale), batch)
    np.testing.assert_allclose(got, wanted, atol=2e-4)
    assert (got.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.999


def test_two_engines_live_side_by_side(opened):
    one, two = opened("openvino"), opened("openvino", "uint16", Scale("range", 0, 1000))
    first = run(one, pixels(1))[0]
    run(two, pixels(1, dtype="uint16"))
    np.testing.assert_array_equal(run(one, pixels(1))[0], first)


def test_the_graph_is_used_without_the_weights(network):
    def never():
        raise AssertionError("the weights were read again")

    again = replace(network, load=never)
    norm = Normalization(network.card.mean, network.card.std)
    engine = open_engine(again, Setup(norm, np.dtype("uint8")), "openvino", "cpu")
    assert run(engine, pixels(1))[0].shape == (1, 5, 64, 64)


def test_the_graph_of_a_network_that_holds_none_is_made_by_torch(network, opened):
    norm = Normalization(network.card.mean, network.card.std)
    engine = open_engine(replace(network, graph=None), Setup(norm, np.dtype("uint8")), "openvino", "cpu")
    np.testing.assert_allclose(run(engine, pixels(1))[0], run(opened("openvino"), pixels(1))[0], atol=1e-6)


def test_another_model_gets_another_graph(network):
    zeros = {name: np.zeros_like(value) for name, value in network.load().items()}
    norm = Normalization(network.card.mean, network.card.std)
    engine = open_engine(
        network_of_tensors(network.card, zeros), Setup(norm, np.dtype("uint8")), "openvino", "cpu"
    )
    np.testing.assert_allclose(run(engine, pixels(1))[0], 0.2, atol=1e-5)


def test_weights_that_do_not_fit_the_card_are_refused_with_their_count(network):
    state = dict(network.load())
    state.pop("segmentation_head.0.bias")
    broken = Network(network.card, "broken", lambda: state, "broken.safetensors")
    norm = Normalization(network.card.mean, network.card.std)
    with pytest.raises(ModelError, match="1 missing"):
        open_engine(broken, Setup(norm, np.dtype("uint8")), "torch", "cpu")


def test_a_device_that_is_not_there_is_refused(network):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    norm = Normalization(network.card.mean, network.card.std)
    with pytest.raises(UsageError, match="device"):
        open_engine(network, Setup(norm, np.dtype("uint8")), "torch", "cuda")


def test_openvino_is_not_silently_replaced(network):
    norm = Normalization(network.card.mean, network.card.std)
    with pytest.raises(UsageError, match="use engine='torch'"):
        open_engine(network, Setup(norm, np.dtype("uint8")), "openvino", "cuda")


def short_of_memory(engine, room):
    """Let the network of a torch engine run out of memory on more than `room` windows together; returns what it ran."""
    import torch

    net, ran = engine._net, []

    def limited(pixels):
        if len(pixels) > room:
            raise torch.OutOfMemoryError("no more")
        ran.append(len(pixels))
        return net(pixels)

    engine._net = limited
    return ran


def test_memory_that_runs_out_is_no_bug_and_names_the_way_out(opened):
    engine = opened("torch")
    short_of_memory(engine, 0)
    with pytest.raises(ResourceError, match="smaller window"):
        run(engine, pixels(1, count=2))


def test_a_batch_that_does_not_fit_the_memory_is_halved_until_it_does(opened):
    engine = opened("torch")
    batch = pixels(1, count=7)
    (wanted,) = run(opened("torch"), batch)
    ran = short_of_memory(engine, 2)
    got = run(engine, batch, batch[:4])
    np.testing.assert_allclose(got[0], wanted, atol=2e-6)
    np.testing.assert_allclose(got[1], wanted[:4], atol=2e-6)
    assert sum(ran) == 11, "each window ran once"


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_classes_are_those_of_the_highest_probability(opened, name, dtype):
    batch = pixels(5, 64, 96, count=2, dtype=dtype)
    (wanted,), (got,) = run(opened(name, dtype), batch), run(opened(name, dtype, output="classes"), batch)
    assert got.dtype == np.uint8
    assert got.shape == (2, 64, 96)
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    np.testing.assert_array_equal(got[clear], wanted.argmax(axis=1)[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize("name", ENGINES)
def test_equal_scores_go_to_the_lowest_channel(network, name):
    zeros = {key: np.zeros_like(value) for key, value in network.load().items()}
    other = network_of_tensors(network.card, zeros)
    setup = Setup(Normalization((0, 0, 0), (1, 1, 1)), np.dtype("uint8"), "classes")
    assert not run(open_engine(other, setup, name, "cpu"), pixels(1))[0].any()


@pytest.mark.parametrize("name", ENGINES)
def test_scores_that_are_not_numbers_leave_the_class_undecided(network, name):
    """Weights near the end of float32 lead to infinite scores, and those to no class."""
    state = dict(network.load())
    state["segmentation_head.0.weight"] = np.full_like(state["segmentation_head.0.weight"], 3e38)
    other = Network(network.card, "huge", lambda: state, "other.safetensors")
    setup = Setup(Normalization((0, 0, 0), (1, 1, 1)), np.dtype("float32"), "classes")
    got = run(open_engine(other, setup, name, "cpu"), pixels(1, dtype="float32"))[0]
    assert (got == UNDECIDED).mean() > 0.9


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_agrees_with_torch_or_is_refused(opened, precision):
    from mapgen.model.openvino import native_precisions

    if precision not in native_precisions():
        with pytest.raises(UsageError, match=f"does not compute in {precision}; use precision='auto'"):
            opened("openvino", precision=precision)
        return
    batch = pixels(7, 96, 64)
    engine = opened("openvino", precision=precision)
    assert engine.precision == precision
    (wanted,), (got,) = run(opened("torch"), batch), run(engine, batch)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(got, wanted, atol=0.1)
    assert not np.array_equal(got, run(opened("openvino"), batch)[0]), "it computed in float32"


def test_torch_computes_in_the_precision_that_was_asked_for(opened):
    batch = pixels(7)
    (wanted,), (got,) = run(opened("torch"), batch), run(opened("torch", precision="bf16"), batch)
    np.testing.assert_allclose(got, wanted, atol=0.1)
    assert not np.array_equal(got, wanted)


@pytest.mark.parametrize("name", ENGINES)
def test_auto_precision_is_said_and_an_impossible_one_refused(opened, name):
    assert opened(name, precision="auto").precision in ("fp32", "bf16")
    words = "no int8 graph" if name == "openvino" else "use engine='openvino'"
    with pytest.raises(UsageError, match=words):
        opened(name, precision="int8")


def test_requests_and_threads_change_no_number(opened):
    batches = [pixels(seed) for seed in range(5)]
    wanted = run(opened("openvino"), *batches)
    for requests, threads in ((1, 1), (1, 2), (3, 2)):
        got = run(opened("openvino", requests=requests, threads=threads), *batches)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
