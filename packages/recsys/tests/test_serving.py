import json
import shutil
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError, MissingExtraError
from recsys import EASE, IALS, BayesianFM, Dataset, FeatureIALS, ItemKNN, Popular, RecentPopular, SASRec, compare, tune
from recsys.baselines import PureSVD
from recsys.evaluation._beyond import gini, kl
from recsys.evaluation._report import compare_events, requested_models

from .helpers import events, tiny


@pytest.fixture(scope="module")
def data():
    return events(text=True)


# --- model folders ---


def test_any_changed_byte_of_a_model_folder_is_noticed(data, tmp_path):
    folder = PureSVD(factors=3).fit(data).save(tmp_path / "m")
    draw = np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for place in draw.integers(0, len(whole), 25):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
            with pytest.raises(ArtifactError, match="m/"):
                recsys.load(folder)
        file.write_bytes(whole)
    recsys.load(folder)


def test_newer_and_foreign_models_are_refused_with_the_field(data, tmp_path):
    from recsys.recommender._store import _canonical

    folder = Popular().fit(data).save(tmp_path / "m")
    about = json.loads((folder / "model.json").read_text())
    for change, reason in (
        ({"format_version": 3}, "format_version is 3, newer than 2"),
        ({"kind": "other"}, "kind is 'other'"),
        ({"class": "os:system"}, "class names os:system"),
        ({"class": "NoSuch"}, "class names NoSuch"),
        ({"class": "recsys._ease:NoSuch"}, "class names recsys._ease:NoSuch"),
        ({"params": {"l2": 1}}, "params is unknown"),
        ({"schema": "sha256:0"}, "schema does not fit"),
    ):
        (folder / "model.json").write_text(_canonical({**about, **change}))
        with pytest.raises(ArtifactError, match=reason):
            recsys.load(folder)


def test_integer_ids_and_times_survive_a_round_trip(tmp_path):
    fitted = RecentPopular(days=0.005).fit(events())
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.user_ids_.values.equals(fitted.user_ids_.values)
    assert np.array_equal(loaded.history_.time, fitted.history_.time)
    assert loaded.now_ == fitted.now_


# --- lists for everyone ---


def test_streamed_lists_equal_those_made_at_once(data, tmp_path):
    model = EASE(l2=5.0).fit(data)
    rows = recsys.recommend_to_file(model, tmp_path / "recs.parquet", k=4, block=7)
    found = pyarrow.parquet.read_table(tmp_path / "recs.parquet")
    assert rows == found.num_rows
    assert found.column("what").to_pylist() == model.recommend(k=4).column("what").to_pylist()
    assert not (tmp_path / "recs.parquet.partial").exists()
    with pytest.raises(ArtifactError, match="exists already"):
        recsys.recommend_to_file(model, tmp_path / "recs.parquet")


def test_killed_batch_resumes_at_the_next_block(data, tmp_path, monkeypatch):
    model = EASE(l2=5.0).fit(data)
    path, asked = tmp_path / "recs.parquet", []
    plain = EASE.recommend

    def watched(self, users=None, *args, **options):
        if len(users):  # none: the columns alone are asked for
            asked.append(users[0].as_py())
            if len(asked) == 4:
                raise KeyboardInterrupt
        return plain(self, users, *args, **options)

    monkeypatch.setattr(EASE, "recommend", watched)
    with pytest.raises(KeyboardInterrupt):
        recsys.recommend_to_file(model, path, k=4, block=10)
    assert not path.exists()
    with pytest.raises(InputError, match="k was 4, now 5"):
        recsys.recommend_to_file(model, path, k=5, block=10)
    recsys.recommend_to_file(model, path, k=4, block=10)
    assert asked[3] == asked[4]  # the block that was cut off, and none before it
    monkeypatch.undo()
    assert (
        pyarrow.parquet.read_table(path).column("what").to_pylist() == model.recommend(k=4).column("what").to_pylist()
    )


# --- compare and tune ---


def test_compare_always_shows_popular_and_recent_popular(data):
    train, test = data.split.time(test=0.3)
    result = compare([EASE(l2=5.0)], train, test, ["ndcg@5", "recall@5"])
    names = set(result.evaluations)
    assert names == {"EASE(l2=5.0)", "Popular()", "RecentPopular()"}
    table = result.table()
    scores = [row[1] for row in table.rows]
    assert scores == sorted(scores, reverse=True)
    assert result.per_user().num_rows == len(result.evaluations[result.best].users)


