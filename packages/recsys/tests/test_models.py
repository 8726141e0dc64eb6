import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError
from recsys import EASE, FM, IALS, SANSA, SLIM, Dataset, FeatureIALS, ItemKNN, Markov, Popular, RecentPopular, RP3beta
from recsys.baselines import CoOccurrence, ImplicitALS, PureSVD, RandomItems, Repeat, UserKNN

from .helpers import events, score_matrix

MODELS = [
    CoOccurrence(),
    EASE(l2=5.0),
    IALS(factors=8, epochs=3),
    ImplicitALS(factors=8, epochs=3),
    ItemKNN(k=5),
    Markov(order=2),
    Popular(),
    PureSVD(factors=5),
    RandomItems(),
    RecentPopular(days=1.0),
    Repeat(),
    RP3beta(k=5),
    SANSA(l2=5.0, neighbours=8),
    SLIM(l1=0.5, l2=5.0),
    UserKNN(k=5),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return events(text=True)


# --- what every model keeps ---


@each_model
def test_lists_hold_no_seen_item_no_repeat_and_no_padding(model, data):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(k=1000, filter_seen=True).to_pandas()
    assert not lists.duplicated(["who", "what"]).any()
    seen = set(zip(*(column.to_pylist() for column in data.to_table().select(["who", "what"]).columns), strict=True))
    assert not seen & set(zip(lists.who, lists.what, strict=True))
    assert np.isfinite(lists.score).all()
    assert (lists.score > -1e30).all()
    left = data.n_items - np.diff(data.history().matrix().indptr)
    assert (lists.groupby("who", sort=False).size() <= left.max()).all()
    for _, one in lists.groupby("who", sort=False):
        assert one["rank"].tolist() == list(range(1, len(one) + 1))
        assert (np.diff(one.score) <= 0).all()
    assert set(lists.source) == {"model"}


@each_model
def test_top_of_a_list_are_the_greatest_scores(model, data):
    fitted = model.clone().fit(data)
    scores = score_matrix(fitted)
    lists = fitted.recommend(k=3, filter_seen=False).to_pandas()
    for code, (_, one) in enumerate(lists.groupby("who", sort=False)):
        valid = np.sort(scores[code][np.isfinite(scores[code])])[::-1]
        np.testing.assert_allclose(one.score, valid[: len(one)], rtol=2e-4, atol=1e-5)


@each_model
def test_candidates_and_exclude_bound_the_lists(model, data):
    fitted = model.clone().fit(data)
    some = data.item_ids.values[:6].to_pylist()
    lists = fitted.recommend(k=10, candidates=some, exclude=some[:2], filter_seen=False)
    assert set(lists.column("what").to_pylist()) <= set(some[2:])


@each_model
def test_unknown_user_gets_popular_items_that_say_so(model, data):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(["nobody", "u3"], k=4).to_pandas()
    stranger = lists[lists.who == "nobody"]
    popular = Popular().fit(data).recommend(["nobody"], k=4).to_pandas()
    assert stranger.what.tolist() == popular.what.tolist()
    assert set(stranger.source) == {"fallback"}
    assert set(lists[lists.who == "u3"].source) == {"model"}
    with pytest.raises(InputError, match=r"1 unknown, e.g. 'nobody'"):
        fitted.recommend(["nobody", "u3"], strict=True)


@each_model
def test_saved_model_answers_as_before(model, data, tmp_path):
    fitted = model.clone().fit(data)
    loaded = recsys.load(fitted.save(tmp_path / "model"))
    assert loaded.get_params() == fitted.get_params()
    assert loaded.recommend(k=5).equals(fitted.recommend(k=5))
    with pytest.raises(ArtifactError, match="exists already"):
        fitted.save(tmp_path / "model")


@each_model
def test_same_seed_gives_the_same_model(model, data):
    first, second = (model.clone().fit(data).recommend(k=5) for _ in range(2))
    assert first.equals(second)


@each_model
def test_block_size_changes_nothing(model, data):
    fitted = model.clone().fit(data)
    whole, parts = fitted.recommend(k=5).to_pandas(), fitted.recommend(k=5, block=7).to_pandas()
    np.testing.assert_allclose(whole.score, parts.score, rtol=1e-4, atol=1e-5)
    assert (whole.what == parts.what).mean() > 0.99  # a tie in the last bit may fall either way


@each_model
def test_parameters_follow_scikit_learn(model):
    from sklearn.base import clone

    copied = clone(model)
    assert copied is not model
    assert copied.get_params() == model.get_params()
    with pytest.raises(InputError, match=r"parameter 'nope'.*unknown"):
        copied.set_params(nope=1)
    with pytest.raises(InputError, match="not fitted"):
        copied.recommend()


FOLDING = [one for one in MODELS if not isinstance(one, RandomItems)]


@pytest.mark.parametrize("model", FOLDING, ids=lambda one: one.name)
def test_folded_in_users_get_the_lists_of_known_ones_with_the_same_events(model, data):
    fitted = model.clone().fit(data)
    if isinstance(model, ImplicitALS):
        pytest.skip("the fit's last user step was not an exact solve against the final item factors")
    if isinstance(model, IALS):  # the same: bring known users to the final item factors first
        fitted = fitted.fold_in(data)
    if isinstance(model, UserKNN):
        pytest.skip("a known user is not his own neighbour, a new one with equal events finds him")
    table = data.to_table().to_pandas()
    twin = Dataset.from_frame(table.assign(who="new-" + table.who), user="who", item="what", time="when")
    lists, twins = fitted.recommend(k=5).to_pandas(), fitted.fold_in(twin).recommend(k=5).to_pandas()
    assert np.allclose(twins.score, lists.score, rtol=1e-4, atol=1e-6)
    close = lists.score.round(4)  # equal scores are ordered by the user's id, which a twin has not
    last = close.groupby(lists.who).transform("min")
    single = ~close.to_frame().assign(who=lists.who).duplicated(keep=False) & (close > last)
    assert single.sum() > len(lists) / 4
    assert twins.what[single].tolist() == lists.what[single].tolist()
    assert set(twins.source) == {"fold_in"}


def test_a_model_that_learns_users_in_fit_alone_says_that_it_cannot_fold_in(data):
    with pytest.raises(InputError, match=r"FM.fold_in.*only in fit"):
        FM(head="bpr", factors=4, epochs=2).fit(data).fold_in(data)


@pytest.mark.parametrize("model", FOLDING, ids=lambda one: one.name)
def test_partial_fit_knows_new_users_and_hides_what_they_had(model, data):
    fitted = model.clone().fit(data)
    later = Dataset.from_frame(
        {"who": ["fresh", "u1"], "what": ["i1", "i2"], "when": [1_700_000_000, 1_700_000_001]},
        user="who", item="what", time="when",
    )  # fmt: skip
    fitted.partial_fit(later)
    lists = fitted.recommend(["fresh", "u1"], k=50, filter_seen=True).to_pandas()
    assert "i1" not in set(lists[lists.who == "fresh"].what)
    assert "i2" not in set(lists[lists.who == "u1"].what)
    assert len(lists[lists.who == "fresh"])


def test_events_without_a_known_item_are_refused(data):
    strange = Dataset.from_frame({"who": ["x"], "what": ["zzz"]}, user="who", item="what")
    with pytest.raises(InputError, match="no item that the model knows"):
        EASE().fit(data).fold_in(strange)


def test_catalogue_of_one_item_is_refused():
    with pytest.raises(InputError, match="two items or more"):
        Popular().fit(Dataset.from_frame({"u": [1, 2], "i": [1, 1]}, user="u", item="i"))


# --- explanations, likeness, resuming ---


EXPLAINING = [one for one in MODELS if type(one)._explain is not recsys.Recommender._explain]


@pytest.mark.parametrize("model", EXPLAINING, ids=lambda one: one.name)
def test_shares_of_an_explanation_add_up_to_the_score(model, data):
    fitted = model.clone().fit(data)
    if isinstance(model, (IALS, ImplicitALS)):
        fitted = fitted.fold_in(data)  # users solved exactly against the final item factors
    best = fitted.recommend(["u3"], k=1).to_pylist()[0]
    shares = fitted.explain("u3", best["what"], k=1000).to_pandas()
    assert shares.share.sum() == pytest.approx(best["score"], rel=5e-3)
    own = {row["what"] for row in data.to_table().to_pylist() if row["who"] == "u3"}
    assert set(shares.what) <= own


def test_popular_cannot_explain_and_says_so(data):
    with pytest.raises(InputError, match=r"Popular.explain.*cannot say"):
        Popular().fit(data).explain("u1", "i1")
    with pytest.raises(InputError, match=r"context.*ItemKNN does not use it"):
        ItemKNN().fit(data).explain("u1", "i1", context={"scene": "out"})


@each_model
def test_similar_items_leave_the_item_out_or_are_refused(model, data):
    fitted = model.clone().fit(data)
    try:
        lists = fitted.similar_items(["i1", "i2"], k=4).to_pandas()
    except InputError as error:
        assert "without item vectors" in str(error)  # noqa: PT017
        assert isinstance(model, (Popular, RecentPopular, RandomItems, Repeat))
        return
    assert set(lists.what) == {"i1", "i2"}
    assert (lists.what != lists.similar).all()


def test_killed_fit_resumes_to_the_same_model(data, tmp_path, monkeypatch):
    model = IALS(factors=6, epochs=5)
    whole = model.clone().fit(data)
    from recsys.neural._checkpoint import Checkpoint

    saved = Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        if epochs == 3:
            raise KeyboardInterrupt

    path = tmp_path / "fit.safetensors"
    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=path)
    monkeypatch.setattr(Checkpoint, "save", saved)
    with pytest.raises(InputError, match="another fit"):
        model.clone().set_params(seed=9).fit(data, checkpoint=path)
    resumed = model.clone().fit(data, checkpoint=path)
    assert np.array_equal(resumed.item_factors_, whole.item_factors_)
    assert not path.exists()


