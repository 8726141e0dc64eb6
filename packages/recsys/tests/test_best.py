"""From a log to a model: cuts keep the future out, the search resumes, the fusion is its formula, the folder serves."""

import dataclasses
import html
import itertools
import json
import time

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, Fusion, ItemKNN, Trend
from recsys.data._dataset import Dataset
from recsys.data._time import DAY
from recsys.evaluation import _best, _race
from recsys.evaluation._cuts import Cut, learned, moving_cuts, next_interval
from recsys.recommender._query import Query
from recsys.recommender._registry import parse_model
from recsys.sequence._fusion import text_of

from .helpers import events

pytest.importorskip("optuna")
DATA = events(80, 30, 2400)


def test_cuts_follow_each_other_and_learn_from_the_past_alone():
    parts = moving_cuts(DATA, 4, share=0.1)
    assert all(one.given is None for one in parts)
    for one, later in itertools.pairwise(parts):
        assert one.train.time.max() < one.test.time.min()
        assert one.test.time.max() <= later.train.time.max() < later.test.time.min()
        assert len(later.train) - len(one.train) == pytest.approx(240, abs=2)
        assert set(one.test.user_ids.values.to_pylist()) <= set(one.train.user_ids.values.to_pylist())
        had = set(zip(*(one.train.to_table()[name].to_pylist() for name in ("who", "what")), strict=True))
        asked = set(zip(*(one.test.to_table()[name].to_pylist() for name in ("who", "what")), strict=True))
        assert not had & asked
    with pytest.raises(InputError, match="cuts"):
        moving_cuts(DATA, 1)


def test_without_times_no_cut_learns_from_what_the_last_one_hides():
    draw = np.random.default_rng(3)
    pairs = np.unique(draw.integers(0, (40, 9), (300, 2)), axis=0)
    untimed = Dataset.from_frame({"u": pairs[:, 0], "i": pairs[:, 1]}, user="u", item="i")
    *searched, last = moving_cuts(untimed, 3)
    hidden = set(zip(*last.test.to_table().to_pydict().values(), strict=True))
    assert len(hidden) == last.test.n_users
    for one in searched:
        assert not hidden & set(zip(*one.train.to_table().to_pydict().values(), strict=True))
        assert len(one.train) + len(one.test) == len(last.train)


def visits(n: int, steps: int = 5, seed: int = 0) -> Dataset:
    """Visits one after another, each of users of its own, in which item j + 1 follows item j."""
    draw = np.random.default_rng(seed)
    start = draw.integers(0, 20, n)
    item = (start[:, None] + np.arange(steps)) % 20
    who, when = np.repeat(np.arange(n), steps), np.repeat(np.arange(n), steps) * 3600 + np.tile(np.arange(steps), n)
    frame = {"who": who, "what": item.ravel(), "at": when + 1_700_000_000}
    return Dataset.from_frame(frame, user="who", item="what", time="at")


def test_a_log_of_visits_asks_for_the_end_of_each_given_its_beginning():
    for cut in moving_cuts(visits(300, steps=7), 3):
        assert cut.train.time.max() < cut.given.time.min()
        assert cut.given.user_ids.values.equals(cut.test.user_ids.values)
        assert set(np.bincount(cut.given.user)) <= {5, 6}
        assert set(np.bincount(cut.test.user)) == {1}
        ends = dict(zip(cut.given.user, cut.given.time, strict=True))
        assert all(time > ends[user] for user, time in zip(cut.test.user, cut.test.time, strict=True))


def test_what_follows_in_a_visit_is_found(tmp_path, monkeypatch):
    whole = _race.families
    monkeypatch.setattr(
        _best, "families", lambda *args, **more: {
            name: one for name, one in whole(*args, **more).items() if name in ("markov", "item-knn")
        },
    )  # fmt: skip
    found = recsys.best(visits(400), tmp_path / "run", minutes=5, trials=4, cuts=3)
    assert "markov" in found.text
    assert found.cuts[-1] > 0.95
    assert found.rivals["popular"]["score"] < 0.7
    assert "the end of visits from their beginning" in (tmp_path / "run" / "report.html").read_text()
    assert recsys.load(tmp_path / "run" / "model").recommend(k=1).num_rows > 0


