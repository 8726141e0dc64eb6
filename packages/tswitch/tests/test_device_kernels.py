"""The GPU kernel of switching beside its torch twin, bit for bit: interpreted, and on a GPU where one is."""

import importlib.util
import sys

import pytest
import torch
from tswitch.bank import _resident
from tswitch.bank._resident import Job, Term, pack, write_all

from . import small_net

pytest.importorskip("triton")
SIZES = [0, 1, 3, 4, 5, 1023, 1024, 4099]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=ON_GPU)]


@pytest.fixture
def kernels(device, monkeypatch):
    """The module for a device: a fresh copy that Triton interprets on the CPU, the compiled one on a GPU."""
    name = "tswitch.bank._device_kernels"
    if device == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def ternary(n, seed):
    return torch.randint(-1, 2, (n,), generator=torch.Generator().manual_seed(seed), dtype=torch.int8)


def same_bits(one, two):
    return one.dtype == two.dtype and torch.equal(one.cpu().view(torch.uint8), two.cpu().view(torch.uint8))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("terms", [1, 2, 5])
def test_kernel_equals_its_torch_twin_bit_for_bit(device, dtype, terms, kernels):
    for n in SIZES:
        generator = torch.Generator().manual_seed(n)
        base = (torch.randn(n, generator=generator) * 10.0 ** torch.randint(-7, 5, (n,), generator=generator)).to(dtype)
        base[: n // 8] = torch.tensor([-0.0, 0.0, 65504.0, -1e-7]).repeat(n)[: n // 8].to(dtype)
        scales = [0.1, -0.37, 1e-3, 3e-8, 12.0][:terms]
        codes = [pack(ternary(n, seed)) for seed in range(terms)]
        twin, out = torch.full_like(base, torch.nan), torch.full_like(base, torch.nan).to(device)
        _resident._write(Job(base, [Term(one, scale) for one, scale in zip(codes, scales, strict=True)], twin))
        kernels.write(base.to(device), [one.to(device) for one in codes], scales, out)
        assert same_bits(out, twin), (n, dtype)


@pytest.mark.parametrize("device", DEVICES)
def test_kernel_writes_nothing_beyond_its_tensor(device, kernels):
    room = torch.full((2100,), 7.0, device=device)
    kernels.write(torch.zeros(1027, device=device), [pack(ternary(1027, 0)).to(device)], [2.0], room[4 : 4 + 1027])
    assert (room[:4] == 7).all()
    assert (room[1031:] == 7).all()
    assert set(room[4:1031].tolist()) == {-2.0, 0.0, 2.0}


@pytest.mark.parametrize("device", DEVICES)
def test_switching_takes_the_kernel_where_all_lies_on_one_gpu(device, kernels, monkeypatch):
    calls = []
    write = kernels.write
    monkeypatch.setattr(kernels, "write", lambda *given: (calls.append(1), write(*given)))
    if device == "cpu":  # the interpreter has no other place
        monkeypatch.setattr(_resident, "_on_gpu", lambda job: bool(job.terms))
        monkeypatch.setattr(_resident, "_in_plain_memory", lambda job: False)
    base = torch.randn(300, device=device)
    codes = [pack(ternary(300, seed)).to(device) for seed in range(2)]
    jobs = [Job(base, [Term(one, 0.5) for one in codes], torch.empty_like(base)), Job(base, [], torch.empty_like(base))]
    write_all(jobs)
    assert len(calls) == 1  # nothing to add is a plain copy
    twin = torch.empty(300)
    _resident._write(Job(base.cpu(), [Term(one.cpu(), 0.5) for one in codes], twin))
    assert same_bits(jobs[0].out, twin)
    assert same_bits(jobs[1].out, base)


@ON_GPU
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_bank_on_a_gpu_switches_like_one_on_the_cpu_and_undoes_to_the_bit(dtype):
    models = [small_net.make_base().to(dtype) for _ in range(2)]
    models[1].cuda()
    before = {name: value.clone() for name, value in models[1].state_dict().items()}
    banks = [small_net.make_bank(model)[0] for model in models]
    for wanted in ({"t1": 1.0}, {"t1": 0.3, "t2": 0.7}):
        with banks[0].use(wanted), banks[1].use(wanted):
            for name, value in models[0].state_dict().items():
                assert same_bits(value, models[1].state_dict()[name]), name
    assert all(same_bits(value, before[name]) for name, value in models[1].state_dict().items())


def test_a_tensor_in_plain_memory_never_asks_for_triton(monkeypatch):
    monkeypatch.setattr(_resident, "_gpu_kernels", lambda: pytest.fail("Triton was asked for"))
    out = torch.empty(8)
    write_all([Job(torch.zeros(8), [Term(pack(ternary(8, 0)), 1.0)], out)])
    assert torch.equal(out, ternary(8, 0).float())


def test_without_triton_the_torch_twin_switches(monkeypatch):
    monkeypatch.delitem(sys.modules, "tswitch.bank._device_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    _resident._gpu_kernels.cache_clear()
    assert _resident._gpu_kernels() is None
    _resident._gpu_kernels.cache_clear()
