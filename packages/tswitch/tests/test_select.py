import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ninefold.errors import InputError
from tswitch import kth_largest
from tswitch.switch._select import UNTHRESHOLDED, RadixSelect

from .oracle import random_tau


def select(chunks, positive, negative):
    radix = RadixSelect()
    for chunk in chunks:
        radix.count(chunk)
    radix.seek(positive, negative)
    for chunk in chunks:
        radix.refine(chunk)
    return radix.thresholds()


def test_thresholds_equal_a_full_sort_when_the_stream_is_cut_anywhere():
    generator = np.random.default_rng(0)
    for _ in range(150):
        tau = random_tau(generator, int(generator.integers(1, 3000)))
        above, below = np.sort(tau[tau > 0])[::-1], np.sort(-tau[tau < 0])[::-1]
        ranks = [int(generator.integers(0, side.size + 1)) for side in (above, below)]
        cuts = np.sort(generator.integers(0, tau.size + 1, 3))
        got = select(np.split(tau, cuts), *ranks)
        want = [
            side[rank - 1] if rank else np.float32(UNTHRESHOLDED)
            for side, rank in zip((above, below), ranks, strict=True)
        ]
        assert [np.float32(value) for value in got] == want


@settings(max_examples=60)
@given(
    values=hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(0, width=32, allow_infinity=False)),
    data=st.data(),
)
def test_kth_largest_equals_sorting(values, data):
    rank = data.draw(st.integers(1, values.size))
    assert kth_largest(values, rank) == np.sort(values)[::-1][rank - 1]


def test_counts_tell_signs_zeros_and_what_is_not_finite():
    radix = RadixSelect()
    radix.count(np.array([1, -1, -2, 0.0, -0.0, 1e-45, np.inf, -np.inf, np.nan, -np.nan], np.float32))
    assert (radix.size, radix.zeros, radix.not_finite) == (10, 2, 4)
    assert radix.positives + radix.negatives == 8


@pytest.mark.parametrize(("values", "rank"), [([1.0, -1.0], 1), ([np.nan], 1), ([1.0], 0), ([1.0], 2)])
def test_kth_largest_refuses_what_has_no_answer(values, rank):
    with pytest.raises(InputError):
        kth_largest(np.array(values, np.float32), rank)


def test_a_rank_beyond_the_stream_is_refused():
    radix = RadixSelect()
    radix.count(np.ones(3, np.float32))
    with pytest.raises(InputError, match=r"rank.*0 to 3"):
        radix.seek(4, 0)
