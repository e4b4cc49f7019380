"""Which engine runs, in which precision, on which machine."""

import numpy as np
import pytest
from factory import card

from mapgen.errors import UsageError
from mapgen.model import select
from mapgen.model.engine import Network, Setup
from mapgen.model.normalization import Normalization


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU that torch computes on in bf16; what is opened is told and not made."""
    import mapgen.model.openvino as openvino
    import mapgen.model.torch as torch

    monkeypatch.setattr(select, "_nvidia_driver", lambda: True)
    monkeypatch.setattr(select, "_torch_sees_gpu", lambda: True)
    monkeypatch.setattr(torch, "usual_precision", lambda device: "fp32" if device == "cpu" else "bf16")
    monkeypatch.setattr(openvino, "OpenVINOEngine", lambda network, setup: ("openvino", setup.precision))
    monkeypatch.setattr(torch, "TorchEngine", lambda network, setup, device: ("torch", setup.precision))


def opened(precision, name="auto", device="auto"):
    network = Network(card(), "key", dict, "model", lambda: (b"", b""))
    setup = Setup(Normalization((0,) * 3, (1,) * 3), np.dtype("uint8"), precision=precision)
    return select.open_engine(network, setup, name, device)


@pytest.mark.usefixtures("gpu")
def test_int8_runs_by_openvino_though_there_is_a_gpu():
    assert opened("int8") == ("openvino", "int8")
    assert opened("int8", device="cpu") == ("openvino", "int8")
    with pytest.raises(UsageError, match="torch cannot run them"):
        opened("int8", device="cuda")


@pytest.mark.usefixtures("gpu")
def test_auto_takes_the_gpu_and_memory_is_planned_for_it():
    assert opened("auto") == ("torch", "auto")
    assert select.likely_precision("auto", "auto", "auto", int8=True) == "bf16"
    assert select.likely_precision("auto", "torch", "cpu", int8=True) == "fp32"
    assert select.likely_precision("int8", "auto", "auto", int8=True) == "int8"


def test_an_idle_gpu_is_spoken_of_where_only_torch_is_missing(monkeypatch):
    monkeypatch.setattr(select, "_nvidia_driver", lambda: True)
    monkeypatch.setattr(select, "find_spec", lambda name: None)
    assert "pip install 'mapgen[torch]'" in select.idle_gpu("auto", "auto", "auto")
    assert not select.idle_gpu("auto", "cpu", "auto"), "what is named is not questioned"
    assert not select.idle_gpu("openvino", "auto", "auto")
    monkeypatch.setattr(select, "find_spec", lambda name: object())
    assert not select.idle_gpu("auto", "auto", "auto")
    monkeypatch.setattr(select, "find_spec", lambda name: None)
    monkeypatch.setattr(select, "_nvidia_driver", lambda: False)
    assert not select.idle_gpu("auto", "auto", "auto")

