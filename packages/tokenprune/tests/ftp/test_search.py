"""Schedules, the genetic search, its fitness, and what caching may not change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from tokenprune import Layout, Scored, StaticRouter, redundancy, windows
from tokenprune.executor._scored import divergence, nll
from tokenprune.executor._stream import Stream
from tokenprune.ftp import DynamicRouter, Fitness, PublishedConfig, PublishedPruner, RouterNet, Search, SearchConfig
from tokenprune.ftp._prefixes import Prefixes
from tokenprune.routers._schedule import kept_count, project, static_keep


@pytest.mark.parametrize("length", [1, 2, 3, 10, 128])
@pytest.mark.parametrize("sparsity", [0.0, 0.05, 0.3, 0.5, 0.95])
def test_static_rule_keeps_the_first_and_the_most_recent(length, sparsity):
    order = [0, *range(length - 1, 0, -1)]
    count = max(2, length - int(np.floor(sparsity * length + 1e-9)))
    expected = sorted(order[:count])
    real = torch.ones(1, length, dtype=torch.bool)
    ends = torch.zeros_like(real)
    ends[0, [0, -1]] = True
    kept = static_keep(ends, real, [length - kept_count(length, sparsity)])
    assert kept[0].nonzero()[:, 0].tolist() == expected


@pytest.mark.parametrize("target", [0.0, 0.1, 0.233, 0.3, 0.61, 0.95])
def test_projection_meets_the_mean_exactly_within_bounds(target):
    draw = np.random.default_rng(0)
    for _ in range(30):
        genes = project(draw.random(30) * draw.integers(1, 4), target)
        assert genes.mean() == pytest.approx(target, abs=1e-9)
        assert genes.min() >= 0
        assert genes.max() <= 0.95 + 1e-9
        off_grid = np.abs(genes / 0.05 - np.round(genes / 0.05)) > 1e-6
        assert off_grid.sum() <= 1


def test_projection_leaves_a_schedule_that_fits():
    wish = np.array([0.0, 0.3, 0.6, 0.3])
    np.testing.assert_allclose(project(wish, 0.3), wish)


@pytest.mark.parametrize("target", [0.01, 0.1, 0.233, 0.4, 0.77])
def test_what_the_grid_leaves_over_goes_to_later_blocks(target):
    """Block 0 must not lack tokens that the next ones have: they would come back as they went in."""
    schedule = project(np.full(30, target), target)
    assert schedule.mean() == pytest.approx(target, abs=1e-12)
    assert (np.diff(schedule) >= -1e-12).all()


def test_more_than_the_protected_tokens_leave_is_refused():
    with pytest.raises(InputError, match=r"target_sparsity: got 0.9, expected at most 0.5"):
        project(np.ones(4), 0.9, highest=0.5)


def bowl(schedules):
    """Best at 0, 0.2, 0.4, 0.6 ... repeated."""
    best = np.tile([0.0, 0.2, 0.4, 0.6], 3)
    return [float(((np.array(one) - best) ** 2).sum()) for one in schedules]


def search(rising=False, **more):
    config = SearchConfig(population=20, generations=25, rising=rising)
    return Search(0.3, np.linspace(1, 0.1, 12), config=config, seed=4, **more)


def test_search_finds_a_planted_schedule():
    found = search()
    while not found.done:
        found.advance(bowl)
    first, last = found.history[0]["fitness"], found.history[-1]["fitness"]
    assert last < 0.1 * first
    assert np.mean(found.best) == pytest.approx(0.3)
    fits = [line["fitness"] for line in found.history]
    assert fits == sorted(fits, reverse=True)  # elites stay


def test_rising_search_finds_a_planted_schedule_among_those_that_never_fall():
    def judge(schedules):
        assert all((np.diff(one) >= 0).all() for one in schedules)
        best = np.sort(np.tile([0.0, 0.2, 0.4, 0.6], 3))
        return [float(((np.array(one) - best) ** 2).sum()) for one in schedules]

    found = search(rising=True)
    while not found.done:
        found.advance(judge)
    assert found.history[-1]["fitness"] < 0.02
    assert np.mean(found.best) == pytest.approx(0.3)


def test_search_goes_on_from_its_state_as_if_never_stopped():
    whole, part = search(), search()
    for _ in range(3):
        part.advance(bowl)
    import json

    resumed = search(state=json.loads(json.dumps(part.state)))
    while not whole.done:
        whole.advance(bowl)
    while not resumed.done:
        resumed.advance(bowl)
    assert whole.history == resumed.history


def test_refining_starts_from_the_given_schedule():
    start = (0.0, 0.2, 0.4, 0.6) * 3
    near = search(around=start)
    assert near.population[0] == start
    assert all(np.mean(one) == pytest.approx(0.3) for one in near.population)


@pytest.mark.parametrize("rising", [True, False])
def test_schedules_off_the_grid_are_judged_as_they_are(rising):
    """Rounded to the grid, uniform 23.3 % costs nearly twice what it costs as it is."""
    flat = (0.233,) * 12
    config = SearchConfig(population=20, generations=2, rising=rising)
    assert Search(0.233, np.linspace(1, 0.1, 12), config=config).population[0] == flat
    found = Search(0.233, np.linspace(1, 0.1, 12), config=config, around=flat)
    while not found.done:
        found.advance(lambda schedules: [float(np.ptp(one)) for one in schedules])
    assert found.best == flat


def test_fitness_that_is_no_number_stops_the_search():
    with pytest.raises(InputError, match="fitness in generation 0: got nan"):
        search().advance(lambda schedules: [float("nan")] * len(schedules))


@pytest.mark.parametrize("kind", ["kl", "nll", "accuracy"])
@pytest.mark.parametrize("learnt", [False, True])
def test_cached_fitness_is_the_naive_one(model, scored, kind, learnt):
    layout, net = Layout.of(model), RouterNet(generator=torch.Generator().manual_seed(1))
    make = (lambda schedule: DynamicRouter(schedule, net)) if learnt else StaticRouter
    draw = np.random.default_rng(0)
    schedules = [(0.0, 0.25, *map(float, draw.choice([0.0, 0.25, 0.5, 0.75], 2))) for _ in range(12)]
    cached, naive = Fitness(layout, scored, make, kind=kind), Fitness(layout, scored, make, kind=kind, reuse=False)
    assert cached(schedules) == naive(schedules)
    assert cached(schedules) == naive(schedules)  # from memory
    assert cached.evaluations == len(set(schedules)) < naive.evaluations
    assert cached.blocks_run < 0.6 * naive.blocks_run


def test_a_schedule_starts_where_it_leaves_those_of_earlier_generations(model, scored):
    cached, naive = (Fitness(Layout.of(model), scored, StaticRouter, reuse=reuse) for reuse in (True, False))
    first, second = [(0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.5, 0.5)], [(0.1, 0.2, 0.7, 0.4), (0.5, 0.5, 0.5, 0.1)]
    assert cached(first) == naive(first)
    assert cached.blocks_run == 8
    assert cached(second) == naive(second)
    assert cached.blocks_run == 8 + 2 + 2  # the first half of each was run; the latest was replaced before its turn
    cached.forget()
    assert cached(second) == naive(second)
    assert cached.blocks_run == 12 + 8


@settings(max_examples=60, deadline=None)
@given(
    schedules=st.lists(st.tuples(*[st.sampled_from([0.0, 0.5])] * 6), min_size=1, max_size=25), room=st.integers(0, 12)
)
def test_states_that_are_held_are_those_of_the_schedule_asked_for(schedules, room):
    """Each state here says how it came about; whatever was thrown away, none may be taken for another's."""
    empty = torch.zeros(1, 1)
    start = Stream(x=empty, positions=empty, cos=empty, sin=empty, lengths=[1], columns=empty, width=1, real=empty,
                   protected=empty, table=empty, free=[0])  # fmt: skip
    held = Prefixes(start, 6, room * start.x.numel() * start.x.element_size())
    before: tuple[float, ...] = ()
    for one in schedules:
        done, stream = held.longest(one)
        assert stream.kept == list(one[:done])
        assert done >= min(
            5, next((i for i, (a, b) in enumerate(zip(one, before, strict=False)) if a != b), len(before))
        )
        streams = []
        for gene in one[done:]:
            stream.kept.append(gene)
            streams.append(stream.snapshot())
        held.note(one, streams)
        assert len(held.held) <= max(6, room)
        before = one


