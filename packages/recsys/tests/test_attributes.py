"""Tables about users and items in factorisation machines: categories, numbers and sets; ids known by them alone."""

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError
from recsys import FM, BayesianFM, Dataset, evaluate
from recsys.fm._attributes import attributes, chosen_columns, described

from .test_fm import pair_sum

GENRES = ["Action|Comedy", "Comedy", "Drama", "Action", "Drama|Action|War", "War", "Comedy|War", "Drama|War"]
QUICK = BayesianFM(factors=2, sweeps=12, burn_in=4, samples=4, seed=1)


def films(n=900, users=24, seed=0, cold=True):
    """Ratings made by groups of users and genres of films: film 7 and user 99 have a row, but no event."""
    draw = np.random.default_rng(seed)
    user, film = draw.integers(0, users, n), draw.integers(0, 7, n)
    group, liked = user % 2, np.array(["War" in one for one in GENRES])[film]
    value = 3.0 + np.where(liked, 1.0, -1.0) * np.where(group == 1, 1, -1) + 0.1 * draw.normal(size=n)
    ids = [*range(users), 99] if cold else list(range(users))
    people = {"who": ids, "group": ["odd" if one % 2 else "even" for one in ids], "age": [20.0 + one for one in ids]}
    catalogue = {"film": list(range(8)), "genres": GENRES, "title": [f"film {one}" for one in range(8)]}
    frame = {"who": user, "film": film, "rating": value, "side": np.where(group == 1, "odd", "even")}
    return frame, people, catalogue


def dataset(context=(), **options):
    frame, people, catalogue = films(**options)
    return Dataset.from_frame(
        frame, user="who", item="film", value="rating", context=list(context), users=people, items=catalogue
    )


def test_columns_become_values_by_hand():
    table = pa.table(
        {
            "g": pa.array(["a", None, "b", "a"]),
            "s": pa.array(["x|y", "y", None, "y|z|z"]),
            "t": pa.array([["p"], [], ["q", "p", "q"], None]),
            "n": pa.array([1.0, 3.0, None, 5.0]),
        }
    )
    found = {one.name: one for one in attributes(table)}
    half, third = 2**-0.5, 1.5**0.5
    assert found["g"].values.toarray().tolist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(found["s"].values.toarray(), [[half, half, 0], [0, 1, 0], [0, 0, 0], [0, half, half]])
    np.testing.assert_allclose(found["t"].values.toarray(), [[1, 0], [0, 0], [half, half], [0, 0]])
    np.testing.assert_allclose(found["n"].values.toarray(), [[-third], [0], [0], [third]])
    assert [one.is_set for one in found.values()] == [False, True, True, False]
    assert described(table, ["g", "n"], 4).tolist() == [True, True, True, True]
    assert described(table, ["s"], 4).tolist() == [True, True, False, True]


def test_all_leaves_out_texts_that_name_one_row_each():
    data = dataset()
    assert chosen_columns("all", data.users, data.items) == (["group", "age"], ["genres"])
    assert chosen_columns("age,genres", data.users, data.items) == (["age"], ["genres"])
    assert chosen_columns("none", data.users, data.items) == ([], [])


@pytest.mark.parametrize(
    ("features", "reason"),
    [("mood", "features.*no column 'mood'.*of group, age, genres, title"), ("group,", "no column ''")],
)
def test_a_column_that_no_table_has_is_named(features, reason):
    with pytest.raises(InputError, match=reason):
        QUICK.clone().set_params(features=features).fit(dataset())
    bare = Dataset.from_frame(films()[0], user="who", item="film", value="rating")
    with pytest.raises(InputError, match=r"features.*no column of a table"):
        FM(features="all").fit(bare)


def test_a_column_without_a_value_is_named():
    frame, people, catalogue = films()
    nothing = {**catalogue, "genres": pa.array([None] * 8, pa.string())}
    data = Dataset.from_frame(frame, user="who", item="film", value="rating", users=people, items=nothing)
    with pytest.raises(InputError, match=r"'genres'.*null in all"):
        QUICK.clone().set_params(features="genres").fit(data)


@pytest.mark.parametrize("model", [QUICK, FM(factors=2, epochs=3)], ids=lambda one: one.name)
def test_a_users_category_counts_as_the_same_in_the_context_of_each_event(model):
    """The same columns, once from the table of users and once from each event, are the same model."""
    by_table = model.clone().set_params(features="group", context="none").fit(dataset(cold=False))
    data = dataset(context=["side"], cold=False)
    by_event = model.clone().fit(data)
    pairs = data.to_table()
    first = by_table.predict(pairs.drop_columns(["side"])).column("score").to_numpy()
    np.testing.assert_allclose(first, by_event.predict(pairs).column("score").to_numpy(), rtol=2e-4)


