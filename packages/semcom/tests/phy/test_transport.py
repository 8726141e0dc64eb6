"""Bit interleaver, transport blocks and rates against the text of TS 38.212 and 38.214."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.phy import (
    Channel,
    CodedBlock,
    Modulation,
    TransportBlock,
    append_crc,
    bit_interleaver,
    choose_mcs,
    crc_bits,
    ldpc,
    mcs_table,
)


def interleaved(e, qm):
    """5.4.2.2 as it is written: f(i + j * Qm) = e(i * E / Qm + j)."""
    size = len(e)
    f = [None] * size
    for j in range(size // qm):
        for i in range(qm):
            f[i + j * qm] = int(e[i * (size // qm) + j])
    return np.array(f)


@pytest.mark.parametrize(
    ("information", "modulation", "rate"),
    [(8024, "16qam", 434), (8024, "64qam", 466), (1064, "256qam", 711), (400, "qpsk", 120), (155, "16qam", 340)],
)
def test_modulated_bits_are_those_of_the_standard(information, modulation, rate, rng):
    block = CodedBlock(information - 24, f"ldpc:{rate / 1024:.6f}", modulation, crc=24)
    bits = rng.integers(0, 2, (1, block.bits), dtype=np.uint8)
    coded = ldpc(information, block.coded_bits).encode(append_crc(bits, 24))[0]
    expected = Modulation(modulation).modulate(interleaved(coded, Modulation(modulation).bits)[None])
    np.testing.assert_array_equal(block.send(bits), expected)


@given(st.integers(1, 400), st.sampled_from([1, 2, 4, 6, 8]))
def test_interleaver_is_the_standard_s_for_every_size(symbols, qm):
    e = np.arange(symbols * qm)
    np.testing.assert_array_equal(e[bit_interleaver(len(e), qm)], interleaved(e, qm))


def test_a_size_of_no_whole_symbols_is_refused():
    with pytest.raises(InputError, match="multiple of 4"):
        bit_interleaver(10, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 9000), st.sampled_from(mcs_table()), st.integers(0, 2**32 - 1))
def test_messages_fill_all_symbols_at_most_at_their_rate_and_come_back(symbols, row, seed):
    block = row.transport(symbols)
    if not block.bits:
        assert symbols * row.efficiency < 64
        return
    bits = np.random.default_rng(seed).integers(0, 2, (2, block.bits), dtype=np.uint8)
    sent = block.send(bits)
    assert sent.shape == (2, symbols)
    assert block.bits <= symbols * row.efficiency
    found, good = block.receive(sent, 1e-3)
    assert good.all()
    np.testing.assert_array_equal(found, bits)


def test_a_long_message_is_cut_and_checked_as_in_5_2_2(rng):
    block = TransportBlock.of_rate(8000, 466 / 1024, "64qam")
    assert block.blocks == 3
    bits = rng.integers(0, 2, (1, block.bits), dtype=np.uint8)
    word = np.concatenate([bits[0], crc_bits(bits, 24)[0]])
    size = -(-len(word) // 3)
    word = np.pad(word, (0, 3 * size - len(word)))
    lengths = [6 * (8000 // 3), 6 * (8000 // 3 + 1), 6 * (8000 // 3 + 1)]  # 5.4.2.1: the longer ones come last
    sent = []
    for part, length in zip(word.reshape(3, size), lengths, strict=True):
        coded = ldpc(size + 24, length).encode(append_crc(part[None], 24))[0]
        sent.append(Modulation("64qam").modulate(interleaved(coded, 6)[None])[0])
    np.testing.assert_array_equal(block.send(bits)[0], np.concatenate(sent))


def test_rows_are_those_of_the_three_tables():
    rows = {row.name: row for row in mcs_table()}
    assert len(rows) == 43
    assert (rows["12"].modulation, rows["12"].rate) == ("16qam", 434)
    assert (rows["2/20"].modulation, rows["2/20"].rate) == ("256qam", 682.5)
    assert (rows["3/0"].modulation, rows["3/0"].rate) == ("qpsk", 30)
    assert choose_mcs(-11.0).name == "3/0"
    assert choose_mcs(30.0).name == "2/27"


@pytest.mark.parametrize(("name", "most"), [("12", 5.3), ("18", 9.9)])
def test_rows_work_as_early_as_the_standard_s_code_can(name, most, rng):
    row = next(one for one in mcs_table() if one.name == name)
    assert row.snr_db <= most
    block = row.transport(round(8000 / row.efficiency))
    bits = rng.integers(0, 2, (48, block.bits), dtype=np.uint8)
    received = Channel().apply(block.send(bits), most, rng)
    found, good = block.receive(received.unbiased, received.noise)
    assert good.all()
    np.testing.assert_array_equal(found, bits)


@pytest.mark.parametrize("name", ["0", "8", "14", "24", "2/22", "3/3"])
@pytest.mark.parametrize("size", [100, 1600])
def test_a_rate_works_at_its_threshold_for_short_blocks_too(name, size, rng):
    row = next(one for one in mcs_table() if one.name == name)
    block = row.transport(round(size / row.efficiency))
    bits = rng.integers(0, 2, (150, block.bits), dtype=np.uint8)
    received = Channel().apply(block.send(bits), row.works_from(size), rng)
    assert block.receive(received.unbiased, received.noise)[1].mean() >= 0.97


def test_short_messages_need_a_higher_snr():
    for row in mcs_table():
        assert row.works_from(10) == row.thresholds[0]
        assert row.works_from(10**6) == row.thresholds[-1]
        assert row.works_from(100) >= row.works_from(8000)
    assert choose_mcs(3.0, 100).efficiency < choose_mcs(3.0, 16_384).efficiency


def test_noise_and_silence_are_no_message(rng):
    block = TransportBlock.of_rate(500, 0.5, "qpsk")
    for symbols in (np.zeros((3, 500)), rng.normal(size=(3, 500)) + 1j * rng.normal(size=(3, 500))):
        assert not block.receive(symbols.astype(np.complex64), 1.0)[1].any()
