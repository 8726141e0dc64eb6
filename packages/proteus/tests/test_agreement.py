import itertools

import numpy as np
import pytest
from ninefold.errors import InputError
from proteus_experiments.review._agreement import krippendorff_alpha, weighted_kappa

# The example of Krippendorff (2011), "Computing Krippendorff's alpha-reliability": 4 observers, 12 units.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, np.nan, np.nan, np.nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, np.nan, 3],
        [np.nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, np.nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, np.nan],
    ]
)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_what_was_published(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(alpha, abs=5e-4)


def pairwise_alpha(scores, distance):
    """1 - observed / expected disagreement, from all pairs of ratings, one by one."""
    items = [[one for one in column if not np.isnan(one)] for column in scores.T]
    items = [item for item in items if len(item) > 1]
    observed = [
        distance(a, b) / (len(item) - 1) for item in items for a, b in itertools.permutations(item, 2)
    ]  # fmt: skip
    every = [one for item in items for one in item]
    expected = [distance(a, b) for a, b in itertools.permutations(every, 2)]
    return 1 - (sum(observed) / len(every)) / (sum(expected) / (len(every) * (len(every) - 1)))


@pytest.mark.parametrize("seed", range(5))
def test_alpha_equals_the_sum_over_all_pairs(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 6, (3, 20)).astype(float)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    assert krippendorff_alpha(scores, "interval") == pytest.approx(pairwise_alpha(scores, lambda a, b: (a - b) ** 2))
    assert krippendorff_alpha(scores, "nominal") == pytest.approx(pairwise_alpha(scores, lambda a, b: float(a != b)))


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_one_minus_the_mean_squared_difference_over_that_of_all_pairings(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(1, 6, 30).astype(float)
    second = np.clip(first + rng.integers(-1, 2, 30), 1, 5)
    by_chance = np.mean([(a - b) ** 2 for a in first for b in second])
    assert weighted_kappa(first, second) == pytest.approx(1 - np.mean((first - second) ** 2) / by_chance)


def test_kappa_by_hand():
    # 4 items, scores 1 and 2: observed disagreement 1/4; margins 1/2, 1/2 and 1/4, 3/4: by chance 1/2
    assert weighted_kappa(np.array([1.0, 1, 2, 2]), np.array([1.0, 2, 2, 2]), levels=2) == pytest.approx(0.5)


def test_full_agreement_gaps_and_too_little():
    scores = np.array([1.0, 3, 5, np.nan])
    assert weighted_kappa(scores, scores) == 1
    assert krippendorff_alpha(np.stack([scores, scores])) == 1
    assert np.isnan(weighted_kappa(np.full(4, 3.0), np.full(4, 3.0)))
    assert np.isnan(krippendorff_alpha(np.full((2, 4), 3.0)))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]])))
    with pytest.raises(InputError, match=r"1\.\.5"):
        weighted_kappa(np.array([1.0, 6]), np.array([1.0, 2]))