def test_sets_equal_the_brute_force_pair_sum(monkeypatch):
    kept = {}
    original = BayesianFM._sampled

    def spy(self, sampler):
        kept["theta"] = original(self, sampler)[0].astype(float)
        return kept["theta"][None].astype(np.float32)

    monkeypatch.setattr(BayesianFM, "_sampled", spy)
    model = BayesianFM(factors=2, sweeps=6, burn_in=1, samples=1, seed=2, features="genres,age")
    data = dataset()
    model.fit(data)
    theta, users, items = kept["theta"], len(model.user_ids_), len(model.item_ids_)
    words = sorted({word for one in GENRES for word in one.split("|")})
    age = np.array([20.0 + one for one in data.user_ids.values.to_pylist()])
    age = (age - age.mean()) / age.std()
    found = model._rate(data.user[:10], data.item[:10], data.context)
    for event in range(10):
        u, i = data.user[event], data.item[event]
        genres = GENRES[data.item_ids.values[i].as_py()].split("|")
        rows = [(1.0, u), (1.0, users + i), (age[u], users + items)]
        rows += [(len(genres) ** -0.5, users + items + 1 + words.index(one)) for one in genres]
        expected = pair_sum([(x, theta[row, 0], theta[row, 1:]) for x, row in rows], model.base_[0])
        assert found[event] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def cinema(n=2500, users=300, films=60):
    """As `films`, of more users and films with few events each, so that tables tell most; the last film, 60, is new."""
    draw = np.random.default_rng(3)
    genres = ["|".join(np.array(["Action", "Comedy", "War"])[draw.random(3) < 0.5]) or "Drama" for _ in range(films)]
    genres.append("War")
    user, film = draw.integers(0, users, n), draw.integers(0, films, n)
    liked = np.array(["War" in one for one in genres])[film] == (user % 2 == 1)
    ids = [*range(users), 999]
    return Dataset.from_frame(
        {"who": user, "film": film, "rating": 3.0 + np.where(liked, 1.0, -1.0) + 0.1 * draw.normal(size=n)},
        user="who", item="film", value="rating",
        users={"who": ids, "group": ["odd" if one % 2 else "even" for one in ids]},
        items={"film": list(range(films + 1)), "genres": genres},
    )  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [
        BayesianFM(factors=4, sweeps=80, burn_in=40, samples=20, features="all"),
        FM(factors=4, epochs=40, features="genres,group", reg=0.05),
    ],
    ids=lambda one: one.name,
)
def test_ids_without_events_are_answered_by_their_tables(model, tmp_path):
    data = cinema()
    fitted = model.clone().fit(data)
    odd, even = fitted.predict({"who": [1, 2], "film": [60, 60]}).to_pylist()
    assert odd["score"] > 3.5
    assert even["score"] < 2.5
    assert (odd["source"], even["source"]) == ("features", "features")
    war = ["War" in one for one in data.items["genres"].to_pylist()]
    film = data.item_ids.values.to_pylist()
    liked, other = film[war.index(True)], film[war.index(False)]
    new = fitted.predict({"who": [999, 999, 12345], "film": [liked, other, liked]}).to_pylist()
    assert new[0]["score"] > 3.5
    assert new[1]["score"] < 2.5
    assert [one["source"] for one in new] == ["features", "features", "fallback"]
    lists = fitted.recommend([1, 999, 12345], k=61, filter_seen=False).to_pandas()
    assert lists[lists.who == 999].source.tolist() == ["features"] * 61
    assert lists[lists.who == 12345].source.tolist() == ["fallback"] * 60
    ours = lists[lists.who == 1]
    assert dict(zip(ours.film, ours.source, strict=True)) == {one: "features" if one == 60 else "model" for one in film}
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(fitted.recommend(k=4))


def test_without_features_tables_change_nothing():
    frame, people, catalogue = films()
    tables = Dataset.from_frame(frame, user="who", item="film", value="rating", users=people, items=catalogue)
    bare = Dataset.from_frame(frame, user="who", item="film", value="rating")
    first, second = (QUICK.clone().fit(one) for one in (tables, bare))
    assert np.array_equal(first.item_part_, second.item_part_)
    assert len(first.item_ids_) == 7


def test_a_row_that_says_nothing_does_not_enter_the_catalogue():
    frame, people, catalogue = films()
    catalogue = {**catalogue, "genres": [*GENRES[:7], None]}
    data = Dataset.from_frame(frame, user="who", item="film", value="rating", users=people, items=catalogue)
    model = QUICK.clone().set_params(features="genres").fit(data)
    assert 7 not in model.item_ids_.values.to_pylist()
    assert 99 not in model.user_ids_.values.to_pylist()  # no column about users was named


def test_cold_films_can_be_evaluated():
    train = dataset(n=600)
    test = Dataset.from_frame({"who": [1, 3], "film": [7, 7]}, user="who", item="film")
    model = QUICK.clone().set_params(features="all").fit(train)
    assert evaluate(model, test, ["mrr"], targets="all").cold_targets == 0
