"""The mask codec against exact combinatorics."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.paper import MaskCodec, kept_count

TABLE = {  # of the brief: capacity at r = .5, .6, .75, .8, .9
    64: (60, 58, 48, 41, 26),
    144: (140, 135, 113, 98, 63),
    196: (191, 185, 155, 137, 86),
    256: (251, 244, 203, 180, 114),
}


def random_bits(codec, rows, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (rows, codec.capacity_bits), dtype=np.uint8)


@pytest.mark.parametrize(("patches", "expected"), TABLE.items())
def test_capacities_are_those_of_the_table(patches, expected):
    found = tuple(MaskCodec(patches, ratio).capacity_bits for ratio in (0.5, 0.6, 0.75, 0.8, 0.9))
    assert found == expected


def exact_mask(value, patches, kept):
    """The mask of a rank, by Python's integers, from the definition rank = sum C(c_i, i)."""
    mask = np.ones(patches, bool)
    for place in range(patches - 1, -1, -1):
        if kept and (below := math.comb(place, kept)) <= value:
            mask[place] = False
            value, kept = value - below, kept - 1
    return mask


@pytest.mark.parametrize(
    ("patches", "ratio"), [(16, 0.5), (64, 0.75), (196, 0.75), (256, 0.9), (400, 0.6), (1024, 0.5)]
)
def test_masks_are_those_of_the_combinatorial_number_system(patches, ratio):
    codec = MaskCodec(patches, ratio, scramble_key=None)
    bits = random_bits(codec, 3)
    for row, mask in zip(bits, codec.encode(bits), strict=True):
        value = int("".join(map(str, row)), 2)
        np.testing.assert_array_equal(mask, exact_mask(value, patches, codec.kept))


def test_every_payload_of_sixteen_patches_comes_back_from_its_own_mask():
    codec = MaskCodec(16, 0.75)
    bits = np.array(list(itertools.product((0, 1), repeat=codec.capacity_bits)), np.uint8)
    masks = codec.encode(bits, np.zeros(len(bits), int))
    assert len(np.unique(masks, axis=0)) == len(bits) == 2**10
    np.testing.assert_array_equal(codec.decode(masks, np.zeros(len(bits), int)), bits)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [(8, 0.5, "enumerative"), (64, 0.75, "enumerative"), (196, 0.9, "enumerative"), (64, 0.5, "bitmap")]
    ),
    st.one_of(st.none(), st.integers(), st.text()),
    st.integers(0, 2**16),
    st.integers(0, 15),
    st.integers(0, 2**32 - 1),
)
def test_bits_come_back_in_each_mode_with_any_key(setting, key, index, choice, seed):
    patches, ratio, mode = setting
    codec = MaskCodec(patches, ratio, mode, key)
    bits = random_bits(codec, 3, seed)
    masks = codec.encode(bits, index, choice)
    assert masks.shape == (3, patches)
    if codec.kept is not None:
        assert ((~masks).sum(axis=1) == codec.kept).all()
    np.testing.assert_array_equal(codec.decode(masks, index, choice), bits)
    np.testing.assert_array_equal(codec.decode(np.where(masks, -1.0, 1.0), index, choice), bits)


@pytest.mark.parametrize("mode", ["enumerative", "bitmap"])
def test_no_picture_has_no_mask_and_no_bits(mode):
    codec = MaskCodec(64, 0.75, mode)
    masks = codec.encode(np.zeros((0, codec.capacity_bits), np.uint8))
    assert masks.shape == (0, 64)
    assert codec.decode(masks).shape == (0, codec.capacity_bits)


def test_codewords_out_of_range_are_refused():
    codec = MaskCodec(16, 0.75, scramble_key=None)
    assert 2**codec.capacity_bits < math.comb(16, 4)
    with pytest.raises(InputError, match="out of range in picture 1"):
        codec.decode(
            np.stack([exact_mask(2**codec.capacity_bits - 1, 16, 4), exact_mask(2**codec.capacity_bits, 16, 4)])
        )


def test_each_patch_is_kept_about_equally_often_with_a_key_and_never_without():
    bits = np.random.default_rng(0).integers(0, 2, (4000, 48), dtype=np.uint8)
    rates = (~MaskCodec(64, 0.75).encode(bits)).mean(axis=0)
    assert rates.min() > 0.22
    assert rates.max() < 0.28
    assert (~MaskCodec(64, 0.75, scramble_key=None).encode(bits)).mean(axis=0)[-1] < 0.01


def test_zeros_without_a_key_keep_one_strip():
    mask = MaskCodec(64, 0.75, scramble_key=None).encode(np.zeros(48, int))
    np.testing.assert_array_equal(np.flatnonzero(~mask), np.arange(16))


def test_likeliest_mask_has_the_right_weight_and_beats_single_decisions(rng):
    codec = MaskCodec(196, 0.75)
    masks = codec.encode(rng.integers(0, 2, (2000, codec.capacity_bits)))
    noise = 10 ** (-0.7)  # BPSK at 7 dB: the brief's theory says .0186 and .145
    llr = (np.where(masks, -1, 1) + np.sqrt(noise / 2) * rng.standard_normal(masks.shape)) * 4 / noise
    wrong = (codec.detect(llr) != masks).any(axis=1).mean()
    single = ((llr < 0) != masks).any(axis=1).mean()
    assert wrong == pytest.approx(0.0186, abs=0.01)
    assert single == pytest.approx(0.145, abs=0.025)
    assert wrong <= 0.25 * single


@pytest.mark.parametrize(
    ("ratio", "named"), [(0.0, "share"), (1.0, "share"), (75, "share"), (0.999, "keeps 0"), (float("nan"), "share")]
)
def test_ratio_that_keeps_all_or_none_is_refused(ratio, named):
    with pytest.raises(InputError, match=f"mask_ratio.*{named}"):
        MaskCodec(64, ratio)


def test_ten_of_a_hundred_patches_stay_at_nine_tenths():
    assert int(100 * (1 - 0.9)) == 9
    assert kept_count(100, 0.9) == 10


def test_bad_bits_and_masks_are_named():
    codec = MaskCodec(64, 0.75)
    with pytest.raises(InputError, match=r"bits.*0 or 1"):
        codec.encode(np.full(48, 2))
    with pytest.raises(InputError, match=r"bits.*0 or 1"):
        codec.encode(np.full(48, 0.5))
    with pytest.raises(InputError, match=r"bits: got shape \(47,\), expected \(48,\)"):
        codec.encode(np.zeros(47, int))
    with pytest.raises(InputError, match=r"mask: got shape \(63,\)"):
        codec.decode(np.ones(63, bool))
    masks = codec.encode(np.zeros((3, 48), int))
    masks[2, np.flatnonzero(masks[2])[0]] = False
    with pytest.raises(InputError, match="17 kept patches where there are 16 in picture 2"):
        codec.decode(masks)
    with pytest.raises(InputError, match="NaN"):
        codec.decode(np.full(64, np.nan))
    with pytest.raises(InputError, match="mode"):
        MaskCodec(64, 0.75, "rank")
    with pytest.raises(InputError, match="bitmap: got 0 kept"):
        MaskCodec(8, 0.5, "bitmap", None).encode(np.ones(8, int))