def test_a_model_of_the_last_days_is_asked_about_the_same_users_and_items():
    cut, days = moving_cuts(DATA, 3)[-1], (DATA.time.max() - DATA.time.min()) / DAY / 10
    whole, late = cut.judge(EASE(l2=5.0), "ndcg@10"), cut.judge(EASE(l2=5.0), "ndcg@10", days=days)
    assert whole.shape == late.shape == (cut.test.n_users,)
    assert not np.array_equal(whole, late)
    model = learned(EASE(l2=5.0), DATA, days)  # what a service loads
    assert set(model.user_ids_.values.to_pylist()) == set(DATA.user_ids.values.to_pylist())
    assert len(model.history_.item) == len(EASE(l2=5.0).fit(DATA).history_.item)


@pytest.mark.parametrize("n", [4, 8])
def test_the_interval_holds_the_next_cut_as_often_as_it_says(n):
    draw = np.random.default_rng(n)
    held = 0
    for _ in range(2000):
        *seen, after = draw.normal(0.1, 0.02, n + 1)
        low, high = next_interval(np.array(seen))
        held += low <= after <= high
    assert 0.88 < held / 2000 < 0.92


@pytest.mark.parametrize("by", ["rank", "score"])
def test_a_fusion_is_its_formula_and_is_kept(by, tmp_path):
    model = Fusion(models="ease(l2=5)+item-knn(k=5)", weights="2,1", by=by).fit(DATA)
    parts = [EASE(l2=5.0).fit(DATA), ItemKNN(k=5).fit(DATA)]
    query = Query(np.arange(3, dtype=np.int32), model.history_.take(np.arange(3)))
    total = np.zeros((3, len(model.item_ids_)))
    for part, weight in zip(parts, (2, 1), strict=True):
        scores = part._answers(query, part._origins(query))
        for row in range(3):
            named = np.flatnonzero(np.isfinite(scores[row]))
            if by == "rank":
                rank = np.argsort(np.argsort(-scores[row][named], kind="stable")) + 1
                total[row, named] += weight / (60 + rank)
            else:
                low, high = scores[row][named].min(), scores[row][named].max()
                total[row, named] += weight * ((scores[row][named] - low) / (high - low) + 1e-6)
    np.testing.assert_allclose(model._score(query), total, rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "m")
    assert recsys.load(tmp_path / "m").recommend(k=3).equals(model.recommend(k=3))
    users = model.user_ids_.values.to_pylist()[:4]
    fresh = DATA.take(np.isin(DATA.user, DATA.user_ids.codes(users)))
    assert model.fold_in(fresh).recommend(users, 3)["what"].equals(model.recommend(users, 3)["what"])


def test_a_user_of_more_items_than_ranks_count_still_gets_a_list():
    model = Fusion(models="ease(l2=5)+item-knn", depth=1).fit(DATA)
    assert model.recommend(k=1)["who"].equals(pa.chunked_array([model.user_ids_.values]))


def test_a_part_of_weight_0_changes_nothing():
    one = Fusion(models="ease(l2=5)+item-knn", weights="1,0", by="rank").fit(DATA).recommend(k=5)
    assert one["what"].equals(EASE(l2=5.0).fit(DATA).recommend(k=5)["what"])
    for weights in ("1", "0,0", "1,-1", "1,x"):
        with pytest.raises(InputError, match="weights"):
            Fusion(weights=weights).fit(DATA)


@pytest.mark.parametrize(
    "model",
    [
        EASE(l2=7.0),
        Trend(model=ItemKNN(weighting="bm25", k=9, transform="log"), trend=0.3),
        recsys.RP3beta(normalise=False),
        Fusion(models="ease(l2=5.0)+trend(model=item-knn(k=5),trend=0.8)", weights="2+1", by="score"),
    ],
)
def test_a_model_as_text_is_read_back(model):
    assert repr(parse_model(text_of(model))) == repr(model)


