"""What every step of FSG must keep, and each part of G against a direct computation."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from bnn_fsg import pack
from bnn_fsg.layers._layers import binary_layers
from ninefold.errors import InputError
from torch import nn

from .fsg_helpers import X, Y, loss_of, made, snapshot


def _mlp(fast, x):
    """The fast-net layer by layer, (n,) -> (n,)."""
    return fast.third(fast.second(fast.first(x[:, None])))[:, 0]


def test_nothing_moves_in_the_first_step_and_everything_in_the_second():
    model, fsg = made()
    before = snapshot(model)
    fsg.step(loss_of(model))
    assert all(torch.equal(one, before[name]) for name, one in model.named_parameters())
    fsg.step(loss_of(model))
    assert all(not torch.equal(one, before[name]) for name, one in model.named_parameters())


def test_queues_grow_to_the_history_and_drop_the_oldest():
    model, fsg = made(history=5)
    seen, lengths = [], []
    for _ in range(7):
        fsg.step(loss_of(model))
        lengths.append(fsg.queues[0].steps)
        seen.append(fsg.queues[0].newest().clone())
    assert lengths == [1, 2, 3, 4, 5, 5, 5]
    assert torch.equal(fsg.queues[0].chronological(), torch.stack(seen[-5:]))


@pytest.mark.parametrize("weights", ["dorefa", "bwn", "irnet"])
def test_sgd_update_is_lr_times_g_computed_from_the_saved_state(weights):
    model, fsg = made(lr=0.05, weights=weights)
    for _ in range(4):
        fsg.step(loss_of(model))
    state, hyper = copy.deepcopy(fsg.state_dict()), copy.deepcopy((fsg.fast, fsg.slow))
    before = snapshot(model)
    fsg.step(loss_of(model))
    fast, slow = hyper
    for index, layer in enumerate(binary_layers(model)):
        w = before[f"{layer.label}.weight"]
        queue = state["queues"][index]
        if weights == "dorefa":
            k = (1 - w.tanh() ** 2) / w.tanh().abs().max()
        elif weights == "bwn":
            k = 1.0
        else:
            sd = w.std(1, keepdim=True)
            size = ((w - w.mean(1, keepdim=True)) / sd).abs().mean(1, keepdim=True)
            k = 2 ** size.log2().round() / sd
        quick = k * queue[-1].view_as(w) * _mlp(fast, state["latents"][index].reshape(-1)).view_as(w)
        rms = queue.square().mean().sqrt()
        token = slow.net.embedding.weight[index].expand(queue.shape[1], 1)
        steady = slow.net.block(torch.cat([token, queue.T / rms], 1))[:, -1] * rms
        direct = w - 0.05 * (0.9 * steady.view_as(w) + 0.1 * quick)
        torch.testing.assert_close(layer.weight.detach(), direct.detach(), rtol=1e-6, atol=1e-6)


def test_hypernets_learn_through_w_meta():
    """Their gradient equals autograd through Q(A(W - lr G)) with straight-through rounding, written out here."""
    model, fsg = made(lr=0.2)
    for _ in range(3):
        fsg.step(loss_of(model))
    state = copy.deepcopy(fsg.state_dict())
    fast, slow = copy.deepcopy(fsg.fast), copy.deepcopy(fsg.slow)
    weights = []
    for index, layer in enumerate(binary_layers(model)):
        w, queue = layer.weight.detach(), state["queues"][index]
        k = (1 - w.tanh() ** 2) / w.tanh().abs().max()
        quick = k * queue[-1].view_as(w) * _mlp(fast, state["latents"][index].reshape(-1)).view_as(w)
        rms = queue.square().mean().sqrt()
        token = slow.net.embedding.weight[index].expand(queue.shape[1], 1)
        steady = slow.net.block(torch.cat([token, queue.T / rms], 1))[:, -1] * rms
        meta = w - 0.2 * (0.9 * steady.view_as(w) + 0.1 * quick)
        soft = 0.5 + meta.tanh() / (2 * meta.detach().tanh().abs().max())
        weights.append(2 * (soft + (soft.round() - soft).detach()) - 1)
    biases = [one.bias.detach() - 0.2 * state["bias_grads"][i] for i, one in enumerate(binary_layers(model))]
    h = X
    for index in range(3):
        h = nn.functional.linear(h, weights[index], biases[index])
        h = h.relu() if index < 2 else h
    nn.functional.cross_entropy(h, Y).backward()
    fsg.zero_grad()
    loss_of(model)().backward()
    fsg.apply()
    for ours, direct in ((fsg.fast, fast), (fsg.slow, slow)):
        for (name, one), other in zip(ours.named_parameters(), direct.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-9, msg=name)


def test_changing_one_weights_history_changes_its_slow_value_alone():
    model, fsg = made(history_norm=None)
    for _ in range(5):
        fsg.step(loss_of(model))
    before = fsg.slow_gradient(1).detach().reshape(-1)
    place = int(
        fsg.queues[1].newest().abs().argmax()
    )  # the newest gradient gates the output: where it is 0, so is slow
    fsg.queues[1]._rows[2, place] += 0.5
    after = fsg.slow_gradient(1).detach().reshape(-1)
    assert (before != after).nonzero().flatten().tolist() == [place]


def test_order_of_the_history_matters():
    model, fsg = made()
    for _ in range(5):
        fsg.step(loss_of(model))
    before = fsg.slow_gradient(0).detach()
    fsg.queues[0]._rows.copy_(fsg.queues[0]._rows[[1, 2, 3, 0, 4]])
    after = fsg.slow_gradient(0).detach()
    assert float((before - after).norm() / before.norm()) > 0.01


def test_evaluation_and_export_use_w_and_no_hypernet():
    model, fsg = made()
    for _ in range(3):
        fsg.step(loss_of(model))
    model.eval()
    out, file = model(X), pack(model, X).encoded
    for one in (*fsg.fast.parameters(), *fsg.slow.parameters()):
        one.data.zero_()
    assert torch.equal(model(X), out)
    assert torch.equal(copy.deepcopy(model)(X), out)
    assert pack(model, X).encoded == file
    h = X
    for index, layer in enumerate(binary_layers(model)):
        w = layer.weight.detach()
        h = nn.functional.linear(h, torch.where(w > 0, 1.0, -1.0), layer.bias)
        h = h.relu() if index < 2 else h
    torch.testing.assert_close(out, h)


@pytest.mark.parametrize(("preset", "start", "norm"), [("published", "standard", None), ("compact", "downhill", "rms")])
def test_every_preset_trains(preset, start, norm):
    model, fsg = made(preset=preset)
    losses = [float(fsg.step(loss_of(model))) for _ in range(3)]
    assert all(math.isfinite(one) for one in losses)
    assert (fsg.update, fsg.start, fsg.history_norm) == ("sum", start, norm)


def test_published_preset_has_the_published_sizes():
    fsg = made(preset="published")[1]
    sizes = {name: one.numel() for name, one in fsg.slow.named_parameters()}
    assert sizes.pop("net.embedding.weight") == len(fsg.layers)
    assert sum(sizes.values()) == 6400
    assert sum(one.numel() for one in fsg.fast.parameters()) == 100 + 100 * 100 + 100


def test_fast_only_moves_w_by_the_fast_gradient():
    model, fsg = made(update="fast_only", lr=0.1)
    for _ in range(2):
        fsg.step(loss_of(model))
    before, quick = snapshot(model), [fsg.fast_gradient(i).detach() for i in range(3)]
    fsg.step(loss_of(model))
    for index, layer in enumerate(binary_layers(model)):
        torch.testing.assert_close(layer.weight.detach(), before[f"{layer.label}.weight"] - 0.1 * quick[index])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": 0}, "history: got 0"),
        ({"alpha": 1.5}, "alpha: got 1.5"),
        ({"preset": "huge"}, "preset: got 'huge', expected one of published, compact"),
        ({"update": "none"}, "update: got 'none'"),
        ({"start": "top"}, "start: got 'top', expected one of standard, downhill"),
        ({"history_norm": "max"}, "history_norm"),
    ],
)
def test_bad_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        made(**options)
