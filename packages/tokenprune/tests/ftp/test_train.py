"""Router training: the gate, the three losses, the frozen model, and resuming."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Executor, Layout, Scored, tiny_model
from tokenprune.executor._attention import Attention, _gated
from tokenprune.ftp import (
    DynamicRouter,
    Fitness,
    PublishedConfig,
    PublishedPruner,
    RouterNet,
    SearchConfig,
    TrainConfig,
    Training,
)
from tokenprune.ftp._dynamic_router import four_factors
from tokenprune.ftp._gated import gated_step
from tokenprune.ftp._losses import distillation_loss, guide_loss, guide_weight, sparsity_loss, straight_through

SCHEDULE = (0.0, 0.25, 0.5, 0.4)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("rows", [1, 3])
def test_gated_forward_equals_the_gathered_one(model, ids, window, rows):
    net = RouterNet(generator=torch.Generator().manual_seed(7))
    router = DynamicRouter(SCHEDULE, net, window=window)
    executor = Executor(Layout.of(model), router)
    gathered, gated = executor.start(ids[:rows]), executor.start(ids[:rows])
    for block in range(4):
        executor.step(gathered, block)
        gated_step(executor, gated, block)
        torch.testing.assert_close(gated.table, gathered.table, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(gated.x, gathered.x, rtol=1e-4, atol=1e-5)
    assert sum(map(sum, gathered.kept)) < 4 * 24 * rows


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_are_searched_trained_and_run(scored, ids, dtype):
    half = tiny_model(seed=1).to(dtype)
    pruner = PublishedPruner(half, PublishedConfig(target_sparsity=0.4))
    sizes = SearchConfig(population=4, generations=1, elite=2)
    pruner.search(scored, sizes)
    pruner.fit_router(scored, TrainConfig(steps=2))
    pruner.refine(scored, sizes)
    assert math.isfinite(pruner.metrics["train"]["loss"])
    with pruner:
        out = half.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=2, pad_token_id=0)
    assert out.shape == (3, 26)


def test_router_has_450_parameters_and_four_factors(model, ids):
    net = RouterNet()
    assert sum(one.numel() for one in net.parameters()) == 450
    executor = Executor(Layout.of(model), DynamicRouter(SCHEDULE, net))
    stream = executor.start(ids)
    executor.step(stream, 0)
    factors = four_factors(stream, 0.25)
    scores = stream.table[1]
    torch.testing.assert_close(factors[1, :, 0], torch.arange(24) / 23)
    torch.testing.assert_close(factors[1, :, 1], torch.log1p(scores * 24))
    ranks = torch.tensor([int((scores > one).sum()) for one in scores]) / 23
    torch.testing.assert_close(factors[1, :, 2], ranks)
    assert bool((factors[..., 3] == 0.25).all())


@pytest.mark.parametrize("hidden", [1, 64])
def test_untrained_router_keeps_what_the_static_rule_keeps(model, hidden):
    """Whatever the lengths, the padding, the schedule and the protected tokens, to the bit."""
    draw = torch.Generator().manual_seed(4)
    for lengths, protect in [((40, 3, 17), 1), ((25, 25), 5), ((200, 1), 2)]:
        width = max(lengths)
        ids = torch.randint(1, 256, (len(lengths), width), generator=draw)
        mask = (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()
        schedule = tuple((torch.rand(4, generator=draw) * 0.95).tolist())
        learnt = PublishedPruner(model, PublishedConfig(hidden=hidden), schedule)
        streams = []
        for router in (learnt.router(), PublishedPruner(model, PublishedConfig(router="static"), schedule).router()):
            executor = Executor(learnt.layout, router)
            protected = torch.zeros_like(mask, dtype=torch.bool)
            for row, length in enumerate(lengths):
                protected[row, max(0, length - protect) : length] = True
            streams.append(executor.prefill(executor.start(ids, mask, protect=protected, record=True)))
        assert all(torch.equal(one, other) for one, other in zip(streams[0].masks, streams[1].masks, strict=True))
        assert torch.equal(streams[0].x, streams[1].x)


def test_untrained_router_skips_what_is_asked_by_its_own_sign(model):
    data = Scored([torch.randint(1, 256, (120,), generator=torch.Generator().manual_seed(6))], [3])
    training = PublishedPruner(model, schedule=SCHEDULE).training(data, TrainConfig(steps=1))
    assert training.step()["sparsity"] == 0.0


def test_a_router_may_start_at_random_and_one_without_position_must(model):
    config = PublishedConfig(router_start="random", seed=3)
    drawn = RouterNet(generator=torch.Generator().manual_seed(3)).state_dict()
    assert all(
        torch.equal(value, drawn[name]) for name, value in PublishedPruner(model, config).net.state_dict().items()
    )
    with pytest.raises(InputError, match="router_start: got 'magic'"):
        PublishedConfig(router_start="magic")
    with pytest.raises(InputError, match="without the position"):
        RouterNet(factors=("score", "rank", "sparsity"), start="static")


def test_factors_left_out_change_nothing():
    net = RouterNet(factors=("score", "rank", "sparsity"))
    a = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    b = a.clone()
    b[:, 0] = 9
    assert torch.equal(net(a), net(b))


def test_straight_through_is_hard_forward_and_soft_backward():
    margin = torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    gate = straight_through(margin, margin >= 0)
    assert gate.tolist() == [0.0, 1.0, 1.0]
    gate.sum().backward()
    soft = torch.sigmoid(margin.detach())
    torch.testing.assert_close(margin.grad, soft * (1 - soft))


def test_gradient_of_a_shut_key_is_what_opening_it_changes():
    """Also where a query's sharpest key is shut, and the slope at the shut gate is a million."""
    draw = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(1, heads, 6, 8, generator=draw, dtype=torch.float64) for heads in (4, 2, 2))
    query[:, :, 4], key[:, :, 3] = 8.0, 2.0  # logits of 45
    gate = torch.tensor([[1.0, 1.0, 0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    into = torch.randn(1, 4, 6, 8, generator=draw, dtype=torch.float64)

    def out(gates):
        return (_gated(query, key, value, Attention(counts=[6], gate=gates), None) * into).sum()

    asked = gate.clone().requires_grad_()
    (slope,) = torch.autograd.grad(out(asked), asked)
    for shut in (2, 3):
        opened = gate.clone()
        opened[0, shut] = 1.0
        torch.testing.assert_close(slope[0, shut], out(opened) - out(gate), rtol=1e-4, atol=1e-6)


def test_losses_equal_their_formulas():
    gates = [torch.tensor([[1.0, 0.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])]
    assert float(sparsity_loss([0.5, 0.5], gates)) == pytest.approx(0.25)  # one block skips too little, one too much
    margin, guide = torch.tensor([[1.5, -0.5]]), torch.tensor([[True, False]])
    by_hand = -(math.log(1 / (1 + math.exp(-1.5))) + math.log(1 - 1 / (1 + math.exp(0.5)))) / 2
    assert float(guide_loss([margin], [guide])) == pytest.approx(by_hand)
    a, b = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    p, q = a.softmax(-1), b.softmax(-1)
    torch.testing.assert_close(distillation_loss(a, b), (p * (p / q).log()).sum(-1).mean())
    assert [round(guide_weight(step, 100), 3) for step in (0, 25, 50, 99)] == [1.0, 0.5, 0.0, 0.0]


def test_training_moves_the_router_and_nothing_else(model, scored):
    pruner = PublishedPruner(model, schedule=SCHEDULE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    net = {name: value.clone() for name, value in pruner.net.state_dict().items()}
    pruner.fit_router(scored, TrainConfig(steps=3))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())
    assert any(not torch.equal(net[name], value) for name, value in pruner.net.state_dict().items())
    assert pruner.schedule == SCHEDULE


def test_training_lowers_the_distillation_loss_on_its_own_data(model, scored):
    one = scored.part(0, 1)
    pruner = PublishedPruner(model, schedule=(0.0, 0.5, 0.5, 0.5))
    judge = [Fitness(pruner.layout, one, pruner.router, reuse=False)([pruner.schedule])[0]]
    pruner.fit_router(one, TrainConfig(steps=60, lr=1e-2, jitter=0.0, guide=0.0, sparsity=0.0))
    judge.append(Fitness(pruner.layout, one, pruner.router, reuse=False)([pruner.schedule])[0])
    assert judge[1] < judge[0]


def test_training_goes_on_from_its_state_bit_for_bit(model, scored):
    def fresh():
        pruner = PublishedPruner(model, PublishedConfig(seed=2), SCHEDULE)
        return pruner.training(scored.part(0, 4), TrainConfig(steps=6, lr=0.1, check=2), validation=scored.part(4, 6))

    whole, part, resumed = fresh(), fresh(), fresh()
    for _ in range(6):
        whole.step()
    for _ in range(3):
        part.step()
    kept = part.state()
    tensors = {name: value.clone() for name, value in kept["tensors"].items()}
    resumed.restore(tensors, kept["step"], kept["verdicts"])
    while not resumed.done:
        resumed.step()
    for name, value in whole.router.net.state_dict().items():
        assert torch.equal(value, resumed.router.net.state_dict()[name]), name
    assert whole.verdicts == resumed.verdicts
    assert sorted(whole.verdicts) == [0, 2, 4, 6]


def test_the_step_that_is_kept_is_the_best_on_validation_text(model, scored):
    """Judged again by other means: no step that was looked at, the start included, is better."""
    learn, other = scored.part(0, 3), scored.part(3, 6)
    pruner = PublishedPruner(model, PublishedConfig(seed=1), SCHEDULE)
    training = pruner.training(learn, TrainConfig(steps=7, lr=0.3, check=3), validation=other)
    nets = [copy.deepcopy(pruner.net.state_dict())]
    while not training.done:
        training.step()
        nets.append(training.good)
    judged = {}
    for step in (0, 3, 6, 7):
        ours = PublishedPruner(model, PublishedConfig(seed=1), SCHEDULE)
        ours.net.load_state_dict(nets[step])
        (judged[step],) = Fitness(ours.layout, other, ours.router, reuse=False)([SCHEDULE])
    assert training.verdicts == pytest.approx(judged)
    assert len(set(judged.values())) > 1
    assert training.kept_step == min(judged, key=judged.get)
    kept = pruner.net.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in nets[training.kept_step].items())


def test_a_router_that_learns_nothing_of_use_stays_as_it_started(model, scored):
    """On its own text of one step, at a rate that ruins it."""
    pruner = PublishedPruner(model, PublishedConfig(seed=1), SCHEDULE)
    start = copy.deepcopy(pruner.net.state_dict())
    pruner.fit_router(scored, TrainConfig(steps=2, lr=50.0, check=1), validation=scored)
    metrics = pruner.metrics["train validated"]
    assert metrics["kl"] <= metrics["kl at the start"]
    if metrics["step"] == 0:
        assert all(torch.equal(value, start[name]) for name, value in pruner.net.state_dict().items())


def test_loss_that_is_no_number_stops_and_keeps_the_last_good_router(model, scored):
    training = PublishedPruner(model, schedule=SCHEDULE).training(scored, TrainConfig(steps=5))
    training.step()
    good = {name: value.clone() for name, value in training.router.net.state_dict().items()}
    with torch.no_grad():
        training.router.net.out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"loss in step 1, sequence .*: got nan"):
        training.step()
    assert all(torch.equal(good[name], value) for name, value in training.router.net.state_dict().items())


def test_what_cannot_be_trained_is_refused(model, scored):
    with pytest.raises(InputError, match="learns nothing"):
        PublishedPruner(model, PublishedConfig(router="static")).training(scored)
    with pytest.raises(InputError, match="training: got 0 steps"):
        TrainConfig(steps=0)


def test_quantised_weights_serve_inference_only(scored):
    from tokenprune import tiny_model

    packed = tiny_model(seed=1)
    packed.hf_quantizer = object()
    router = DynamicRouter(SCHEDULE, RouterNet())
    with pytest.raises(InputError, match="quantised"):
        Training(Layout.of(packed), router, scored, TrainConfig(steps=1))
    with torch.no_grad():
        Executor(Layout.of(packed), router).logits(torch.stack(list(scored.sequences)))


def test_protected_tokens_may_outnumber_what_is_kept(model):
    data = Scored([torch.arange(1, 21)], [15])
    pruner = PublishedPruner(model, schedule=(0.9, 0.9, 0.9, 0.9))
    losses = pruner.training(data, TrainConfig(steps=1)).step()
    assert math.isfinite(losses["loss"])
