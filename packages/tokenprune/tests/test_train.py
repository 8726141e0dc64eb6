"""Router training: the gate, the three losses, the frozen model, and resuming."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import (
    DynamicRouter,
    Executor,
    Fitness,
    FTPConfig,
    Layout,
    OnePassNet,
    OnePassRouter,
    RouterNet,
    Scored,
    SearchConfig,
    TokenPruner,
    TrainConfig,
    Training,
    tiny_model,
)
from tokenprune.executor._attention import Attention, _gated
from tokenprune.routers._dynamic_router import four_factors
from tokenprune.routers._observation_router import Observation
from tokenprune.training._gated import gated_step
from tokenprune.training._losses import distillation_loss, guide_loss, guide_weight, sparsity_loss, straight_through

SCHEDULE = (0.0, 0.25, 0.5, 0.4)


def routers():
    generator = torch.Generator().manual_seed(7)
    net, wide = RouterNet(generator=generator), OnePassNet(4, generator=generator)
    plain, window = DynamicRouter(SCHEDULE, net), DynamicRouter(SCHEDULE, net, window=3)
    return [plain, window, DynamicRouter(SCHEDULE, net, gate="argmax"), OnePassRouter(SCHEDULE, wide)]


@pytest.mark.parametrize("router", routers(), ids=["topk", "window", "argmax", "one-pass"])
@pytest.mark.parametrize("rows", [1, 3])
def test_gated_forward_equals_the_gathered_one(model, ids, router, rows):
    executor = Executor(Layout.of(model), router)
    gathered, gated = executor.start(ids[:rows]), executor.start(ids[:rows])
    for block in range(4):
        executor.step(gathered, block)
        gated_step(executor, gated, block)
        torch.testing.assert_close(gated.table, gathered.table, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(gated.x, gathered.x, rtol=1e-4, atol=1e-5)
    assert sum(sum(kept) for kept, _ in gathered.kept) < 4 * 24 * rows


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["dynamic", "one_pass"])
def test_half_precision_models_are_searched_trained_and_run(scored, ids, dtype, kind):
    half = tiny_model(seed=1).to(dtype)
    pruner = TokenPruner(half, FTPConfig(router=kind, target_sparsity=0.4))
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
@pytest.mark.parametrize("kind", ["dynamic", "one_pass"])
def test_untrained_router_keeps_what_the_static_rule_keeps(model, kind, hidden):
    """Whatever the lengths, the padding, the schedule and the protected tokens, to the bit."""
    draw = torch.Generator().manual_seed(4)
    for lengths, protect in [((40, 3, 17), 1), ((25, 25), 5), ((200, 1), 2)]:
        width = max(lengths)
        ids = torch.randint(1, 256, (len(lengths), width), generator=draw)
        mask = (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()
        schedule = tuple((torch.rand(4, generator=draw) * 0.95).tolist())
        learnt = TokenPruner(model, FTPConfig(router=kind, hidden=hidden), schedule)
        streams = []
        for router in (learnt.router(), TokenPruner(model, FTPConfig(router="static"), schedule).router()):
            executor = Executor(learnt.layout, router)
            protected = torch.zeros_like(mask, dtype=torch.bool)
            for row, length in enumerate(lengths):
                protected[row, max(0, length - protect) : length] = True
            streams.append(executor.prefill(executor.start(ids, mask, protect=protected, record=True)))
        assert all(torch.equal(one, other) for one, other in zip(streams[0].masks, streams[1].masks, strict=True))
        assert torch.equal(streams[0].x, streams[1].x)


def test_untrained_router_skips_what_is_asked_by_its_own_sign(model):
    data = Scored([torch.randint(1, 256, (120,), generator=torch.Generator().manual_seed(6))], [3])
    for kind, schedule in (("dynamic", SCHEDULE), ("one_pass", (0.3,) * 4)):
        training = TokenPruner(model, FTPConfig(router=kind), schedule).training(data, TrainConfig(steps=1))
        assert training.step()["sparsity"] == 0.0


def test_a_router_may_start_at_random_and_one_without_position_must(model):
    config = FTPConfig(router="dynamic", router_start="random", seed=3)
    drawn = RouterNet(generator=torch.Generator().manual_seed(3)).state_dict()
    assert all(torch.equal(value, drawn[name]) for name, value in TokenPruner(model, config).net.state_dict().items())
    with pytest.raises(InputError, match="router_start: got 'magic'"):
        FTPConfig(router_start="magic")
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


@pytest.mark.parametrize("kind", ["dynamic", "one_pass"])
def test_a_budget_that_is_met_exactly_leaves_nothing_for_the_sparsity_loss(model, kind):
    """A share that is rounded to whole tokens is not asked of the gates: of 23 tokens no three tenths are."""
    data = Scored([torch.randint(1, 256, (23,), generator=torch.Generator().manual_seed(6))], [3])
    pruner = TokenPruner(model, FTPConfig(router=kind, target_sparsity=0.3), (0.3,) * 4)
    config = TrainConfig(steps=1, distill=0.0, guide=0.0, losses_on="inference", jitter=0.0)
    before = copy.deepcopy(pruner.net.state_dict())
    training = pruner.training(data, config)
    assert training.step()["sparsity"] == 0.0
    after = pruner.net.state_dict()
    assert all(torch.allclose(after[name], one, rtol=0.01, atol=1e-4) for name, one in before.items())  # decay alone


@pytest.mark.parametrize("on", ["logits", "hidden"])
@pytest.mark.parametrize("kind", ["dynamic", "one_pass"])
def test_training_moves_the_router_and_nothing_else(model, scored, on, kind):
    pruner = TokenPruner(model, FTPConfig(router=kind), SCHEDULE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    net = {name: value.clone() for name, value in pruner.net.state_dict().items()}
    pruner.fit_router(scored, TrainConfig(steps=3, distill_on=on))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())
    assert any(not torch.equal(net[name], value) for name, value in pruner.net.state_dict().items())
    assert pruner.schedule == SCHEDULE


def test_training_lowers_the_distillation_loss_on_its_own_data(model, scored):
    one = scored.part(0, 1)
    pruner = TokenPruner(model, FTPConfig(router="dynamic"), (0.0, 0.5, 0.5, 0.5))
    judge = [Fitness(pruner.layout, one, pruner.router, reuse=False)([pruner.schedule])[0]]
    pruner.fit_router(one, TrainConfig(steps=60, lr=1e-2, jitter=0.0, guide=0.0, sparsity=0.0))
    judge.append(Fitness(pruner.layout, one, pruner.router, reuse=False)([pruner.schedule])[0])
    assert judge[1] < judge[0]


def test_training_goes_on_from_its_state_bit_for_bit(model, scored):
    def fresh():
        pruner = TokenPruner(model, FTPConfig(router="dynamic", seed=2), SCHEDULE)
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
    pruner = TokenPruner(model, FTPConfig(router="dynamic", seed=1), SCHEDULE)
    training = pruner.training(learn, TrainConfig(steps=7, lr=0.3, check=3), validation=other)
    nets = [copy.deepcopy(pruner.net.state_dict())]
    while not training.done:
        training.step()
        nets.append(training.good)
    judged = {}
    for step in (0, 3, 6, 7):
        ours = TokenPruner(model, FTPConfig(router="dynamic", seed=1), SCHEDULE)
        ours.net.load_state_dict(nets[step])
        (judged[step],) = Fitness(ours.layout, other, ours.router, reuse=False)([SCHEDULE])
    assert training.verdicts == pytest.approx(judged)
    assert len(set(judged.values())) > 1
    assert training.kept_step == min(judged, key=judged.get)
    kept = pruner.net.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in nets[training.kept_step].items())


def test_a_router_that_learns_nothing_of_use_stays_as_it_started(model, scored):
    """On its own text of one step, at a rate that ruins it."""
    pruner = TokenPruner(model, FTPConfig(router="dynamic", seed=1), SCHEDULE)
    start = copy.deepcopy(pruner.net.state_dict())
    pruner.fit_router(scored, TrainConfig(steps=2, lr=50.0, check=1), validation=scored)
    metrics = pruner.metrics["train validated"]
    assert metrics["kl"] <= metrics["kl at the start"]
    if metrics["step"] == 0:
        assert all(torch.equal(value, start[name]) for name, value in pruner.net.state_dict().items())


def test_loss_that_is_no_number_stops_and_keeps_the_last_good_router(model, scored):
    training = TokenPruner(model, FTPConfig(router="dynamic"), SCHEDULE).training(scored, TrainConfig(steps=5))
    training.step()
    good = {name: value.clone() for name, value in training.router.net.state_dict().items()}
    with torch.no_grad():
        training.router.net.out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"loss in step 1, sequence .*: got nan"):
        training.step()
    assert all(torch.equal(good[name], value) for name, value in training.router.net.state_dict().items())


def test_what_cannot_be_trained_is_refused(model, scored):
    with pytest.raises(InputError, match="learns nothing"):
        TokenPruner(model, FTPConfig(router="static")).training(scored)
    with pytest.raises(InputError, match="distill_on"):
        TrainConfig(distill_on="magic")
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
    pruner = TokenPruner(model, FTPConfig(router="dynamic"), (0.9, 0.9, 0.9, 0.9))
    losses = pruner.training(data, TrainConfig(steps=1)).step()
    assert math.isfinite(losses["loss"])


def test_the_best_of_several_starts_is_kept_and_named(model, scored):
    """Each start trained alone, by itself: the pruner ends as the one that is best on the validation sequences."""
    learn, other = scored.part(0, 3), scored.part(3, 6)
    config = TrainConfig(steps=3, lr=0.05, check=3, guide=0.0, losses_on="inference")

    def made():
        return TokenPruner(model, FTPConfig(observation=Observation(window=6), seed=4), SCHEDULE)

    pruner, alone = made(), {}
    pruner.fit_router(learn, config, validation=other, starts=("static", "observation", "random"))
    for start in ("static", "observation", "random"):
        single = made()
        single.fit_router(learn, config, validation=other, starts=(start,))
        alone[start] = single
    verdicts = {start: one.metrics["train validated"]["kl"] for start, one in alone.items()}
    best = min(verdicts, key=verdicts.get)
    found = pruner.metrics["train validated"]
    assert found["start"] == best == pruner.config.router_start
    assert found["kl"] == verdicts[best]
    assert len(set(verdicts.values())) > 1
    kept = alone[best].net.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in pruner.net.state_dict().items())


def test_starts_that_cannot_be_compared_or_are_not_known_are_refused(model, scored):
    with pytest.raises(InputError, match="starts: got 2 without validation"):
        TokenPruner(model).fit_router(scored, TrainConfig(steps=1), starts=("static", "random"))
    with pytest.raises(InputError, match="starts: got 'middle'"):
        TokenPruner(model).fit_router(scored, TrainConfig(steps=1), starts=("middle",))


def test_losses_on_the_gate_of_inference_ask_for_no_more_than_an_exact_budget_skips(model, scored):
    for losses_on, asked in (("sign", True), ("inference", False)):
        pruner = TokenPruner(model, FTPConfig(router="dynamic", router_start="random", seed=3), SCHEDULE)
        training = pruner.training(scored, TrainConfig(steps=1, jitter=0.0, losses_on=losses_on))
        assert (training.step()["sparsity"] > 0.04) == asked
    with pytest.raises(InputError, match="losses_on: got 'soft'"):
        TrainConfig(losses_on="soft")
