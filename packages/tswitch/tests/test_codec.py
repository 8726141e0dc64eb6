import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tswitch.switch import _codec
from tswitch.switch._codec import BLOCK, CHUNK, CodecError, Encoder, active_in, decode, decode_packed

from . import codec_oracle
from .codec_oracle import pack_two_bits
from .oracle import random_tau


def encoded(codes):
    """Code of an int8 array in {-1, 0, 1}, checked to be the bytes of the numpy form."""
    code = np.concatenate(Encoder(1, 1, squared=True).encode(codes.astype(np.float32)))
    assert np.array_equal(code, codec_oracle.encode(codes))
    return code


def decoded(code, size):
    """Entries, checked to be those of the numpy form, which refuses what is refused here."""
    try:
        values = codec_oracle.decode(code, size)
    except CodecError:
        with pytest.raises(CodecError):
            decode_packed(code, size)
        list(decode(code, size))  # raises, too
        pytest.fail("read a code that the numpy form refuses")
    parts = list(decode(code, size))
    assert [part.start for part, _ in parts] == list(range(0, size, CHUNK))
    assert np.array_equal(np.concatenate([np.empty(0, np.int8), *(found for _, found in parts)]), values)
    assert np.array_equal(decode_packed(code, size), pack_two_bits(values))
    assert active_in(decode_packed(code, size)) == np.count_nonzero(values)
    return values


def entropy_bytes(density, size):
    if density in (0, 1):
        return density * size / 8
    return (-density * math.log2(density) - (1 - density) * math.log2(1 - density) + density) * size / 8


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.int8, st.integers(0, 300), elements=st.integers(-1, 1)))
@example(np.zeros(5, np.int8))
@example(np.full(9, -1, np.int8))
def test_round_trip_is_exact(codes):
    code = encoded(codes)
    assert np.array_equal(decoded(code, codes.size), codes)


@pytest.mark.parametrize("density", [0, 1e-5, 0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 1])
@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, 2 * BLOCK + 3, CHUNK + 5])
def test_round_trip_is_exact_over_many_blocks(density, size):
    generator = np.random.default_rng(0)
    codes = np.where(generator.random(size) < density, generator.choice([-1, 1], size), 0).astype(np.int8)
    code = encoded(codes)
    assert np.array_equal(decoded(code, size), codes)


@pytest.mark.parametrize(
    ("way", "codes"),
    [
        (0, np.zeros(64)),
        (1, np.tile([1, 0, -1], 100)),
        (2, np.tile([1] * 4 + [0] * 76, 8)),
        (4, np.tile([1, 0, 0, 0, -1, 0, 0], 100)),
        (9, np.tile([1] + [0] * 99, 100)),
    ],
)
def test_the_smallest_way_is_chosen(way, codes):
    code = encoded(np.array(codes, np.int8))
    assert code[0] == way
    assert np.array_equal(decoded(code, len(codes)), codes)


