import itertools

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import Dataset, Markov, Popular, evaluate_next
from recsys.baselines import CoOccurrence
from recsys_experiments.baselines._session_knn import VSKNN

from .helpers import needs_data


def sessions(n=40, items=8, *, seed=0, actions=("look", "buy")):
    """Random sessions of 1 to 7 steps with an action at each; the next item depends on item and action."""
    draw = np.random.default_rng(seed)
    rows = []
    for session in range(n):
        item = int(draw.integers(items))
        for _ in range(int(draw.integers(1, 8))):
            action = int(draw.integers(len(actions)))
            rows.append((session, f"i{item}", actions[action]))
            item = (item + 1 + 2 * action) % items if draw.random() < 0.8 else int(draw.integers(items))
    frame = {"s": [r[0] for r in rows], "i": [r[1] for r in rows], "a": [r[2] for r in rows]}
    frame["t"] = np.array(frame["s"]) * 1000 + 1_600_000_000
    return Dataset.from_frame(frame, user="s", item="i", time="t", context=["a"])


def as_lists(data):
    """Items and actions of each session in order."""
    rows = data.to_table().to_pylist()
    return [
        ([row["i"] for row in group], [row["a"] for row in group])
        for _, group in ((key, list(group)) for key, group in itertools.groupby(rows, key=lambda row: row["s"]))
    ]


def scores_of(model, user):
    items = model.item_ids_.values.to_pylist()
    found = model.predict({"s": [user] * len(items), "i": items}).column("score").to_pylist()
    return dict(zip(items, found, strict=True))


@pytest.mark.parametrize(("order", "action"), [(1, None), (1, "a"), (2, None), (2, "a"), (3, "a")])
def test_markov_equals_counting_with_back_off(order, action):
    data, smoothing = sessions(), 1.5
    model = Markov(order=order, action=action, smoothing=smoothing).fit(data)
    catalogue, lists = model.item_ids_.values.to_pylist(), as_lists(data)

    def states(items, actions):  # from short to long
        tokens = list(zip(items, actions, strict=True)) if action else items
        found = [items[-1:]] if action else []
        return found + [tokens[-n:] for n in range(1, order + 1) if len(tokens) >= n]

    steps = [(items[:t], actions[:t], items[t]) for items, actions in lists for t in range(1, len(items))]
    for user in (0, 5, 17, 30):
        items, actions = lists[user]
        total = np.array([sum(step[2] == one for step in steps) for one in catalogue]) + 1 / len(catalogue)
        p = total / total.sum()
        for state in states(items, actions):
            follow = [step[2] for step in steps if state in states(*step[:2])]
            counts = np.array([follow.count(one) for one in catalogue])
            if counts.sum():
                p = (counts + smoothing * p) / (counts.sum() + smoothing)
        np.testing.assert_allclose(list(scores_of(model, user).values()), p, rtol=1e-5)
        assert p.sum() == pytest.approx(1)


def test_markov_knows_the_action_and_survives_new_ones(tmp_path):
    data = sessions(400)
    plain, acting = (Markov(action=action).fit(data) for action in (None, "a"))
    one = {"s": [9001, 9002, 9003], "i": ["i1"] * 3, "a": ["look", "buy", "never seen"], "t": [1_700_000_000] * 3}
    new = Dataset.from_frame(one, user="s", item="i", time="t", context=["a"])
    lists = acting.fold_in(new).recommend(k=1)
    assert lists.column("i").to_pylist()[:2] == ["i2", "i4"]
    assert len(set(plain.fold_in(new).recommend(k=1).column("i").to_pylist())) == 1
    loaded = recsys.load(acting.save(tmp_path / "m"))
    assert loaded.fold_in(new).recommend(k=3).equals(acting.fold_in(new).recommend(k=3))


def test_markov_names_what_it_cannot_use():
    with pytest.raises(InputError, match=r"action.*'mood'.*\['a'\]"):
        Markov(action="mood").fit(sessions())
    with pytest.raises(InputError, match="order of Markov: got 0, expected at least 1"):
        Markov(order=0).fit(sessions())
    with pytest.raises(InputError, match=r"order=25.*smaller order"):
        Markov(order=25).fit(sessions())


def naive_vsknn(train, current, k, sample, idf, remind, catalogue):
    """The published code's steps, one session at a time. Sessions of `train` are in order of time."""
    places = {}
    for i, item in enumerate(current, 1):
        places[item] = i / len(current)  # a later place overwrites
    sharing = [s for s in range(len(train)) if set(train[s]) & set(current)]
    recent = sharing[::-1][:sample]
    alike = [(sum(places[i] for i in set(train[s]) & set(current)) / len(places), s) for s in recent]
    best = sorted(alike, key=lambda pair: (-round(pair[0], 9), -pair[1]))[:k]
    scores = dict.fromkeys(catalogue, 0.0)
    for likeness, s in best:
        step = next(i for i, item in enumerate(reversed(current), 1) if item in train[s])
        for item in set(train[s]):
            scores[item] += likeness / step
    for item in catalogue:
        holding = max(sum(item in session for session in train), 1)
        scores[item] *= 1 + idf * np.log(len(train) / holding)
        if not remind and item in current:
            scores[item] = 0.0
    return [scores[item] for item in catalogue]