def test_no_sparsity_has_no_divergence(model, scored):
    judge = Fitness(Layout.of(model), scored, StaticRouter)
    assert judge([(0.0,) * 4])[0] == pytest.approx(0, abs=1e-6)
    assert judge([(0.5,) * 4])[0] > 1e-4


def test_divergence_and_nll_equal_direct_sums():
    a, b = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p, q = a.softmax(-1), b.softmax(-1)
    torch.testing.assert_close(divergence(a.log_softmax(-1), b), (p * (p / q).log()).sum(-1))
    torch.testing.assert_close(nll(b, torch.tensor([1, 2, 3, 4, 0])), -q[range(5), [1, 2, 3, 4, 0]].log())


def test_block_influence_equals_the_formula(model, scored):
    ids = torch.stack(list(scored.sequences))[:, :-1]
    with torch.no_grad():
        states = list(model(ids, output_hidden_states=True).hidden_states)
        x = states[3]  # transformers gives the last state after the final norm: run the last block by itself
        positions = torch.arange(32)[None]
        cos_sin = model.model.rotary_emb(x, positions)
        states[4] = model.model.layers[3](x, position_embeddings=cos_sin, attention_mask=None)
    expected = []
    for before, after in itertools.pairwise(states):
        dots = (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
        expected.append(1 - dots.mean().item())
    torch.testing.assert_close(
        redundancy(Layout.of(model), scored).influence, torch.tensor(expected), atol=1e-5, rtol=0
    )


def test_scored_tokens_are_predicted_from_the_position_before(model):
    draw = torch.randint(1, 256, (2, 20), generator=torch.Generator().manual_seed(0))
    data = Scored([draw[0], draw[1, :13]], [3, 5])
    from tokenprune import Executor

    logits, _ = data.run(Executor(Layout.of(model)))
    with torch.no_grad():
        first, second = model(draw[:1]).logits[0, 16:19], model(draw[1:, :13]).logits[0, 7:12]
    torch.testing.assert_close(logits, torch.cat([first, second]), rtol=0, atol=2e-5)
    assert data.targets.tolist() == [*draw[0, -3:].tolist(), *draw[1, 8:13].tolist()]
    assert data.highest == pytest.approx(min(15 / 19, 6 / 12))


def test_windows_do_not_overlap_and_follow_the_seed():
    ids = torch.arange(1000)
    for seed in (None, 1, 2):
        cut = windows(ids, length=40, scored=5, count=12, seed=seed)
        starts = [int(one[0]) for one in cut.sequences]
        assert all(b - a >= 40 for a, b in itertools.pairwise(starts))
    with pytest.raises(InputError, match="at least 1200"):
        windows(ids, length=100, scored=5, count=12)


@pytest.mark.parametrize(
    ("sequences", "counts", "message"),
    [
        ([], [], "0 sequences"),
        ([torch.arange(5)], [5], "sequence 0: got 5 scored of 5"),
        ([torch.arange(5), torch.ones(5)], [1, 1], "sequence 1: got torch.float32"),
        ([torch.arange(5)], [1, 1], "1 sequences and 2 counts"),
    ],
)
def test_bad_calibration_is_named(sequences, counts, message):
    with pytest.raises(InputError, match=message):
        Scored(sequences, counts)


def test_validation_chooses_among_the_bests_of_all_generations_and_uniform(model, scored):
    """Judged on other sequences: a schedule that is best where it was searched, and worse there, is not taken."""
    pruner = PublishedPruner(model, PublishedConfig(router="static", target_sparsity=0.3))
    other = scored.part(3, 6)
    found, _ = pruner.searching(scored.part(0, 3), SearchConfig(population=6, generations=2))
    while not found.done:
        found.advance(bowl_of_four)
    pruner.adopt(found, other)
    bests = [tuple(line["schedule"]) for line in found.history]
    verdicts = {one: Fitness(Layout.of(model), other, StaticRouter)([one])[0] for one in [(0.3,) * 4, *bests]}
    assert pruner.schedule == min(verdicts, key=verdicts.__getitem__)
    assert pruner.metrics["search validated"] == pytest.approx(min(verdicts.values()))
    pruner.adopt(found)
    assert pruner.schedule == found.best


@pytest.mark.parametrize(
    ("gains", "taken"),
    [((0.3, 0.1, 0.2, 0.1), 1), ((2.0, -0.9, -0.7, 0.0), 0), ((-0.1, -0.1, -0.2, -0.1), 0), ((0.5,), 0)],
)
def test_what_stands_stays_unless_another_is_better_by_more_than_a_standard_error(model, scored, gains, taken):
    """The second has a mean gain of .1 and a standard error of .67; of one sequence nothing is known."""
    judge = Fitness(Layout.of(model), scored, StaticRouter)
    candidates = [(0.3,) * 4, (0.0, 0.4, 0.4, 0.4), (0.6, 0.2, 0.2, 0.2)]
    means = torch.ones(len(gains)) * 3
    judge.means = dict(zip(candidates, (means, means - torch.tensor(gains), means + 1), strict=True))
    judge.memo = {one: float(each.mean()) for one, each in judge.means.items()}
    assert judge.choose(candidates) == candidates[taken]


def test_refinement_goes_back_to_where_it_started_if_that_is_best_on_validation_text(model, scored):
    pruner = PublishedPruner(model, PublishedConfig(target_sparsity=0.3), (0.0, 0.4, 0.4, 0.4))
    start, other = pruner.schedule, scored.part(3, 6)
    found, _ = pruner.searching(scored.part(0, 3), SearchConfig(population=4, generations=2, elite=2, rising=False),
                               refine=True)  # fmt: skip
    while not found.done:
        found.advance(bowl_of_four)  # leads elsewhere
    assert found.best != start
    bests = [start, (0.3,) * 4, *(tuple(line["schedule"]) for line in found.history)]
    verdicts = {one: Fitness(pruner.layout, other, pruner.router)([one])[0] for one in bests}
    pruner.adopt(found, other, refine=True)
    assert pruner.schedule == min(verdicts, key=verdicts.__getitem__)


def bowl_of_four(schedules):
    return [float(((np.array(one) - [0.6, 0.0, 0.6, 0.0]) ** 2).sum()) for one in schedules]
