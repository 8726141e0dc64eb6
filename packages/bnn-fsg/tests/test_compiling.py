"""`compile=True`: the same training in fewer passes over memory; what cannot be compiled once is refused."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from bnn_fsg import FSG, STE, BinaryTrainer, ReSTE, Schedule, Teacher, binarize
from bnn_fsg.datasets import digits
from bnn_fsg.layers._activations import RPReLU
from bnn_fsg.training import _compiling
from ninefold.errors import InputError
from torch import nn

from .test_train_verbs import call as run_cli

DATA = digits("train").first(64)


@pytest.fixture
def made(monkeypatch):
    """Compilations: of what, with what batch. Without a C++ compiler's half a minute: graphs as torch has them."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    yield graphs
    torch._dynamo.reset()


def losses(*, compile, activations="rsign", gradient=STE, on_step=lambda: None):  # noqa: A002
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), RPReLU(8), nn.Flatten(), nn.Linear(8, 10)
    )
    model = binarize(net, "reactnet", activations, skip=["0", "5"], example_input=torch.randn(2, 1, 8, 8))
    teacher = Teacher(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), share=0.5)
    source = gradient(model, torch.optim.Adam(model.parameters(), lr=1e-3))
    trainer = BinaryTrainer(model, source, Schedule(epochs=3, batch=32), teacher=teacher, compile=compile)
    return torch.tensor(trainer.fit(DATA, on_step=on_step).losses)


def test_losses_are_those_without_and_nothing_is_compiled_twice(made):
    without = losses(compile=False)
    assert not made
    counts = []
    torch.testing.assert_close(
        losses(compile=True, on_step=lambda: counts.append(len(made))), without, rtol=1e-4, atol=1e-4
    )
    assert counts[0] == counts[-1] > 1  # network and teacher


@pytest.mark.parametrize(
    ("gradient", "activations", "words"),
    [
        (ReSTE, "rsign", "reste: a derivative that moves"),
        (STE, "irnet", "ste: a derivative that moves"),
        (FSG, "rsign", "fsg: one that learns"),
    ],
)
def test_what_changes_at_every_step_is_refused(gradient, activations, words):
    with pytest.raises(InputError, match=f"compile: got {words}"):
        losses(compile=True, gradient=gradient, activations=activations)


def test_looking_for_a_derivative_that_moves_moves_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Hardtanh(), nn.Linear(32, 10))
    model = binarize(net, "xnor", "sign", skip=["1"], example_input=torch.randn(2, 1, 8, 8))
    gradient = STE(model, torch.optim.SGD(model.parameters(), lr=0.1))
    gradient.set_progress(0.75)
    _compiling.check_still(gradient)
    assert gradient.progress == 0.75
    assert all(one.activation is None or one.activation.progress == 0.75 for one in gradient.layers)


def test_a_machine_without_compiler_is_said(monkeypatch):
    def backend(graph, inputs):
        raise RuntimeError("No working C++ compiler found")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    with pytest.raises(InputError, match=r"compile: got .*No working C\+\+ compiler found.*, expected what torch"):
        losses(compile=True)
    torch._dynamo.reset()


@pytest.mark.usefixtures("made")
def test_train_compiles(tmp_path):
    words = ["--epochs", "1", "--threads", "1"]
    run_cli("pretrain", "--net", "mlp", *words, "-o", str(tmp_path / "float"))
    run_cli("train", str(tmp_path / "float"), "--gradient", "ste", *words, "--compile", "-o", str(tmp_path / "bits"))
    assert json.loads((tmp_path / "bits" / "config.json").read_text())["compile"] is True