@pytest.fixture
def few(monkeypatch):
    """Two families of few choices: the machinery without its time."""
    whole = _race.families

    def chosen(*args, **more):
        return {name: one for name, one in whole(*args, **more).items() if name in ("ease", "item-knn", "today")}

    monkeypatch.setattr("recsys.evaluation._best.families", chosen)


def test_a_log_becomes_a_model_that_serves(few, tmp_path):
    found = recsys.best(DATA, tmp_path / "run", minutes=5, trials=5, cuts=3, today="popular")
    assert len(found.cuts) == 3
    assert found.interval[0] <= np.mean(found.cuts) <= found.interval[1]
    assert set(found.rivals) == {"popular", "recent-popular", "repeat", "today: popular()"}
    gap = found.rivals["popular"]
    assert gap["gain"] == pytest.approx(found.cuts[-1] - gap["score"], abs=1e-9)
    again = recsys.load(tmp_path / "run" / "model")
    assert again.recommend(k=3).equals(found.model.recommend(k=3))
    assert repr(parse_model(found.text)) == repr(found.model)
    assert json.loads((tmp_path / "run" / "report.json").read_text())["trials"] == 5
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The search did not use the last period" in page
    assert page.index(html.escape(found.headline())) < page.index("<table")
    assert "Dataset(" not in page
    assert "Finding(" not in page  # a table for people
    with pytest.raises(Exception, match=r"exists|replace|force"):
        recsys.best(DATA, tmp_path / "run", minutes=5, trials=5, cuts=3, today="popular")


def test_a_rival_that_leads_is_said():
    rivals = {"popular": {"score": 0.5, "gain": -0.1, "low": -0.2, "high": 0.1, "p": 0.3}}
    found = _best.Best(EASE(), "ease()", None, "ndcg@10", [0.3, 0.4], (0.2, 0.5), rivals, 9)
    said = "popular scores higher than the chosen model in the last period (not significantly)."
    assert found.table().notes[2:] == [said]
    assert dataclasses.replace(found, cuts=[0.3, 0.6]).table().notes[2:] == []


@pytest.mark.parametrize(
    ("gain", "low", "high", "words"),
    [(0.1, 0.05, 0.15, "25% more than best-sellers (0.400)"), (-0.1, -0.2, -0.05, "25% less than best-sellers (0.400)"),
     (0.02, -0.1, 0.12, "no measurable difference to best-sellers (0.400)")],
)  # fmt: skip
def test_the_first_sentence_is_the_model_and_its_gain_over_best_sellers(gain, low, high, words):
    rivals = {"popular": {"score": 0.4, "gain": gain, "low": low, "high": high, "p": 0.00039}}
    found = _best.Best(EASE(), "ease()", None, "ndcg@10", [0.3, 0.4 + gain], (0.2, 0.5), rivals, 9)
    assert found.table().title == f"The chosen model reaches ndcg@10 {0.4 + gain:.3f} in the last period, {words}."


def test_families_that_were_not_measured_for_one_reason_share_a_line():
    why = {"ease": "the time was up", "slim": "the time was up", "als": "it could not be fitted to these events"}
    found = _best.Best(EASE(), "ease()", None, "ndcg@10", [0.3, 0.4], (0.2, 0.5), {}, 9, untried=why)
    said = [
        "Not measured: ease, slim (the time was up).",
        "Not measured: als (it could not be fitted to these events).",
    ]
    assert found.says() == said


@pytest.mark.parametrize(("repeats", "times"), [("no", 3), ("yes", 5)])
def test_the_last_cut_is_not_searched_on(repeats, times, few, tmp_path, monkeypatch):
    judged, inner = [], Cut.score
    monkeypatch.setattr(
        Cut, "score", lambda cut, *rest, **more: judged.append(cut.test.time.max()) or inner(cut, *rest, **more)
    )
    recsys.best(DATA, tmp_path / "run", minutes=5, trials=3, cuts=3, repeats=repeats)
    begin = moving_cuts(DATA.clicks(), 3)[-1].test.time.min()
    of_the_end = [one for one in judged if one >= begin]
    assert len(of_the_end) == times  # the model and its rivals; with repeats the model on new pairs, too, and `Repeat`
    assert judged[-times:] == of_the_end


