"""Compressors by sparse changes in few bits, against known numbers and independent formulas; and their experiment."""

import math

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold_lab import Budget
from tswitch_experiments import claims
from tswitch_experiments.baselines import _equal_bytes
from tswitch_experiments.baselines._sparse_deltas import (
    deltadq,
    deltazip,
    drops,
    entropy,
    impart,
    ratios,
    rounded,
    ultradelta,
)
from tswitch_experiments.models import _fitted

DRAWS = 200


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def some(*shape, seed=0):
    return torch.randn(shape, generator=draw(seed))


def test_rounding_is_to_the_nearest_of_equal_steps_up_to_the_largest():
    codes, step = rounded(torch.tensor([-7.0, 3.4, 3.6, 0.2]), 4)
    assert (codes.tolist(), float(step)) == ([-7, 3, 4, 0], 1.0)
    assert rounded(torch.zeros(3), 4)[0].tolist() == [0, 0, 0]


def test_entropy_of_known_distributions():
    assert entropy(torch.arange(8.0)) == 3.0
    assert entropy(torch.tensor([0.0, 0, 0, 1])) == pytest.approx(-0.75 * math.log2(0.75) + 0.5)
    assert entropy(torch.ones(5)) == entropy(torch.ones(0)) == 0.0


def test_tensors_of_little_variance_lose_a_step_more_and_those_of_much_a_step_less():
    changes = {name: size * some(50) for name, size in {"a": 3.0, "b": 0.1, "c": 1.0}.items()}
    assert drops(changes, 0.9, 0.05) == pytest.approx({"b": 0.95, "c": 0.9, "a": 0.85})
    assert drops(changes, 0.99, 0.05)["b"] == 1.0


def test_ultradelta_leaves_the_same_share_of_each_value_and_is_right_on_average():
    matrix = some(20, 50)
    codes, step = rounded(matrix, 3)
    made, bits = ultradelta(matrix, 0.75, 3, draw())
    left = made != 0
    for value in codes.unique():
        if value:
            assert abs(int((left & (codes == value)).sum()) - 0.25 * int((codes == value).sum())) <= 1
    torch.testing.assert_close(made[left], 4 * (codes * step)[left], rtol=1e-3, atol=0)
    assert bits == pytest.approx(250 * entropy(codes) + 16, rel=0.04)
    mean = torch.stack([ultradelta(matrix, 0.5, 3, draw(seed))[0] for seed in range(DRAWS)]).mean(0)
    assert float((mean - codes * step).abs().max()) < 5 * float(matrix.abs().max()) / math.sqrt(DRAWS)


@pytest.mark.parametrize(("group", "columns"), [(8, 32), (8, 28), (40, 32)])
def test_deltadq_leaves_as_many_of_each_group(group, columns):
    matrix = some(30, columns).abs() + 0.5
    made, _ = deltadq(matrix, group, 2, 8, draw())
    group = min(group, columns)
    for start in range(0, columns - group + 1, group):
        assert ((made[:, start : start + group] != 0).sum(1) == 2).all()
    if columns % group:
        assert ((made[:, -(columns % group) :] != 0).sum(1) == round(2 * (columns % group) / group)).all()
    mean = torch.stack([deltadq(matrix, group, 2, 8, draw(seed))[0] for seed in range(DRAWS)]).mean(0)
    assert float((mean / matrix).mean()) == pytest.approx(1.0, abs=0.02)


def test_shares_of_singular_vectors_follow_their_values_and_end_at_the_share_of_all():
    # (1 - value / 4) / 2 is 0, .25, .375, .375; the last ones are dropped until the mean is .5
    assert ratios([4, 2, 1, 1], drop=0.5, prune=0.0, power=1.0) == pytest.approx([0, 0.25])
    # half is dropped before: of the two that are left half is to go
    assert ratios([4, 2, 1, 1], drop=0.75, prune=0.5, power=1.0) == pytest.approx([0])
    assert ratios([4, 1, 0.5, 0.25], drop=0.3, prune=0.0, power=0.5)[1] == pytest.approx(0.5 * 0.3)


