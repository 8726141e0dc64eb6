"""CRC and coded blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.phy import Channel, CodedBlock, append_crc, check_crc, crc_bits, interleaver, parse_rate, power


def bits_of(text):
    return np.unpackbits(np.frombuffer(text, np.uint8))[None]


@pytest.mark.parametrize(
    ("size", "start", "value"),
    [(16, 0, 0x31C3), (16, 0xFFFF, 0x29B1), (24, 0, 0xCDE703), (32, 0xFFFFFFFF, 0x0376E6E7)],
)
def test_checks_have_their_published_values(size, start, value):
    check = crc_bits(bits_of(b"123456789"), size, start=start)[0]
    assert int("".join(map(str, check)), 2) == value


@given(st.integers(1, 300), st.sampled_from([16, 24, 32]), st.data())
def test_any_burst_shorter_than_the_check_is_found(length, size, data):
    word = append_crc(np.random.default_rng(length).integers(0, 2, (1, length), dtype=np.uint8), size)
    begin = data.draw(st.integers(0, length + size - 1))
    burst = data.draw(st.integers(1, min(size, length + size - begin)))
    broken = word.copy()
    broken[0, begin] ^= 1
    broken[0, begin + burst - 1] ^= burst > 1
    assert check_crc(word, size)[1].all()
    assert not check_crc(broken, size)[1].any()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 200),
    st.sampled_from(["none", "ldpc:1/2", "ldpc:2/3", "ldpc:0.33"]),
    st.sampled_from(["bpsk", "qpsk", "16qam"]),
    st.integers(0, 2**32 - 1),
)
def test_blocks_come_back(bits, fec, modulation, seed):
    block = CodedBlock(bits, fec, modulation)
    sent = np.random.default_rng(seed).integers(0, 2, (3, bits), dtype=np.uint8)
    symbols = block.send(sent)
    assert symbols.shape == (3, block.symbols)
    received, good = block.receive(symbols, 0.01)
    assert good.all()
    np.testing.assert_array_equal(received, sent)


def test_default_block_of_the_brief_takes_as_many_symbols_as_bits():
    assert CodedBlock(155).symbols == 171
    assert CodedBlock(155 + 16).symbols == 187


def test_silence_and_noise_are_no_block(rng):
    for fec in ("none", "ldpc:1/2"):
        block = CodedBlock(64, fec)
        assert not block.receive(np.zeros((1, block.symbols), np.complex64), 1.0)[1].any()
        noise = Channel().distort(np.zeros((500, block.symbols), np.complex64), 0.0, rng)
        assert not block.receive(noise, 1.0)[1].any()


def test_power_of_a_block_is_one(rng):
    block = CodedBlock(500, "ldpc:1/2", "qpsk")
    np.testing.assert_allclose(power(block.send(rng.integers(0, 2, (4, 500)))), 1, atol=1e-6)


def test_interleaver_is_one_permutation_for_both_sides():
    assert sorted(interleaver(100)) == list(range(100))
    np.testing.assert_array_equal(interleaver(100), interleaver(100))
    with pytest.raises(ValueError, match="read-only"):
        interleaver(100)[0] = 1


@pytest.mark.parametrize("fec", ["turbo", "ldpc", "ldpc:1/99", "ldpc:2"])
def test_unknown_code_is_refused(fec):
    with pytest.raises(InputError, match="fec"):
        _ = CodedBlock(64, fec).symbols


def test_soft_bits_of_a_failed_block_are_better_than_chance(rng):
    block = CodedBlock(64)
    bits = rng.integers(0, 2, (400, 64), dtype=np.uint8)
    received = Channel().apply(block.send(bits), 0.0, rng)
    soft, good = block.receive_soft(received.unbiased, received.noise)
    assert not good.all()
    assert np.mean((soft[~good] < 0) == bits[~good]) > 0.7


@pytest.mark.parametrize("fec", ["ldpc:1/0", "ldpc:0/0", "ldpc:0/3", "ldpc:99/100"])
def test_a_rate_that_cannot_be_is_refused(fec):
    with pytest.raises(InputError, match=r"0\.05 to 0\.93"):
        parse_rate(fec)
