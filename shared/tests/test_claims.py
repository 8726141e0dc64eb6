from __future__ import annotations

import importlib
import itertools
import json
import sys

import numpy as np
import pytest
from ninefold.errors import InputError
from ninefold.proof import (
    Budget,
    Claim,
    all_of,
    at_least,
    at_most,
    claims,
    outcome_table,
    overall,
    run_claim,
    source_key,
)

from .helpers import kill, module, start

RNG = np.random.default_rng


def verdict(bar, runs):
    (one,) = bar(runs)
    return one.verdict


# --- the interval ---


def share_covered(draw, times=250):
    """How often the interval of the gain of a over b holds its true value, 0."""
    rng = RNG(1)
    intervals = [at_least("a", "b")(draw(rng))[0] for _ in range(times)]
    return np.mean([one.low <= 0 <= one.high for one in intervals])


def crossed(seeds, items, by_seed, by_item, by_both):
    """Scores whose mean gain is 0, with spread by seed, by item (the same for all seeds), and by both."""

    def draw(rng):
        shared = by_item * rng.standard_normal(items)
        gains = by_seed * rng.standard_normal((seeds, 1)) + shared + by_both * rng.standard_normal((seeds, items))
        rival = rng.standard_normal((seeds, items))
        return [{"a": rival[at] + gains[at], "b": rival[at]} for at in range(seeds)]

    return draw


@pytest.mark.parametrize("form", [(1, 50, 0, 1, 0), (3, 50, 0, 1, 0), (5, 50, 0, 1, 0), (20, 1, 1, 0, 0)], ids=str)
def test_interval_covers_as_often_as_it_says(form):
    assert 0.91 <= share_covered(crossed(*form)) <= 0.985  # 250 draws: a standard error of 0.014


def test_interval_of_seeds_is_the_exact_bootstraps():
    gains = np.array([0.1, 0.4, 0.3, 0.2, 0.5])
    one = at_least("a", "b")([{"a": gain, "b": 0.0} for gain in gains])[0]
    every = np.sort(np.array(list(itertools.product(gains, repeat=5))).mean(axis=1))  # all 3,125 resamples
    low, high = np.quantile(every, [0.025, 0.975])
    assert one.estimate == pytest.approx(0.3)
    assert (one.low, one.high) == (pytest.approx(low, abs=0.021), pytest.approx(high, abs=0.021))


def test_interval_of_seeds_and_items_is_the_direct_double_bootstraps():
    rng = RNG(3)
    gains = rng.normal(1, 1, (3, 1)) + rng.normal(0, 2, (3, 80))
    one = at_least("a", 0.0)([{"a": items} for items in gains])[0]
    draws = []
    for _ in range(3000):
        seeds, items = rng.integers(0, 3, 3), rng.integers(0, 80, 80)
        draws.append(gains[np.ix_(seeds, items)].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (one.low, one.high) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))


def test_interval_of_items_is_the_bootstraps():
    items = RNG(0).exponential(size=400)
    one = at_least("a", 0.0)([{"a": items}])[0]
    assert one.high - one.low == pytest.approx(2 * 1.96 * items.std() / 20, rel=0.1)


def test_same_items_in_more_seeds_tell_no_more_of_other_items():
    items = RNG(0).standard_normal(200)
    widths = [one.high - one.low for one in (at_least("a", 0.0)([{"a": items}] * seeds)[0] for seeds in (1, 5))]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


def test_pairing_takes_out_what_both_arms_share():
    hard = RNG(0).normal(0, 100, 300)
    gain = RNG(1).normal(1, 0.5, 300)
    one = at_least("a", "b")([{"a": hard + gain, "b": hard}])[0]
    assert one.high - one.low < 0.2
    assert one.verdict == claims.REPRODUCED


# --- the verdict ---


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (at_least("a", "b"), "reproduced"),
        (at_least("a", "b", 0.5), "reproduced"),
        (at_least("a", "b", 1.0), "inconclusive"),
        (at_least("a", "b", 1.5), "not reproduced"),
        (at_most("a", "b"), "not reproduced"),
        (at_most("a", "b", 1.5), "reproduced"),
        (at_least("a", 10.0), "reproduced"),
        (at_most("a", 10.0), "not reproduced"),
        (at_most("b", "a", -0.5), "reproduced"),
    ],
)
def test_verdict_follows_the_whole_interval(bar, expected):
    rng = RNG(0)
    runs = [{"a": 101.0 + rng.normal(0, 0.1, 100), "b": 100.0 + rng.normal(0, 0.1, 100)} for _ in range(5)]
    assert verdict(bar, runs) == expected


