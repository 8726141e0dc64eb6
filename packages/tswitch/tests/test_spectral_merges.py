"""Merges by singular values against independent formulas: eigenvectors, least squares, closed forms."""

import numpy as np
import pytest
import torch
from ninefold_lab import Budget
from tswitch.baselines._spectral import first, iso_cts, orthogonal, svd, tsv_m
from tswitch_experiments import claims
from tswitch_experiments.baselines._spectral import iso_c, lines, merged_changes, wudi
from tswitch_experiments.claims import _spectral_merges, _text

SHAPES = [(8, 12), (12, 8), (9, 9)]


def some(shape, tasks=3, seed=0):
    return torch.randn((tasks, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def root(matrix):
    """(M'M)^(1/2) by eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T


@pytest.mark.parametrize("shape", SHAPES)
def test_tsv_m_is_whitened_by_the_inverse_root_of_the_gram_matrices(shape):
    deltas = some(shape).numpy()
    rank = min(shape) // 3
    lefts, sizes, rights = [], [], []
    for delta in deltas:  # by eigenvectors of delta' delta, in place of a singular value decomposition
        values, vectors = np.linalg.eigh(delta.T @ delta)
        top = np.argsort(-values)[:rank]
        sizes.append(np.sqrt(values[top]))
        rights.append(vectors[:, top])
        lefts.append(delta @ vectors[:, top] / sizes[-1])
    u, v = np.concatenate(lefts, 1), np.concatenate(rights, 1)
    white_u, white_v = (one @ np.linalg.inv(root(one.T @ one)) for one in (u, v))
    want = white_u @ np.diag(np.concatenate(sizes)) @ white_v.T
    np.testing.assert_allclose(tsv_m(torch.from_numpy(deltas)).numpy(), want, atol=1e-8)


def test_tsv_m_of_tasks_in_orthogonal_subspaces_is_their_sum():
    deltas = torch.zeros(3, 9, 12, dtype=torch.float64)
    for task in range(3):
        deltas[task, 3 * task : 3 * task + 3, 4 * task : 4 * task + 4] = some((3, 4), 1, task)[0]
    torch.testing.assert_close(tsv_m(deltas), deltas.sum(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_iso_c_is_the_orthogonal_factor_of_the_sum_by_its_mean_singular_value(shape):
    deltas = some(shape)
    total = deltas.sum(0).numpy()
    if shape[0] < shape[1]:  # polar decomposition: the sum is its symmetric root times the orthogonal factor
        factor, small = np.linalg.inv(root(total @ total.T)) @ total, total @ total.T
    else:
        factor, small = total @ np.linalg.inv(root(total.T @ total)), total.T @ total
    mean = np.sqrt(np.linalg.eigvalsh(small)).mean()
    made = iso_c(deltas)
    np.testing.assert_allclose(made.numpy(), mean * factor, atol=1e-8)
    values = torch.linalg.svdvals(made)
    torch.testing.assert_close(values, values.mean().expand_as(values))


@pytest.mark.parametrize("shape", SHAPES)
def test_iso_cts_has_one_singular_value_and_the_directions_of_sum_and_tasks(shape):
    deltas = some(shape)
    made = iso_cts(deltas, 0.6)
    values = torch.linalg.svdvals(made)
    torch.testing.assert_close(values, values.mean().expand_as(values))
    own = round((min(shape) - int(0.6 * min(shape))) / 3)
    first = min(shape) - 3 * own
    assert own
    left, sizes, right = torch.linalg.svd(deltas.sum(0), full_matrices=False)
    left, sizes, right = left[:, :first], [sizes[:first]], [right[:first]]
    outside = torch.eye(shape[0], dtype=torch.float64) - left @ left.T
    lefts = [left]
    for delta in deltas:
        u, s, v = torch.linalg.svd(outside @ delta, full_matrices=False)
        lefts.append(u[:, :own])
        sizes.append(s[:own])
        right.append(v[:own])
    assert float(values.mean()) == pytest.approx(float(torch.cat(sizes).mean()))
    u, v = torch.cat(lefts, 1), torch.cat(right, 0)
    # of all matrices with orthogonal factors the ones that are closest: no rotation of them is closer
    near = torch.linalg.matrix_norm(u - orthogonal(u))
    for seed in range(5):
        turn = torch.linalg.qr(some((u.shape[1], u.shape[1]), 1, seed)[0])[0]
        assert near <= torch.linalg.matrix_norm(u - orthogonal(u) @ turn)
    torch.testing.assert_close(made / values.mean(), orthogonal(u) @ orthogonal(v))


def test_iso_cts_without_room_for_tasks_is_iso_c():
    deltas = some((8, 12))
    torch.testing.assert_close(iso_cts(deltas, 1.0), iso_c(deltas))


@pytest.mark.parametrize("shape", [(8, 12), (3, 12, 8)])
def test_a_decomposition_that_gives_up_is_made_by_the_slower_algorithm(shape, monkeypatch):
    matrices = some(shape[-2:], 3)[: shape[0] if len(shape) > 2 else 1].reshape(shape)
    want = torch.linalg.svdvals(matrices)

    def gives_up(*_, **__):
        raise torch.linalg.LinAlgError("linalg.svd: did not converge")

    monkeypatch.setattr(torch.linalg, "svd", gives_up)
    left, values, right = svd(matrices)
    torch.testing.assert_close(values, want)
    torch.testing.assert_close((left * values[..., None, :]) @ right, matrices)


@pytest.mark.parametrize("shape", SHAPES)
def test_first_singular_values_and_vectors_are_those_of_a_decomposition(shape):
    deltas = some(shape)
    left, values, right = first(deltas, 3)
    u, s, v = torch.linalg.svd(deltas, full_matrices=False)
    torch.testing.assert_close(values, s[:, :3])
    torch.testing.assert_close((left * values[:, None]) @ right, (u[..., :3] * s[:, None, :3]) @ v[:, :3])


def test_wudi_ends_at_the_least_squares_solution_and_begins_at_the_sum():
    deltas = some((6, 4), tasks=3)
    weights = 1 / deltas.square().sum((1, 2))
    # |(tau - tau_i) tau_i'|^2 / |tau_i|^2: rows of one least-squares problem for each row of tau
    wide = torch.cat([w.sqrt() * one for w, one in zip(weights, deltas, strict=True)], 0)  # (K m, n)
    target = torch.cat([w.sqrt() * one @ one.T for w, one in zip(weights, deltas, strict=True)], 0)
    want = torch.linalg.lstsq(wide, target).solution.T
    torch.testing.assert_close(wudi(deltas, rate=0.03, steps=1500), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(wudi(deltas, steps=0), deltas.sum(0))
    one_step = wudi(deltas, rate=1e-3, steps=1) - deltas.sum(0)
    assert float(one_step.abs().max()) == pytest.approx(1e-3, rel=1e-3)  # Adam's first step is its rate


def test_wudi_keeps_a_task_that_is_alone():
    deltas = some((5, 7), tasks=1)
    torch.testing.assert_close(wudi(deltas, rate=1e-4, steps=50), deltas[0], atol=1e-4, rtol=0)  # Adam's step


def state(seed):
    draw = torch.Generator().manual_seed(seed)
    names = ("embeddings.word.weight", "encoder.layer.0.w", "encoder.layer.1.w", "encoder.layer.2.w", "pooler.w")
    return {name: torch.randn(4, 4, generator=draw) for name in names} | {
        "encoder.layer.1.b": torch.randn(4, generator=draw)
    }


def test_rules_are_for_matrices_alone_and_all_else_is_averaged():
    base, models = state(0), [state(1), state(2)]
    made = merged_changes(base, models, lambda deltas: deltas[0])
    for name in base:
        deltas = torch.stack([one[name] - base[name] for one in models])
        alone = name.endswith(".w")
        torch.testing.assert_close(made[name], deltas[0] if alone else deltas.mean(0))


def test_lines_scales_from_the_size_of_averaging_to_that_and_beta():
    changes = state(1)
    summed = {name: 2 * one for name, one in changes.items()}
    made = lines(changes, summed, count=4, deep=0.6)
    factors = {name: float((made[name] / changes[name]).mean()) for name in changes}
    want = {"embeddings.word.weight": 0.5, "encoder.layer.0.w": 0.5, "encoder.layer.1.w": 0.8, "encoder.layer.1.b": 0.8}
    assert factors == pytest.approx(want | {"encoder.layer.2.w": 1.1, "pooler.w": 1.1})


@pytest.fixture
def tiny_claims(three_tasks, monkeypatch, tmp_path):
    bench, base = three_tasks
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    for module in (_text, _spectral_merges):
        monkeypatch.setattr(module, "_models", lambda *_, **__: bench)
    monkeypatch.setattr(_text, "BASE", str(base))
    return bench


def test_the_experiment_gives_every_arm_that_its_bars_name(tiny_claims, monkeypatch):
    monkeypatch.setattr(_spectral_merges, "SCALES", (0.5, 1.0))
    claim = next(one for one in claims.CLAIMS if one.run is _spectral_merges.merges)
    scores = claim.run(Budget(1, 1, "quick"), 0)
    assert len(claim.verdict([scores])) == len(_spectral_merges.MERGES)


def test_settings_are_chosen_on_validation_rows_and_kept(tiny_claims, monkeypatch):
    seen = set()
    rows = type(tiny_claims).rows
    monkeypatch.setattr(
        type(tiny_claims), "rows", lambda self, task, split, n: seen.add(split) or rows(self, task, split, n)
    )
    best = _spectral_merges.best(tiny_claims, "LiNeS", 20)
    assert seen == {"validation"}
    seen.clear()
    assert _spectral_merges.best(tiny_claims, "LiNeS", 20) == best
    assert not seen
