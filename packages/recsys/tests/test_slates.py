"""Values of lists from logged ones, exact over all lists of a small world; team drafts."""

import itertools

import numpy as np
import pytest
from ninefold.errors import InputError
from recsys.evaluation import interleave, prefer, slate_value
from recsys.evaluation._propensity import doubly_robust

ITEMS, PLACES = 3, 2


def world(seed, cascade):
    """(lists, their chance when logged, reward, target, logged, (predicted, expected)) of all lists, and the truth."""
    draw = np.random.default_rng(seed)
    lists = np.array(list(itertools.product(range(ITEMS), repeat=PLACES)))
    first = draw.dirichlet(np.ones(ITEMS), 2)  # of logging and of target policy
    then = draw.dirichlet(np.ones(ITEMS), (2, ITEMS if cascade else 1))
    chance = [
        np.stack([first[side][lists[:, 0]], then[side][lists[:, 0] if cascade else 0, lists[:, 1]]], axis=1)
        for side in (0, 1)
    ]
    own, pair = draw.random((PLACES, ITEMS)), draw.random((ITEMS, ITEMS)) * cascade
    reward = np.stack([own[0][lists[:, 0]], own[1][lists[:, 1]] + pair[lists[:, 0], lists[:, 1]]], axis=1)
    truth = (chance[1].prod(axis=1) * reward.sum(axis=1)).sum()
    guess = draw.random((ITEMS, ITEMS)), draw.random(ITEMS)
    late, early = guess[0][lists[:, 0], lists[:, 1]], guess[1][lists[:, 0]]
    mean_late = (then[1][lists[:, 0] if cascade else 0] * guess[0][lists[:, 0]]).sum(axis=-1)
    mean_early = np.full(len(lists), first[1] @ guess[1])
    model = np.stack([early, late], axis=1), np.stack([mean_early, mean_late], axis=1)
    return chance[0].prod(axis=1), reward, chance[1], chance[0], model, truth


def mean_over(chance, *, by, reward, target, logged, model=None):
    """The estimator's expectation: each list by its chance, repeated so that the plain mean of the copies is it."""
    predicted, expected = model or (None, None)
    total = 0.0
    for one, weight in enumerate(chance):
        rows = np.array([one, one])
        options = {} if model is None else {"predicted": predicted[rows], "expected": expected[rows]}
        total += weight * slate_value(reward[rows], target[rows], logged[rows], by=by, **options).mean
    return total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("by", "cascade"), [("cascade", True), ("cascade", False), ("independent", False), ("pseudo-inverse", False)]
)
def test_each_estimator_is_right_in_its_world(seed, by, cascade):
    chance, reward, target, logged, model, truth = world(seed, cascade)
    assert mean_over(chance, by=by, reward=reward, target=target, logged=logged) == pytest.approx(truth)
    if by == "cascade":
        assert mean_over(chance, by=by, reward=reward, target=target, logged=logged, model=model) == pytest.approx(
            truth
        )
    if not cascade:
        return
    assert mean_over(chance, by="independent", reward=reward, target=target, logged=logged) != pytest.approx(
        truth, abs=1e-3
    )


def test_a_list_of_one_is_the_doubly_robust_estimate_of_events():
    draw = np.random.default_rng(0)
    reward, target, logged, predicted, expected = draw.random((5, 50, 1))
    found = slate_value(reward, target, logged, predicted=predicted, expected=expected)
    other = doubly_robust(*(one.ravel() for one in (reward, target, logged, predicted, expected)))
    assert found.mean == pytest.approx(other.mean)
    assert (found.low, found.high) == pytest.approx((other.low, other.high))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reward": np.ones(4)}, "reward"),
        ({"logged": np.zeros((4, 2))}, "logged"),
        ({"by": "magic"}, "by.*cascade"),
        ({"predicted": np.ones((4, 2))}, "predicted"),
        ({"target": np.full((4, 3), 0.5)}, "target"),
        ({"reward": np.full((4, 2), np.nan)}, "reward"),
    ],
)
def test_bad_slates_are_named(change, reason):
    good = {"reward": np.ones((4, 2)), "target": np.full((4, 2), 0.5), "logged": np.full((4, 2), 0.5)}
    assert slate_value(**good).mean == 2
    with pytest.raises(InputError, match=reason):
        slate_value(**good | change)


def test_a_draft_is_fair_and_loses_nothing():
    first, second = list("abcdef"), list("dcbxyz")
    picks = [interleave(first, second, 6, seed=seed) for seed in range(400)]
    for one in picks:
        items = [item for item, _ in one]
        assert len(set(items)) == 6
        assert abs(sum(team for _, team in one) - 3) == 0  # rounds of two
        for team, order in ((0, first), (1, second)):
            mine = [order.index(item) for item, whose in one if whose == team]
            assert mine == sorted(mine)
    starts = np.mean([one[0][1] for one in picks])
    assert 0.4 < starts < 0.6
    assert interleave(["a"], ["a", "b"], 5, seed=1) in ([("a", 0), ("b", 1)], [("a", 1), ("b", 1)])
    with pytest.raises(InputError, match="distinct"):
        interleave(["a", "a"], ["b"])


def test_preference_is_a_sign_test_and_equal_makers_are_rarely_called_different():
    draw = np.random.default_rng(0)
    alarms = [prefer(*draw.integers(0, 3, (2, 200))).p < 0.05 for _ in range(400)]
    assert np.mean(alarms) < 0.08
    assert prefer(np.array([1, 2, 0]), np.array([0, 0, 0])).share == 1
    with pytest.raises(InputError, match="won"):
        prefer(np.ones(3), np.ones(3))