@pytest.mark.parametrize("kill", [2, 3, 5])
def test_a_killed_search_goes_on_where_it_was(kill, few, tmp_path, monkeypatch):
    calls, inner = [], _race._judged

    def counted(*args):
        calls.append(args[1:3])
        if len(calls) == kill:
            raise KeyboardInterrupt
        return inner(*args)

    whole = recsys.best(DATA, tmp_path / "whole", minutes=5, trials=4, cuts=3)
    monkeypatch.setattr(_race, "_judged", counted)
    with pytest.raises(KeyboardInterrupt):
        recsys.best(DATA, tmp_path / "run", minutes=5, trials=4, cuts=3)
    again = recsys.best(DATA, tmp_path / "run", minutes=5, trials=4, cuts=3)
    assert calls[kill - 1] == calls[kill]  # what was cut off is measured again, what was kept is not
    assert again.trials == whole.trials == 4


def test_every_family_is_scored_once_before_any_is_scored_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(_best, "_PROBE", 20)
    log = DATA
    recsys.best(log, tmp_path / "run", minutes=5, trials=9, cuts=3, repeats="no")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    families = _race.families(log.clicks())
    begun = lines[: len(families)]
    assert [line["place"] for line in begun] == list(range(len(families)))
    assert [line["family"] for line in begun] == list(families)
    assert all(len(line["scores"]) == 1 and not line["whole"] for line in begun)  # on a few users of the newest cut
    more = [line for line in lines[len(families) :] if line["place"] < len(families)]
    assert more
    assert all(len(line["scores"]) == 3 for line in more if line["whole"])  # a few users, and both cuts in full


def test_what_falls_behind_stops_at_its_first_cut():
    cuts = moving_cuts(DATA, 3)
    whole, values = _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", [])
    assert whole.whole
    assert whole.worth == pytest.approx(np.mean([one.mean() for one in values]))
    far, _ = _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", [one + 0.5 for one in values])
    assert (len(far.scores), far.whole) == (1, False)
    assert far.worth == pytest.approx(whole.mean)
    draw = np.random.default_rng(0)
    close = [one + draw.normal(0.001, 0.3, len(one)) for one in values]
    assert _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", close)[0].whole
    slow, _ = _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", close, 0.0)
    assert len(slow.scores) == 1


def trial(family, scores, *, cuts=4, seconds=1.0):
    return _race.Trial(family, {}, scores, len(scores) == cuts, seconds, float(np.mean(scores)))


@pytest.mark.parametrize("seed", range(20))
def test_what_was_measured_to_be_better_is_never_dropped(seed):
    draw = np.random.default_rng(seed)
    level = draw.uniform(0.05, 0.3, 4)  # of the cuts
    truth = draw.permutation(8) * 0.01
    trials = [trial(str(one), list(level + truth[one])[: draw.integers(1, 5)]) for one in range(8)]
    trials[0] = trial("0", list(level + truth[0]))  # one is complete
    ranked = _race.Race(trials, {}).ranked()
    assert [truth[int(one.family)] for one in ranked] == sorted(truth, reverse=True)


def test_a_better_setting_that_ran_out_of_time_wins(tmp_path, monkeypatch):
    cuts = moving_cuts(DATA, 3)
    known = {name: (parse_model(name), {}, [{}]) for name in ("popular", "item-knn")}
    far = dataclasses.replace(trial("popular", [0.1, 0.1], cuts=2), params={})
    near = trial("item-knn", [0.3], cuts=2)
    with _best.Run(tmp_path / "run", {}) as run:
        late = _race._finished([far, near], known, cuts[:2], "ndcg@10", time.monotonic() - 99, run)
        assert not _race.Race(late, {}).ranked()[0].whole
        done = _race._finished([far, near], known, cuts[:2], "ndcg@10", time.monotonic() + 99, run)
    assert _race.Race(done, {}).ranked()[0] == done[1]
    assert done[1].whole
    chosen = _best._chosen(known, _race.Race(late, {}).ranked(), cuts[:2], "ndcg@10", time.monotonic())
    assert text_of(chosen.model) == "item-knn()"
    assert len(chosen.scores) == 2


