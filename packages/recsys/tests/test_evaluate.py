import json

import numpy as np
import pytest
import recsys
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from recsys import Dataset, Popular, RecentPopular, evaluate, evaluate_values
from recsys.baselines import RandomItems
from recsys.data._metrics import Ranks, ranking_metric
from recsys.evaluation._ranks import rank_targets
from recsys.evaluation._stats import bootstrap_interval, by_group, holm, randomisation_test
from recsys.recommender._registry import parse_model

from .helpers import events, needs_data, ready_process, retail, tiny


def metric(name, ranks, candidates=10):
    """Value for one user whose relevant items have these ranks (0: not listed)."""
    one = Ranks(np.zeros(len(ranks), int), np.array(ranks), np.array([candidates]))
    return float(ranking_metric(name)(one)[0])


@pytest.mark.parametrize(
    ("name", "ranks", "expected"),
    [
        ("recall@2", [1, 5, 7], 1 / 3),
        ("recall_min@2", [1, 5, 7], 1 / 2),
        ("precision@2", [1, 5, 7], 1 / 2),
        ("hr@2", [3, 5], 0.0),
        ("hr@3", [3, 5], 1.0),
        ("ndcg@3", [2], 1 / np.log2(3)),
        ("ndcg@2", [1, 2, 3], 1.0),
        ("ndcg@10", [1, 3], (1 + 1 / 2) / (1 + 1 / np.log2(3))),
        ("map@10", [1, 4], (1 + 2 / 4) / 2),
        ("map@10", [4, 1], (1 + 2 / 4) / 2),
        ("map@2", [1, 2, 9], 2 / 3),
        ("map_min@2", [1, 2, 9], 1.0),
        ("mrr", [4, 9], 1 / 4),
        ("mrr@3", [4, 9], 0.0),
        ("auc", [1, 2], 1.0),
        ("auc", [9, 10], 0.0),
        ("auc", [1, 10], 0.5),
        ("auc", [0], 0.0),
        ("half_life@5", [1], 100.0),
        ("half_life@5", [5], 50.0),
        ("half_life@5", [1, 2], 100.0),
        ("recall@5", [0, 0], 0.0),
    ],
)
def test_metric_by_hand(name, ranks, expected):
    assert metric(name, ranks) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["ndcg", "ndcg@0", "recall@x", "hits@3"])
def test_unknown_metric_is_named(name):
    with pytest.raises(InputError, match=f"metric.*{name}.*ndcg@k"):
        ranking_metric(name)


_RANX = """
import json, pathlib, sys, numba, warnings
warnings.simplefilter("ignore")
numba.config.DISABLE_JIT = True  # compiling it would take a minute
from ranx import Qrels, Run, evaluate
given = json.loads(pathlib.Path(sys.argv[1]).read_text())
print(json.dumps(evaluate(Qrels(given["qrels"]), Run(given["run"]), given["metrics"])))
"""


