"""What a user may get wrong: one error each that names the thing, how many rows and the first, or a counted warning."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError, NinefoldError
from recsys import (
    EASE,
    IALS,
    BayesianFM,
    BiasedMF,
    Dataset,
    FeatureIALS,
    ItemKNN,
    Markov,
    Popular,
    RecentPopular,
    evaluate,
    evaluate_next,
    tune,
)
from recsys.baselines import PureSVD
from recsys.content._cold import KnowsItems
from recsys.neural._checkpoint import fit_key
from recsys.recommender._registry import make_model

T0 = 1_600_000_000  # 2020-09-13, in seconds
BASE = {"u": ["a", "b", "a"], "i": ["x", "y", "z"], "v": [1.0, 2.0, 3.0], "t": [T0, T0 + 1, T0 + 500]}


def events(**columns):
    return Dataset.from_frame({**BASE, **columns}, user="u", item="i", value="v", time="t")


BAD_COLUMNS = {
    "missing": ({"user": "customer"}, {}, r"column 'customer'.*u, i|customer.*'u'"),
    "null users": ({}, {"u": [None] * 3}, r"column 'u': got null in all 3 rows"),
    "null values": ({}, {"v": [None] * 3}, r"column 'v': got null in all 3 rows"),
    "a null user": ({}, {"u": ["a", None, "b"]}, r"column 'u': got null in 1 of 3 rows, first 1.*nulls=\"drop\""),
    "NaN": ({}, {"v": [1.0, np.nan, 2.0]}, r"column 'v': got not finite in 1 of 3 rows, first 1"),
    "infinity": ({}, {"v": [1.0, 2.0, -np.inf]}, r"column 'v': got not finite in 1 of 3 rows, first 2"),
    "text values": ({}, {"v": ["1", "2", "x"]}, r"column 'v': got string, expected numbers"),
    "off the scale": ({"scale": (1, 2)}, {}, r"column 'v': got outside in 1 of 3 rows, first 2.*\(1, 2\)"),
    "unclear unit": ({}, {"t": [1, 2, 3]}, r"column 't': got numbers from 1 to 3, whose unit is unclear"),
    "seconds and ms": ({}, {"t": [T0, T0 * 1000, T0 + 1]}, r"column 't'.*unit is unclear or mixed.*time_unit"),
    "mixed zones": (
        {},
        {"t": ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00", "2020-01-03T00:00:00Z"]},
        r"column 't': got no zone in 1 of 3 rows, first 1",
    ),
    "a pair again": (
        {"duplicates": "error"},
        {"i": ["x", "y", "x"]},
        r"events: got a pair again in 1 of 3 rows, first 2",
    ),
    "no rows": ({}, {"u": [], "i": [], "v": [], "t": []}, r"events: got no rows"),
    "ids as decimals": (
        {"users": {"u": ["17850.0"], "land": ["UK"]}},
        {"u": [17850, 17851, 17850]},
        r"user ids of the side table: got '17850\.0'.* \(text\), expected integer.*17850",
    ),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_bad_table_is_named_with_its_column_and_rows(case):
    options, columns, message = BAD_COLUMNS[case]
    with pytest.raises(InputError, match=message):
        Dataset.from_frame({**BASE, **columns}, **{"user": "u", "item": "i", "value": "v", "time": "t", **options})


@pytest.mark.parametrize(("policy", "note"), [("sum", "1 repeated .* sum"), ("last", "1 repeated .* last")])
def test_repeated_pairs_are_counted(policy, note):
    frame = {**BASE, "i": ["x", "y", "x"]}
    data = Dataset.from_frame(frame, user="u", item="i", value="v", time="t", duplicates=policy)
    assert len(data) == 2
    (found,) = data.notes
    assert __import__("re").search(note, found)


@pytest.mark.parametrize(
    ("columns", "check", "text"),
    [
        ({"t": [T0, T0 + 1, 7_000_000_000]}, "time", "1 event lies in the future"),
        ({"v": [-1.0, 2.0, 3.0]}, "values", "1 values are negative"),
        ({"v": [0.0, 2.0, 3.0]}, "values", "1 values are 0"),
        ({"u": ["a"] * 3}, "size", "a single user"),
        ({"i": ["x"] * 3}, "size", "a single item"),
        ({"i": ["a", "b", "z"]}, "ids", "2 ids name a user and an item"),
    ],
)
def test_doctor_counts_what_is_no_error_by_itself(columns, check, text):
    assert any(one.check == check and text in one.text for one in events(**columns).doctor())


@pytest.mark.parametrize("model", [EASE(), IALS(), ItemKNN(), Markov(), Popular()], ids=lambda one: one.name)
def test_one_item_alone_is_refused(model):
    with pytest.raises(InputError, match=r"events: got 3 events of 1 items, expected two items"):
        model.fit(events(i=["x"] * 3).clicks())


def test_one_user_who_had_everything_gets_an_empty_list():
    model = EASE(l2=1.0).fit(events(u=["a"] * 3).clicks())
    assert model.recommend(["a"], k=5).num_rows == 0  # never padded
    with pytest.raises(InputError, match=r"test: got 0 users to hold out, expected 1 to 1"):
        events(u=["a"] * 3).split.user_held_out()


@pytest.mark.parametrize(
    ("cut", "side"),
    [("1990-01-01", "no event before it"), ("2990-01-01", "no event before it"), (T0 * 10**6, "before")],
)
def test_an_empty_side_of_a_cut_is_named(cut, side):
    side = "no event from it on" if cut == "2990-01-01" else side
    with pytest.raises(InputError, match=rf"cut: got .*{side}.*a moment between 2020-09-13"):
        events().split.time(cut)


def test_users_who_are_all_cold_are_an_error():
    model = Popular().fit(events())
    strangers = events(u=["q", "r", "q"], i=["x", "x", "y"])
    with pytest.raises(InputError, match=r"test: got 2 users, all unknown to the model"):
        evaluate(model, strangers)


def test_an_unknown_id_falls_back_or_is_an_error_when_strict():
    model = Popular().fit(events())
    lists = model.recommend(["zz"], k=9)
    assert set(lists.column("source").to_pylist()) == {"fallback"}
    assert lists.num_rows == 3  # all there are, no padding
    with pytest.raises(InputError, match=r"users: got 1 unknown, e\.g\. 'zz'"):
        model.recommend(["zz"], strict=True)
    with pytest.raises(InputError, match=r"user ids: got 3 \(integer\), expected text ids"):
        model.recommend([3])


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_of_no_length_is_refused(k):
    with pytest.raises(InputError, match=rf"k: got {k}, expected at least 1"):
        Popular().fit(events()).recommend(k=k)


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("kind", [EASE, IALS, ItemKNN])
def test_a_half_life_that_is_no_time_is_refused(kind, half_life):
    with pytest.raises(InputError, match=rf"half_life of {kind.__name__}: got {half_life}, expected above 0"):
        kind(half_life=half_life).fit(events().clicks())


def test_factors_that_are_not_finite_stop_the_fit_with_epoch_and_parameter():
    with pytest.raises(InputError, match=r"user_factors_ of IALS\(.*NaN or infinite values after epoch 1"):
        IALS(factors=4, nu=float("nan")).fit(events().clicks())
    with pytest.raises(InputError, match="reg of IALS: got nan, expected above 0"):
        IALS(factors=4, reg=float("nan")).fit(events().clicks())


def test_recent_popularity_needs_times():
    data = Dataset.from_frame({"u": ["a", "b"], "i": ["x", "y"]}, user="u", item="i")
    with pytest.raises(InputError, match=r"RecentPopular: got events without times"):
        RecentPopular().fit(data)


@pytest.mark.parametrize("model", [PureSVD()])
def test_a_decomposition_takes_what_vectors_there_are_and_refuses_one_user(model):
    few = Dataset.from_frame({"u": [1, 1, 2, 2, 3], "i": [1, 2, 2, 3, 1]}, user="u", item="i")
    assert model.clone().fit(few).recommend([1], k=1).num_rows == 1
    one = Dataset.from_frame({"u": [1, 1], "i": [1, 2]}, user="u", item="i")
    with pytest.raises(InputError, match="users: got 1, expected two or more"):
        model.clone().fit(one)


def test_the_key_of_a_fit_tells_tables_contexts_and_names_apart():
    side = {"i": ["x", "y"], "w": ["red", "blue"]}
    frame = {"u": ["a", "b"], "i": ["x", "y"], "c": ["on", "off"], "v": [1.0, 2.0], "z": [1.0, 2.0]}

    def key(value="v", items=side, **columns):
        table = {**frame, **columns}
        return fit_key("m", Dataset.from_frame(table, user="u", item="i", value=value, context=["c"], items=items))

    others = [
        key(c=["on", "on"]), key(value="z"), key(items={**side, "w": ["red", "green"]}), key(items=None),
        key(items={"i": ["x", "y"], "other": ["red", "blue"]}),
    ]  # fmt: skip
    assert key() == key()
    assert len({key(), *others}) == 6


def test_a_search_is_not_resumed_on_another_validation_set(tmp_path):
    data = Dataset.from_frame({**BASE, "i": ["x", "y", "y"]}, user="u", item="i")
    one, other = (Dataset.from_frame({"u": ["b"], "i": [item]}, user="u", item="i") for item in "xy")
    options = {"metric": "mrr", "trials": 1, "space": {"k": [1, 2]}, "run": tmp_path / "run"}
    tune(ItemKNN(), data, validation=(data, one), **options)
    with pytest.raises(NinefoldError):
        tune(ItemKNN(), data, validation=(data, other), **options)


RATED = {"u": [1, 1, 2, 2, 3, 3], "i": [1, 2, 2, 3, 1, 3], "v": [5.0, 1.0, 4.0, 2.0, 3.0, 5.0]}


def rated(*, value="v", **columns):
    return Dataset.from_frame({**RATED, **columns}, user="u", item="i", value=value)


@pytest.mark.parametrize(
    "model", [BiasedMF(factors=2, epochs=2), BayesianFM(factors=2, sweeps=4, burn_in=1, samples=2)]
)
def test_a_refused_partial_fit_leaves_the_model_as_it_was(model):
    fitted = model.clone().fit(rated())
    before = fitted.recommend(k=2, filter_seen=False)
    with pytest.raises(InputError, match="events"):
        fitted.partial_fit(Dataset.from_frame({"u": [1, 9], "i": [3, 1]}, user="u", item="i"))
    assert fitted.recommend(k=2, filter_seen=False).equals(before)
    assert fitted.recommend([9], k=1).column("source").to_pylist() == ["fallback"]


def test_a_refused_partial_fit_leaves_features_of_users_as_they_were():
    side = {"items": {"i": [1, 2, 3], "w": ["a", "b", "a"]}}
    people = {"u": [1, 2, 3], "age": [1.0, 2.0, 3.0]}
    frame = {"u": RATED["u"], "i": RATED["i"]}
    fitted = FeatureIALS(factors=2, epochs=1).fit(Dataset.from_frame(frame, user="u", item="i", users=people, **side))
    with pytest.raises(InputError, match="FeatureIALS: got values"):
        fitted.partial_fit(rated(u=[7, 7, 8, 8, 9, 9]))
    assert fitted.user_features_.shape[0] == len(fitted.user_ids_) == 3


@pytest.mark.parametrize("k", [0, -1, -3])
def test_likenesses_and_shares_of_no_length_are_refused(k):
    fitted = ItemKNN().fit(rated().clicks())
    machine = BayesianFM(factors=0, sweeps=4, burn_in=1, samples=2).fit(rated())
    for ask in (
        lambda: fitted.similar_items([1], k), lambda: EASE().fit(rated().clicks()).explain(1, 2, k),
        lambda: machine.explain(1, 2, k),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"k: got {k}, expected at least 1"):
            ask()


def test_items_are_not_likened_by_vectors_of_no_width():
    with pytest.raises(InputError, match="without item vectors"):
        BayesianFM(factors=0, sweeps=4, burn_in=1, samples=2).fit(rated()).similar_items([1])


def test_what_would_be_ignored_is_refused():
    with pytest.raises(InputError, match="context: got one, expected none: EASE"):
        EASE().fit(rated().clicks()).recommend([1], context={"scene": "out"})
    with pytest.raises(InputError, match=r"half_life: got 30\.0 for events without times"):
        EASE(half_life=30.0).fit(rated().clicks())


@pytest.mark.parametrize("action", [["view"] * 6, [1] * 6])
def test_events_added_later_need_the_columns_that_the_model_reads(action):
    data = Dataset.from_frame({**RATED, "act": ["view", "buy"] * 3}, user="u", item="i", context=["act"])
    fitted = Markov(action="act").fit(data)
    with pytest.raises(InputError, match="column 'act' in the context of the events: got no such column"):
        fitted.fold_in(Dataset.from_frame(RATED, user="u", item="i"))
    other = Dataset.from_frame({**RATED, "act": action}, user="u", item="i", context=["act"])
    assert fitted.fold_in(other).recommend([1], k=1).num_rows == 1  # numbers are read as the texts of the fit
    assert fitted.partial_fit(other).recommend([1], k=1).num_rows == 1


def test_later_events_of_another_type_are_named_by_their_column():
    data = Dataset.from_frame({**RATED, "act": [1, 2] * 3}, user="u", item="i", context=["act"])
    later = Dataset.from_frame({**RATED, "act": ["view", "buy"] * 3}, user="u", item="i", context=["act"])
    fitted = Markov(action="act").fit(data)
    for ask in (fitted.partial_fit, fitted.fold_in, lambda events: evaluate_next(fitted, events)):
        with pytest.raises(InputError, match="column 'act': got string, expected int64, as in the fit"):
            ask(later)


@pytest.mark.parametrize("ids", [np.array([1, 2**63], np.uint64), [1, 2**70], [1, -(2**70)]])
def test_integers_that_are_too_great_for_ids_are_named(ids):
    with pytest.raises(InputError, match="greater than 64 bits hold"):
        Dataset.from_frame({"u": ids, "i": [1, 2]}, user="u", item="i")
    with pytest.raises(InputError, match="greater than 64 bits hold"):
        Popular().fit(rated()).recommend(ids)


def test_small_unsigned_ids_are_ids():
    data = Dataset.from_frame({"u": np.array([1, 2], np.uint64), "i": [1, 2]}, user="u", item="i")
    assert data.user_ids.values.to_pylist() == [1, 2]


def test_a_text_in_place_of_a_column_is_not_taken_apart():
    with pytest.raises(InputError, match="column 'user': got 'u1', expected a list"):
        EASE().fit(events().clicks()).predict({"user": "u1", "item": ["x", "y"]})


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("sasrec", "batch=0"), ("sasrec", "learning_rate=-1"), ("sasrec", "patience=0"), ("feature-ials", "factors=0"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_before_texts_are_read(name, setting, monkeypatch):
    monkeypatch.setattr(KnowsItems, "_learn_features", lambda *_: pytest.fail("texts were read"))
    if name == "sasrec":
        pytest.importorskip("torch")
    with pytest.raises(InputError, match=setting.partition("=")[0]):
        make_model(name, [setting]).fit(rated().clicks())


def test_a_side_table_of_ids_alone_is_refused():
    frame = {"u": [1, 1, 2], "i": [1, 2, 2]}
    for side, what in (("items", "i"), ("users", "u")):
        with pytest.raises(InputError, match=f"the table of {side}.*ids alone"):
            Dataset.from_frame(frame, user="u", item="i", **{side: {what: [1, 2, 9]}})


@pytest.mark.parametrize("great", [2**63, 2**70, -(2**70)])
@pytest.mark.parametrize("column", ["user", "item", "value", "time"])
def test_numbers_beyond_64_bits_are_named_in_any_frame(great, column):
    pandas = pytest.importorskip("pandas")
    columns = {"user": [1, 2], "item": [3, 4], "value": [1, 2], "time": [5, 6]}
    columns[column] = [great, 1]
    for frame in (columns, pandas.DataFrame({name: pandas.Series(one, dtype=object) for name, one in columns.items()})):
        with pytest.raises(InputError, match=r"64 bits|too large|expected"):
            recsys.Dataset.from_frame(frame, user="user", item="item", value="value", time="time")
