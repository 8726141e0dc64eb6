"""Nested training state: what goes in comes back, whatever an optimiser or a generator keeps."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.artifacts import Artifact, load_state, save, save_state
from ninefold.errors import ArtifactError, InputError

SAMPLES = Path(__file__).parent / "samples"
KIND = {"kind": "test.state", "format_version": 1}


def again(path, state):
    save_state(path, state, **KIND, package="ninefold")
    return load_state(path, **KIND)


def equal(one, other):
    """Whether two states are the same, in types too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return [*map(repr, one)] == [*map(repr, other)] and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, torch.Tensor):
        one, other = one.numpy(), other.numpy()
    if isinstance(one, (np.ndarray, np.generic)):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other or one != one


KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
LEAVES |= st.builds(np.float32, st.floats(width=32)) | st.builds(np.arange, st.integers(0, 5))
TREES = st.recursive(
    LEAVES,
    lambda part: st.lists(part, max_size=3) | st.lists(part, max_size=3).map(tuple) | st.dictionaries(KEYS, part),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_any_tree_comes_back(tmp_path_factory, tree):
    assert equal(again(tmp_path_factory.getbasetemp() / "state", tree), tree)


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    def train(steps, state=None):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
        groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters()}]
        optimizer = torch.optim.AdamW(groups, betas=(0.8, 0.99))
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["torch"])
            random.setstate(state["python"])
        for _ in range(steps):
            optimizer.zero_grad()
            (model(torch.randn(8, 3)) * random.random()).square().mean().backward()
            optimizer.step()
        return {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "torch": torch.get_rng_state(),
            "python": random.getstate(), "numpy": np.random.default_rng(3).bit_generator.state,
        }  # fmt: skip

    random.seed(0)
    whole = train(4)
    random.seed(0)
    resumed = train(2, again(tmp_path / "state", train(2)))
    assert equal({**resumed, "model": dict(resumed["model"])}, {**whole, "model": dict(whole["model"])})


def test_tensors_come_back_on_the_cpu_without_their_graph(tmp_path):
    parameter = torch.nn.Parameter(torch.eye(3, dtype=torch.bfloat16))
    back = again(tmp_path / "state", {"a": parameter, "b": parameter.T[1:], "c": torch.tensor(2.0)})
    assert type(back["a"]) is torch.Tensor
    assert not back["a"].requires_grad
    assert torch.equal(back["a"], parameter.detach())
    assert torch.equal(back["b"], parameter.detach().T[1:])
    assert back["c"].shape == ()


def test_special_numbers_come_back(tmp_path):
    assert again(tmp_path / "state", [math.inf, -math.inf, 2**200]) == [math.inf, -math.inf, 2**200]
    assert math.isnan(again(tmp_path / "state", math.nan))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [1, {2, 3}]}, r"state.a.1: got a set, expected dicts"),
        ({"a": object()}, r"state.a: got a object"),
        ({(1, 2): 3}, r"key \(1, 2\) in state: expected a string"),
        ({"a": {np.int64(1): 2}}, r"key \S+ in state.a: expected a string"),
        ({"a": {3: np.zeros(2, complex)}}, r"array '0:state.a.3': got dtype complex128"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, r"array '0:state.a': got dtype torch.complex64"),
    ],
)
def test_what_cannot_be_kept_is_named_by_its_place(tmp_path, state, message):
    with pytest.raises(InputError, match=message):
        save_state(tmp_path / "state", state, **KIND, package="ninefold")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_refused_and_then_written_over(tmp_path):
    again(tmp_path / "state", {"a": np.arange(3)})
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="state: is truncated"):
        load_state(tmp_path / "state", **KIND)
    assert again(tmp_path / "state", 1) == 1


@pytest.mark.parametrize("tree", [{"tensor": "b"}, {"set": []}, {}, {"list": 1}, {"dict": [1]}, {"a": 1, "b": 2}])
def test_tree_that_makes_no_sense_is_refused(tmp_path, tree):
    save(tmp_path / "state", {"a": np.arange(3)}, **KIND, package="ninefold", meta={"tree": tree})
    with pytest.raises(ArtifactError, match="state: "):
        load_state(tmp_path / "state", **KIND)


def test_sample_of_format_1_loads():
    state = load_state(SAMPLES / "state-1.safetensors", **KIND)
    assert state["optimizer"] == {"state": {0: {"step": 3}}, "groups": [{"betas": (0.9, 0.99)}]}
    assert torch.equal(state["weight"], torch.arange(4.0))
    assert Artifact(SAMPLES / "state-1.safetensors", **KIND).names == ["0:state.weight"]
