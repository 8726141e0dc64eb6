"""Searches and comparisons of ratings, next items and lists alike; scikit-learn's searches."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, IALS, Bias, BiasedMF, Markov, compare, simulate, tune

from .helpers import events


@pytest.fixture(scope="module")
def ratings():
    return simulate(60, 30, 1500, seed=3).data


def test_rmse_is_minimised_in_its_own_sign(ratings):
    found = tune(Bias(), ratings, metric="rmse", trials=6)
    scores = [score for _, score in found.trials]
    assert found.score == min(scores) > 0
    train, held = ratings.split.time()
    again = recsys.evaluate_values(found.best.fit(train), held, ["rmse"])["rmse"]
    assert found.score == pytest.approx(again)
    assert [row[-1] for row in found.table().rows] == sorted(scores)


def test_errors_are_compared_over_users_and_the_bias_joins(ratings):
    train, test = ratings.split.rows(0.2)
    result = compare([BiasedMF(factors=4, epochs=3)], train, test, ["rmse", "mae"])
    assert set(result.evaluations) == {"BiasedMF(factors=4, epochs=3)", "Bias()"}
    means = [one.mean("rmse") for one in result.evaluations.values()]
    assert means == sorted(means)
    for name, one in result.evaluations.items():
        model = {"Bias()": Bias()}.get(name, BiasedMF(factors=4, epochs=3)).fit(train)
        expected = recsys.evaluate_values(model, test, ["rmse", "mae"])
        assert one.mean("rmse") == pytest.approx(expected["rmse"])
        assert one.mean("mae") == pytest.approx(expected["mae"])
        low, high = one.interval("rmse")
        assert low < one.mean("rmse") < high
    rows = result.table().rows
    gap = float(rows[1][3].split()[0])
    assert -gap == pytest.approx(means[1] - means[0], abs=1e-3) or gap == pytest.approx(means[1] - means[0], abs=1e-3)


def test_next_items_are_searched_and_compared():
    data = simulate(60, 30, 3000, transitions=0.5, seed=1).data.clicks()
    found = tune(Markov(), data, metric="mrr@10", trials=3, next_item=True)
    train, held = data.split.time()
    assert found.score == pytest.approx(recsys.evaluate_next(found.best.fit(train), held, ["mrr@10"]).mean("mrr@10"))
    result = compare([Markov()], train, held, ["mrr@10"], next_item=True, filter_seen=False)
    assert result.best == "Markov()"
    assert next(iter(result.evaluations.values())).unit == "steps"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "row_auc"}, "row_auc.*evaluate_values"),
        ({"metric": "rmse", "next_item": True}, "next_item"),
        ({"metric": "mrr@10", "next_item": True, "targets": "cold"}, "next_item"),
    ],
)
def test_searches_that_make_no_sense_are_refused(options, says, ratings):
    with pytest.raises(InputError, match=says):
        tune(Bias(), ratings, trials=2, **options)


def test_errors_and_ranks_do_not_mix(ratings):
    train, test = ratings.split.rows(0.2)
    with pytest.raises(InputError, match="metrics of lists, or of errors alone"):
        compare([Bias()], train, test, ["ndcg@10", "rmse"])
    with pytest.raises(InputError, match=r"targets.*take no notice"):
        compare([Bias()], train, test, ["rmse"], targets="cold")
    with pytest.raises(InputError, match=r"EASE.*whose scores are no values"):
        compare([EASE(weight="value")], train, test, ["rmse"])


@pytest.mark.parametrize(
    ("model", "grid", "data"),
    [
        (IALS(factors=4, epochs=2), {"reg": [0.003, 0.03]}, events()),
        (EASE(), {"l2": [1.0, 100.0]}, events()),
        (Bias(), {"damping_item": [1.0, 50.0]}, simulate(40, 20, 900, seed=1).data),
    ],
    ids=["ials", "ease", "bias"],
)
def test_scikit_learn_searches_models(model, grid, data):
    from sklearn.model_selection import GridSearchCV, KFold

    search = GridSearchCV(model, grid, cv=KFold(3, shuffle=True, random_state=0)).fit(data)
    assert set(search.best_params_) == set(grid)
    means = search.cv_results_["mean_test_score"]
    assert np.isfinite(means).all()
    assert search.best_score_ == means.max()
    train, test = data[np.arange(0, len(data) - 100)], data[np.arange(len(data) - 100, len(data))]
    assert np.isfinite(search.best_estimator_.clone().fit(train).score(test))
