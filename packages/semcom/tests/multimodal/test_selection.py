"""Rules of selection: order does not matter, equal candidates are no trouble, and each rule is its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.multimodal import RULES, AlphaTable, Evidence, choose
from semcom.multimodal._selection import expected_error, standardised
from semcom_experiments.fitted import fit_alpha

ORDERLY = [rule for rule in RULES if rule not in ("random", "first", "mean")]


def evidence(seed=0, rows=3, count=8):
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (rows, count, 8, 8, 3), dtype=np.uint8)
    truth = rng.integers(0, 256, (rows, 8, 8, 3), dtype=np.uint8)
    errors = rng.random((3, rows, count))
    return Evidence(
        pictures, pictures[:, 0] // 2 + 40, errors[0], 50 * errors[1], errors[2], np.full(rows, 20.0), truth
    )


def permuted(one, order):
    """The same with the candidates in another order."""
    arrays = (one.candidates, one.image_error, one.image_misfit, one.text_error)
    names = ("candidates", "image_error", "image_misfit", "text_error")
    return replace(one, **{name: array[:, order] for name, array in zip(names, arrays, strict=True)})


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(8)), st.integers(0, 100), st.sampled_from(ORDERLY))
def test_permuted_candidates_give_the_same_winner(order, seed, rule):
    one = evidence(seed)
    np.testing.assert_array_equal(choose(one, rule).images, choose(permuted(one, list(order)), rule).images)


@pytest.mark.parametrize("rule", RULES)
def test_equal_candidates_and_a_single_one_are_no_trouble(rule):
    one = evidence()
    with np.errstate(all="raise"):
        same = Evidence(
            np.repeat(one.candidates[:, :1], 8, axis=1), one.coarse, np.full((3, 8), 0.3), np.full((3, 8), 9.0),
            np.full((3, 8), 0.1), one.text_weight, one.truth,
        )  # fmt: skip
        np.testing.assert_array_equal(choose(same, rule).images, one.candidates[:, 0])
        single = permuted(one, [5])
        np.testing.assert_array_equal(choose(single, rule).images, one.candidates[:, 5])


def test_rules_are_their_formulas():
    one = evidence(4)
    z = lambda x: (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)  # noqa: E731
    expected = (0.3 * z(one.image_error) + 0.7 * z(one.text_error)).argmin(axis=1)
    np.testing.assert_array_equal(choose(one, "published", 0.3).index, expected)
    expected = (0.3 * one.image_misfit + 0.7 * 20 * one.text_error).argmin(axis=1)
    np.testing.assert_array_equal(choose(one, "likelihood", 0.3).index, expected)
    np.testing.assert_array_equal(choose(one, "likelihood", 1.0).index, choose(one, "image").index)
    np.testing.assert_array_equal(choose(one, "likelihood", 0.0).index, choose(one, "text").index)
    for row in range(3):
        pairs = [[np.mean((a.astype(float) - b) ** 2) for b in one.candidates[row]] for a in one.candidates[row]]
        assert choose(one, "medoid").index[row] == np.argmin(np.sum(pairs, axis=1))
        far = [np.mean((a.astype(float) - one.coarse[row]) ** 2) for a in one.candidates[row]]
        assert choose(one, "closest-to-coarse").index[row] == np.argmin(far)
    mean = choose(one, "mean")
    assert mean.index is None
    assert np.abs(mean.images - one.candidates.astype(float).mean(axis=1)).max() <= 0.5


def test_default_rule_lies_between_likelihood_medoid_and_coarse_picture():
    one, alpha = evidence(6, rows=40), np.full((40, 1), 0.3)
    ends = {"likelihood": (1e-9, 0.0), "medoid": (np.inf, 0.0), "closest-to-coarse": (5.0, 1.0)}
    for rule, (temperature, anchor) in ends.items():
        found = expected_error(one, alpha, temperature, anchor).argmin(axis=1)
        np.testing.assert_array_equal(found, choose(one, rule, 0.3).index)
    score = 0.3 * one.image_misfit + 0.7 * 20 * one.text_error
    weight = np.exp(-score / 10)[..., None, None, None]
    mean = (weight * one.candidates).sum(axis=1) / weight.sum(axis=1)
    centre = 0.75 * mean + 0.25 * one.coarse
    errors = ((one.candidates - centre[:, None]) ** 2).mean(axis=(2, 3, 4))
    np.testing.assert_allclose(expected_error(one, alpha, 5.0, 0.25), errors, rtol=1e-9)


def test_default_rule_keeps_a_candidate_that_the_channel_leaves_no_doubt_of():
    one = evidence(7, rows=50)
    one.image_misfit[:, 3] -= 2000
    assert (choose(one, "multimodal").index == 3).all()
    saturated = standardised(one.image_error).min()
    assert saturated >= -np.sqrt(7) - 1e-9


def test_standardising_eight_errors_saturates():
    errors = np.ones((1, 8))
    errors[0, 3] = 0
    assert standardised(errors).min() == pytest.approx(-np.sqrt(7), rel=1e-9)
    assert not standardised(np.full((2, 8), 0.25)).any()


def test_random_choice_depends_on_seed_and_row_and_is_even():
    one = evidence(1, rows=800)
    first = choose(one, "random", seed=3).index
    np.testing.assert_array_equal(first, choose(one, "random", seed=3).index)
    assert (first != choose(one, "random", seed=4).index).mean() > 0.7
    later = choose(evidence(1, rows=2), "random", seed=3, rows=np.array([7, 9])).index
    np.testing.assert_array_equal(later, first[[7, 9]])
    assert np.bincount(first, minlength=8).min() > 60


def test_alpha_is_fitted_by_snr_towards_what_helps():
    one, two = evidence(2, rows=60), evidence(3, rows=60)
    error = ((one.candidates.astype(float) - one.truth[:, None]) ** 2).mean((2, 3, 4))
    one.image_misfit = 5 * error / error.std()  # the image says all at one SNR, the text at the other
    two.text_error = ((two.candidates.astype(float) - two.truth[:, None]) ** 2).mean((2, 3, 4)) / 1e4
    table, curves = fit_alpha({10.0: one, -5.0: two}, "likelihood")
    assert table.snrs == (-5.0, 10.0)
    assert table.alphas[0] < 0.3
    assert table.alphas[1] > 0.7
    assert curves[10.0][-1] > curves[10.0][0]
    assert table.at(np.array([-20.0, 30.0])).tolist() == [table.alphas[0], table.alphas[1]]
    with pytest.raises(InputError, match="no alpha"):
        fit_alpha({0.0: one}, "medoid")


def test_bad_rules_and_weights_are_named():
    one = evidence()
    one.truth = None
    for words, what in ((("best",), "select.*best"), (("oracle",), "oracle"), (("multimodal", 1.5), "alpha")):
        with pytest.raises(InputError, match=what):
            choose(one, *words)
    for pair in (((0.0, 0.0), (0.5, 0.5)), ((0.0,), (2.0,)), ((), ())):
        with pytest.raises(InputError, match="alpha table"):
            AlphaTable(*pair)