def test_every_rice_parameter_and_long_gaps_come_back():
    for step in (1 << power for power in range(16)):
        codes = np.zeros(BLOCK, np.int8)
        codes[step - 1 :: step] = 1
        codes[BLOCK // 2 : BLOCK // 2 + 5] = -1
        assert np.array_equal(decoded(encoded(codes), BLOCK), codes)
    codes = np.zeros(BLOCK, np.int8)
    codes[[0, BLOCK - 1]] = 1, -1
    assert np.array_equal(decoded(encoded(codes), BLOCK), codes)


@pytest.mark.parametrize("density", [0.4, 0.2, 0.1, 0.05, 0.01])
def test_size_is_within_three_per_cent_of_the_entropy(density):
    generator = np.random.default_rng(0)
    size = 4 * BLOCK
    codes = np.where(generator.random(size) < density, generator.choice([-1, 1], size), 0).astype(np.int8)
    assert encoded(codes).size <= 1.03 * entropy_bytes(np.count_nonzero(codes) / size, size)


def test_row_sparse_embeddings_take_less_than_the_entropy_of_their_density():
    generator = np.random.default_rng(0)
    codes = np.where(generator.random((4000, 384)) < 0.4, generator.choice([-1, 1], (4000, 384)), 0)
    codes[generator.random(4000) < 0.95] = 0
    density = np.count_nonzero(codes) / codes.size
    assert encoded(codes.reshape(-1).astype(np.int8)).size <= 0.85 * entropy_bytes(density, codes.size)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_sums_are_equal_to_the_last_bit_however_the_stream_is_cut(pool):
    generator = np.random.default_rng(2)
    for trial in range(60):
        delta = random_tau(generator, int(generator.integers(1, 3 * BLOCK)))
        active = (delta >= 0.25) | (delta <= -0.5)
        results = []
        for step, helper in ((BLOCK, None), (3 * BLOCK, pool)):
            encoder = Encoder(0.25, 0.5, squared=trial % 2 == 0)
            chunks = (delta[at : at + step] for at in range(0, delta.size, step))
            code = b"".join(piece.tobytes() for chunk in chunks for piece in encoder.encode(chunk, helper))
            results.append((code, encoder.total, encoder.active))
        assert results[0] == results[1]
        kept = np.abs(delta[active].astype(np.float64))
        assert encoder.active == kept.size
        assert encoder.total == pytest.approx((kept**2 if trial % 2 == 0 else kept).sum(), rel=1e-12)


def sample(density=0.1, size=3000):
    generator = np.random.default_rng(3)
    return np.where(generator.random(size) < density, generator.choice([-1, 1], size), 0).astype(np.int8)


@pytest.mark.parametrize("density", [0.1, 0.45, 0.001])
def test_every_truncation_is_refused(density):
    codes = sample(density)
    code = encoded(codes)
    for length in range(code.size):
        with pytest.raises(CodecError):
            decoded(code[:length], codes.size)


def test_surplus_bytes_are_refused():
    code = encoded(sample())
    with pytest.raises(CodecError, match="1 bytes too many"):
        decoded(np.append(code, np.uint8(0)), 3000)


@pytest.mark.parametrize("density", [0, 0.1, 0.45, 0.001])
def test_a_flipped_bit_is_refused_or_gives_another_valid_tensor(density):
    codes = sample(density)
    code = encoded(codes)
    for bit in range(0, code.size * 8, 7):
        wrong = code.copy()
        wrong[bit // 8] ^= 1 << bit % 8
        try:
            values = decoded(wrong, codes.size)
        except CodecError:
            continue
        assert set(np.unique(values)) <= {-1, 0, 1}
        assert not np.array_equal(values, codes)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ([200, 0, 0, 2, 0, 0, 1], "unknown"),
        ([0, 0, 0, 1, 0, 0], "empty block"),
        ([0, 1, 0, 0, 0], "empty block"),
        ([1, 9, 0, 3, 0, 0, 0, 1], "more active entries"),
        ([1, 0, 0, 2, 0, 0, 0b11], "another number"),
        ([1, 0, 0, 2, 0, 0b10, 1], "beyond its end"),
        ([1, 0, 0, 3, 0, 0, 1, 0], "disagree"),
        ([2, 0, 0, 3, 0, 0, 0b11, 0b1], "marked as active"),
        ([3, 0, 0, 2, 0, 0, 0], "too few gaps"),
        ([3, 0, 0, 3, 0, 0, 0, 2], "beyond its end"),
        ([3, 0, 0, 4, 0, 0, 0, 0b10000000, 3], "disagree"),
        ([3, 0, 0, 5, 0, 0, 0, 0b10000000, 3, 0], "short gap"),
        ([3, 0, 0, 5, 0, 0, 0, 0b10000000, 200, 0], "beyond its end"),
    ],
)
def test_malformed_blocks_are_refused_by_reason(code, reason):
    with pytest.raises(CodecError, match=reason):
        decoded(np.array(code, np.uint8), 8)


def test_two_bit_form_holds_four_codes_a_byte():
    codes = np.array([1, -1, 0, 1, -1, -1], np.int8)
    assert pack_two_bits(codes).tolist() == [1 | 2 << 2 | 1 << 6, 2 | 2 << 2]
    assert pack_two_bits(codes[:0]).size == 0


def test_blocks_and_chunks_fit_into_each_other():
    assert CHUNK % BLOCK == 0
    assert BLOCK <= 1 << 16, "positions and lengths of a block are stored in 16 bits"
    assert _codec.BLOCK % _codec._LANES == 0
