"""HSTU beside a dense formula in numpy; and lists made on a device."""

import numpy as np
import pytest
import recsys
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import Dataset, SASRec, Trend, evaluate_next
from recsys.recommender._query import Query
from recsys.recommender._topk import Filter, top_of_factors
from recsys.zoo import HSTU

from .test_neural import successors
from .test_transformers import layer_norm, sigmoid

torch = pytest.importorskip("torch")
SMALL = HSTU(factors=8, max_len=5, epochs=1, batch=16, heads=2, blocks=2)


@pytest.fixture(scope="module")
def data():
    return successors()


def silu(x):
    return x * sigmoid(x)


def by_hand(net, items, marks, seconds):
    """All states of one sequence, head by head and step by step in numpy."""
    p = {name: one.detach().numpy().astype(np.float64) for name, one in net.named_parameters()}
    x, heads = p["item.weight"][items] * np.sqrt(net.width), net.blocks[0].heads
    for place, mark in enumerate(marks):
        x = x + p[f"marks.{place}.weight"][mark]
    for number in range(len(net.blocks)):
        q = {name.split(".", 2)[2]: one for name, one in p.items() if name.startswith(f"blocks.{number}.")}
        z = layer_norm(x, q["norm.weight"], q["norm.bias"], 1e-5)
        u, v, query, key = np.split(silu(z @ q["project.weight"].T + q["project.bias"]), 4, axis=1)
        mixed, width = np.zeros_like(x), net.width // heads
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            for i in range(len(x)):
                for j in range(i + 1):
                    score = query[i, own] @ key[j, own] + q["position"][i - j]
                    if seconds is not None:
                        score += q["time"][min(int(np.log(max(1, seconds[i] - seconds[j])) / 0.301), 127)]
                    mixed[i, own] += silu(score) / net.blocks[number].max_len * v[j, own]
        mixed = layer_norm(mixed, q["mixed_norm.weight"], q["mixed_norm.bias"], 1e-5)
        x = x + (u * mixed) @ q["out.weight"].T + q["out.bias"]
    return layer_norm(x, p["last.weight"], p["last.bias"], 1e-5)


@pytest.mark.parametrize(("action", "time", "timed"), [(None, None, False), ("a", "week", True), (None, "gap", True)])
def test_states_equal_a_dense_formula(action, time, timed, data):
    model = SMALL.clone().set_params(action=action, time=time, relative_time=timed).fit(data)
    net, history = model._network(), model.history_
    states, vectors = model._factors(Query(np.arange(5), history.take(np.arange(5))))
    for row in range(5):
        part = slice(history.indptr[row + 1] - 5, history.indptr[row + 1])
        marks = [one[part] for one in model._marks(history)]
        seconds = marks.pop() if timed else None
        expected = by_hand(net, history.item[part], marks, seconds)[-1]
        np.testing.assert_allclose(states[row], expected, rtol=1e-3, atol=1e-4)
    assert vectors.shape == (len(model.item_ids_), 8)


@pytest.fixture(scope="module")
def net():
    from recsys.neural._hstu import HSTUNet

    torch.manual_seed(0)
    return HSTUNet(9, [3], 8, 2, 2, 6, 0.3, timed=True).eval()


def states(net, items, marks, seconds):
    with torch.no_grad():
        return net(*(torch.tensor([one]) for one in (items, marks, seconds))).numpy()[0]


def test_a_step_sees_nothing_of_what_comes_after(net):
    before = states(net, [1, 2, 3, 4], [0, 1, 2, 0], [10, 20, 400, 500])
    after = states(net, [1, 2, 8, 7], [0, 1, 0, 1], [10, 20, 90_000, 90_001])
    np.testing.assert_array_equal(before[:2], after[:2])
    assert np.abs(before[2:] - after[2:]).max() > 1e-3


def test_padding_changes_no_state(net):
    short = states(net, [1, 2, 3], [0, 1, 2], [10, 20, 400])
    padded = states(net, [-1, -1, -1, 1, 2, 3], [-1, -1, -1, 0, 1, 2], [-1, -1, -1, 10, 20, 400])
    np.testing.assert_allclose(padded[3:], short, rtol=1e-5, atol=1e-6)


