"""Recipes of merging: what they mean, what is wrong with them, and what mergekit makes of the same ones."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from tswitch import Recipe, merge, merge_recipe
from tswitch.baselines import Averaging, Dare, Emr, TaskArithmetic, Ties

from .checkpoints import contents

RECIPE = """
merge_method: ties
base_model: base
models:
  - model: base
  - {model: m0, parameters: {weight: 1.0, density: 0.2}}
  - {model: m1, parameters: {weight: 0.5}}
parameters: {density: 0.5, lambda: 0.7, int8_mask: true}
dtype: float32
"""


def read(tmp_path, text):
    (tmp_path / "merge.yml").write_text(text)
    return Recipe.read(tmp_path / "merge.yml")


def test_recipe_means_what_it_means_to_mergekit(tmp_path):
    recipe = read(tmp_path, RECIPE)
    assert recipe == Recipe(
        base="base",
        models=("m0", "m1"),
        method=Ties(keep=(0.2, 0.5), weights=(1.0, 0.5), scale=0.7, scope="tensor"),
        task=None,
        dtype=torch.float32,
    )
    models = "models: [{model: a}, {model: b}]\n"
    common = "base_model: c\n" + models
    assert read(tmp_path, "merge_method: task_arithmetic\n" + common).method == TaskArithmetic(scale=1.0)
    assert read(tmp_path, "merge_method: ties\n" + common).method == Ties(keep=1.0, scale=1.0, scope="tensor")
    dare = "merge_method: dare_ties\nparameters: {density: 0.25, seed: 3}\n" + common
    assert read(tmp_path, dare).method == Dare(drop=(0.75, 0.75), scale=1.0, then="ties", seed=3, normalize=False)
    assert read(tmp_path, dare.replace("seed: 3", "normalize: true")).method.normalize is True
    linear = read(tmp_path, "merge_method: linear\nparameters: {weight: 2}\n" + models)
    assert (linear.base, linear.models, linear.method) == ("a", ("a", "b"), Averaging(weights=(2.0, 2.0)))
    emr = read(tmp_path, "merge_method: emr\nparameters: {task: 1}\n" + common)
    assert (emr.method, emr.task) == (Emr(), 1)
    half = read(tmp_path, "merge_method: ties\nout_dtype: bfloat16\ndtype: float32\n" + common)
    assert half.dtype == torch.bfloat16


def test_recipe_is_merged_like_the_call(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "merge.yml").write_text(RECIPE)
    merge_recipe("merge.yml", out="a", max_shard_size="1KB")
    base, models = folders
    method = Ties(keep=(0.2, 0.5), weights=(1.0, 0.5), scale=0.7, scope="tensor")
    merge(base, models[:2], method, out="b", dtype="float32", max_shard_size="1KB")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "merge_method: ties",
            "merge_method: karcher",
            "merge_method is karcher, expected one of linear, task_arithmetic",
        ),
        ("merge_method: ties\n", "", "merge_method is None"),
        ("dtype: float32", "dtype: int3", "dtype: got int3"),
        ("dtype: float32", "slices: []", "unknown key slices, expected one of merge_method"),
        ("dtype: float32", "tokenizer_source: union", "tokenizer_source is 'union', expected base"),
        ("lambda: 0.7", "lamda: 0.7", "unknown key parameters.lamda, expected one of weight, density, lambda"),
        ("lambda: 0.7", "lambda: [0, 1]", r"lambda is \[0, 1\], expected one number"),
        ("weight: 0.5", "weight: a", "weight of m1 is 'a', expected one number"),
        ("weight: 0.5", "wait: 0.5", r"unknown key models\[2\].parameters.wait, expected one of weight, density"),
        ("{model: m1, par", "{modell: m1, par", r"unknown key models\[2\].modell.*models\[2\].model is None"),
        ("base_model: base", "base_model: [a]", r"base_model is \['a'\]"),
        ("density: 0.2", "density: 20", "keep: got 20.0, expected a share"),
        ("int8_mask: true", "scope: layer", "scope: got layer"),
    ],
)
def test_bad_recipe_is_refused_with_file_and_key(tmp_path, old, new, message):
    assert old in RECIPE
    with pytest.raises(InputError, match=rf"merge recipe in .*merge.yml: got .*{message}"):
        read(tmp_path, RECIPE.replace(old, new))


def test_all_faults_of_a_recipe_are_listed_at_once(tmp_path):
    with pytest.raises(InputError, match=r"unknown key extra.*; .*base_model is None"):
        read(tmp_path, "merge_method: ties\nextra: 1\nmodels: [{model: a}]")
    with pytest.raises(InputError, match=r"setting of emr: got 'weight'"):
        read(tmp_path, "merge_method: emr\nbase_model: c\nparameters: {task: 0, weight: 1}\nmodels: [{model: a}]")


@pytest.mark.parametrize(("text", "reason"), [("a: [", "no valid YAML"), ("- a", "does not hold a YAML mapping")])
def test_file_that_is_no_recipe_is_refused(tmp_path, text, reason):
    with pytest.raises(ArtifactError, match=rf"merge.yml: .*{reason}"):
        read(tmp_path, text)
    with pytest.raises(ArtifactError, match=r"nosuch.yml: cannot be read"):
        Recipe.read(tmp_path / "nosuch.yml")


def test_a_setting_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"setting scale of pcb: got '0.5', expected a number"):
        read(tmp_path, 'merge_method: pcb\nbase_model: c\nparameters: {scale: "0.5"}\nmodels: [{model: a}]\n')