@pytest.mark.parametrize(
    ("k", "sample", "idf", "remind"), [(3, 6, 0.0, True), (5, 40, 2.0, True), (40, 40, 0.0, False)]
)
def test_vsknn_equals_the_published_steps(k, sample, idf, remind):
    data = sessions()
    model = VSKNN(k=k, sample=sample, idf=idf, remind=remind).fit(data)
    catalogue = model.item_ids_.values.to_pylist()
    train = [items for items, _ in as_lists(data)]
    new = sessions(12, seed=5)
    folded = model.fold_in(new)
    scores = {user: scores_of(folded, user) for user in range(12)}
    for user, (items, _) in enumerate(as_lists(new)):
        expected = naive_vsknn(train, items, k, sample, idf, remind, catalogue)
        found = [value or 0.0 for value in scores[user].values()]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_vsknn_leaves_a_known_session_out_of_its_neighbours():
    frame = {"s": [1, 1, 2, 2, 3], "i": ["a", "b", "a", "c", "d"]}
    model = VSKNN().fit(Dataset.from_frame(frame, user="s", item="i"))
    assert scores_of(model, 1) == pytest.approx({"a": 0.125, "b": None, "c": 0.125, "d": None}, nan_ok=True)


def test_co_occurrence_counts_shared_sessions():
    frame = {"s": [1, 1, 2, 2, 2, 3, 3], "i": ["a", "b", "b", "a", "c", "c", "a"]}
    model = CoOccurrence().fit(Dataset.from_frame(frame, user="s", item="i"))
    assert scores_of(model, 1) == {"a": 2.0, "b": None, "c": 1.0}


# --- next item at every step ---


@pytest.mark.parametrize(
    "model", [Popular(), Markov(order=2, action="a"), VSKNN(k=30), recsys.IALS(factors=3, epochs=2)]
)
def test_every_step_is_asked_with_what_came_before(model):
    train, test = sessions(60), sessions(14, seed=3)
    table = test.to_table().to_pandas()
    table["s"] += 5000
    test = Dataset.from_frame(table, user="s", item="i", time="t", context=["a"])
    fitted = model.fit(train)
    result = evaluate_next(fitted, test, ["mrr@4"], filter_seen=False)
    expected = []
    for items, actions in as_lists(test):
        for t in range(1, len(items)):
            before = {"s": [1] * t, "i": items[:t], "a": actions[:t], "t": [1_700_000_000] * t}
            asked = fitted.fold_in(Dataset.from_frame(before, user="s", item="i", time="t", context=["a"]))
            scores = scores_of(asked, 1)
            own = scores[items[t]]
            rank = 1 + sum(score is not None and own is not None and score > own for score in scores.values())
            tied = sum(score == own for score in scores.values()) > 1
            expected.append(np.nan if tied else (1 / rank if own is not None and rank <= 4 else 0.0))
    expected = np.array(expected)
    clear = ~np.isnan(expected)
    assert clear.sum() > 10
    np.testing.assert_allclose(result.values["mrr@4"][clear], expected[clear])
    assert result.targets == len(expected)


def test_known_users_bring_their_past_and_seen_targets_are_counted():
    frame = {"s": [1, 1, 2, 2, 2], "i": ["a", "b", "a", "b", "c"], "t": np.arange(5) + 1_600_000_000}
    model = Markov().fit(Dataset.from_frame(frame, user="s", item="i", time="t"))
    later = {"s": [1, 1, 1], "i": ["c", "a", "zzz"], "t": np.arange(3) + 1_600_000_100}
    test = Dataset.from_frame(later, user="s", item="i", time="t")
    result = evaluate_next(model, test, ["hr@1"], filter_seen=True)
    assert result.values["hr@1"].tolist() == [1.0, 0.0]  # b -> c; "a" was had before; "zzz" is unknown
    assert (result.targets, result.cold_targets, result.seen_targets) == (2, 1, 1)
    assert evaluate_next(model, test, ["hr@1"]).targets == 3


def test_steps_that_cannot_be_asked_are_named():
    model = Markov(action="a").fit(sessions())
    bare = Dataset.from_frame({"s": [1, 1], "i": ["i1", "i2"]}, user="s", item="i")
    with pytest.raises(InputError, match=r"context \[\], no times.*context \['a'\], times"):
        evaluate_next(model, bare)
    single = sessions(3).take(np.array([0]))
    table = single.to_table().to_pandas()
    table["s"] = 777
    with pytest.raises(InputError, match="no step left"):
        evaluate_next(model, Dataset.from_frame(table, user="s", item="i", time="t", context=["a"]))


@needs_data
def test_entree_actions_say_what_comes_next():
    from recsys_experiments.real_sets import entree

    train, test = entree().split.time("1998-10-01")
    plain, acting = (
        evaluate_next(Markov(order=2, action=action).fit(train), test).mean("mrr@10") for action in (None, "action")
    )
    assert acting > 0.439
    assert acting >= plain + 0.05