def test_time_between_events_counts_and_the_hour_does_not(net):
    with torch.no_grad():
        for block in net.blocks:
            block.time.normal_(generator=torch.Generator().manual_seed(1))
    first = states(net, [1, 2, 3], [0, 1, 2], [10, 20, 400])
    moved = states(net, [1, 2, 3], [0, 1, 2], [50_010, 50_020, 50_400])
    apart = states(net, [1, 2, 3], [0, 1, 2], [10, 20, 90_000])
    np.testing.assert_array_equal(first, moved)
    assert np.abs(first[2] - apart[2]).max() > 1e-3


def test_it_learns_a_planted_order_and_what_the_action_means(tmp_path):
    train, test = successors(200).split.time(test=0.2)
    settings = {"factors": 16, "max_len": 6, "blocks": 1, "epochs": 12, "batch": 32, "learning_rate": 0.01}
    acting, plain = (HSTU(**settings, action=action).fit(train) for action in ("a", None))
    scores = [evaluate_next(one, test, ["mrr@10"], filter_seen=False).mean("mrr@10") for one in (acting, plain)]
    assert scores[0] > 0.8  # after "jump" the third item, after "step" the next one
    assert scores[0] > scores[1] + 0.05
    loaded = recsys.load(acting.save(tmp_path / "m"))
    assert loaded.recommend(k=3).equals(acting.recommend(k=3))
    untimed = Dataset.from_frame({"s": [1, 1], "i": [1, 2], "a": ["jump"] * 2}, user="s", item="i", context=["a"])
    with pytest.raises(InputError, match=r"relative_time.*without times"):
        loaded.fold_in(untimed).recommend(k=1)


# --- lists on a device ---


@pytest.mark.parametrize("block", [1, 1 << 28])
def test_lists_on_a_device_are_those_of_the_compiled_top_k(block, monkeypatch):
    from recsys.neural import _answers

    monkeypatch.setattr(_answers, "_CELLS", block)
    draw = np.random.default_rng(0)
    states, vectors = draw.standard_normal((7, 4)).astype("f"), draw.standard_normal((12, 4)).astype("f")
    hidden, among = (sp.csr_matrix(draw.random((7, 12)) < share) for share in (0.3, 0.8))
    allowed, falls_back = draw.random(12) < 0.9, np.arange(7) == 3
    fallback = np.where(np.arange(12) < 5, np.arange(12.0), -np.inf).astype("f")
    rules = {"hidden": hidden, "among": among, "allowed": allowed, "falls_back": falls_back, "fallback": fallback}
    items, scores = _answers.top_on_device(torch.from_numpy(states), torch.from_numpy(vectors), 5, **rules)
    expected = top_of_factors(states, vectors, 5, Filter(**rules))
    real = np.isfinite(scores)
    assert real.sum(axis=1).tolist() == expected.counts.tolist()
    assert items[real].tolist() == expected.item.tolist()
    np.testing.assert_allclose(scores[real], expected.score, rtol=1e-5)


def test_a_models_lists_on_its_device_are_those_of_the_cpu(data, monkeypatch):
    model = SASRec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    users = [*model.user_ids_.values[:9].to_pylist(), 12345]  # the last is unknown
    settings = {"k": 20, "exclude": [3], "candidates": None}
    expected, used = model.recommend(users, **settings).to_pandas(), []
    from recsys.neural import _answers

    plain = _answers.top_on_device
    monkeypatch.setattr(_answers, "top_on_device", lambda *of, **how: used.append(of[0].device) or plain(*of, **how))
    monkeypatch.setattr(SASRec, "_device", lambda self: _LikeCuda())
    monkeypatch.setattr(SASRec, "_network", lambda self: self._ready.cpu().eval())
    found = model.recommend(users, **settings).to_pandas()
    assert len(used) == 1
    assert found.drop(columns="score").equals(expected.drop(columns="score"))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)
    assert Trend(model=model.clone()).fit(data).recommend(users, 3).num_rows == 30


class _LikeCuda:
    type = "cuda"


def test_a_device_that_is_not_there_answers_on_the_cpu_and_a_wrong_name_is_refused(data, tmp_path):
    model = SASRec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    model.device = "cuda"  # as of a folder from a machine that has one
    loaded = recsys.load(model.save(tmp_path / "m"))
    if not torch.cuda.is_available():
        assert loaded._network().vectors().device.type == "cpu"
    assert loaded.recommend(k=3).num_rows
    with pytest.raises(InputError, match=r"device.*'gpu'"):
        SASRec(factors=8, epochs=1, device="gpu").fit(data)
