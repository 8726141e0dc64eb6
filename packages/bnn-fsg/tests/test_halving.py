"""The runner of the training table: rates by halving, never at an edge, and a kill costs one cell."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bnn_fsg.datasets import digits
from bnn_fsg.estimators._gradient import DivergedError
from bnn_fsg.layers._nets import Recipe
from bnn_fsg_experiments.benchmarks import halving as _halving
from bnn_fsg_experiments.benchmarks.halving import Cell, Halving, Plan, difference
from ninefold.errors import ArtifactError

RECIPE = Recipe(net="mlp", classes=10, channels=1, size=(8, 8), width=2, white=16)
PLAN = Plan(rounds=((64, 1, 2), (128, 1, 1)), final=1, seeds=(0, 1), batch=32, augment=False)


def halving(folder, monkeypatch=None, **more):
    torch.manual_seed(0)
    splits = {split: digits(split).first(count) for split, count in (("train", 128), ("validation", 64), ("test", 64))}
    return Halving(RECIPE.build(), RECIPE, splits, folder, PLAN, **more)


def scored(monkeypatch, score):
    """Cells' results without training: `score` of each as its accuracy."""
    seen = []

    def result(_, cell, *, test=False):
        seen.append(cell)
        return {"validation": score(cell), "test": score(cell), "loss": 1.0}

    monkeypatch.setattr(Halving, "result", result)
    return seen


@pytest.mark.parametrize("best", [-4.0, -1.0, 2.0])
def test_rate_is_never_at_the_edge_of_what_was_tried(best, tmp_path, monkeypatch):
    seen = scored(monkeypatch, lambda cell: -abs(cell.exponent - best) - 10 * (cell.optimizer != "sgd"))
    chosen = halving(tmp_path)._choose("ste", "xnor")
    assert (chosen.optimizer, chosen.exponent) == ("sgd", best)
    tried = {cell.exponent for cell in seen if cell.optimizer == "sgd"}
    assert min(tried) < best < max(tried)


def test_fewer_cells_go_on_with_more_images(tmp_path, monkeypatch):
    seen = scored(monkeypatch, lambda cell: -abs(cell.exponent + 2))
    halving(tmp_path)._choose("ste", "xnor")
    assert len({cell for cell in seen if cell.images == 64}) == 12
    assert len({cell for cell in seen if cell.images == 128}) == 2


def test_killed_run_goes_on_at_the_cell(tmp_path, monkeypatch):
    """With a stop after each third cell it ends with the same cells and the same table, and trains none twice."""
    monkeypatch.setattr(
        _halving, "OPTIMIZERS", {"sgd": ("sgd", "step", (-2.0, -1.0)), "adam": ("adam", "step", (-2.0,))}
    )
    names = {"gradients": ("ste", "fsg"), "forwards": ("xnor",)}
    whole = halving(tmp_path / "whole", **names).run()
    done: list[str] = []

    def stop(name):
        done.append(name)
        if len(done) % 3 == 0:
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            table = halving(tmp_path / "killed", on_cell=stop, **names).run()
            break
        except KeyboardInterrupt:
            continue
    assert table.rows == whole.rows
    assert len(done) == len(set(done)) == len(list((tmp_path / "killed").iterdir())) > 6

    def told(folder):
        found = {one.name: json.loads(one.read_text()) for one in folder.iterdir()}
        return {name: {key: one for key, one in cell.items() if key != "seconds"} for name, cell in found.items()}

    assert told(tmp_path / "killed") == told(tmp_path / "whole")
    assert [row[0] for row in table.rows[:2]] == ["full precision (the start)", "ste, xnor"]


def test_damaged_cell_is_named(tmp_path):
    cell = Cell("ste", "xnor", "sgd", -1.0, 64, 1)
    (tmp_path / f"{cell.name}.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"ste-xnor-sgd--1-64x1-seed-0\.json: is damaged"):
        halving(tmp_path).result(cell)


def test_a_training_that_diverges_is_a_cell_and_never_the_best(tmp_path, monkeypatch):
    """At the rates beyond a grid's edge trainings do: the table goes on."""

    def train(*_, **__):
        raise DivergedError("gradient of w: NaN")

    monkeypatch.setattr(_halving, "train_arm", train)
    cell = Cell("ste", "xnor", "sgd", 1.0, 64, 1)
    made = halving(tmp_path).result(cell, test=True)
    assert (made["loss"], made["validation"], made["test"]) == (None, 0.0, 0.0)
    assert json.loads((tmp_path / f"{cell.name}-test.json").read_text()) == made


def test_difference_is_paired_and_has_an_interval():
    assert difference(np.array([2.0, 2.1, 1.9]))[1] == "better"
    assert difference(np.array([2.0, -2.1, 1.9]))[1] == "inconclusive"
    assert difference(np.array([-2.0, -2.1, -1.9]))[1] == "worse"
    assert difference(np.array([3.0])) == ("+3.0", "one seed: no interval")
