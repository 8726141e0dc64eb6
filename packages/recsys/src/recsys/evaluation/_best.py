"""One command from a log to a model: doctor, moving cuts, a search over models and preparation, fusion, a page."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import refuse_existing, write_text
from ninefold.progress import progress
from ninefold.report import Table, html_page, paragraph
from ninefold.run import Run

from recsys.baselines._popular import Popular, RecentPopular, Repeat
from recsys.data._dataset import Dataset, need_dataset
from recsys.data._doctor import doctor, findings_table
from recsys.data._metrics import ranking_metric
from recsys.evaluation._cuts import Cut, learned, moving_cuts, next_interval
from recsys.evaluation._evaluate import evaluate
from recsys.evaluation._race import SURVIVORS, Race, Trial, families, made, race
from recsys.evaluation._stats import bootstrap_interval, randomisation_test
from recsys.neural._checkpoint import fit_key
from recsys.recommender._base import Recommender
from recsys.recommender._registry import as_model
from recsys.sequence._fusion import Fusion, text_of
from recsys.sequence._repurchase import Repurchase

_SEARCH, _FUSE, _REPEAT = 0.7, 0.85, 0.08  # shares of the time: ends of search and fusion; the part of repeats
_PROBE = 300  # users of the newest cut, by whom every setting is scored first
_REPEATS = 0.1  # share of repeats from which on `repeats="auto"` counts them
_HIDES = "The log has no times: each evaluation hides one event of some users."
_OF_A_SHOP = "In each period the model predicts what known users take next."
_OF_VISITS = "Most users come once: in each period the model predicts the end of visits from their beginning."
_UNITS = 6  # of weight that a fusion shares out


@dataclass(frozen=True)
class Best:
    """What `best` found.

    Attributes:
        model: fitted on all events; also in the folder `model` of the run.
        text: it, as `--model` takes it.
        days: only events of the last so many days were learned from, or None.
        metric: what was maximised.
        cuts: its score on each cut, oldest first; the last one was not searched on.
        interval: where the score of the next cut lies with a chance of 90 %.
        rivals: score on the last cut of popularity, of recent popularity, of what the shop has today; with the gap to
            the model, its 95 % interval over users and the p of a randomisation test.
        trials: settings tried.
        cheapest: the fastest model that was measured, as `--model` takes it, which the search cannot tell from the best
            setting (its gap over the cuts is within two standard errors); None: the best one is the fastest.
        untried: families of models that were not measured -> why.
        unfinished: settings that were estimated to be better but could not be measured on all cuts, if any.
        repeats: share of what users took in the last period that they had before.
        counts_repeats: whether lists may hold, and scores count, what users had before.
        new_pairs: score of each cut on items that are new to their users only; `cuts`, unless repeats count.
        new_items: share of these pairs whose item was new in the shop, which no model of past events can find.
    """

    model: Recommender
    text: str
    days: float | None
    metric: str
    cuts: list[float]
    interval: tuple[float, float]
    rivals: dict[str, dict[str, Any]]
    trials: int
    cheapest: str | None = None
    untried: Mapping[str, str] = field(default_factory=dict)
    unfinished: Sequence[str] = ()
    repeats: float = 0.0
    new_items: float = 0.0
    counts_repeats: bool = False
    new_pairs: Sequence[float] = ()

    def table(self) -> Table:
        """The chosen model and its rivals in the last period, which the search did not use."""
        rows: list[Sequence[Any]] = [["chosen model", self.cuts[-1], "", ""]]
        for name, one in self.rivals.items():
            gain = f"{one['gain']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}]"
            rows.append([name, one["score"], gain, round(one["p"], 4)])
        expected = "Expected {} in the next period: {:.3f} to {:.3f}, with a probability of 90 %. Settings tried: {}."
        expected = expected.format(self.metric, *self.interval, self.trials)
        title, notes = self.headline(), [f"Model: {self.text}.", expected, *self.says(), *self._warnings()]
        return Table(
            ["model", self.metric, "gain of the chosen model (95 %)", "p-value"], rows, title=title, notes=notes
        )

    def headline(self) -> str:
        """What the chosen model gains over best-sellers, in one sentence."""
        popular = self.rivals.get("popular")
        score = f"The chosen model reaches {self.metric} {self.cuts[-1]:.3f} in the last period"
        if popular is None:
            return f"{score}."
        gap = "no measurable difference to"
        if not popular["low"] <= 0 <= popular["high"]:
            share = abs(popular["gain"]) / popular["score"] if popular["score"] else np.inf
            gap = f"{share:.0%} {'more' if popular['gain'] > 0 else 'less'} than"
        return f"{score}, {gap} best-sellers ({popular['score']:.3f})."

    def says(self) -> list[str]:
        """What was left out of the scores or not measured, in sentences."""
        found = []
        share = f"{self.repeats:.0%} of the events of the last period repeat a user's earlier item"
        if self.counts_repeats:
            found.append(f"Lists may contain items that a user had before: {share} (--repeats no excludes them).")
            found.append(f"{self.metric} on items that are new to the user: {self.new_pairs[-1]:.4f}.")
        elif self.repeats:
            found.append(f"Lists and scores exclude a user's earlier items: {share} (--repeats yes includes them).")
        if self.new_items:
            of = "the events that are new to their users" if self.counts_repeats else "the other events"
            found.append(f"{self.new_items:.0%} of {of} are of items without earlier events; they count as misses.")
        if self.cheapest is not None:
            found.append(f"A faster model without a measurable difference in the search: {self.cheapest}.")
        for reason in dict.fromkeys(self.untried.values()):
            names = ", ".join(name for name, why in self.untried.items() if why == reason)
            found.append(f"Not measured: {names} ({reason}).")
        if self.unfinished:
            found.append(f"Promising, but not measured in all periods for lack of time: {'; '.join(self.unfinished)}.")
        return found

    def _warnings(self) -> list[str]:
        """Which rivals score higher in the last period, if any do."""
        words = {True: "significantly", False: "not significantly"}
        ahead = {name: words[one["high"] < 0] for name, one in self.rivals.items() if one["score"] > self.cuts[-1]}
        return [
            f"{name} scores higher than the chosen model in the last period ({how})." for name, how in ahead.items()
        ]


def best(
    data: Dataset, out: str | Path, *, minutes: float = 20.0, metric: str = "ndcg@10", cuts: int = 5,
    today: Recommender | str | None = None, seed: int = 0, force: bool = False, trials: int | None = None,
    repeats: str = "auto",
) -> Best:  # fmt: skip
    """Search for the best recommender for a log, evaluate it on the last period, and save it; needs the extra `best`.

    Every family of models is measured on a few users of one period before any is searched further; the best ones are
    measured on all cuts but the last, and the better half of the families is searched, round by round. The best
    settings of different models are fused where that is better on these cuts. Where customers buy the same things
    again, `Repurchase` adds what is due. The last cut is evaluated once, at the end. Rerun the same call to resume an
    interrupted run.

    Args:
        data: events; values are taken as clicks (`Dataset.clicks`).
        out: folder of the run: `model` (for `recsys serve`), `report.html`, `report.json`, the trials.
        minutes: time limit of the whole search; the last fits may take a little longer.
        metric: ranking metric to maximise, such as "ndcg@10".
        cuts: moments, the last of which is kept for the end; see `moving_cuts`.
        today: the model in use now, to compare with, e.g. "item-knn(k=50)".
        seed: of search, draws and models.
        force: replace a model that is there.
        trials: greatest number of settings; None: as many as time allows.
        repeats: whether lists may hold, and scores count, items that users had before: "yes", "no", or "auto": where
            they are a tenth or more of what users take.
    Raises:
        InputError: for events with tables about users or items, or ties, which the search does not read.

    Examples:
        >>> import dataclasses
        >>> import recsys

        >>> data = recsys.simulate(40, 20, 1_000, seed=0).data
        >>> data = dataclasses.replace(data, users=None, items=None, ties=None)  # the events only
        >>> found = recsys.best(data, "best", minutes=0.05, cuts=3, trials=1)  # take twenty minutes for a real log
        >>> found.trials, len(found.cuts)
        (1, 3)
        >>> recsys.load("best/model").recommend(["u1"], k=3).num_rows
        3
    """
    need_dataset(data, "data")
    ranking_metric(metric)
    for name in ("users", "items", "ties"):
        if getattr(data, name) is not None:
            raise InputError(
                name, got="a table", expected="none: the search reads only events; use fit, tune or compare"
            )
    if not minutes > 0 or cuts < 3:
        raise InputError("minutes, cuts", got=(minutes, cuts), expected="more than 0 minutes, 3 cuts or more")
    if repeats not in ("auto", "yes", "no"):
        raise InputError("repeats", got=repr(repeats), expected='"auto", "yes" or "no"')
    rival = None if today is None else as_model(today, "today", seed)
    if rival is not None:
        rival.check_extras()
    begun, folder = time.monotonic(), Path(out)
    findings = doctor(data)
    clicks = data.clicks()
    parts = moving_cuts(clicks, cuts, seed=seed)
    config = {"data": fit_key("", data), "metric": metric, "cuts": cuts, "seed": seed, "repeats": repeats,
              "today": today if rival is None or isinstance(today, str) else text_of(rival)}  # fmt: skip
    with Run(folder, config) as run:
        refuse_existing(folder / "model", force, "recsys.model")
        spent = sum(line["added"] for line in run.metrics())
        budget = minutes * 60 - spent
        known = families(clicks, rival, visits=parts[-1].given is not None)
        searched = parts[-2::-1]
        if searched[0].test.n_users > _PROBE:
            searched = [searched[0].some(_PROBE, seed), *searched]
        found = race(known, searched, metric, begun + _SEARCH * budget, run, seed, trials)
        counted = _counted(repeats, parts[:-1])
        until = begun + (_FUSE - _REPEAT * counted) * budget
        chosen = _chosen(known, found.ranked(), parts[:-1], metric, until)
        alone = chosen.scores
        if counted:
            chosen = _with_repeats(chosen, parts[:-1], metric, begun + _FUSE * budget)
        at_last = learned(chosen.model, parts[-1].train, chosen.days, parts[-1].given)
        last = parts[-1].score(at_last, metric, repeats=counted)
        new = [*alone, float(parts[-1].score(at_last, metric).mean())] if counted else []
        scores = [*chosen.scores, float(last.mean())]
        fitted, text = learned(chosen.model, clicks, chosen.days), text_of(chosen.model)
        rivals = _against(last, parts[-1], metric, rival, repeats=counted)
        interval = next_interval(np.array(scores))
        unmeasured = [_text(known, one) for one in itertools.takewhile(lambda one: not one.whole, found.ranked())]
        result = Best(
            fitted, text, chosen.days, metric, scores, interval, rivals, len(found.trials), _cheapest(known, found),
            found.untried, unmeasured, parts[-1].repeats, parts[-1].new_items, counted, new,
        )  # fmt: skip
        result.model.save(folder / "model", force=force)
        write_text(folder / "report.json", json.dumps(_plain(result), indent=1) + "\n")
        asked = _HIDES if clicks.time is None else _OF_A_SHOP if parts[-1].given is None else _OF_VISITS
        write_text(folder / "report.html", _page(result, findings, found.trials, asked))
    return result


@dataclass(frozen=True)
class _Chosen:
    """A model, the days that it learns from, and its score on each cut that was searched on, oldest first."""

    model: Recommender
    days: float | None
    scores: list[float]


def _text(known: Mapping[str, Any], one: Trial) -> str:
    return text_of(made(known[one.family][0], one.params))


def _cheapest(known: Mapping[str, Any], found: Race) -> str | None:
    """The fastest setting whose gap to the best one, cut by cut, is within two standard errors; None: the best one."""
    whole = [one for one in found.ranked() if one.whole]
    if not whole:
        return None
    best = whole[0]
    cheapest = best
    for one in whole[1:]:
        gaps = np.subtract(best.scores, one.scores)
        if gaps.mean() <= 2 * gaps.std(ddof=1) / np.sqrt(len(gaps)) and one.seconds < cheapest.seconds:
            cheapest = one
    return None if cheapest is best else _text(known, cheapest)


def _chosen(known: Mapping[str, Any], ranked: list[Trial], cuts: list[Cut], metric: str, until: float) -> _Chosen:
    """The best single setting, or a fusion of the best of some families that beats it on the mean and on most cuts.

    Args:
        ranked: settings, best estimate first. The first is chosen even if it was not measured on all cuts: nothing that
            was measured to be better is dropped.
    """
    first = ranked[0]
    days = first.params.get("days") if first.family != "recent-popular" else None
    model = made(known[first.family][0], first.params)
    if not first.whole:
        return _Chosen(model, days, [cut.judge(model, metric, days).mean() for cut in cuts])
    best_of = {one.family: one for one in reversed([one for one in ranked if one.whole])}
    listed = sorted(best_of.values(), key=lambda one: -one.mean)[:SURVIVORS]
    leader = _Chosen(model, days, first.scores[-len(cuts) :][::-1])
    time_left = until - time.monotonic()
    for one in sorted(listed[1:], key=lambda one: -one.seconds):
        if sum(each.seconds for each in listed) > time_left / 2:
            listed.remove(one)
    return _fused(known, listed, leader, cuts, metric, until) if len(listed) > 1 else leader


def _fused(
    known: Mapping[str, Any], listed: list[Trial], leader: _Chosen, cuts: list[Cut], metric: str, until: float
) -> _Chosen:
    """The leader, or a fusion of it: one unit of weight at a time goes to the model that gains most by it
    (Caruana et al. 2004), while the mean rises."""
    texts = [text_of(made(known[one.family][0], one.params)) for one in listed]

    def fusion(weights: tuple[int, ...], by: str) -> Fusion:
        used = [(text, weight) for text, weight in zip(texts, weights, strict=True) if weight]
        return Fusion(models="+".join(text for text, _ in used), weights="+".join(str(one) for _, one in used), by=by)

    even = fusion((1,) * len(texts), "score")
    fitted = [learned(even, cut.train, leader.days, cut.given) for cut in cuts]

    def scored(weights: tuple[int, ...], by: str) -> list[float]:
        for model in fitted:
            model.set_params(weights="+".join(map(str, weights)), by=by)
        found = [evaluate(model, cut.test, [metric], filter_seen=True) for model, cut in zip(fitted, cuts, strict=True)]
        return [float(one.values[metric].mean()) for one in found]

    chosen = leader
    with progress(2 * _UNITS * len(texts), "fusing") as bar:
        for by in ("score", "rank"):
            at, weights = leader.scores, (1, *[0] * (len(texts) - 1))
            for unit in range(_UNITS):
                tried = []
                for place in range(len(texts)):
                    if (unit or place) and time.monotonic() < until:  # the leader alone is known
                        more = tuple(one + (place == other) for other, one in enumerate(weights))
                        tried.append((scored(more, by), more))
                    bar.advance()
                best_scores, best_weights = max(tried, key=lambda one: np.mean(one[0]), default=(at, weights))
                if np.mean(best_scores) <= np.mean(at):
                    break
                at, weights = best_scores, best_weights
            wins = sum(a > b for a, b in zip(at, leader.scores, strict=True))
            if np.mean(at) > np.mean(chosen.scores) and 2 * wins > len(at):
                chosen = _Chosen(fusion(weights, by), leader.days, at)
    return chosen


def _counted(repeats: str, cuts: list[Cut]) -> bool:
    """Whether lists may hold what users had: as requested, or by the share of repeats in a shop's log."""
    if repeats == "auto":
        return cuts[-1].given is None and float(np.mean([cut.repeats for cut in cuts])) >= _REPEATS
    return repeats == "yes"


