"""Figures of the site are shown to the digits of their interval, and longer ones are found."""

from __future__ import annotations

import digits
import pytest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2.534 [-3.411, 7.322]", "2.5 [-3.4, 7.3]"),
        ("-4.3 % [-30.8, 17.2]", "-4 % [-31, 17]"),
        (".0138 points [-.0035, .0310]", ".014 points [-.004, .031]"),
        ("0.12345 ± 0.0456", "0.123 ± 0.046"),
        ("1,234.56 [1,100.4, 1,300.1]", "1,235 [1,100, 1,300]"),
        ("-.04 [-1.31, 1.32]", ".0 [-1.3, 1.3]"),
        ("0.199 ± 0.100", "0.199 ± 0.100"),  # rounded up from below a tenth
        ("2.5 [-3.4, 7.3] as it is", "2.5 [-3.4, 7.3] as it is"),
        ("7 [7, 7]", "7 [7, 7]"),
        ("`2.534 [-3.411, 7.322]`", "`2.534 [-3.411, 7.322]`"),
        ("```text\n2.534 [-3.411, 7.322]\n```", "```text\n2.534 [-3.411, 7.322]\n```"),
    ],
)
def test_figures_are_shortened_to_their_interval(text, shown):
    made = digits.in_digits(text)
    assert made == shown
    if "`" not in text:
        assert digits.too_long(f"<p>{made}</p>") == []
        assert bool(digits.too_long(f"<p>{text}</p>")) == (shown != text)


def test_floats_as_they_are_stored_are_found():
    assert digits.too_long("<td>0.10000000000000002</td>") == ["0.10000000000000002"]
    assert digits.too_long("<p>arXiv 2412.00054, doi 10.1145/3523227.3551482</p><code>0.10000000000000002</code>") == []