def test_compare_averages_seeds(data):
    train, test = data.split.time(test=0.3)
    three = compare([IALS(factors=4, epochs=1)], train, test, ["ndcg@5"], seeds=3)
    singles = [recsys.evaluate(IALS(factors=4, epochs=1, seed=seed).fit(train), test, ["ndcg@5"]) for seed in range(3)]
    found = three.evaluations["IALS(factors=4, epochs=1)"]
    np.testing.assert_allclose(found.values["ndcg@5"], np.mean([one.values["ndcg@5"] for one in singles], axis=0))


def test_equal_models_are_not_told_apart(data):
    train, test = data.split.time(test=0.3)
    table = compare([EASE(l2=5.0), EASE(l2=5.000001)], train, test, ["ndcg@5"]).table()
    p = {row[0]: row[4] for row in table.rows}
    assert all(value is None or value > 0.9 for name, value in p.items() if name.startswith("EASE"))


def test_tune_finds_the_better_ridge_on_validation_events_alone(data):
    train, _ = data.split.time(test=0.3)
    result = tune(EASE(l2=1e6), train, metric="ndcg@5", trials=6, space={"l2": (1.0, 1e4, "log")})
    assert len(result.trials) == 6
    assert result.score == max(score for _, score in result.trials)
    assert result.best.l2 != 1e6
    with pytest.raises(InputError, match="not fitted"):
        result.best.recommend()


def test_killed_tune_resumes_to_the_same_result(data, tmp_path, monkeypatch):
    train, _ = data.split.time(test=0.3)
    whole = tune(ItemKNN(), train, metric="ndcg@5", trials=5)
    fits = []
    plain = ItemKNN._fit

    def watched(self, events):
        fits.append(self.k)
        if len(fits) == 4:
            raise KeyboardInterrupt
        plain(self, events)

    monkeypatch.setattr(ItemKNN, "_fit", watched)
    with pytest.raises(KeyboardInterrupt):
        tune(ItemKNN(), train, metric="ndcg@5", trials=5, run=tmp_path / "run")
    again = tune(ItemKNN(), train, metric="ndcg@5", trials=5, run=tmp_path / "run")
    assert again.trials == whole.trials
    assert len(fits) == 6  # 3 done, 1 cut off, 2 more
    with pytest.raises(InputError, match="trials was 5, now 6"):
        tune(ItemKNN(), train, metric="ndcg@5", trials=6, run=tmp_path / "run")


def test_nothing_to_tune_is_said(data):
    with pytest.raises(InputError, match=r"Popular.*nothing to search"):
        tune(Popular(), data)


# --- beyond accuracy and re-ranking ---


def test_gini_and_kl_by_hand():
    assert gini(np.array([5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0, 0, 9])) == pytest.approx(2 / 3)
    p = np.array([0.5, 0.5])
    assert kl(p, p) == pytest.approx(0)
    assert kl(p, np.array([1.0, 0.0])) == pytest.approx(0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005))


def test_beyond_accuracy_by_hand():
    model = Popular().fit(tiny())
    lists = model.recommend(k=2, filter_seen=False)  # everybody gets items 1 and 2 of five
    found = recsys.evaluation.beyond_accuracy(model, lists, vectors=np.eye(5))
    assert found["coverage"] == pytest.approx(2 / 5)
    assert found["gini"] == pytest.approx(3 / 5)
    assert found["novelty"] == pytest.approx((-np.log2(3 / 4) - np.log2(2 / 4)) / 2)
    assert found["serendipity"] == 0
    assert found["diversity"] == 1


def test_mmr_takes_unlike_items_first():
    model = Popular().fit(tiny())
    lists = model.recommend(["d"], k=4)  # items 1, 2, 3, 4 in this order
    order = lists.column("item").to_pylist()
    codes = model.item_ids_.codes(order)
    vectors = np.zeros((5, 2))
    vectors[codes] = [[1, 0], [1, 0], [1, 0], [0, 1]]
    found = recsys.mmr(model, lists, 2, weight=0.4, vectors=vectors)
    assert found.column("item").to_pylist() == [order[0], order[3]]
    assert found.column("rank").to_pylist() == [1, 2]
    assert recsys.mmr(model, lists, 4, weight=1.0, vectors=vectors).column("item").to_pylist() == order


