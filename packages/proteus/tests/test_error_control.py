import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from proteus.statistics._error_control import benjamini_hochberg, control_families, simes
from scipy import stats

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P)
def test_bh_equals_its_definition(p):
    p = np.array(p)
    q = benjamini_hochberg(p)
    for place, one in enumerate(p):
        expected = min(min(len(p) * level / (p <= level).sum() for level in p[p >= one]), 1)
        assert q[place] == pytest.approx(expected)


@given(P)
def test_simes_is_the_smallest_adjusted_p(p):
    assert simes(np.array(p)) == pytest.approx(np.nanmin(benjamini_hochberg(np.array(p))))


def test_missing_p_does_not_count():
    q = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(q[[0, 2]], [0.02, 0.04])
    assert np.isnan(q[1])


def drawn(rng, families=12, tests=100, true=2, share=0.1, shift=3.0):
    """p-values of families, and which tests are true: in two of twelve, a tenth of the tests."""
    made, truth = [], []
    for place in range(families):
        real = (np.arange(tests) < share * tests) & (place < true)
        z = rng.standard_normal(tests) + shift * real
        made.append(stats.norm.sf(z))
        truth.append(real)
    return made, truth


def test_two_levels_control_false_discoveries_and_find_more_than_a_share_of_the_bar_for_each_family():
    rng = np.random.default_rng(0)
    false, power, divided = [], [], []
    for _ in range(300):
        made, truth = drawn(rng)
        hits, _ = control_families(made)
        chosen = [(hit, real) for hit, real in zip(hits, truth, strict=True) if hit.any()]
        false.append(np.mean([(hit & ~real).sum() / hit.sum() for hit, real in chosen]) if chosen else 0.0)
        power.append(np.mean([hit[real].mean() for hit, real in zip(hits[:2], truth[:2], strict=True)]))
        divided.append(np.mean([(benjamini_hochberg(p) <= 0.05 / 12)[real].mean()
                                for p, real in zip(made[:2], truth[:2], strict=True)]))  # fmt: skip
    assert np.mean(false) - 2 * np.std(false) / np.sqrt(len(false)) <= 0.05
    assert np.mean(power) > np.mean(divided) + 0.05


def test_without_any_signal_one_run_in_twenty_has_a_rejection():
    rng = np.random.default_rng(1)
    some = [any(hit.any() for hit in control_families([rng.random(40) for _ in range(12)])[0]) for _ in range(1000)]
    assert np.mean(some) == pytest.approx(0.05, abs=0.02)


@given(st.permutations(range(4)))
def test_the_order_of_families_does_not_matter(order):
    rng = np.random.default_rng(3)
    made = [rng.random(20) * scale for scale in (1e-4, 1, 1, 1e-3)]
    first, level = control_families(made)
    other, same = control_families([made[place] for place in order])
    assert same == level
    for place, hit in zip(order, other, strict=True):
        np.testing.assert_array_equal(hit, first[place])


def test_a_lone_true_family_at_two_in_a_thousand_passes_among_twelve():
    rng = np.random.default_rng(4)
    lone = np.array([0.002])
    for place in range(12):
        rest = [rng.uniform(0.2, 1, 50) for _ in range(11)]
        hits, level = control_families([*rest[:place], lone, *rest[place:]])
        assert hits[place].all()
        assert level == pytest.approx(0.05 / 12)


def test_the_bar_inside_falls_with_the_share_that_passes():
    strong, dull = np.array([1e-9, 1e-8, 0.03]), np.full(5, 0.6)
    assert control_families([strong, dull])[0][0].tolist() == [True, True, False]  # 0.03 <= 0.05, not <= 0.05 x 1/2
    assert control_families([strong])[0][0].tolist() == [True, True, True]
    assert control_families([]) == ([], 0.0)


def test_bad_p_is_named():
    with pytest.raises(InputError, match="p-values"):
        benjamini_hochberg(np.array([0.1, 1.2]))
