"""Each rival against its formula, written out in numpy on whole models in float64."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from safetensors.torch import save
from tswitch.baselines import Merger
from tswitch.baselines._select import kth_largest
from tswitch.switch import _tasks
from tswitch.switch._tasks import TaskVectors
from tswitch_experiments.baselines import METHODS

from .checkpoints import finetuned, random_state

BASE = random_state(0)
MODELS = [finetuned(BASE, seed) for seed in (1, 2, 3)]
K = len(MODELS)
FLOATS = [name for name, value in BASE.items() if value.is_floating_point()]
TAU = {name: np.stack([(m[name] - BASE[name]).numpy() for m in MODELS]).astype(np.float64) for name in FLOATS}


def flat(per_tensor):
    """{name: (..., *shape)} -> (..., d) over the whole model."""
    lead = per_tensor["scalar"].ndim
    parts = [np.reshape(per_tensor[name], (*per_tensor[name].shape[:lead], -1)) for name in FLOATS]
    return np.concatenate(parts, axis=-1)


def added(method, task=0, models=MODELS):
    """What the method adds to the base for a task: {name: array}."""
    state = method.fit(BASE, models).task_model(task)
    return {name: (state[name] - BASE[name]).numpy().astype(np.float64) for name in FLOATS}


def check(got, want, atol=2e-6):
    for name in FLOATS:
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=atol, err_msg=name)


def each(rule):
    """Apply a numpy rule on (K, d) to every tensor apart."""
    return {name: rule(tau.reshape(K, -1)).reshape(tau.shape[1:]) for name, tau in TAU.items()}


def over_model(rule):
    """Apply a numpy rule on (K, d) to the whole model at once."""
    merged, out, at = rule(flat(TAU)), {}, 0
    for name in FLOATS:
        size = TAU[name][0].size
        out[name] = merged[at : at + size].reshape(TAU[name].shape[1:])
        at += size
    return out


def test_individual_is_each_model_and_base_is_the_base():
    for task, model in enumerate(MODELS):
        state = METHODS["individual"]().fit(BASE, MODELS).task_model(task)
        assert all(torch.allclose(state[name], model[name], atol=1e-6) for name in model)
        assert all(torch.equal(METHODS["base"]().fit(BASE, MODELS).task_model(task)[name], BASE[name]) for name in BASE)


def test_averaging_is_the_mean_of_the_models():
    check(added(METHODS["averaging"]()), {name: tau.mean(0) for name, tau in TAU.items()})
    weights = np.array([1, 2, 5])
    check(
        added(METHODS["averaging"](weights=(1, 2, 5))),
        {name: np.tensordot(weights / 8, tau, 1) for name, tau in TAU.items()},
    )


def test_task_arithmetic_is_the_scaled_sum():
    check(added(METHODS["task_arithmetic"]()), {name: 0.3 * tau.sum(0) for name, tau in TAU.items()})
    method = METHODS["task_arithmetic"](scale=0.5, weights=(1, 2, 5), normalize=True)
    check(added(method), {name: 0.5 * np.tensordot([1 / 8, 2 / 8, 5 / 8], tau, 1) for name, tau in TAU.items()})


def ties(tau, keep=0.2, scale=0.3, weights=(1, 1, 1), normalize=True):
    kept = np.zeros_like(tau)
    for i, row in enumerate(tau):
        top = np.argsort(-np.abs(row), kind="stable")[: max(int(keep * row.size + 1e-9), 1)]
        kept[i, top] = row[top] * weights[i]
    sign = np.where(kept.sum(0) >= 0, 1, -1)
    agree = np.sign(kept) == sign
    total = (kept * agree).sum(0)
    share = (np.array(weights)[:, None] * agree).sum(0)
    return scale * (total / np.where(share == 0, 1, share) if normalize else total)


def by_matrix(rule, scale):
    """Scale times a numpy rule on (K, m, n) of each matrix of a linear layer; scale times the mean of all else."""
    tables = ("embed", "lm_head")
    return {
        name: scale
        * (rule(tau) if tau.ndim == 3 and tau.size and not any(one in name for one in tables) else tau.mean(0))
        for name, tau in TAU.items()
    }


def procrustes(matrix):
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return u @ v


def iso_cts(tau, common=0.8):
    u, s, v = np.linalg.svd(tau.sum(0), full_matrices=False)
    own = round((len(s) - int(common * len(s))) / K)
    count = len(s) - K * own
    left, size, right = [u[:, :count]], [s[:count]], [v[:count]]
    for one in tau:
        a, b, c = np.linalg.svd(one - u[:, :count] @ u[:, :count].T @ one, full_matrices=False)
        left, size, right = [*left, a[:, :own]], [*size, b[:own]], [*right, c[:own]]
    return np.concatenate(size).mean() * procrustes(np.concatenate(left, 1)) @ procrustes(np.concatenate(right))


def tsv_m(tau):
    rank = max(min(tau.shape[1:]) // K, 1)
    parts = [np.linalg.svd(one, full_matrices=False) for one in tau]
    left = procrustes(np.concatenate([u[:, :rank] for u, _, _ in parts], 1))
    right = procrustes(np.concatenate([v[:rank] for _, _, v in parts]))
    return left @ np.diag(np.concatenate([s[:rank] for _, s, _ in parts])) @ right


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_merges_by_singular_values(scale):
    check(added(METHODS["iso_cts"](scale=scale)), by_matrix(iso_cts, scale), atol=2e-5)
    check(added(METHODS["iso_cts"](common=0.4)), by_matrix(lambda tau: iso_cts(tau, 0.4), 1.0), atol=2e-5)
    check(added(METHODS["tsv_m"](scale=scale)), by_matrix(tsv_m, scale), atol=2e-5)
    assert sum(tau.ndim == 3 for tau in TAU.values()) > 1


def test_many_models_of_small_matrices_are_merged_by_singular_values():
    """More models than a matrix has rows leave no direction for each; no change stays none."""
    many = [finetuned(BASE, seed) for seed in range(40)]
    for name in ("iso_cts", "tsv_m"):
        assert all(np.isfinite(one).all() for one in added(METHODS[name](), models=many).values())
        assert all(not one.any() for one in added(METHODS[name](), models=[BASE, BASE]).values())


@pytest.mark.parametrize("options", [{}, {"keep": 0.5, "scale": 1.0}, {"weights": (1, 2, -1), "normalize": False}])
def test_ties_trims_elects_and_averages(options):
    check(added(METHODS["ties"](scope="tensor", **options)), each(lambda tau: ties(tau, **options)))
    check(added(METHODS["ties"](scope="model", **options)), over_model(lambda tau: ties(tau, **options)))


def test_ties_scopes_differ_where_tensors_have_other_sizes_of_change():
    models = [{name: v * 3 if name == "norm.weight" else v for name, v in model.items()} for model in MODELS]
    by_model, by_tensor = (added(METHODS["ties"](scope=scope), models=models) for scope in ("model", "tensor"))
    assert np.count_nonzero(by_model["norm.weight"]) > np.count_nonzero(by_tensor["norm.weight"])


def test_ties_keeps_what_equals_the_smallest_kept_entry():
    base = {"w": torch.zeros(10)}
    model = {"w": torch.tensor([3.0, 2, 2, 2, 1, 1, 1, 1, 0, 0])}
    merged = METHODS["ties"](keep=0.2, scale=1.0, scope="tensor").fit(base, [model]).task_model(0)["w"]
    assert merged.tolist() == [3, 2, 2, 2, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("rescale", [True, False])
def test_dare_drops_that_share_and_rescales_the_rest(rescale):
    models = [MODELS[0], BASE, BASE]
    got = flat(added(METHODS["dare"](drop=0.7, scale=1.0, rescale=rescale), models=models))
    tau = flat(TAU)[0]
    kept = got != 0
    np.testing.assert_allclose(got[kept], tau[kept] / (0.3 if rescale else 1), atol=2e-6)
    assert abs(kept.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / kept.size)
    other = flat(added(METHODS["dare"](drop=0.7, scale=1.0, seed=1), models=models)) != 0
    assert abs((kept & other).mean() - 0.09) < 0.03  # another seed drops independently


def test_dare_merges_what_is_left_by_addition_or_by_sign():
    masks = []
    for task in range(K):  # the other tasks left out, what is not zero was kept
        models = [MODELS[task] if i == task else BASE for i in range(K)]
        masks.append(flat(added(METHODS["dare"](drop=0.5, scale=1.0), models=models)) != 0)
    left = flat(TAU) * np.stack(masks) / 0.5
    np.testing.assert_allclose(flat(added(METHODS["dare"](drop=0.5))), 0.3 * left.sum(0), atol=3e-6)
    np.testing.assert_allclose(flat(added(METHODS["dare"](drop=0.5, then="ties"))), ties(left, keep=1.0), atol=3e-6)
    summed = flat(added(METHODS["dare"](drop=0.5, then="ties", normalize=False)))
    agree = np.sign(left) == np.where(left.sum(0) >= 0, 1, -1)
    np.testing.assert_allclose(summed, 0.3 * (left * agree).sum(0), atol=3e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_p_discard_drops_the_smallest_of_each_sign(alpha):
    def rule(tau):
        total = np.zeros(tau.shape[1])
        for row in tau:
            for side in (row > 0, row < 0):
                count = int(np.floor(side.sum() * (1 - alpha) + 1e-9)) or side.sum()
                order = np.argsort(-np.abs(row) * side, kind="stable")[:count]
                total[order] += row[order] * side[order]
        return 0.3 * total

    check(added(METHODS["p_discard"](alpha=alpha)), each(rule))


def test_bitdelta_on_every_tensor_has_one_bit_everywhere():
    rule = METHODS["bitdelta"](every=True)
    want = {n: np.where(tau[0] >= 0, 1, -1) * (np.abs(tau[0]).mean() if tau[0].size else 0) for n, tau in TAU.items()}
    check(added(rule, 0), want)
    stored = rule.fit(BASE, MODELS).packed
    assert not any(key.endswith("delta") for packed in stored.values() for key in packed)


def test_rescaled_pruning_keeps_the_trace_norm_and_depends_on_the_seed():
    rule = METHODS["rescaled"](drop=0.5, bits=8)
    got, other = added(rule, 0), added(replace(rule, seed=1), 0)
    for name, tau in TAU.items():
        if tau[0].ndim == 2 and min(tau[0].shape) > 3:
            norms = [np.linalg.norm(value, "nuc") for value in (got[name], tau[0])]
            assert norms[0] == pytest.approx(norms[1], rel=1e-3)
            assert (got[name] != other[name]).any()
            assert 0.2 < (got[name] == 0).mean() < 0.8


def test_bitdelta_is_sign_times_mean_for_matrices_and_dense_for_the_rest():
    for task in range(K):
        want = {name: tau[task] for name, tau in TAU.items()}
        matrix = want["layer.weight"]
        want["layer.weight"] = np.where(matrix >= 0, 1, -1) * np.abs(matrix).mean()
        check(added(METHODS["bitdelta"](), task), want)
    fitted = METHODS["bitdelta"]().fit(BASE, MODELS)
    assert fitted.nbytes == K * (1200 // 8 + 4 + 4 * (30 + 17 + 1))
    whole = METHODS["bitdelta"](dense=("layer*",)).fit(BASE, MODELS)
    assert whole.nbytes == K * 4 * 1248


def test_emr_elects_masks_and_rescales():
    tau = flat(TAU)
    gamma = np.sign(tau.sum(0))
    unified = gamma * np.max(np.where(tau * gamma > 0, np.abs(tau), 0), axis=0)
    starts = np.cumsum([0, *[TAU[name][0].size for name in FLOATS]])

    def means(values):  # sum over tensors of the mean over their entries
        spans = [values[a:b] for a, b in pairwise(starts) if b > a]
        return sum(np.abs(span).mean() for span in spans)

    for task in range(K):
        mask = tau[task] * gamma > 0
        rescale = means(tau[task]) / means(mask * unified)
        got = flat(added(METHODS["emr"](), task))
        np.testing.assert_allclose(got, rescale * mask * unified, atol=3e-6)
    sizes = [TAU[name][0].size for name in FLOATS if TAU[name][0].size]
    assert METHODS["emr"]().fit(BASE, MODELS).nbytes == sum(4 * n + K * -(-n // 8) + 4 * K for n in sizes)


def test_tall_masks_pick_from_the_sum_what_matters_to_the_task():
    tau = flat(TAU)
    scales = (0.2, 0.4, 0.6)
    masks = np.stack([np.abs(tau[i]) > scales[i] * np.abs(tau.sum(0) - tau[i]) for i in range(K)])
    for task in range(K):
        got = flat(added(METHODS["tall_masks"](mask_scale=scales), task))
        np.testing.assert_allclose(got, masks[task] * tau.sum(0), atol=2e-6)
    got = flat(added(METHODS["consensus_ta"](mask_scale=scales)))
    np.testing.assert_allclose(got, 0.3 * (masks.sum(0) >= 2) * tau.sum(0), atol=2e-6)


def test_pcb_weighs_by_size_and_agreement():
    tau = flat(TAU)
    d = tau.shape[1]

    def clamp(x, least, most):
        rows = np.sort(x, axis=1)
        return np.clip(x, rows[:, [int(d * least)]], rows[:, [int(d * (1 - most) - 1)]])

    def minmax(x):
        return (x - x.min(1, keepdims=True)) / (x.max(1, keepdims=True) - x.min(1, keepdims=True))

    own = np.exp(K * minmax(clamp(np.abs(tau), 1e-4, 1e-4)) ** 2)
    score = minmax(clamp(own * np.tanh(tau * tau.sum(0)), 0.9, 0))
    want = 1.2 * (score * tau).sum(0) / np.maximum(score.sum(0), 1e-12)
    np.testing.assert_allclose(flat(added(METHODS["pcb"]())), want, atol=1e-5)
    assert 0 < np.count_nonzero(want) <= 0.31 * d


def test_twin_merging_adds_a_pruned_rest_to_a_shared_model():
    method = METHODS["twin_merging"](keep=0.2)
    for task in range(K):
        want = {}
        for name, tau in TAU.items():
            shared = 0.3 * tau.sum(0)
            rest = tau[task] - shared
            if rest.size:
                order = np.argsort(-np.abs(rest).reshape(-1))
                rest.reshape(-1)[order[max(int(0.2 * rest.size + 1e-9), 1) :]] = 0
            want[name] = shared + rest
        check(added(method, task), want, atol=5e-6)


def test_twin_merging_mixture_weighs_the_experts():
    fitted = METHODS["twin_merging"]().fit(BASE, MODELS)
    weights = [0.2, 0.3, 0.5]
    mixed = fitted.mixture(weights)
    want = sum(w * fitted.task_model(i)["layer.weight"] for i, w in enumerate(weights))
    torch.testing.assert_close(mixed["layer.weight"], want, atol=1e-6, rtol=0)


def test_lora_is_the_best_approximation_of_its_rank_and_size():
    fitted = METHODS["lora"](rank=3).fit(BASE, MODELS)
    for task in range(K):
        u, s, v = np.linalg.svd(TAU["layer.weight"][task], full_matrices=False)
        state = fitted.task_model(task)
        got = (state["layer.weight"] - BASE["layer.weight"]).numpy()
        np.testing.assert_allclose(got, u[:, :3] * s[:3] @ v[:3], atol=2e-6)
        assert torch.equal(state["layer.bias"], BASE["layer.bias"])
    assert fitted.nbytes == K * 4 * 3 * (40 + 30)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_carries_its_card_and_leaves_its_inputs_alone(name):
    method = METHODS[name]()
    assert method.name == name
    assert method.source
    assert method.limits
    base = {key: value.clone() for key, value in BASE.items()}
    models = [{key: value.clone() for key, value in model.items()} for model in MODELS]
    state = method.fit(base, models).task_model(len(models) - 1)
    assert set(state) == set(BASE)
    assert all(state[key].dtype == BASE[key].dtype and state[key].shape == BASE[key].shape for key in BASE)
    assert all(torch.equal(base[key], BASE[key]) for key in BASE)
    assert all(torch.equal(m[key], w[key]) for m, w in zip(models, MODELS, strict=True) for key in BASE)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_base_when_nothing_changed(name):
    fitted = METHODS[name]().fit(BASE, [BASE, BASE])
    assert all(torch.allclose(value, BASE[key], atol=1e-6) for key, value in fitted.task_model(0).items())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_same_in_small_pieces_as_whole(name, monkeypatch):
    method = METHODS[name]()
    task = len(MODELS) - 2
    whole = added(method, task=task, models=MODELS)
    monkeypatch.setattr(_tasks, "_WORKING_SET", 64)
    monkeypatch.setattr(_tasks, "_SMALLEST_CHUNK", 8)
    monkeypatch.setattr(_tasks, "_ALONE", 40)
    tasks = TaskVectors(BASE, MODELS)
    prepared = method.prepare(tasks)
    for key in FLOATS:
        parts = [delta.clone() for _, delta in method.stream(tasks, key, prepared, task)]
        got = torch.cat([torch.empty(0), *parts]).numpy().reshape(whole[key].shape)
        np.testing.assert_allclose(got, whole[key], atol=2e-6, err_msg=key)
        assert method.takes_whole(key, whole[key].shape) or len(parts) > 1 or got.size <= 16


@pytest.mark.parametrize("name", METHODS)
def test_bytes_are_those_of_what_is_stored(name):
    fitted = METHODS[name]().fit(BASE, MODELS)
    stored = {f"{t}/{k}": v.clone() for t, packed in fitted.packed.items() for k, v in packed.items() if k != "merged"}
    file = save(stored)
    assert fitted.nbytes == len(file) - 8 - int.from_bytes(file[:8], "little")  # all but the header
    if isinstance(METHODS[name](), Merger):
        assert fitted.nbytes == 0


def test_integer_tensors_follow_the_task_where_models_are_kept_apart():
    models = [m | {"steps": torch.tensor(10 + i)} for i, m in enumerate(MODELS)]
    fitted = METHODS["individual"]().fit(BASE, models)
    assert [int(fitted.task_model(i)["steps"]) for i in range(K)] == [10, 11, 12]
    assert fitted.nbytes == K * (4 * 1248 + 8)
    assert int(METHODS["averaging"]().fit(BASE, models).task_model(1)["steps"]) == int(BASE["steps"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ties", {"keep": 20}, "keep: got 20, expected a share"),
        ("ties", {"keep": 0}, "keep"),
        ("ties", {"scope": "layer"}, "scope: got layer"),
        ("dare", {"drop": 1.0}, "drop: got 1.0"),
        ("dare", {"then": "average"}, "then: got average"),
        ("p_discard", {"alpha": 60}, "alpha: got 60"),
        ("pcb", {"keep": -0.1}, "keep"),
        ("lora", {"rank": 0}, "rank: got 0"),
    ],
)
def test_bad_settings_are_refused_by_name(name, options, message):
    with pytest.raises(InputError, match=message):
        METHODS[name](**options)


def test_wrong_number_of_weights_is_refused():
    with pytest.raises(InputError, match=r"weights: got 2 values, expected one, or 3"):
        METHODS["averaging"](weights=(1, 2)).fit(BASE, MODELS)
    fitted = METHODS["ties"]().fit(BASE, MODELS)
    with pytest.raises(InputError, match=r"task: got 3, expected 0 to 2"):
        fitted.task_model(3)
    with pytest.raises(InputError, match=r"weights: got 1 values, expected 3"):
        fitted.mixture([1.0])


def test_settings_are_replaced_not_changed():
    method = METHODS["ties"]()
    assert replace(method, keep=0.5) != method  # pyright: ignore[reportCallIssue]


@given(
    values=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=60),
    cut=st.integers(1, 20),
    data=st.data(),
)
def test_streamed_order_statistics_equal_a_sort_at_every_rank(values, cut, data):
    tensor = torch.tensor(values)
    ranks = data.draw(st.lists(st.integers(1, len(values)), min_size=1, max_size=3))
    want = [float(np.sort(np.float32(values))[len(values) - rank]) for rank in ranks]
    assert kth_largest(lambda: tensor.split(cut), ranks) == want