def test_gain_exactly_at_the_bar_passes_despite_rounding():
    runs = [{"a": 0.3, "b": 0.1}] * 2
    assert 0.3 - 0.1 - 0.2 < 0
    assert verdict(at_least("a", "b", 0.2), runs) == "reproduced"
    assert verdict(at_least("a", "b", 0.2 + 1e-9), runs) == "not reproduced"


def test_single_number_of_a_single_seed_is_inconclusive():
    one = at_least("a", "b")([{"a": 2.0, "b": 1.0}])[0]
    assert (one.verdict, one.estimate, one.low, one.high) == ("inconclusive", 1.0, -np.inf, np.inf)
    assert verdict(at_least("a", "b"), [{"a": 2.0, "b": 1.0}] * 2) == "reproduced"


def test_groups_count_alike_whatever_their_size():
    runs = [{"a": {"small": np.zeros(10), "large": np.ones(1000)}}] * 2
    assert at_least("a", 0.0)(runs)[0].estimate == pytest.approx(0.5)


def test_bars_are_written_as_people_read_them():
    runs = [{"a": 1.0, "b": 1.0}]
    bars = all_of(at_least("a", "b", -1.0), at_most("a", 3.0), at_most("a", "b", 0.5))(runs)
    assert [one.bar for one in bars] == ["a >= b - 1", "a <= 3.0", "a <= b + 0.5"]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "inconclusive"], "inconclusive"),
        (["reproduced", "not reproduced"], "not reproduced"),
        (["inconclusive", "not reproduced"], "not reproduced"),
        ([], "inconclusive"),
    ],
)
def test_overall_is_the_weakest(verdicts, expected):
    assert overall(claims.Comparison("", 0, 0, 0, one) for one in verdicts) == expected


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([{"a": np.ones(3), "b": np.ones(4)}], "scores of a and b: got other items"),
        ([{"a": np.ones(3), "b": 1.0}], "scores of a and b: got other items"),
        ([{"a": 1.0, "b": np.ones(3)}], "scores of a and b: got other items"),
        ([{"a": {"x": np.ones(3)}, "b": {"y": np.ones(3)}}], "scores of a and b: got other items"),
        ([{"a": {"x": np.ones(3)}, "b": {"x": np.ones(3)}}, {"a": 1.0, "b": 1.0}], "scores of a: got other groups"),
        ([{"a": np.array([1.0, np.nan]), "b": np.ones(2)}], "scores of a: got none, NaN or infinity"),
        ([{"a": {"x": np.array([])}, "b": {"x": np.array([])}}], "scores of a, group x: got none, NaN"),
        ([{"a": 1.0, "b": np.inf}], "scores of b: got none, NaN or infinity"),
        ([{"a": 1.0}], "arm: got 'b', expected one of a"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused_by_name(runs, message):
    with pytest.raises(InputError, match=message):
        at_least("a", "b")(runs)


# --- running ---

PACKAGE = """
    import numpy as np
    from pathlib import Path
    from ninefold.proof import Budget, Claim, at_least

    STOP = None

    def experiment(budget, seed):
        with Path(LOG).open("a") as file:
            file.write(f"{seed}\\n")
        if seed == STOP:
            print("ready", flush=True)
            import time
            time.sleep(60)
        rng = np.random.default_rng(seed)
        return {"method": {"x": rng.normal(2, 0.1, 20), "y": rng.normal(4, 0.1, 30)},
                "rival": {"x": rng.normal(1, 0.1, 20), "y": rng.normal(3, 0.1, 30)}}

    CLAIM = Claim(id="pack-nine/is-better", says="better", source="ours", run=experiment,
                  verdict=at_least("method", "rival"), full=Budget(seeds=3, minutes=1))
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a claim that counts its runs; its folder."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    module(tmp_path, "pack_nine.claims", PACKAGE.replace("LOG", repr(str(tmp_path / "log"))))
    module(tmp_path, "pack_nine.cli", "")
    yield tmp_path / "pack_nine"
    for name in [name for name in sys.modules if name.split(".")[0] == "pack_nine"]:
        del sys.modules[name]


def the_claim(package):
    return importlib.import_module("pack_nine.claims").CLAIM


def seeds_run(package):
    log = package.parent / "log"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_outcome_holds_arms_groups_and_comparisons(package):
    ticks = []
    outcome = run_claim(the_claim(package), full=True, advance=lambda: ticks.append(1))
    assert (outcome.verdict, outcome.form, outcome.seeds, len(ticks)) == ("reproduced", "full", 3, 3)
    assert outcome.arms["method"]["mean"] == pytest.approx(3, abs=0.1)
    assert outcome.arms["method"]["groups"] == pytest.approx({"x": 2, "y": 4}, abs=0.1)
    assert outcome.arms["rival"]["sd"] >= 0
    (row,) = outcome_table([outcome]).rows
    assert row[0] == "pack-nine/is-better"
    assert row[4] == "reproduced"


def test_finished_seeds_are_kept_and_give_the_same_outcome(package):
    first = run_claim(the_claim(package), full=True)
    again = run_claim(the_claim(package), full=True)
    assert seeds_run(package) == [0, 1, 2]
    assert (again.arms, again.comparisons) == (first.arms, first.comparisons)


def test_killed_claim_resumes_by_seed(package):
    code = (
        "import pack_nine.claims as c; c.STOP = 2; from ninefold.proof import run_claim; run_claim(c.CLAIM, full=True)"
    )
    kill(start(code))
    assert seeds_run(package) == [0, 1, 2]
    run_claim(the_claim(package), full=True)
    assert seeds_run(package) == [0, 1, 2, 2]


def test_kept_seed_that_is_damaged_is_run_anew(package):
    first = run_claim(the_claim(package))
    (kept,) = (package.parent / "cache").rglob("seed-0.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")
    assert run_claim(the_claim(package)).arms == first.arms
    assert seeds_run(package) == [0, 0]


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("claims.py", "\n# other\n", True),
        ("_part.py", "x = 1\n", True),
        ("weights.json", "{}", True),
        ("cli.py", "x = 1\n", False),
        ("__pycache__/claims.cpython-311.pyc", "x", False),
        ("__pycache__/_kernels.step-9.py311.nbi", "x", False),
    ],
)
def test_source_key_follows_what_an_experiment_can_run_through(package, name, text, changes):
    before = source_key(the_claim(package))
    path = package / name
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if name == "claims.py" else "") + text)
    assert (source_key(the_claim(package)) != before) == changes


def test_source_key_tells_real_data_from_none(package):
    before = source_key(the_claim(package))
    (package.parent / "data" / "pack_nine").mkdir(parents=True)
    empty = source_key(the_claim(package))
    (package.parent / "data" / "pack_nine" / "set").mkdir()
    assert len({before, empty, source_key(the_claim(package))}) == 3


def test_nan_scores_are_refused_and_not_kept(package):
    claim = Claim(
        id="pack-nine/nan", says="", source="", run=lambda budget, seed: {"a": np.nan}, verdict=at_least("a", 0.0)
    )
    with pytest.raises(InputError, match="scores of a: got none, NaN"):
        run_claim(claim)
    assert not list((package.parent / "cache").rglob("seed-*"))


def test_full_outcome_is_saved_as_json_for_any_reader(package, tmp_path):
    outcome = run_claim(the_claim(package), full=True)
    path = outcome.save(tmp_path / "results")
    assert path.name.startswith("is-better.full.")
    kept = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert kept["comparisons"][0]["verdict"] == "reproduced"
    assert str(tmp_path) not in path.read_text()


def test_quick_outcome_never_enters_results(package, tmp_path):
    with pytest.raises(InputError, match="quick forms never enter results"):
        run_claim(the_claim(package)).save(tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_forms_are_marked_whatever_the_budget_says(package):
    assert run_claim(the_claim(package)).form == "quick"
    assert Budget(1, 1).form == "quick"