def test_each_family_is_drawn_alike_until_a_round_halves_them():
    names = ["a", "b", "c", "d"]
    trials = [trial(name, [score]) for name, score in zip(names, (0.1, 0.4, 0.3, 0.2), strict=True)]
    drawn = [_race._next_family(names, trials, one) for one in range(30)]
    assert {name: drawn[: 4 * _race._DRAWS].count(name) for name in names} == dict.fromkeys(names, _race._DRAWS)
    assert set(drawn[4 * _race._DRAWS :]) == {"b", "c"}
    assert _race._next_family([], trials, 0) is None


def test_a_family_too_slow_for_the_time_is_named(few, tmp_path, monkeypatch):
    inner = _race._too_slow
    monkeypatch.setattr(
        _race, "_too_slow", lambda model, family, *rest: "one fit takes a week" if family == "ease"
        else inner(model, family, *rest),
    )  # fmt: skip
    found = recsys.best(DATA, tmp_path / "run", minutes=5, trials=3, cuts=3)
    assert found.untried == {"ease": "one fit takes a week"}
    assert "Not measured: ease (one fit takes a week)." in found.table().notes
    assert "one fit takes a week" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("again", [0.0, 0.5, 0.9])
def test_repeats_and_new_items_are_counted(again):
    draw = np.random.default_rng(0)
    rows, had = [], {}
    for when in range(3000):
        user = int(draw.integers(0, 30))
        mine = had.setdefault(user, [])
        old = mine and draw.random() < again
        item = mine[draw.integers(len(mine))] if old else int(draw.integers(0, 400)) + when // 100
        mine.append(item)
        rows.append((user, item, when + 1_600_000_000))
    user, item, at = zip(*rows, strict=True)
    data = Dataset.from_frame({"u": user, "i": item, "at": at}, user="u", item="i", time="at")
    cut = moving_cuts(data, 3)[-1]
    begin = int(np.quantile(data.time, 1 - 0.08, method="higher"))
    before = {(u, i) for u, i, t in zip(data.user, data.item, data.time, strict=True) if t < begin}
    after = {(u, i) for u, i, t in zip(data.user, data.item, data.time, strict=True) if t >= begin}
    sold = {i for _, i in before}
    assert cut.repeats == pytest.approx(len(after & before) / len(after))
    fresh = after - before
    assert cut.new_items == pytest.approx(sum(i not in sold for _, i in fresh) / len(fresh))
    found = recsys.evaluate(recsys.Popular().fit(cut.train), data.take(data.time >= begin), ["ndcg@10"])
    judged = cut.judge(recsys.Popular(), "ndcg@10")
    assert found.of_users("ndcg@10").mean() == pytest.approx(judged.mean())  # the question of `recsys evaluate`


def shop(again: float, seed: int, new_items: bool = False) -> Dataset:
    """Purchases of 60 users: `again` of them repeats of what the user likes; items may enter the shop over time."""
    draw = np.random.default_rng(seed)
    rows, had = [], {}
    for when in range(4000):
        user = int(draw.integers(0, 60))
        mine = had.setdefault(user, [])
        entered = when // 100 if new_items else 0
        item = mine[draw.integers(len(mine))] if mine and draw.random() < again else int(draw.zipf(1.3)) % 90 + entered
        mine.append(item)
        rows.append((user, item, 1_600_000_000 + when * 3600))
    return Dataset.from_frame(dict(zip("uit", zip(*rows, strict=True), strict=True)), user="u", item="i", time="t")


def test_the_log_decides_whether_repeats_count():
    log = shop(0.5, 1)
    assert _best._counted("auto", moving_cuts(log, 4))
    assert not _best._counted("no", moving_cuts(log, 4))
    _, first = np.unique(log.user.astype(np.int64) * log.n_items + log.item, return_index=True)
    once = moving_cuts(log.take(np.isin(np.arange(len(log)), first)), 4)  # nobody takes an item again
    assert all(cut.every is None for cut in once)
    assert not _best._counted("auto", once)
    assert _best._counted("yes", once)
    assert not _best._counted("auto", moving_cuts(visits(300, steps=7), 3))