def _with_repeats(chosen: _Chosen, cuts: list[Cut], metric: str, until: float) -> _Chosen:
    """The chosen model of new items within a `Repurchase`, whose settings are searched one after another.

    Each setting is scored on some users of each cut; the model of new items is fitted once for each.
    """
    model = Repurchase(model=text_of(chosen.model))
    fitted = [learned(model, cut.train, chosen.days, cut.given) for cut in cuts]
    parts = [cut.some(_PROBE) for cut in cuts]
    settings = {name: getattr(model, name) for name in Repurchase.space}

    def score(settings: Mapping[str, Any]) -> float:
        found = []
        for one, cut in zip(fitted, parts, strict=True):
            one.set_params(**settings)
            found.append(cut.score(one, metric, repeats=True).mean())
        return float(np.mean(found))

    best, timed = score(settings), cuts[0].train.time is not None
    names = [one for one in Repurchase.space if timed or one not in ("half_life", "lapse")]
    for name, value in [(one, value) for one in names for value in Repurchase.space[one]] * 2:
        if value == settings[name] or time.monotonic() > until:
            continue
        tried = settings | {name: value}
        if (found := score(tried)) > best:
            best, settings = found, tried
    scores = []
    for one, cut in zip(fitted, cuts, strict=True):
        one.set_params(**settings)
        scores.append(float(cut.score(one, metric, repeats=True).mean()))
    return _Chosen(model.set_params(**settings), chosen.days, scores)


