"""The estimator against an independent formula and its published behaviour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from template_package import Estimate, james_stein
from template_package.baselines import BASELINES
from template_package.evaluation import squared_errors


@given(st.integers(3, 30), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_estimate_equals_the_formula_element_by_element(dimension, count, seed):
    samples = np.random.default_rng(seed).normal(size=(count, dimension))
    means = [sum(column) / count for column in samples.T]
    spread = sum((x - m) ** 2 for column, m in zip(samples.T, means, strict=True) for x in column)
    noise = spread / (count - 1) / dimension / count
    share = max(0.0, 1 - (dimension - 2) * noise / sum(m * m for m in means))
    np.testing.assert_allclose(james_stein(samples), [share * m for m in means], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2])
def test_nothing_is_shrunk_in_fewer_than_three_dimensions(dimension):
    samples = np.random.default_rng(0).normal(size=(4, dimension))
    np.testing.assert_array_equal(james_stein(samples), samples.mean(axis=0))


def test_error_is_below_every_baseline():
    errors = {name: values.mean() for name, values in squared_errors(50, seed=0).items()}
    assert all(errors["james-stein"] < errors[name] for name in BASELINES)


@pytest.mark.parametrize("samples", [np.zeros(3), np.zeros((1, 3)), np.zeros((3, 0))])
def test_wrong_shape_is_refused(samples):
    with pytest.raises(InputError, match="shape"):
        james_stein(samples)


def test_missing_value_is_named_by_row_and_column():
    samples = np.ones((3, 4))
    samples[2, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 1"):
        james_stein(samples)


def test_estimate_comes_back_from_disk_bit_for_bit(tmp_path):
    kept = Estimate(np.random.default_rng(0).normal(size=7), "james-stein")
    kept.save(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(Estimate.load(tmp_path / "a.safetensors").means, kept.means)