@pytest.mark.parametrize("again", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("new_items", [False, True])
@pytest.mark.parametrize("repeats", [False, True])
def test_the_next_window_is_inside_the_printed_interval(again, new_items, repeats):
    inside = []
    for seed in range(10):
        data = shop(again, seed, new_items)
        end = int(np.quantile(data.time, 0.9))
        past, future = data.take(data.time < end), data.take(data.time >= end)
        model = recsys.Repurchase(model="popular") if repeats else recsys.Popular()
        cuts = moving_cuts(past, 5, share=0.1)
        scores = [float(cut.score(model.clone().fit(cut.train), "ndcg@10", repeats=repeats).mean()) for cut in cuts]
        low, high = next_interval(np.array(scores))
        inside.append(low <= recsys.evaluate(model.fit(past), future, ["ndcg@10"]).mean("ndcg@10") <= high)
    assert sum(inside) >= 8  # of 10, at 90 %


def test_repeats_are_part_of_the_result_and_of_the_page(few, tmp_path):
    found = recsys.best(shop(0.7, 0), tmp_path / "run", minutes=5, trials=3, cuts=3)
    assert found.counts_repeats
    assert found.text.startswith("repurchase(")
    assert len(found.new_pairs) == len(found.cuts) == 3
    assert found.cuts[-1] > found.new_pairs[-1]
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"{found.repeats:.0%} of the events of the last period repeat a user's earlier item" in html.unescape(page)
    cut = moving_cuts(shop(0.7, 0).clicks(), 3)[-1]
    model = parse_model(found.text).fit(cut.train)
    assert cut.score(model, "ndcg@10", repeats=True).mean() == pytest.approx(found.cuts[-1])
    assert cut.score(model, "ndcg@10").mean() == pytest.approx(found.new_pairs[-1])
    plain = recsys.best(shop(0.7, 0), tmp_path / "no", minutes=5, trials=3, cuts=3, repeats="no")
    assert not plain.counts_repeats
    assert "exclude a user's earlier items" in plain.says()[0]


@pytest.mark.parametrize("table", ["users", "items", "ties"])
def test_tables_that_the_search_does_not_read_are_refused(table, tmp_path):
    frames = {"users": {"u": [1], "x": [2]}, "items": {"i": [1], "x": [2]}, "ties": {"a": [1], "b": [2]}}
    data = Dataset.from_frame({"u": [1, 2], "i": [1, 2]}, user="u", item="i", **{table: frames[table]})
    with pytest.raises(InputError, match=f"{table}.*the search reads only events"):
        recsys.best(data, tmp_path / "run")


def test_bad_requests_are_named(tmp_path):
    for options, reason in (
        ({"minutes": 0}, "minutes"),
        ({"cuts": 2}, "cuts"),
        ({"metric": "x"}, "metric"),
        ({"repeats": "maybe"}, "repeats"),
        ({"today": "nothing"}, "model"),
    ):
        with pytest.raises(InputError, match=reason):
            recsys.best(DATA, tmp_path / "run", **options)


def test_two_stages_are_tried_where_a_log_is_long_enough_for_their_windows():
    pytest.importorskip("lightgbm")
    late = dataclasses.replace(DATA, time=DATA.time * 0 + np.linspace(0, 300 * 86400e6, len(DATA)).astype(np.int64))
    model, space, starts = _race.families(late)["two-stage"]
    assert (space, starts) == ({}, [{}])
    assert "two-stage" not in _race.families(DATA)
    assert repr(_race.made(model, {})) == repr(model) == repr(parse_model(text_of(model)))


def test_a_fusion_of_models_with_a_trend_folds_users_in():
    model = Fusion(models="trend(model=ials(factors=4,epochs=2))+ease(l2=10)").fit(DATA)
    part = DATA.take(DATA.user < 9)
    lists = model.fold_in(part).recommend(k=3)
    assert set(lists["source"].to_pylist()) == {"fold_in"}
    assert model.answering(model.history_).recommend(k=3)["rank"].equals(model.recommend(k=3)["rank"])