def _against(
    mine: np.ndarray, cut: Cut, metric: str, today: Recommender | None, *, repeats: bool = False
) -> dict[str, dict[str, Any]]:
    """How far the model is better than each rival on the last cut."""
    rivals: dict[str, Recommender] = {"popular": Popular()}
    if cut.train.time is not None:
        rivals["recent-popular"] = RecentPopular()
    if repeats:
        rivals["repeat"] = Repeat()
    if today is not None:
        rivals[f"today: {text_of(today)}"] = today
    found = {}
    for name, model in rivals.items():
        theirs = cut.score(learned(model, cut.train, None, cut.given), metric, repeats=repeats)
        low, high = bootstrap_interval(mine - theirs)
        found[name] = {"score": float(theirs.mean()), "gain": float((mine - theirs).mean()), "low": low, "high": high,
                       "p": randomisation_test(mine - theirs)}  # fmt: skip
    return found


def _plain(result: Best) -> dict[str, Any]:
    return {name: one for name, one in vars(result).items() if name != "model"}


def _page(result: Best, findings: list[Any], trials: list[Trial], asked: str) -> str:
    table, told = result.table(), ["The search did not use the last period."]
    told += ["Lists for all users: recsys recommend FOLDER/model -k 10 -o lists.csv, with the folder of this report."]
    told += [f"The model learns only from the events of the last {result.days:g} days."] if result.days else []
    notes, table.title, table.notes = [*told, *table.notes], "", []
    cuts = Table(["period", result.metric], [[str(place + 1), one] for place, one in enumerate(result.cuts)])
    groups = itertools.groupby(sorted(trials, key=lambda one: (one.family, -one.mean)), key=lambda one: one.family)
    tried = Table(["family", "settings", "measured in all periods", result.metric])
    count: Callable[[list[Trial]], int] = lambda listed: sum(one.whole for one in listed)  # noqa: E731
    for family, members in groups:
        listed = list(members)
        top = max((one.mean for one in listed if one.whole), default=None)
        tried.rows.append([family, len(listed), count(listed), top])
    searched = paragraph(f"{asked} The search used all periods except the last; their scores are a little too high.")
    sections = [
        ("Result", [paragraph(result.headline(), "lead"), table.to_html(), *map(paragraph, notes)]),
        ("Period by period", [searched, cuts.to_html()]),
        ("What was tried", [tried.to_html()]),
        ("The events", [findings_table(findings).to_html()]),
    ]
    return html_page("Recommender for your events", sections)