def test_impart_is_on_average_the_sum_of_what_it_leaves():
    matrix = some(8, 12)
    factors = torch.linalg.svd(matrix, full_matrices=False)
    shares = ratios(factors[1].tolist(), 0.6, 0.25, 1.0)
    left, values, right = (one[..., : len(shares)] if one is not factors[2] else one[: len(shares)] for one in factors)
    mean = torch.stack([impart(factors, 0.6, 0.25, 1.0, 8, draw(seed))[0] for seed in range(2 * DRAWS)]).mean(0)
    want = (left * values) @ right
    assert float((mean - want).norm() / want.norm()) < 0.15
    _, bits = impart(factors, 0.6, 0.25, 1.0, 8, draw())
    kept = sum(8 - int(8 * share) + 12 - int(12 * share) for share in shares)
    assert bits <= 8 * kept + 32 * len(shares)


def sequential(matrix, second, bits):
    """SparseGPT by one least-squares problem a column: the entries not yet fixed make up for those that are."""
    work = matrix.double().numpy().copy()
    steps = 2.0 ** (bits - 1) - 1
    step = np.abs(work).max(1) / steps
    hessian = second.double().numpy() + 0.01 * float(second.diagonal().mean()) * np.eye(len(second))
    kept = np.zeros_like(work, bool)
    for at in range(work.shape[1]):
        inverse = np.linalg.inv(hessian[at:, at:])
        if at % 4 == 0:  # worth of an entry: what its loss costs after all entries behind those before it are refitted
            worth = [work[:, c] ** 2 / np.linalg.inv(hessian[c:, c:])[0, 0] for c in range(at, at + 4)]
            order = np.argsort(-np.stack(worth, 1), 1)[:, :2]
            np.put_along_axis(kept[:, at : at + 4], order, True, 1)
        column = work[:, at].copy()
        fixed = np.where(kept[:, at], np.clip(np.round(column / step), -steps, steps) * step, 0)
        work[:, at:] -= np.outer((column - fixed) / inverse[0, 0], inverse[0])
        work[:, at] = fixed
    return work, kept


def test_deltazip_is_sparsegpt_with_two_of_four():
    matrix, inputs = some(6, 136), some(400, 136, seed=1) @ some(136, 136, seed=2)
    second = inputs.T @ inputs
    made, bits = deltazip(matrix, second, 4)
    want, kept = sequential(matrix, second, 4)
    assert (kept.reshape(6, -1, 4).sum(-1) == 2).all()
    near = np.isclose(made.numpy(), want, atol=1e-3)
    assert near.mean() > 0.97  # ties of rounding aside
    plain, _ = deltazip(matrix, None, 4)

    def error(one):
        away = one - matrix
        return float((away @ second * away).sum())

    assert error(made) < 0.7 * error(plain)
    assert bits <= 6 * 68 * 4 + 6 * 34 * math.log2(6) + 16 * 6 + 1e-6


def test_without_inputs_the_two_larger_of_four_are_left():
    made, _ = deltazip(torch.tensor([[7.0, -6.0, 1.0, 2.0], [0.0, 1.0, -3.0, 7.0]]), None, 4)
    assert made.tolist() == [[7, -6, 0, 0], [0, 0, -3, 7]]
    with pytest.raises(InputError, match="multiple of four"):
        deltazip(torch.ones(2, 6), None, 4)


@pytest.fixture
def trial(two_tasks, monkeypatch):
    bench, base = two_tasks
    made = _fitted.Trial(bench, 60, 0)
    monkeypatch.setattr(_fitted.Trial, "of", classmethod(lambda *_: made))
    monkeypatch.setattr(_fitted, "BASE", str(base))
    return made


def test_the_experiment_gives_every_arm_that_its_bars_name(trial):
    claim = next(one for one in claims.CLAIMS if one.run is _equal_bytes.at_equal_bytes)
    scores = claim.run(Budget(1, 1, "quick"), 0)
    assert len(claim.verdict([scores])) >= 6


@pytest.mark.parametrize("pack", [_equal_bytes.by_ultradelta, _equal_bytes.by_deltadq, _equal_bytes.by_impart])
def test_a_rival_has_the_bytes_that_it_is_given(pack):
    changes = {f"w{at}": (1 + at) * some(256, 256, seed=at) for at in range(2)}
    for room in (30_000.0, 12_000.0):
        made = pack(changes, {}, room, 0)
        assert sum(bits for _, bits in made.values()) == pytest.approx(room, rel=0.1)  # whole groups and vectors
        assert all(made[name][0].shape == one.shape for name, one in changes.items())