def test_metrics_agree_with_ranx(tmp_path):
    draw = np.random.default_rng(0)
    scores = draw.permuted(np.tile(np.arange(50.0, dtype=np.float32), (20, 1)), axis=1)
    relevant = draw.random((20, 50)) < draw.uniform(0.02, 0.3, (20, 1))
    relevant[:, 0] = True
    row, item = np.nonzero(relevant)
    ranks = Ranks(row, rank_targets(scores, row, item, np.arange(20))[0], np.full(20, 50))
    names = {"recall@10": "recall@10", "precision@10": "precision@10", "ndcg@10": "ndcg@10", "map@10": "map@10"}
    names |= {"hr@10": "hit_rate@10", "mrr": "mrr"}
    given = {
        "qrels": {f"q{u}": {f"d{i}": 1 for i in np.flatnonzero(relevant[u]).tolist()} for u in range(20)},
        "run": {f"q{u}": {f"d{i}": float(scores[u, i]) for i in range(50)} for u in range(20)},
        "metrics": list(names.values()),
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    done = ready_process().run(["-c", _RANX, str(tmp_path / "given.json")])
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    for name, other in names.items():
        assert ranking_metric(name)(ranks).mean() == pytest.approx(theirs[other], abs=1e-9), name


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_ranks_equal_a_full_sort_when_scores_differ(rows, items, seed):
    draw = np.random.default_rng(seed)
    scores = draw.permuted(np.tile(np.linspace(-3, 3, items, dtype=np.float32), (rows, 1)), axis=1)
    row, item = np.divmod(np.arange(rows * items), items)
    expected = np.argsort(np.argsort(-scores, axis=1), axis=1).ravel() + 1
    assert np.array_equal(rank_targets(scores, row, item, np.arange(rows), seed)[0], expected)


@given(st.integers(2, 40), st.integers(0, 10**6))
def test_tied_items_share_out_the_ranks(items, seed):
    scores = np.zeros((1, items), np.float32)
    scores[0, : items // 2] = -0.0  # equal to 0
    ranks = rank_targets(scores, np.zeros(items, int), np.arange(items), np.array([seed]), seed)[0]
    assert sorted(ranks) == list(range(1, items + 1))


@given(st.integers(1, 5), st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_each_rank_counts_what_is_greater_and_shares_out_what_is_equal(rows, items, seed):
    draw = np.random.default_rng(seed)
    scores = draw.choice(np.array([-np.inf, -1.5, -0.0, 0.0, 2.0], np.float32), (rows, items))
    row, item = np.divmod(np.arange(rows * items), items)
    ranks = rank_targets(scores, row, item, np.arange(rows), seed)[0].reshape(rows, items)
    for line, found in zip(scores, ranks, strict=True):
        for score in np.unique(line):  # equal scores take the places after all greater ones, each once
            greater, same = (line > score).sum(), line == score
            expected = np.zeros(same.sum()) if np.isneginf(score) else greater + np.arange(same.sum()) + 1
            assert sorted(found[same]) == list(expected)


def test_constant_scorer_scores_like_chance():
    scores = np.full((4000, 20), 0.25, np.float32)
    row = np.arange(4000)
    for item in (0, 7, 19):  # wherever the target stands in the catalogue
        ranks = rank_targets(scores, row, np.full(4000, item), row)[0]
        assert np.mean(ranks) == pytest.approx(10.5, abs=0.4)
        assert np.mean(ranks <= 5) == pytest.approx(0.25, abs=0.03)


def test_popular_ranks_by_hand():
    train = tiny()  # users by item: 1 has three, 2 has two, 3, 4 and 5 one each
    test = Dataset.from_frame({"user": ["a", "b", "d"], "item": [3, 2, 1]}, user="user", item="item")
    result = evaluate(Popular().fit(train), test, ["mrr", "hr@1"])
    order = result.users.to_pylist()
    assert result.values["mrr"][order.index("b")] == 1.0  # b had 1 and 3: 2 is the most popular of the rest
    assert result.values["mrr"][order.index("d")] == 1.0
    assert result.values["mrr"][order.index("a")] in (1.0, 1 / 2, 1 / 3)  # 3, 4, 5 tie


def test_seen_targets_cold_items_and_cold_users_are_counted_apart():
    test = Dataset.from_frame(
        {"user": ["a", "a", "a", "z"], "item": [1, 3, 99, 1]}, user="user", item="item"
    )  # seen, new, cold; cold user
    model = Popular().fit(tiny())
    result = evaluate(model, test, ["recall@5"])
    assert (result.targets, result.cold_targets, result.seen_targets) == (3, 1, 1)
    assert result.cold.tolist() == [False, True]
    assert result.mean("recall@5") == 0.5  # the cold target is kept, as a miss
    assert evaluate(model, test, ["recall@5"], targets="warm").mean("recall@5") == 1.0
    assert "1 cold" in result.counts()
    with pytest.raises(InputError, match="all unknown to the model"):
        evaluate(model, test.take(test.user == 1), ["recall@5"])
    with pytest.raises(InputError, match="no target left"):
        evaluate(model, test.take(np.array([0])), ["recall@5"])


def test_results_do_not_depend_on_the_block(monkeypatch):
    train, test = events().split.time(test=0.3)
    model = Popular().fit(train)
    whole = evaluate(model, test, ["ndcg@5", "auc"])
    monkeypatch.setattr("recsys.evaluation._evaluate._CELLS", 64)
    parts = evaluate(model, test, ["ndcg@5", "auc"])
    for name in whole.values:
        assert np.array_equal(whole.values[name], parts.values[name])


def test_candidates_restrict_the_ranking():
    train, test = events().split.time(test=0.3)
    some = train.item_ids.values[:4]
    result = evaluate(Popular().fit(train), test, ["recall@4"], candidates=some, filter_seen=False)
    assert result.mean("recall@4") == 1.0


def test_random_lists_score_like_chance():
    data = events(users=400, items=50, n=8000, seed=5)
    train, test = data.split.rows(0.3)
    result = evaluate(RandomItems(seed=1).fit(train), test, ["auc"])
    low, high = bootstrap_interval(result.known("auc"))
    assert low < 0.5 < high


def test_value_metrics_by_hand():
    class Half(Popular):
        def _score(self, query):
            return np.full((len(query), len(self.item_ids_)), 0.5, np.float32)

    frame = {"user": ["a", "b", "a"], "item": [1, 1, 9], "value": [1.0, 0.0, 1.0]}
    test = Dataset.from_frame(frame, user="user", item="item", value="value")
    result = evaluate_values(Half().fit(tiny()), test, ["rmse", "mae", "log_loss", "row_auc"])
    expected = {"rmse": 0.5, "mae": 0.5, "log_loss": np.log(2), "row_auc": 0.5, "unscored": 1 / 3}
    assert result == pytest.approx(expected)


def test_bootstrap_interval_covers_the_mean():
    draw = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        low, high = bootstrap_interval(draw.exponential(1.0, 200), draws=500, seed=trial)
        inside += low < 1.0 < high
    assert 0.9 <= inside / 200 <= 0.99


def test_values_of_one_user_are_resampled_together():
    draw = np.random.default_rng(0)
    covered, narrow = 0, 0
    for trial in range(300):  # users of 1 to 20 events whose values are all but alike
        size = draw.integers(1, 21, 60)
        users = np.repeat(np.arange(60), size)
        values = draw.normal(0.0, 1.0, 60)[users] + draw.normal(0.0, 0.1, len(users))
        own = by_group(values, users)
        assert len(own) == 60
        assert own.mean() == pytest.approx(values.mean())
        low, high = bootstrap_interval(own, draws=300, seed=trial)
        covered += low <= 0 <= high
        low, high = bootstrap_interval(values, draws=300, seed=trial)
        narrow += low <= 0 <= high
    assert 0.89 <= covered / 300 <= 0.99
    assert narrow / 300 < 0.7


def test_randomisation_test_is_exact_for_few_users():
    assert randomisation_test(np.ones(5), draws=20_000) == pytest.approx(2 / 32, abs=0.01)
    assert randomisation_test(np.zeros(5)) == 1.0
    assert randomisation_test(np.random.default_rng(0).normal(0.5, 1, 200)) < 0.001


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@needs_data
def test_popularity_on_online_retail_matches_the_measured_floor():
    train, test = retail()
    figures = {}
    for model in (Popular(), RecentPopular()):
        result = evaluate(model.fit(train), test, ["ndcg@10"], targets="warm")
        assert int((~result.cold).sum()) == 1440
        figures[model.name] = result.mean("ndcg@10")
    assert figures == pytest.approx({"popular": 0.038, "recent-popular": 0.078}, abs=0.0006)


LISTERS = ["popular", "repeat", "ease(l2=5)", "item-knn", "puresvd(factors=4)", "trend(model=rp3beta)", "co-occurrence",
           "fusion(models=ease+item-knn)", "repurchase(model=ease)"]  # fmt: skip


@pytest.mark.parametrize("name", LISTERS)
@pytest.mark.parametrize("filter_seen", [True, False])
def test_ranks_read_from_lists_equal_those_of_all_scores(name, filter_seen):
    train, test = events(60, 25, 900, seed=len(name)).split.time()
    model = parse_model(name).fit(train)
    names = ["ndcg@5", "recall@3", "map@5", "mrr@4", "hr@1"]
    fast = recsys.evaluate(model, test, names, filter_seen=filter_seen)
    full = recsys.evaluate(model, test, [*names, "auc"], filter_seen=filter_seen)
    for one in names:
        np.testing.assert_allclose(fast.values[one], full.values[one], err_msg=one)


def test_a_row_says_how_many_candidates_it_has():
    scores = np.array([[1, -np.inf, 1, 0], [-np.inf] * 4], np.float32)
    assert rank_targets(scores, np.array([0]), np.array([3]), np.arange(2))[1].tolist() == [3, 0]
