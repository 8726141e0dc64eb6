"""The resident form against a dense reference, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tswitch.bank import _resident
from tswitch.bank._resident import Term, pack, unpack, write

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 1023, 4099]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def ternary(n, seed=0):
    return torch.randint(-1, 2, (n,), generator=torch.Generator().manual_seed(seed), dtype=torch.int8)


def reference(base, signs, scales):
    """base + scale * sign, one after the other, in float32 or wider; rounded once."""
    total = base.to(torch.promote_types(base.dtype, torch.float32))
    for sign, scale in zip(signs, scales, strict=True):
        total = total + (sign.float() * torch.tensor(scale, dtype=torch.float32)).to(total.dtype)
    return total.to(base.dtype)


def same_bits(one, two):
    return one.dtype == two.dtype and torch.equal(one.view(torch.uint8), two.view(torch.uint8))


def test_pack_places_the_first_element_in_the_lowest_bits():
    assert pack(torch.tensor([1, -1, 0, 1, -1])).tolist() == [0b01_00_10_01, 0b10]


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=70))
def test_unpack_inverts_pack(values):
    signs = torch.tensor(values, dtype=torch.int8)
    assert torch.equal(unpack(pack(signs), len(values)), signs)


def test_pack_costs_two_bits_a_parameter():
    assert pack(ternary(40_000)).nbytes == 10_000


def test_invalid_codes_counts_bytes_with_the_unused_code():
    assert _resident.invalid_codes(pack(ternary(1000))) == 0
    assert _resident.invalid_codes(torch.tensor([0b11, 0b1100, 0b01_10, 0b11_00_00_00], dtype=torch.uint8)) == 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_write_equals_dense_reference(n, dtype, terms):
    base = torch.randn(n, generator=torch.Generator().manual_seed(n)).to(dtype)
    signs, scales = [ternary(n, seed) for seed in range(terms)], [0.1, -0.37, 1e-3][:terms]
    out = torch.full_like(base, torch.nan)
    write(base, [Term(pack(sign), scale) for sign, scale in zip(signs, scales, strict=True)], out)
    assert same_bits(out, reference(base, signs, scales))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9000), st.integers(1, 3), st.floats(-10, 10, width=32))
def test_write_does_not_depend_on_chunks(n, quads, scale):
    base, signs, out = torch.randn(n), ternary(n), torch.empty(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_resident, "_CPU_CHUNK", 4 * quads)
        write(base, [Term(pack(signs), scale)], out)
    assert same_bits(out, reference(base, [signs], [scale]))


def test_half_precision_rounds_once_for_a_mixture():
    base = torch.tensor([1.0], dtype=torch.bfloat16)
    codes = pack(torch.tensor([1]))
    out = torch.empty_like(base)
    write(base, [Term(codes, 0.003)] * 3, out)  # each alone rounds back to 1.0, their sum does not
    assert out.item() == 1.0078125


def test_a_write_is_seen_by_autograd():
    weight = torch.nn.Parameter(torch.ones(8))
    loss = (weight**2).sum()
    with torch.no_grad():
        write(torch.ones(8), [Term(pack(torch.ones(8)), 1.0)], weight.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_special_values_of_the_base_survive():
    base = torch.tensor([np.inf, -np.inf, np.nan, 3e38, -0.0])
    out = torch.empty_like(base)
    write(base, [Term(pack(torch.zeros(5)), 1.0)], out)
    assert torch.equal(out[:2], base[:2])
    assert out[2].isnan()
    assert out[3:].tolist() == base[3:].tolist()