def test_calibrated_lists_are_nearer_to_the_users_taste(data):
    model = EASE(l2=5.0).fit(data)
    kinds = pa.array([str(int(one[1:]) % 3) for one in model.item_ids_.values.to_pylist()])
    lists = model.recommend(k=12, filter_seen=False)
    plain = recsys.mmr(model, lists, 4, weight=1.0, vectors=np.eye(len(kinds)))
    better = recsys.calibrate(model, lists, 4, kinds, weight=0.9)
    before, after = (
        recsys.evaluation.beyond_accuracy(model, one, categories=kinds)["calibration_kl"] for one in (plain, better)
    )
    assert after < before
    same = recsys.calibrate(model, lists, 4, kinds, weight=0.0)
    assert same.column("what").to_pylist() == plain.column("what").to_pylist()


# --- the doctor ---


def found(data, test=None):
    return {(one.level, one.check): one.text for one in recsys.doctor(data, test)}


def test_doctor_sees_each_ailment():
    frame = {
        "user": ["17850.0", "2.0", "2.0", " x"],
        "item": ["a", "A", "A", "b"],
        "value": [1.0, 0.0, 0.0, 1.0],
        "time": np.array([4e9, 1.0e9, 1.0e9, 1.1e9]),
        "told": ["yes", "no", "no", "yes"],
        "same": [1, 1, 1, 1],
    }
    rows = {name: list(column) * 10 for name, column in frame.items()}
    data = Dataset.from_frame(
        rows, user="user", item="item", value="value", time="time", context=["told", "same"], time_unit="s"
    )
    seen = found(data)
    assert "17850.0" in seen["error", "ids"]
    assert "case" in seen["warning", "ids"]
    assert "10 events lie in the future" in seen["error", "time"]
    assert "'told' alone gives the value away" in seen["error", "leak"]
    assert "'same' is constant" in seen["warning", "context"]
    assert "repeat user, item and time" in seen["warning", "duplicates"]


def test_doctor_sees_the_future_in_the_past(data):
    train, test = data.split.leave_last_out()
    assert "the future is in the past" in found(train, test)["warning", "leak"]
    train, test = data.split.time()
    assert ("warning", "leak") not in found(train, test)


def test_doctor_sees_users_whose_numbers_restart():
    first = Dataset.from_frame({"u": [10001, 10002], "i": [1, 2]}, user="u", item="i")
    second = Dataset.from_frame({"u": [10001, 10002], "i": [3, 4]}, user="u", item="i")
    assert "the same people?" in found(first, second)["warning", "ids"]


def test_partial_folder_of_another_run_is_kept(data, tmp_path):
    folder = tmp_path / "recs.parquet.partial"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="no run"):
        recsys.recommend_to_file(Popular().fit(data), tmp_path / "recs.parquet")
    shutil.rmtree(folder)


# --- who is shown, and who is served ---


def test_quota_holds_in_every_prefix_and_keeps_the_order_elsewhere():
    data = events()
    model = recsys.EASE(l2=5.0).fit(data)
    category = pa.array(["small" if code % 5 == 0 else "big" for code in range(data.n_items)])
    lists = model.recommend(k=25)
    chosen = recsys.quota(model, lists, 10, category, {"small": 0.2})
    plain = recsys.quota(model, lists, 10, category, {})
    small = set(model.item_ids_.ids(np.arange(0, data.n_items, 5)).to_pylist())
    for who, one in chosen.to_pandas().groupby("who", sort=False):
        is_small = one.what.isin(small).to_numpy()
        able = lists.to_pandas().set_index("who").loc[who].what.isin(small).sum()
        need = np.minimum(np.floor(np.arange(1, len(one) + 1) * 0.2 + 1e-9), able)
        assert (np.cumsum(is_small) >= need).all()
        for kind in (True, False):  # within a category the order is the model's
            assert (np.diff(one.score[is_small == kind]) <= 0).all()
    assert (
        plain.to_pandas()
        .groupby("who")
        .what.apply(list)
        .equals(lists.to_pandas().query("rank <= 10").groupby("who").what.apply(list))
    )
    with pytest.raises(InputError, match="no item of category 'medium'"):
        recsys.quota(model, lists, 10, category, {"medium": 0.1})
    with pytest.raises(InputError, match="at most 1 together"):
        recsys.quota(model, lists, 10, category, {"small": 0.7, "big": 0.4})