def test_factors_that_blow_up_are_named_with_their_epoch_and_the_last_good_ones_kept(data, tmp_path, monkeypatch):
    from recsys.factors import _ials
    from recsys.neural._checkpoint import Checkpoint

    solve, calls = _ials.solve_rows, []

    def blow_up(*args, **options):  # in the second epoch
        calls.append(args)
        return solve(*args, **options) * (np.inf if len(calls) > 2 else 1)

    monkeypatch.setattr(_ials, "solve_rows", blow_up)
    model, path = IALS(factors=4, epochs=2), tmp_path / "fit.safetensors"
    with pytest.raises(InputError, match=r"factors_ of IALS.*after epoch 2"), np.errstate(all="ignore"):
        model.fit(data, checkpoint=path)
    epochs, arrays = Checkpoint(path, model.key_).restore()
    assert epochs == 1
    assert all(np.isfinite(one).all() for one in arrays.values())


@pytest.mark.parametrize("model", [IALS(factors=4, epochs=4), FeatureIALS(factors=4, epochs=4, columns="kind")])
def test_a_penalty_that_leaves_nothing_to_learn_is_said(model, data, recwarn):
    """By default a user's penalty grows with the items: at a million of them all scores were 1e-9, without a word."""
    data = dataclasses.replace(data, items=pa.table({"kind": [f"k{one % 7}" for one in range(data.n_items)]}))
    model.clone().fit(data)
    assert not [one for one in recwarn if "learned nothing" in str(one.message)]
    with pytest.warns(UserWarning, match=rf"{type(model).__name__} learned nothing.*{data.n_items} items lower a0 or"):
        model.clone().set_params(reg=100.0).fit(data)


def test_half_life_makes_recent_taste_count_more():
    day = 86_400
    frame = {"u": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "i": ["a", "b", "a", "b", "c", "d", "c", "d", "a", "c"]}
    times = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 300]) * day + 10**9
    data = Dataset.from_frame({**frame, "t": times}, user="u", item="i", time="t")
    flat, recent = (EASE(l2=1.0, half_life=half_life).fit(data) for half_life in (None, 30.0))
    pairs = {"u": [5, 5], "i": ["b", "d"]}
    even = flat.predict(pairs).column("score").to_numpy()
    turned = recent.predict(pairs).column("score").to_numpy()
    assert even[0] == pytest.approx(even[1], rel=1e-3)
    assert turned[1] > turned[0]
