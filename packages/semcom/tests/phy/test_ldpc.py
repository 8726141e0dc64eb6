"""The LDPC code: structure, round trips, error rates, and bit for bit the same as Sionna's encoder."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from ninefold_testing import warm
from semcom.phy import Channel, Modulation, layout, ldpc
from semcom.phy._layered import min_sum
from semcom.phy._ldpc import min_sum_of_few

SIZES = [(40, 80), (80, 160), (96, 288), (171, 342), (320, 480), (500, 1500), (1000, 1500), (2000, 3000), (3900, 7800)]
SIZES.append((8000, 10_000))


@pytest.mark.parametrize(("k", "n"), SIZES)
def test_each_codeword_fulfils_all_checks_and_comes_back(k, n, rng):
    code = ldpc(k, n)
    bits = rng.integers(0, 2, (3, k), dtype=np.uint8)
    decoded, holds = code.decode((1 - 2.0 * code.encode(bits)) * 4)
    assert holds.all()
    np.testing.assert_array_equal(decoded, bits)


@pytest.mark.parametrize(
    ("k", "n", "graph", "lifting"), [(171, 342, 2, 30), (1000, 1300, 1, 48), (8448, 12_672, 1, 384)]
)
def test_graph_and_lifting_are_those_of_the_standard(k, n, graph, lifting):
    assert (layout(k, n).graph, layout(k, n).lifting) == (graph, lifting)


@settings(max_examples=15, deadline=None)
@given(st.integers(24, 300), st.floats(0.21, 0.85), st.integers(0, 2**32 - 1))
def test_code_is_linear(k, rate, seed):
    code = ldpc(k, max(int(k / rate), k + 1))
    first, second = np.random.default_rng(seed).integers(0, 2, (2, 1, k), dtype=np.uint8)
    np.testing.assert_array_equal(code.encode(first) ^ code.encode(second), code.encode(first ^ second))


def test_a_flipped_sign_is_repaired(rng):
    code = ldpc(80, 160)
    bits = rng.integers(0, 2, (20, 80), dtype=np.uint8)
    llr = (1 - 2.0 * code.encode(bits)) * 2
    llr[np.arange(20), rng.integers(0, 160, 20)] *= -1
    decoded, holds = code.decode(llr)
    assert holds.all()
    np.testing.assert_array_equal(decoded, bits)


def test_rates_below_a_fifth_repeat_the_buffer(rng):
    code = ldpc(40, 400)
    buffer = len(code.layout.buffer)
    bits = rng.integers(0, 2, (4, 40), dtype=np.uint8)
    word = code.encode(bits)
    np.testing.assert_array_equal(word[:, buffer:], word[:, : 400 - buffer])
    noisy = (1 - 2.0 * word) + 1.6 * rng.standard_normal(word.shape)
    np.testing.assert_array_equal(code.decode(noisy)[0], bits)


def test_block_errors_at_three_decibels(rng):
    code, modulation = ldpc(171, 342), Modulation("qpsk")
    rows = 1200
    bits = rng.integers(0, 2, (rows, 171), dtype=np.uint8)
    received = Channel().apply(modulation.modulate(code.encode(bits)), 2.5, rng)
    decoded, _ = code.decode(modulation.llr(received.unbiased, received.noise))
    assert (decoded != bits).any(axis=1).mean() <= 0.012  # bar .03; Sionna's sum-product .009


def test_wrong_sizes_and_values_are_named():
    with pytest.raises(InputError, match="k: got 9000"):
        ldpc(9000, 12_000)
    with pytest.raises(InputError, match="n: got 80"):
        ldpc(80, 80)
    with pytest.raises(InputError, match=r"bits: got shape"):
        ldpc(80, 160).encode(np.zeros((1, 79)))
    with pytest.raises(InputError, match="0 or 1"):
        ldpc(80, 160).encode(np.full((1, 80), 2))
    with pytest.raises(InputError, match="NaN"):
        ldpc(80, 160).decode(np.full((1, 160), np.nan))


PEER = """
import json, sys
import numpy as np, torch
sys.path.insert(0, sys.argv[2])
from sionna.phy.fec.ldpc import LDPC5GEncoder
for k, n in json.loads(sys.argv[1]):
    bits = np.random.default_rng(k).integers(0, 2, (3, k))
    word = LDPC5GEncoder(k, n)(torch.tensor(bits, dtype=torch.float32))
    print("".join(str(int(one)) for one in word.reshape(-1)))
