"""Files written by version 0.1.0 still load, and say what they said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bnn_fsg import PackedModel
from bnn_fsg.baselines import GRADIENTS
from bnn_fsg.datasets import digits
from bnn_fsg.layers._nets import load_model
from bnn_fsg.training._trainer import CHECKPOINT
from ninefold.artifacts import load_state

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_packed_file_with_every_operation_loads(backend):
    model = PackedModel.load(SAMPLES / "every-operation.bnn", backend=backend)
    x = ((np.arange(2 * 3 * 8 * 6) * 37 % 101 - 50) / 32).astype(np.float32).reshape(2, 3, 8, 6)
    expected = json.loads((SAMPLES / "every-operation.json").read_text())
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=2e-5)
    assert model.normalisation == {"mean": [0.5, 0.4, 0.3], "std": [0.25, 0.5, 0.2], "white": 255}


def test_model_file_loads():
    model, recipe = load_model(SAMPLES / "model.safetensors")
    assert (recipe.net, recipe.weights, recipe.width) == ("mlp", "dorefa", 1)
    with torch.no_grad():
        found = model(torch.from_numpy(digits("train").first(3).inputs(slice(0, 3))))
    np.testing.assert_allclose(found.sum(1).numpy(), [24.235460, 37.871082, 36.710602], rtol=0, atol=1e-4)


def test_training_checkpoint_loads_and_goes_on():
    state = load_state(SAMPLES / "training.safetensors", **CHECKPOINT)
    assert (state["epochs"], state["losses"]) == (1, [3.4635283946990967])
    model, _ = load_model(SAMPLES / "model.safetensors")
    gradient = GRADIENTS["fsg"](model, torch.optim.Adam(model.parameters(), lr=3e-3), history=2)
    gradient.load_state_dict(state["gradient"])
    model.load_state_dict(state["model"])
    assert [queue.steps for queue in gradient.queues] == [1, 1, 1]
    assert float(gradient.queues[0].newest().square().sum()) == pytest.approx(0.06313008815050125, rel=1e-6)
    images = digits("train").first(64)
    x, y = torch.from_numpy(images.inputs(slice(0, 64))), torch.from_numpy(images.labels)
    model.train()
    loss = gradient.step(lambda: torch.nn.functional.cross_entropy(model(x), y))
    # by W_meta, which the kept gradient moves
    assert float(loss) == pytest.approx(3.4634108543395996, rel=1e-3)
