"""Who leads in a demo, by how much, and in what order arms are shown: from scores and intervals alone."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.arms import Arms, with_interval

RNG = np.random.default_rng(0)
BASE = RNG.normal(50, 10, 200)


def arms(gain, *, margin=1.0, lower=False, spread=0.1, **more):
    theirs = BASE + gain + RNG.normal(0, spread, 200)
    scores = {"Rival": theirs, "Weak": BASE - 20, "Ours": BASE, "Limit": BASE + 99, **more}
    scores = {name: -one for name, one in scores.items()} if lower else scores
    return Arms(scores=scores, ours="Ours", measured="score", unit="dB", lower=lower, margin=margin, shown=["Limit"])


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(
    ("gain", "spread", "word"),
    [
        (-5, 0.1, "better"),
        (5, 0.1, "worse"),
        (0.3, 0.1, "equal"),
        (-0.9, 0.1, "equal"),
        (0, 30, "no difference"),
    ],
)
def test_the_word_follows_from_the_interval_and_the_margin(gain, spread, word, lower):
    found = arms(gain, spread=spread, lower=lower)
    assert (found.rival, found.word) == ("Rival", word)
    assert found.ranked()[0] == "Limit"
    assert found.ranked()[-1] == "Weak"
    assert np.sign(found.gain()[0]) == -np.sign(gain) or word == "no difference"


def test_headline_puts_first_who_leads():
    assert arms(-5).headline().startswith("Ours is better by 5")
    assert arms(5).headline().startswith("Rival is better by 4.99")
    assert arms(0.2).headline().startswith("Ours equals Rival: score ")
    assert "Ours shows no measurable difference from Rival" in arms(0, spread=30).headline()


def test_items_that_are_shared_are_paired_and_others_are_not():
    paired = arms(0.5, margin=0).gain()
    apart = Arms(scores={"Ours": BASE, "Rival": BASE[:-1] + 0.5}, ours="Ours", measured="score").gain()
    assert paired[2] - paired[1] < 0.1
    assert apart[2] - apart[1] > 3


def test_single_numbers_have_no_interval_and_are_not_told_apart():
    found = Arms(scores={"a": 2.0, "b": 1.0}, ours="a", measured="score")
    assert found.text("a") == "2"
    assert found.word == "no difference"


@pytest.mark.parametrize(
    ("values", "text"),
    [((0.08321, 0.0791, 0.0871), "0.0832 [0.0791, 0.0871]"), ((1234.5, 1100, 1300), "1,234 [1,100, 1,300]"),
     ((91.23, 90.1, 92.3), "91.2 [90.1, 92.3]"), ((3.0, -np.inf, np.inf), "3")],
)  # fmt: skip
def test_figures_have_the_digits_of_their_interval(values, text):
    assert with_interval(*values) == text
    assert with_interval(*values, "dB") == text.replace(" [", " dB [") + (" dB" if "[" not in text else "")


def test_shares_end_at_a_hundred_percent():
    found = Arms(scores={"a": [100.0] * 29 + [0.0], "b": [0.0] * 30}, ours="a", measured="right", unit="%")
    assert found.text("a").endswith(", 100.0]")
    assert found.text("b") == "0 %"