def test_exposure_is_discounted_by_rank_and_adds_up():
    data = tiny()
    model = recsys.Popular().fit(data)
    lists = model.recommend(["a"], k=2, filter_seen=False)
    category = pa.array(["x" if one in (1, 3) else "y" for one in model.item_ids_.values.to_pylist()])
    rows = {row[0]: row[1:] for row in recsys.evaluation.exposure(model, lists, category).rows}
    top = {1: "x", 2: "y"}  # items by popularity: 1 (3 users), 2 (2 users)
    assert [top[one] for one in lists.column("item").to_pylist()] == ["x", "y"]
    assert rows["x"][0] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert sum(row[0] for row in rows.values()) == pytest.approx(1)
    assert rows["x"][1:3] == pytest.approx([2 / 5, 4 / 8])


def test_groups_of_users_are_told_apart():
    train, test = events().split.time()
    result = recsys.evaluate(recsys.EASE(l2=5.0).fit(train), test, ["ndcg@10"])
    group = {user: "even" if user % 2 == 0 else "odd" for user in result.users.to_pylist()}
    rows = {row[0]: row for row in result.by_group(group, "ndcg@10").rows}
    even = np.array([group[user] == "even" for user in result.users.to_pylist()]) & ~result.cold
    assert rows["even"][2] == pytest.approx(result.values["ndcg@10"][even].mean())
    assert sum(row[1] for row in rows.values()) == (~result.cold).sum()


def known_users():
    """Events and a table of users in which one, whom only the test set has, is told of; and a new item told of."""
    rows = [(u, i) for u in range(8) for i in range(6) if (u + i) % 3]
    side = {"users": {"u": [*range(8), 99], "group": [f"g{one % 2}" for one in range(9)]}}
    side["items"] = {"i": [*range(6), 50], "kind": [f"k{one % 2}" for one in range(7)]}
    frame = {"u": [u for u, _ in rows], "i": [i for _, i in rows]}
    test = {"u": [0, 1, 2, 99, 98, 3], "i": [0, 2, 1, 3, 1, 50]}
    return (Dataset.from_frame(one, user="u", item="i", **side) for one in (frame, test))


@pytest.mark.parametrize("targets", ["all", "warm"])
def test_models_that_answer_new_users_are_compared_with_others_on_users_known_to_all(targets):
    train, test = known_users()
    models = [EASE(l2=5.0), FeatureIALS(factors=2, epochs=1)]
    result = compare(models, train, test, ["mrr"], targets=targets)
    assert {tuple(one.cold) for one in result.evaluations.values()} == {
        tuple(one in (98, 99) for one in _users(result))
    }
    assert len({one.targets for one in result.evaluations.values()}) == 1
    assert len(result.table().rows) == 3


def _users(result):
    return result.evaluations[result.best].users.to_pylist()


class Untouched(Popular):
    """A model that must not be fitted."""

    def _fit(self, data):
        raise AssertionError("fitted")


def asked_badly():
    return {
        "metric": ({"metrics": ["ndcg@ten"]}, "metric: got 'ndcg@ten'"),
        "targets": ({"targets": "new"}, "targets: got 'new'"),
        "seeds": ({"seeds": 0}, "seeds: got 0"),
    }


@pytest.mark.parametrize("case", asked_badly())
def test_a_comparison_that_cannot_be_is_refused_before_the_first_fit(case):
    options, message = asked_badly()[case]
    with pytest.raises(InputError, match=message):
        compare([Untouched()], *known_users(), **options)


def test_a_model_of_contexts_is_not_compared_with_others():
    frame = {"u": [1, 1, 2, 2], "i": [1, 2, 2, 3], "v": [1.0, 2.0, 1.0, 3.0], "c": ["a", "b", "a", "b"]}
    data = Dataset.from_frame(frame, user="u", item="i", value="v", context=["c"])
    with pytest.raises(InputError, match=r"BayesianFM.*context \['c'\]"):
        compare([Untouched(), BayesianFM(samples=2)], data, data)