"""


@pytest.mark.peer
@pytest.mark.slow
def test_encoder_equals_sionnas_bit_for_bit(sionna):
    done = warm().run(["-c", PEER, json.dumps(SIZES), str(sionna)])
    assert done.returncode == 0, done.stderr[-2000:]
    for (k, n), theirs in zip(SIZES, done.stdout.split(), strict=True):
        bits = np.random.default_rng(k).integers(0, 2, (3, k)).astype(np.uint8)
        assert "".join(map(str, ldpc(k, n).encode(bits).ravel())) == theirs, (k, n)


@pytest.fixture
def sionna(tmp_path):
    """A folder with Sionna, for a path of modules that has the torch which is installed here."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("Sionna needs a folder of its own, and uv, which fills one, is not installed")
    place, packages = tmp_path / "peer", ["sionna-no-rt==2.2.0", "importlib_resources"]
    words = [uv, "pip", "install", "-q", "-p", sys.executable, "--target", place, "--no-deps", *packages]
    got = subprocess.run(words, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"Sionna cannot be installed here: {(got.stderr.strip() or 'no reason').splitlines()[-1]}")
    return place


def plain_min_sum(llr, starts, places, iterations, scale):
    """One word, one edge after another, as the textbook has it."""
    word, message = llr.copy(), np.zeros(len(places), np.float32)
    for _ in range(iterations):
        for begin, end in itertools.pairwise(starts):
            at = places[begin:end]
            value = word[at] - message[begin:end]
            size, sign = np.abs(value), np.where(value < 0, np.float32(-1), np.float32(1))
            others = np.array([np.delete(size, edge).min() for edge in range(len(size))], np.float32)
            message[begin:end] = np.float32(scale) * others * sign.prod() * sign
            word[at] = value + message[begin:end]
    return word


def test_min_sum_equals_the_textbook_in_each_lane(rng):
    code = ldpc(40, 80)
    llr = rng.normal(1, 2, (19, code._width)).astype(np.float32)
    llr[3, ::5] = 0.0
    expected = np.stack([plain_min_sum(one, code._starts, code._places, 4, 0.78) for one in llr])
    min_sum(llr, code._starts, code._places, 4, np.float32(0.78), False)
    np.testing.assert_array_equal(llr, expected)


@pytest.mark.parametrize(("k", "n"), [(24, 48), (40, 400), (88, 264), (320, 480), (1000, 1500), (8448, 9100)])
@pytest.mark.parametrize(("iterations", "stop"), [(20, True), (3, False), (0, True)])
def test_few_words_are_decoded_as_many_are(k, n, iterations, stop, rng):
    code = ldpc(k, n)
    llr = rng.normal(1, 1.5, (5, code._width)).astype(np.float32)
    llr[2] = np.round(llr[2]) + np.float32(0)  # equal sizes and zeros
    llr[3] = np.abs(llr[3])  # a codeword
    few, many = llr.copy(), llr.copy()
    holds = min_sum_of_few(few, code._starts, code._places, code.layout.lifting, iterations, np.float32(0.78), stop)
    known = min_sum(many, code._starts, code._places, iterations, np.float32(0.78), stop)
    np.testing.assert_array_equal(few.view(np.int32), many.view(np.int32))
    np.testing.assert_array_equal(holds, known)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
def test_a_word_is_decoded_as_if_it_were_alone(rows, rng):
    code = ldpc(171, 342)
    word = (1 - 2.0 * code.encode(rng.integers(0, 2, (rows, 171), dtype=np.uint8))) * 1.6
    llr = word + 1.6 * rng.standard_normal(word.shape)  # some fail, the others end at different passes
    llr[0, ::7] = -0.0
    together, holds = code.posterior(llr)
    alone = [code.posterior(one[None]) for one in llr]
    np.testing.assert_array_equal(together, np.concatenate([soft for soft, _ in alone]))
    np.testing.assert_array_equal(holds, np.concatenate([good for _, good in alone]))
