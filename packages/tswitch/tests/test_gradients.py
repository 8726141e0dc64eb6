"""Settings that differ from tensor to tensor, and mergekit's methods beside TIES, against formulas written anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from tswitch import Checkpoint, Recipe, merge, merge_recipe
from tswitch.baselines import Breadcrumbs, Della, Sce, Slerp
from tswitch.baselines._della import probabilities
from tswitch.merging._gradient import positions, value_at

from .checkpoints import random_state, save_folder

LAYERS = [f"model.layers.{index}.mlp.weight" for index in range(3)]
NAMES = ["model.embed_tokens.weight", *LAYERS, "model.norm.weight"]


def state(seed):
    gen = torch.Generator().manual_seed(seed)
    return {name: torch.randn(6, 10, generator=gen) for name in NAMES}


def merged(method, models):
    return method.fit(state(0), models).task_model(0)


def test_layers_have_places_in_their_slice():
    assert list(positions(NAMES).values()) == [0, 0, 0.5, 1, 0]
    assert list(positions(NAMES, [(0, 2), (2, 3)]).values()) == [0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        (0.3, [0.3, 0.3, 0.3]),
        ([0, 1], [0, 0.5, 1]),
        ([0, 4, 1], [0, 4, 1]),
        ([{"filter": "layers.1", "value": 7}, {"value": [1, 3]}], [1, 7, 3]),
    ],
)
def test_a_setting_over_the_layers(setting, values):
    assert [value_at(setting, name, place) for name, place in zip(LAYERS, (0, 0.5, 1), strict=True)] == values


def test_a_recipe_with_gradients_merges_each_tensor_by_its_own_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, folder in enumerate(("base", "one", "two")):
        save_folder(tmp_path / folder, state(seed))
    (tmp_path / "merge.yml").write_text(
        "merge_method: task_arithmetic\nbase_model: base\n"
        "models: [{model: one, parameters: {weight: [0, 1]}}, {model: two}]\n"
        "parameters: {weight: 0.5, lambda: [{filter: norm, value: 0}, {value: 1}]}\n"
    )
    merge_recipe("merge.yml", out="out")
    base, one, two = state(0), state(1), state(2)
    for name, weight in zip(NAMES, (0, 0, 0.5, 1, 0), strict=True):
        other = 0.0 if "norm" in name else 0.5
        want = base[name] + weight * (one[name] - base[name]) + other * (two[name] - base[name])
        np.testing.assert_allclose(Checkpoint.open("out").read(name), want, atol=1e-6)


def test_a_share_to_keep_over_the_layers_needs_thresholds_by_tensor(tmp_path):
    (tmp_path / "merge.yml").write_text(
        "merge_method: ties\nbase_model: a\nmodels: [{model: b}]\nparameters: {density: [0.1, 1], scope: model}\n"
    )
    with pytest.raises(InputError, match=r"density differs.*scope: tensor"):
        Recipe.read(tmp_path / "merge.yml")


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_slerp_keeps_to_the_circle(t):
    base, other = state(0), state(1)
    got = merged(Slerp(t=t), [other])
    for name in NAMES:
        a, b = base[name].flatten().double(), other[name].flatten().double()
        angle = math.acos(float(a @ b / a.norm() / b.norm()))
        want = (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)
        np.testing.assert_allclose(got[name].flatten(), want, atol=1e-5)
    with pytest.raises(InputError, match="models: got 2, expected one beside the base"):
        merged(Slerp(), [other, other])


def test_slerp_of_parallel_tensors_is_linear():
    base = state(0)
    got = merged(Slerp(t=0.25), [{name: 3 * value for name, value in base.items()}])
    for name in NAMES:
        np.testing.assert_allclose(got[name], 1.5 * base[name], atol=1e-5)


def test_breadcrumbs_leave_out_both_ends():
    base = {"w": torch.zeros(20)}
    tau = torch.arange(1.0, 21.0) * torch.tensor([1, -1]).repeat(10)
    got = Breadcrumbs(keep=0.5, drop_largest=0.1, scale=1.0).fit(base, [{"w": tau}]).task_model(0)["w"]
    assert got.nonzero().flatten().tolist() == list(range(8, 18))
    assert torch.equal(got[8:18], tau[8:18])
    most = Breadcrumbs(keep=0.95, drop_largest=0.5, scale=1.0).fit(base, [{"w": tau}]).task_model(0)["w"]
    assert most.count_nonzero() == 19  # fewer of the largest go, so that enough are left


def test_della_keeps_large_entries_more_often_and_the_sum_of_magnitudes():
    matrix = torch.randn(4, 11)
    chance = probabilities(matrix, 0.5, 0.2)
    order = matrix.abs().argsort(1)
    np.testing.assert_allclose(chance.gather(1, order), np.tile(np.linspace(0.3, 0.7, 11), (4, 1)), atol=1e-6)
    base, tau = {"w": torch.zeros(300, 50)}, torch.randn(300, 50)
    one, other = (
        Della(keep=0.5, spread=0.2, scale=1.0, seed=seed).fit(base, [{"w": tau}]).task_model(0)["w"] for seed in (0, 1)
    )
    assert not torch.equal(one, other)
    assert float((one != 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(one.abs().sum()) == pytest.approx(float(tau.abs().sum()), rel=1e-4)
    large = tau.abs() > tau.abs().median()
    assert (one[large] != 0).float().mean() > (one[~large] != 0).float().mean() + 0.1
    with pytest.raises(InputError, match=r"spread: got 0.3, expected less than 0.2: keep is 0.8"):
        Della(keep=0.8, spread=0.3)


def test_sce_selects_weighs_and_erases():
    base = {"w": torch.zeros(4)}
    first, second = torch.tensor([4.0, 1.0, -1.0, 2.0]), torch.tensor([-2.0, 1.0, 3.0, 2.0])
    got = Sce(select=0.5).fit(base, [{"w": first}, {"w": second}]).task_model(0)["w"]
    # entries 0 and 2 differ at all, and of these half is one: entry 0; its majority sign is plus, which only one has
    assert got.tolist() == [4.0, 0.0, 0.0, 0.0]
    whole = Sce().fit(base, [{"w": first}, {"w": second}]).task_model(0)["w"]
    np.testing.assert_allclose(whole, [4.0, 1.0, 3.0, 2.0], atol=1e-6)


def test_tensors_that_are_left_out_are_the_bases(tmp_path):
    base, model = random_state(0), random_state(1)
    model["head.weight"] = torch.ones(3)
    merge(base, [model], "averaging", out=tmp_path / "out", exclude=("layer.*", "head*"))
    got = Checkpoint.open(tmp_path / "out")
    assert set(got.names) == set(base)
    for name in base:
        same = name.startswith("layer.") or not base[name].is_floating_point() or not base[name].numel()
        assert torch.equal(got.read(name), base[name]) == same


SLICES = """merge_method: slerp
base_model: base
slices:
  - sources: [{model: base, layer_range: [0, 2]}, {model: one, layer_range: [0, 2]}]
  - sources: [{model: base, layer_range: [2, 3]}, {model: one, layer_range: [2, 3]}]
