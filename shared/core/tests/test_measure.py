from __future__ import annotations

import json
import time

import numpy as np
import pytest
from ninefold import measure as bench
from ninefold.errors import InputError


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when a workload says so."""

    class Clock:
        now = 0.0
        calls: list[str]

        def work(self, name, seconds):
            def run():
                self.calls.append(name)
                self.now += next(seconds)

            return run

    made = Clock()
    made.calls = []
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    monkeypatch.setattr(bench.gc, "collect", int)  # slow once torch is loaded
    return made


def endless(*seconds):
    while True:
        yield from seconds


def test_twice_as_fast_is_ratio_two(clock):
    slow, fast = clock.work("slow", endless(2.0)), clock.work("fast", endless(1.0))
    result = bench.compare({"slow": slow, "fast": fast}, repeats=5)
    assert result["fast"] == bench.Timing("fast", 1.0, 2.0, 2.0, 2.0, 5)
    assert result["slow"] == bench.Timing("slow", 2.0, 1.0, 1.0, 1.0, 5)


def test_callables_take_turns_after_a_warm_up(clock):
    arms = {"a": clock.work("a", endless(1.0)), "b": clock.work("b", endless(1.0))}
    bench.compare(arms, repeats=3, warmup=2)
    assert "".join(clock.calls) == "aabb" + "ab" + "ba" + "ab"


def test_drift_of_the_machine_falls_on_both(clock):
    drift = [1.0, *np.linspace(1, 3, 9)]
    arms = {"a": clock.work("a", iter(2 * np.array(drift))), "b": clock.work("b", iter(drift))}
    result = bench.compare(arms, repeats=9)["b"]
    assert (result.ratio, result.low, result.high) == (2.0, 2.0, 2.0)


def test_noise_widens_the_interval_around_the_median(clock):
    noise = np.random.default_rng(0).uniform(0.5, 1.5, 100)
    arms = {"a": clock.work("a", endless(2.0)), "b": clock.work("b", iter(noise))}
    result = bench.compare(arms, repeats=31)["b"]
    assert result.low < result.ratio < result.high
    assert result.low < 2.0 < result.high


def test_clock_that_stands_still_divides_by_nothing(clock):
    result = bench.compare({"a": lambda: None, "b": lambda: None}, repeats=3)["b"]
    assert result.ratio == 1.0


@pytest.mark.parametrize(
    ("arms", "repeats", "message"), [({"a": int}, 2, "repeats: got 2"), ({}, 7, "callables: got none")]
)
def test_too_little_to_compare_is_refused(arms, repeats, message):
    with pytest.raises(InputError, match=message):
        bench.compare(arms, repeats=repeats)


def test_emit_prints_one_json_line(capsys):
    bench.emit(name="x", ratio=2.0)
    assert json.loads(capsys.readouterr().out) == {"name": "x", "ratio": 2.0}
