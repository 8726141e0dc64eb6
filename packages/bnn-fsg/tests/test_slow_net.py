"""The compiled slow-net against plain torch, and the block against another implementation of Mamba."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
from bnn_fsg.fsg._fast_net import FastNet
from bnn_fsg.fsg._scan_kernels import LANES
from bnn_fsg.fsg._slow_net import _PART, SlowGradient, SlowNet, kernel_threads

SIZES = [(4, 4, 8), (16, 8, 20), (3, 1, 5)]


def gradients(net, loss):
    for one in net.parameters():
        one.grad = None
    loss.backward()
    return {name: one.grad.clone() for name, one in net.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("count", "steps", "threads"), [(1, 1, 1), (77, 3, 1), (LANES, 5, 1), (201, 5, 2)])
@pytest.mark.parametrize("recognition", [True, False])
def test_compiled_last_output_equals_the_block(sizes, count, steps, threads, recognition):
    gen = torch.Generator().manual_seed(count)
    torch.manual_seed(0)
    net = SlowNet(3, *sizes, recognition=recognition)
    history, v = torch.randn(steps, count, generator=gen), torch.randn(count, generator=gen)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out = net.last(history, 1, 0.7)
        got = gradients(net, out @ v)
    finally:
        torch.set_num_threads(before)
    u = history.T * 0.7
    if recognition:
        u = torch.cat([net.token(1).expand(count, 1), u], 1)
    direct = net.block(u)[:, -1]
    want = gradients(net, direct @ v)
    torch.testing.assert_close(out, direct, rtol=1e-5, atol=1e-6)
    assert got.keys() == want.keys()
    for name, one in want.items():
        torch.testing.assert_close(got[name], one, rtol=1e-4, atol=1e-5 * float(one.abs().max()) + 1e-12, msg=name)


def test_slow_gradients_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    net = SlowNet(2)
    history, v = torch.randn(5, 2 * _PART + 100), torch.randn(2 * _PART + 100)

    def with_threads(count):
        with kernel_threads(count):
            out = net.last(history, 1)
            return {"out": out.detach(), **gradients(net, out @ v)}

    first = with_threads(1)
    for count in (2, 3):
        assert all(torch.equal(one, first[name]) for name, one in with_threads(count).items())


@pytest.mark.parametrize("sizes", SIZES)
def test_mirrored_block_is_odd_and_half_of_it_is_as_it_was(sizes):
    torch.manual_seed(0)
    net = SlowNet(1, *sizes)
    half, before = sizes[2] // 2, net.in_proj.weight.detach().clone()
    u = torch.randn(50, 6, generator=torch.Generator().manual_seed(1)) * 3
    if sizes[2] % 2:  # the channel that has no twin
        with torch.no_grad():
            net.out_proj.weight[0, -1] = 0
            net.x_proj.weight[:, -1] = 0
    assert not torch.allclose(net.block(-u), -net.block(u), rtol=0.1)
    net.mirror()
    torch.testing.assert_close(net.block(-u), -net.block(u), rtol=1e-4, atol=1e-6)
    assert net.block(u).std() > 0
    torch.testing.assert_close(net.in_proj.weight[:half], before[:half])


def test_whatever_the_draw_a_slow_net_that_descends_agrees_with_the_newest_gradient():
    history = torch.randn(5, 400, generator=torch.Generator().manual_seed(2))
    climbed = []
    for seed in range(8):
        torch.manual_seed(seed)
        slow = SlowGradient(SlowNet(1))
        with torch.no_grad():
            climbed.append(float((slow(history, 0, 1.0) * history[-1]).sum()) < 0)
            slow.descend()
            assert float((slow(history, 0, 1.0) * history[-1]).sum()) > 0
    assert any(climbed)


def test_a_fast_net_that_descends_keeps_the_gradients_sign():
    climbed = []
    for seed in range(8):
        torch.manual_seed(seed)
        net = FastNet()
        climbed.append(float(net(torch.ones(1)).detach()) < 0)
        net.descend()
        assert float(net(torch.ones(1)).detach()) > 0
    assert any(climbed)


def test_sizes_are_the_published_ones():
    def count(*sizes):
        return sum(one.numel() for name, one in SlowNet(2, *sizes).named_parameters() if "embedding" not in name)

    assert count(16, 8, 100) == 6400
    assert count(4, 4, 8) == 192


@pytest.mark.parametrize("sizes", [(4, 4, 8), (16, 8, 100)])
def test_block_equals_transformers_mamba(sizes):
    mamba = pytest.importorskip("transformers.models.mamba.modeling_mamba", reason="needs the extra hf")
    state, conv, expand = sizes
    config = mamba.MambaConfig(
        hidden_size=1, state_size=state, conv_kernel=conv, expand=expand, time_step_rank=1, num_hidden_layers=1
    )
    torch.manual_seed(0)
    ours = SlowNet(1, *sizes)
    theirs = mamba.MambaMixer(config, 0)
    parameters = {name: one for name, one in ours.state_dict().items() if "embedding" not in name}
    theirs.load_state_dict(parameters)
    u = torch.randn(40, 6, generator=torch.Generator().manual_seed(1)) * 3
    out = theirs(u[..., None])[..., 0]
    torch.testing.assert_close(ours.block(u), out, rtol=1e-4, atol=1e-5)
    want = gradients(theirs, out[:, -1].square().sum())
    got = gradients(ours, ours.block(u)[:, -1].square().sum())
    compiled = SlowNet(1, *sizes, recognition=False)
    compiled.load_state_dict(parameters)
    fast = gradients(compiled, compiled.last(u.T.contiguous(), 0).square().sum())
    for name, one in want.items():
        for candidate in (got, fast):
            torch.testing.assert_close(candidate[name], one, rtol=1e-3, atol=1e-4 * float(one.abs().max()) + 1e-9)


def test_collapsed_fast_net_equals_its_mlp():
    torch.manual_seed(0)
    net = FastNet(20)
    x = torch.linspace(-2, 2, 33)

    def mlp(x):
        return net.third(net.second(net.first(x[:, None])))[:, 0]

    torch.testing.assert_close(net(x), mlp(x))
    v = torch.randn(33, generator=torch.Generator().manual_seed(0))
    one, other = gradients(net, net(x) @ v), gradients(net, mlp(x) @ v)
    for name in one:
        torch.testing.assert_close(one[name], other[name])


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere such numbers cost nothing")
def test_kernels_take_numbers_too_small_as_zero_and_leave_the_rest_of_the_process_alone():
    net = SlowNet(1)
    with torch.no_grad():
        net.out_proj.weight.fill_(1e-40)
    one = net.last(torch.ones(3, 40), 0)
    assert not one.any()
    one.sum().backward()
    assert all(not p.grad.any() for name, p in net.named_parameters() if name != "out_proj.weight")
    small = np.full(1, 1e-40, np.float32)
    assert (small * np.float32(1)).any()
