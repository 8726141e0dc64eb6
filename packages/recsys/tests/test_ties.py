"""Ties between users: checked tables, the score by hand, users without a past, files, controls."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, Dataset, ItemKNN, Social, simulate
from recsys.data._ties import shuffled
from recsys.recommender._query import FOLD_IN, Query

from .helpers import tiny

FRIENDS = {"who": ["e", "a", "a"], "follows": ["a", "b", "c"], "much": [2.0, 1.0, 3.0]}


@pytest.fixture(scope="module")
def world():
    data = simulate(150, 60, 6000, ties=8.0, seed=3).data.clicks()
    train, test = data.split.time()
    return train.take(train.user % 3 > 0), test


def test_ties_go_both_ways_unless_directed_and_bring_their_users():
    data = tiny().with_ties(FRIENDS)
    assert data.user_ids.values.to_pylist() == ["a", "b", "c", "d", "e"]
    e, a = data.ties[4].toarray()[0], data.ties[0].toarray()[0]
    assert (e.tolist(), a.tolist()) == ([2, 0, 0, 0, 0], [0, 1, 3, 0, 2])
    directed = tiny().with_ties(FRIENDS, directed=True).ties.toarray()
    assert directed[4, 0] == 2
    assert directed[0, 4] == 0
    assert "3 ties" in repr(data)
    assert data.warm().n_users == 4  # e has no events
    assert data.take(np.array([0])).n_users == 4  # who has ties stays, d does not


def test_ties_come_from_frames_and_files(tmp_path):
    path = tmp_path / "ties.csv"
    path.write_text("x,y,w\n1,2,0.5\n2,2,1\n", encoding="utf-8")
    data = Dataset.from_frame({"u": [1, 2], "i": [5, 6]}, user="u", item="i", ties=path, directed=True)
    assert data.ties.toarray().tolist() == [[0, 0.5], [0, 0]]
    assert data.notes == ("1 ties of a user with himself left out",)
    named = tiny().with_ties({"w": [1.0], "q": ["a"], "p": ["b"]}, columns=("p", "q"), directed=True)
    assert named.ties[1, 0] == 1


@pytest.mark.parametrize(
    ("ties", "reason"),
    [
        ({"a": [1], "b": [2]}, r"ids of the ties.*int.*text|ids of the ties.*1"),
        ({"a": ["a"], "b": ["b"], "w": [0.0]}, "'w'.*positive"),
        ({"a": ["a"], "b": ["b"], "w": ["much"]}, "'w'.*numbers"),
        ({"a": ["a"]}, "1 columns"),
        ({"a": ["a"], "b": ["a"]}, "no tie"),
        ({"a": ["a", None], "b": ["b", "c"]}, "null"),
    ],
)
def test_bad_tables_of_ties_are_named(ties, reason):
    with pytest.raises(InputError, match=reason):
        tiny().with_ties(ties)
    with pytest.raises(InputError, match="with_ties"):
        Social().fit(tiny())


@pytest.mark.parametrize("inner", ["ease(l2=1)", "item-knn"])
def test_the_score_is_that_of_the_profiles_joined(inner):
    """A linear model's own score plus share times the mean of the friends', plus what share of them had it."""
    data = tiny().with_ties(FRIENDS)
    model = Social(models=inner, share=0.5, adopt=0.25).fit(data)
    plain = {"ease(l2=1)": EASE(l2=1.0), "item-knn": ItemKNN()}[inner].fit(data)
    X = tiny().history().matrix().toarray()
    B = plain.weights_.toarray() if hasattr(plain.weights_, "toarray") else plain.weights_
    S = X @ B
    expected = S[0] + (0.5 * S[1] + 0.25 * X[1] + 3 * (0.5 * S[2] + 0.25 * X[2])) / 4  # e has no events
    lists = model.recommend(["a"], k=9, filter_seen=False)
    found = dict(zip(lists["item"].to_pylist(), lists["score"].to_pylist(), strict=True))
    for item, score in zip(data.item_ids.values.to_pylist(), expected, strict=True):
        assert found.get(item, 0) == pytest.approx(score, abs=1e-5)
    lists = model.recommend(["e", "d", "nobody"], k=1)
    assert lists["source"].to_pylist()[0] == "features"
    assert lists["source"].to_pylist()[-1] == "fallback"


def test_users_without_a_past_gain_from_ties_alone_of_their_own(world):
    train, test = world
    found = recsys.compare([Social(models="ease(l2=50)")], train, test, ["ndcg@10"]).evaluations
    assert set(found) >= {"Social(models='ease(l2=50)')", "Social(models='ease(l2=50)', shuffle=True)", "EASE(l2=50.0)"}
    new = ~np.isin(test.user_ids.values.to_numpy(zero_copy_only=False), train.user_ids.ids(np.unique(train.user)))
    score = [
        one.values["ndcg@10"][np.isin(one.users, test.user_ids.values.filter(new))].mean() for one in found.values()
    ]
    ties, control, none = (dict(zip(found, score, strict=True))[name] for name in (
        "Social(models='ease(l2=50)')", "Social(models='ease(l2=50)', shuffle=True)", "EASE(l2=50.0)"))  # fmt: skip
    assert ties > control + 0.02
    assert ties > none + 0.02


@pytest.mark.parametrize("inner", ["ease(l2=50)", "trend(model=ials(factors=4,epochs=2))", "user-knn(k=9)"])
def test_files_and_later_users(inner, world, tmp_path):
    train, _ = world
    model = Social(models=inner).fit(train)
    loaded = recsys.load(model.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(model.recommend(k=4))
    users = model.user_ids_.values[:3].to_pylist()
    assert [item for item, _ in loaded.recommend_one(users[0], k=4)] == loaded.recommend(users[:1], k=4)[
        "item"
    ].to_pylist()
    folded = model.fold_in(train.take(train.user < 40))
    assert folded.ties_.shape[0] == len(folded.user_ids_)
    assert folded.recommend(k=2).num_rows > 0
    more = Dataset.from_frame(
        {"user": ["new"], "item": train.item_ids.values[:1].to_pylist(), "time": [2e9]},
        user="user", item="item", time="time", ties={"a": ["newer"], "b": ["new"]},
    )  # fmt: skip
    loaded.partial_fit(Dataset(**vars(more) | {"context": train.context.slice(0, 1), "names": train.names}))
    assert loaded.ties_[loaded.user_ids_.code("newer")].nnz == 1
    assert loaded.recommend(["newer"], k=2)["source"].to_pylist() == ["features"] * 2
    asked = model.history_.take(np.flatnonzero(model.history_.counts > 0)[:2])  # as a service does with new events
    lists, origin = model.answering(asked)._lists(Query(np.arange(2), asked), 3, True, None)
    assert lists.counts.tolist() == [3, 3]
    assert origin.tolist() == [FOLD_IN] * 2


def test_a_shuffle_keeps_the_degrees(world):
    ties = world[0].ties
    other = shuffled(ties, 0)
    assert sorted(np.diff(ties.indptr)) == sorted(np.diff(other.indptr))
    assert (ties != other).nnz > ties.nnz


def test_the_simulator_s_ties_are_between_users_of_a_kind():
    world = simulate(300, 20, 500, ties=6.0, homophily=0.7, clusters=5, seed=1)
    row, column = world.data.ties.nonzero()
    kind = world.clusters[0][[int(one[1:]) for one in world.data.user_ids.values.to_pylist()]]
    assert (kind[row] == kind[column]).mean() == pytest.approx(0.7 + 0.3 / 5, abs=0.06)
    assert len(row) / 300 == pytest.approx(6, abs=0.5)
    same = simulate(300, 20, 500, clusters=5, seed=1).data
    assert same.to_table().equals(world.data.to_table())  # ties change nothing else
    with pytest.raises(InputError, match="homophily"):
        simulate(30, 20, 500, ties=2.0, homophily=1.5)


def test_settings_that_cannot_be_met_are_named(world):
    for settings in ({"share": -1.0}, {"models": "ease+item-knn"}, {"models": "repeat"}):
        with pytest.raises(InputError, match=next(iter(settings))):
            Social().set_params(**settings).fit(world[0])