parameters: {t: 0.4}
"""


def test_slices_that_cover_each_layer_once_are_the_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_folder(tmp_path / "base", state(0), config={"num_hidden_layers": 3})
    save_folder(tmp_path / "one", state(1))
    (tmp_path / "a.yml").write_text(SLICES)
    (tmp_path / "b.yml").write_text(
        "merge_method: slerp\nbase_model: base\nmodels: [{model: base}, {model: one}]\nparameters: {t: 0.4}\n"
    )
    merge_recipe("a.yml", out="a")
    merge_recipe("b.yml", out="b")
    for name in NAMES:
        assert torch.equal(Checkpoint.open("a").read(name), Checkpoint.open("b").read(name))
    (tmp_path / "a.yml").write_text(SLICES.replace("[2, 3]", "[2, 4]"))
    with pytest.raises(InputError, match=r"slices of layers 0 to 4, of a base with 3"):
        merge_recipe("a.yml", out="c")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "layer_range: [2, 3]",
            "layer_range: [1, 3]",
            r"slices\[1\] takes layers \[1, 3\]",
        ),
        (
            "{model: one, layer_range: [2, 3]}",
            "{model: one, layer_range: [0, 1]}",
            "neither dropped, repeated nor moved",
        ),
        ("{model: one, layer_range: [2, 3]}", "{model: two, layer_range: [2, 3]}", "slices of other models"),
        ("- sources", "- source", r"unknown key slices\[0\].source"),
    ],
)
def test_other_slices_are_refused(tmp_path, old, new, message):
    (tmp_path / "merge.yml").write_text(SLICES.replace(old, new))
    with pytest.raises(InputError, match=message):
        Recipe.read(tmp_path / "merge.yml")
