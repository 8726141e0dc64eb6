"""A folder of format 2, and states of a search and of a training that version 0.1.0 wrote, still load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenprune import Scored, tiny_model
from tokenprune.ftp import PublishedConfig, PublishedPruner, Search, SearchConfig, TrainConfig
from tokenprune.ftp._stages import read_training

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def made_for():
    """The model that the samples were made for: its weights follow a rule, whatever torch draws."""
    model = tiny_model(vocab_size=64, hidden_size=16, intermediate_size=32)
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.copy_(((torch.arange(weight.numel()) * 37 + 11 * number) % 101 - 50).view_as(weight) / 128)
    return model


def test_pruner_folder_loads(made_for):
    pruner = PublishedPruner.from_pretrained(SAMPLES / "pruner", made_for)
    assert pruner.schedule == (0.15, 0.3, 0.45, 0.7)
    assert pruner.config == PublishedConfig(target_sparsity=0.4, hidden=8, seed=2)
    assert sum(float(one.double().sum()) for one in pruner.net.state_dict().values()) == 4.220162332057953
    assert pruner.metrics == {"kl": 0.5}


def test_state_of_a_search_loads_and_goes_on():
    state = json.loads((SAMPLES / "search.json").read_text())
    search = Search(0.4, [1.0] * 4, config=SearchConfig(population=5, generations=3), state=state["search"])
    assert (search.generation, search.best) == (3, (0.15, 0.3, 0.45, 0.7))
    assert len(search.population) == 5
    search.advance(lambda population: [abs(one[3] - 0.7) for one in population])
    assert (search.done, search.best) == (True, (0.15, 0.3, 0.45, 0.7))
    assert len(state["memo"]) == 11


def test_state_of_a_training_loads_and_goes_on(made_for):
    tensors, meta = read_training(SAMPLES / "training.safetensors")
    assert (meta["step"], meta["lines"], meta["verdicts"][1][0]) == (10, 4, 10)
    data = Scored([(torch.arange(33) * (2 * row + 3) + 5 * row) % 63 + 1 for row in range(6)], [4] * 6)
    pruner = PublishedPruner(made_for, PublishedConfig(target_sparsity=0.4, hidden=8, seed=2), (0.15, 0.3, 0.45, 0.7))
    training = pruner.training(data, TrainConfig(steps=11))
    training.restore(tensors, meta["step"], [(step, verdict) for step, verdict in meta["verdicts"]])
    assert training.kept_step == 0
    losses = training.step()
    assert losses["guide"] == pytest.approx(0.396142840385437, rel=1e-3)
    assert training.done