def test_a_missing_extra_is_told_before_the_first_fit(monkeypatch):
    monkeypatch.setattr(SASRec, "needs", (("no_such_module", "torch"),))
    with pytest.raises(MissingExtraError, match="torch"):
        compare([Untouched(), SASRec()], *known_users())
    with pytest.raises(MissingExtraError, match="torch"):
        tune(SASRec(), next(known_users()))


def test_a_search_checks_what_is_asked_before_the_first_fit():
    train, _ = known_users()
    for options, message in (
        ({"metric": "rmsee"}, "metric: got 'rmsee'"),
        ({"targets": "new"}, "targets: got 'new'"),
        ({"space": {"days": (1.0, 2.0, 3.0)}}, "space of 'days': got"),
        ({"space": {"days": []}}, "space of 'days': got"),
        ({"space": {"days": 3.0}}, "space of 'days': got"),
        ({"space": {"days": (0.0, 2.0, "log")}}, "space of 'days': got"),
    ):
        with pytest.raises(InputError, match=message):
            tune(_Days(), train, trials=2, **options)


class _Days(Untouched):
    space: ClassVar[dict] = {"days": (1.0, 2.0)}

    def get_params(self, deep=True):
        return {"days": 1.0}


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["eaes"], {}, "'eaes'"), (["ease"], {"metrics": ["x"]}, "'x'"), (["ease"], {"targets": "x"}, "targets"),
        (["ease"], {"seeds": 0}, "seeds"), (["ease"], {"trials": -1}, "trials"), (["ease"], {"cut": "2020"}, "cut"),
    ],
)  # fmt: skip
def test_a_report_checks_what_is_asked_before_it_splits(names, options, message, monkeypatch):
    monkeypatch.setattr(Dataset, "split", property(lambda self: pytest.fail("split")))
    cut, metrics = options.pop("cut", None), options.pop("metrics", ["ndcg@10"])
    with pytest.raises(InputError, match=message):
        compare_events(next(known_users()), requested_models(names, metrics, **options), metrics, cut=cut)


def test_settings_of_numpy_are_kept(data, tmp_path):
    model = ItemKNN(k=np.int64(3), k1=np.float32(2.0)).fit(data)
    assert recsys.load(model.save(tmp_path / "m")).get_params() == model.get_params()


def test_lists_in_a_file_take_a_context_a_user(tmp_path):
    frame = {"u": [1, 1, 2, 2, 3], "i": [1, 2, 2, 3, 1], "v": [1.0, 5.0, 2.0, 4.0, 3.0], "c": ["a", "b", "a", "b", "a"]}
    model = BayesianFM(factors=2, sweeps=4, burn_in=1, samples=2)
    model.fit(Dataset.from_frame(frame, user="u", item="i", value="v", context=["c"]))
    context = {"c": ["a", "b", "b"]}
    recsys.recommend_to_file(model, tmp_path / "recs.parquet", k=2, block=2, context=context)
    assert pyarrow.parquet.read_table(tmp_path / "recs.parquet").equals(model.recommend(k=2, context=context))


def test_lists_are_written_as_parquet_or_csv_alone(data, tmp_path):
    with pytest.raises(InputError, match=r"recs\.json.*\.parquet"):
        recsys.recommend_to_file(Popular().fit(data), tmp_path / "recs.json")


def test_a_killed_run_does_not_go_on_with_other_candidates(tmp_path, monkeypatch):
    model, path, items = Popular().fit(events()), tmp_path / "recs.parquet", np.arange(1500)
    with monkeypatch.context() as patched:
        patched.setattr("recsys.storage._lists._File.finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            recsys.recommend_to_file(model, path, k=3, block=10, exclude=items[:1100])
    other = np.r_[items[:500], items[1100:1102], items[502:1100]]  # alike at both ends
    with pytest.raises(InputError, match="asked"):
        recsys.recommend_to_file(model, path, k=3, block=10, exclude=other)
    recsys.recommend_to_file(model, path, k=3, block=10, exclude=items[:1100])
