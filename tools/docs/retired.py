"""Comparisons that a claim no longer makes: kept with a reason in `experiments/retired.json`, and still judged.

Bars do not move: a comparison that an outcome ever stored is either in today's claim or in this list. A retired one is
judged from the scores that the claim's outcome stores today, and where these lack one of its arms by its last verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import write_text
from ninefold.report import plain
from ninefold_lab import Comparison, Scores, at_least, at_most
from ninefold_lab.outcomes import RETIRED as FILE

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"


@dataclass(frozen=True, kw_only=True)
class Retired:
    """A comparison that left its claim.

    Attributes:
        claim: id of the claim, which may itself be gone.
        bar: the comparison's text.
        reason: why it left.
        date: when it left, YYYY-MM-DD.
        judged: date of the last outcome that had it.
        last: how it came out there.
        now: text of the current comparison of the same scores, if only the wording changed; not counted.
    """

    claim: str
    bar: str
    reason: str
    date: str
    judged: str
    last: Comparison
    now: str = ""

    def judge(self, runs: Sequence[Scores]) -> Comparison:
        """The comparison on today's stored scores; as last judged if they lack an arm."""
        return judge_bar(self.bar, runs) or self.last


def judge_bar(bar: str, runs: Sequence[Scores]) -> Comparison | None:
    """Judge a comparison from its text, such as `ease >= popular + 0.1`; None if the scores lack an arm."""
    if not runs:
        return None
    for sign, verdict in ((">=", at_least), ("<=", at_most)):
        arm, found, right = bar.partition(f" {sign} ")
        if not found or arm not in runs[0]:
            continue
        rival, margin = _sides(right, runs[0])
        if rival is not None:
            try:
                return verdict(arm, rival, margin)(runs)[0]
            except InputError:  # the two arms have other items
                return None
    return None


def _sides(right: str, scores: Scores) -> tuple[str | float | None, float]:
    """(rival, margin) of what stands behind the relation; the rival is an arm, a number, or None if it is neither."""
    if right in scores:
        return right, 0.0
    if re.fullmatch(_NUMBER, right):
        return float(right), 0.0
    found = re.fullmatch(rf"(.+) ([+-]) ({_NUMBER})", right)
    if not found:
        return None, 0.0
    margin = float(found[3]) * (1 if found[2] == "+" else -1)
    if found[1] in scores:
        return found[1], margin
    return (float(found[1]), margin) if re.fullmatch(_NUMBER, found[1]) else (None, 0.0)


def load_retired(experiments: Path) -> list[Retired]:
    """The retired comparisons of a package, from its folder `experiments`; none if it has no such file.

    Raises:
        InputError: if an entry lacks a field or a reason, or stands there twice.
    """
    path = experiments / FILE
    if not path.is_file():
        return []
    found: dict[tuple[str, str], Retired] = {}
    for number, entry in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        where = f"{path.name}, entry {number}"
        try:
            last = Comparison(**{"low": -np.inf, "high": np.inf, **_present(entry["last"]), "bar": entry["bar"]})
            one = Retired(**{**entry, "last": last})
        except (TypeError, KeyError) as error:
            raise InputError(where, got=str(error), expected="the fields of Retired") from None
        if not one.reason.strip():
            raise InputError(where, got="no reason", expected="why the comparison was retired")
        if (one.claim, one.bar) in found:
            raise InputError(where, got=f"{one.bar!r} of {one.claim} twice", expected="each comparison once")
        found[one.claim, one.bar] = one
    return list(found.values())


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without nulls: JSON has no infinity, so an interval without an end has none."""
    return {key: value for key, value in values.items() if value is not None}


def save_retired(experiments: Path, entries: Iterable[Retired]) -> Path:
    """Write a package's retired comparisons, by claim and date."""
    ordered = sorted(entries, key=lambda one: (one.claim, one.date, one.bar))
    rows = []
    for one in ordered:
        row = asdict(one)
        last = {key: value if not isinstance(value, float) or np.isfinite(value) else None
                for key, value in row["last"].items() if (key != "bar" and value not in (0, False))
                or key in ("estimate", "low", "high")}  # fmt: skip
        rows.append({**{key: value for key, value in row.items() if value != ""}, "last": last})
    path = experiments / FILE
    write_text(
        path, json.dumps(plain(rows), indent=1, ensure_ascii=False, allow_nan=False) + "\n", force=True, ours=_is_list
    )
    return path


def _is_list(path: Path) -> bool:
    return path.name == FILE
