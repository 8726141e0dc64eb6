"""The resident form against a dense reference, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tswitch.bank import _resident
from tswitch.bank._resident import Job, Rounding, Term, pack, rounding_of, unpack, write_all, write_checked
from tswitch.switch import _fast

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 1023, 4099]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.fixture(params=["compiled", "torch"])
def kernel(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
    use_kernels(monkeypatch, request.param == "compiled")


def use_kernels(monkeypatch, compiled):
    """Whatever the size, which else decides."""
    found = _fast.kernels(1 << 30) if compiled else None
    monkeypatch.setattr(_fast, "kernels", lambda size: found)


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
def test_write_equals_dense_reference(n, dtype, terms, kernel):
    base = torch.randn(n, generator=torch.Generator().manual_seed(n)).to(dtype)
    signs, scales = [ternary(n, seed) for seed in range(terms)], [0.1, -0.37, 1e-3][:terms]
    out = torch.full_like(base, torch.nan)
    write_all([Job(base, [Term(pack(sign), scale) for sign, scale in zip(signs, scales, strict=True)], out)])
    assert same_bits(out, reference(base, signs, scales))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9000), st.integers(1, 3), st.floats(-10, 10, width=32))
def test_write_does_not_depend_on_chunks_and_pieces(n, quads, scale):
    base, signs = torch.randn(n), ternary(n)
    with pytest.MonkeyPatch.context() as patch:
        use_kernels(patch, compiled=True)
        patch.setattr(_resident, "_CPU_CHUNK", 4 * quads)
        patch.setattr(_resident, "_PIECE", 2048 * quads)
        out = torch.empty(n)
        write_all([Job(base, [Term(pack(signs), scale)], out)])
        twin = torch.empty(n)
        _resident._write(Job(base, [Term(pack(signs), scale)], twin))
    assert same_bits(out, reference(base, [signs], [scale]))
    assert same_bits(twin, out)


def test_many_threads_write_the_same(monkeypatch):
    pytest.importorskip("numba")
    use_kernels(monkeypatch, compiled=True)
    monkeypatch.setattr(_resident, "_PIECE", 2048)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    base, signs = torch.randn(50_001), ternary(50_001)
    out = torch.empty_like(base)
    write_all([Job(base, [Term(pack(signs), 0.25)], out)])
    assert same_bits(out, reference(base, [signs], [0.25]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_counts_additions_that_change_nothing(dtype):
    base = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=dtype)
    out = torch.empty_like(base)
    assert rounding_of([Job(base, [Term(pack(torch.tensor([1, 0, -1, 1])), 1e-6)], out)]) == Rounding(3, 2)
    assert rounding_of([Job(base, [Term(pack(torch.tensor([1, 0, -1, 1])), 0.5)], out)]) == Rounding(3, 0)


def test_half_precision_rounds_once_for_a_mixture():
    base = torch.tensor([1.0], dtype=torch.bfloat16)
    codes = pack(torch.tensor([1]))
    out = torch.empty_like(base)
    write_all([Job(base, [Term(codes, 0.003)] * 3, out)])  # each alone rounds back to 1.0, their sum does not
    assert out.item() == 1.0078125


def test_compiled_write_is_seen_by_autograd(kernel):
    weight = torch.nn.Parameter(torch.ones(8))
    loss = (weight**2).sum()
    with torch.no_grad():
        write_all([Job(torch.ones(8), [Term(pack(torch.ones(8)), 1.0)], weight.detach())])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_special_values_of_the_base_survive(kernel):
    base = torch.tensor([np.inf, -np.inf, np.nan, 3e38, -0.0])
    out = torch.empty_like(base)
    write_all([Job(base, [Term(pack(torch.zeros(5)), 1.0)], out)])
    assert torch.equal(out[:2], base[:2])
    assert out[2].isnan()
    assert out[3:].tolist() == base[3:].tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("offset", [0, 1, 2, 3])
@pytest.mark.parametrize("strided", ["base", "codes", "out", "nothing"])
def test_memory_of_any_alignment_and_stride(dtype, offset, strided, kernel):
    def place(tensor, name):
        step = 2 if name == strided else 1
        return torch.zeros(offset + step * tensor.numel(), dtype=tensor.dtype)[offset::step].copy_(tensor)

    base, signs = torch.randn(61, dtype=dtype), ternary(61)
    out = place(torch.zeros_like(base), "out")
    write_all([Job(place(base, "base"), [Term(place(pack(signs), "codes"), 0.5)], out)])
    assert same_bits(out.contiguous(), reference(base, [signs], [0.5]))


def test_tensors_of_several_dtypes_and_sizes_in_one_call(kernel):
    sizes = [(0, torch.float32), (3, torch.float64), (17, torch.float32), (8, torch.bfloat16), (1, torch.float64)]
    bases = [torch.randn(n).to(dtype) for n, dtype in sizes]
    signs = [[ternary(n, seed) for seed in range(1 + n % 3)] for n, _ in sizes]
    outs = [torch.empty_like(base) for base in bases]
    scales = [0.5, -0.25, 2.0]
    write_all(
        [
            Job(base, [Term(pack(sign), scale) for sign, scale in zip(own, scales, strict=False)], out)
            for base, own, out in zip(bases, signs, outs, strict=True)
        ]
    )
    for base, own, out in zip(bases, signs, outs, strict=True):
        assert same_bits(out, reference(base, own, scales[: len(own)]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("start", range(17))
def test_lines_of_memory_begin_anywhere(dtype, start, monkeypatch):
    """Whatever the place of the first whole line in a tensor: before and behind it, nothing else is written."""
    pytest.importorskip("numba")
    use_kernels(monkeypatch, compiled=True)
    for n in (60, 64, 65, 130, 191, 257, 511):
        memory = torch.full((n + 40,), 7.0, dtype=dtype)
        base, signs, out = torch.randn(n, dtype=dtype), ternary(n), memory[start : start + n]
        write_all([Job(base, [Term(pack(signs), 0.25)], out)])
        assert same_bits(out, reference(base, [signs], [0.25]))
        assert memory[:start].eq(7).all()
        assert memory[start + n :].eq(7).all()


def key(place):
    """The word that goes with the word at `place` of a row."""
    word = (place + 1) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 31) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 29


def digest_in_integers(values):
    """Of one block: rows of 128 words, each with its key, the sum of lower half times upper half; rows by a step."""
    memory = values.contiguous().view(torch.uint8).numpy().tobytes()
    whole = len(memory) // 8 * 8
    rows = np.frombuffer(memory[:whole], np.uint64).tolist()
    sums = [rows[start : start + 128] for start in range(0, len(rows), 128)] + [
        [int.from_bytes(memory[whole:], "little")]
    ]
    total = 0
    for row in sums:
        mixed = [word ^ key(place) for place, word in enumerate(row)]
        total = (total * 0x9E3779B97F4A7C15 + sum((word % 2**32) * (word >> 32) for word in mixed)) % 2**64
    return total


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [0, 1, 3, 1000, 2048, 2049, 7001])
def test_digests_are_those_of_integers_and_show_every_change(dtype, size, monkeypatch):
    pytest.importorskip("numba")
    use_kernels(monkeypatch, compiled=True)
    values = torch.arange(size).remainder(251).to(dtype)
    found = _resident.digests(values)
    assert found.tolist() == [digest_in_integers(block) for block in values.split(2048) if size]
    for place in {0, size // 2, size - 1} if size > 2 else ():
        for change in (values[place] + 1, -values[place] - 1):
            other = values.clone()
            other[place] = change
            differs = _resident.digests(other) != found
            assert differs.nonzero()[0].tolist() == [place // 2048]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("place", [0, 2047, 2048, 5000, 7000])
def test_the_kernel_stops_in_front_of_a_block_that_others_wrote(dtype, place, monkeypatch):
    pytest.importorskip("numba")
    use_kernels(monkeypatch, compiled=True)
    monkeypatch.setattr(_resident, "_PIECE", 4096)
    base, out = torch.randn(7001).to(dtype), torch.randn(7001).to(dtype)
    before, sums = out.clone(), _resident.digests(out)
    out[place] += 1
    term = Term(pack(ternary(7001)), 0.5)
    done = write_checked([Job(base, [term], out, sums, checked=True)])
    ((part,),) = done.stopped.values()
    assert (part.start, part.stop) == (place // 2048 * 2048, min(7001, place // 4096 * 4096 + 4096))
    want = reference(base, [ternary(7001)], [0.5])
    before[place] = out[place]
    assert same_bits(out[part], before[part])
    rest = torch.ones(7001, dtype=torch.bool)
    rest[part] = False
    assert same_bits(out[rest], want[rest])
    write_checked([Job(base, [term], out, sums)])
    assert same_bits(out, want)
    assert np.array_equal(sums, _resident.digests(out))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 1e-9, 3e-5, 0.01, -0.7, 1.0, 5e4, 1e30])
def test_every_value_of_sixteen_bits_is_added_to_as_torch_does(monkeypatch, dtype, scale):
    use_kernels(monkeypatch, compiled=True)
    base = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(dtype)
    base = base[base.isfinite()].repeat(3)[:-1]
    codes = pack(torch.tensor([-1, 0, 1], dtype=torch.int8).repeat_interleave(len(base) // 3 + 1)[: len(base)])
    compiled, plain = torch.empty_like(base), torch.empty_like(base)
    write_all([Job(base, [Term(codes, scale)], compiled)])
    _resident._write(Job(base, [Term(codes, scale)], plain))
    assert same_bits(compiled, plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_mixtures_in_half_precision_are_those_of_torch(monkeypatch, dtype):
    use_kernels(monkeypatch, compiled=True)
    base = torch.randn(5000).to(dtype)
    for terms in range(4):
        one, two = torch.empty_like(base), torch.empty_like(base)
        held = [Term(pack(ternary(5000, seed)), 0.1 / (1 + seed)) for seed in range(terms)]
        write_all([Job(base, held, one)])
        _resident._write(Job(base, held, two))
        assert same_bits(one, two)
