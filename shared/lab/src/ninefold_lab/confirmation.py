"""Which outcomes are up to date, and how an outcome survives a change of code that changes no number.

An outcome is current if it comes from a committed tree and from today's source. One that is not can be confirmed: its
first seed runs again, and if each score equals the stored one to 1e-6, the outcome is stamped with today's source and
commit. If a score differs, the outcome stays as it is, marked as of older source, until the claim is run again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.cli import progress
from ninefold.errors import InputError
from ninefold.report import Table

from ninefold_lab.claims import Claim, Scores, groups_of
from ninefold_lab.experiments import folder_of as experiments_of
from ninefold_lab.imports import CORE, folder_of
from ninefold_lab.outcomes import load_scores, write_outcome
from ninefold_lab.provenance import code_key


def is_older(outcome: Mapping[str, Any], key: str) -> bool:
    """Whether an outcome, as its file states it, comes from other source than that of `key` and is not confirmed.

    Examples:
        >>> from ninefold_lab import is_older

        >>> outcome = {"provenance": {"code": "a1"}, "confirmed": {"code": "b2"}}
        >>> is_older(outcome, "a1"), is_older(outcome, "b2"), is_older(outcome, "c3")
        (False, False, True)
    """
    made = outcome.get("provenance", {}).get("code")
    return made is not None and key not in (made, outcome.get("confirmed", {}).get("code"))


def is_uncommitted(outcome: Mapping[str, Any]) -> bool:
    """Whether an outcome comes from a tree with uncommitted changes and has not been confirmed since.

    Examples:
        >>> from ninefold_lab import is_uncommitted

        >>> [is_uncommitted({"environment": {"commit": commit}}) for commit in ("7d1f+changes", "7d1f")]
        [True, False]
    """
    made = str(outcome.get("environment", {}).get("commit") or "")
    return made.endswith("+changes") and not outcome.get("confirmed")


def uncommitted(package: str) -> list[str]:
    """Files of a package's source, its experiments and the core that differ from the commit; empty outside a checkout.

    Examples:
        >>> from ninefold_lab import uncommitted

        >>> isinstance(uncommitted("ninefold_lab"), list)
        True
    """
    folders = [folder_of(package), folder_of(CORE), experiments_of(package)]
    listed = _git(
        folders[0], "status", "--porcelain", "--", *map(str, filter(None, folders)), ":(top,exclude,glob)**/results/**"
    )
    return [line[3:] for line in (listed or "").splitlines()]


def refuse_uncommitted(claims: Sequence[Claim]) -> None:
    """Raise InputError, before the work, if an outcome of one of the claims would come from an uncommitted tree."""
    for package in sorted({claim.package for claim in claims}):
        if changed := uncommitted(package):
            expected = "a committed tree, since an outcome names its commit"
            raise InputError("source", got=f"uncommitted changes in {', '.join(changed[:3])}", expected=expected)


def due(claims: Sequence[Claim]) -> list[tuple[float, Claim, Path]]:
    """(expected seconds, claim, file) of each committed outcome that is older or uncommitted, the cheapest first."""
    found = []
    for claim in claims:
        for path in sorted(
            (experiments_of(claim.package) or Path()).glob(f"results/{claim.id.split('/')[1]}.full.*.json")
        ):
            outcome = json.loads(path.read_text(encoding="utf-8"))
            if is_older(outcome, code_key(claim)) or is_uncommitted(outcome):
                found.append((outcome["seconds"] / max(1, outcome["seeds"]), claim, path))
    return sorted(found, key=lambda one: one[0])


def confirm_all(claims: Sequence[Claim], minutes: float) -> Table:
    """Confirm the outcomes that are due, the cheapest first, within a time limit; a row for each."""
    table = Table(["claim", "result"], title="Outcomes whose code has changed since")
    waiting, end = due(claims), time.monotonic() + 60 * minutes
    with progress(len(waiting), "outcomes") as bar:
        for seconds, claim, path in waiting:
            bar.advance(note=claim.id)
            late = time.monotonic() + seconds > end
            said = f"left: needs about {seconds:.0f} s" if late else confirm(claim, path) or "same scores"
            table.rows.append([claim.id, said])
    return table


def confirm(claim: Claim, path: Path) -> str:
    """Run the first seed of an outcome again and stamp the file if each stored score comes out the same.

    Returns: the first arm that differs, in words; empty if none does.

    Raises:
        InputError: if the tree has uncommitted changes, or the outcome stores no scores.

    Examples:
        >>> import os
        >>> from pathlib import Path
        >>> from ninefold_lab import Claim, at_least, confirm, run_claim, uncommitted

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20}
        >>> claim = Claim(id="ninefold-testing/ease-beats-popularity", says="EASE is better than popularity",
        ...               source="ours", run=scores, verdict=at_least("ease", "popular"))
        >>> path = run_claim(claim, full=True).save(Path("results"))
        >>> confirm(claim, path) if not uncommitted("ninefold_testing") else ""
        ''
    """
    refuse_uncommitted([claim])
    stored = load_scores(path)
    if not stored:
        raise InputError(
            path.name, got="an outcome without scores", expected="one that stores them; run the claim again"
        )
    scores = claim.run(dataclasses.replace(claim.full, form="full"), 0)
    reason = difference(stored[0], scores)
    if not reason:
        fields = json.loads(path.read_text(encoding="utf-8"))
        commit = _git(folder_of(claim.package), "rev-parse", "--short=12", "HEAD").strip()
        fields["confirmed"] = {"code": code_key(claim), "commit": commit, "date": time.strftime("%Y-%m-%d"), "seed": 0}
        write_outcome(path, fields)
    return reason


def difference(stored: Mapping[str, Mapping[str, np.ndarray]], scores: Scores) -> str:
    """The first arm whose scores differ from the stored ones by more than 1e-6 of the largest, in words; empty if none.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab.confirmation import difference

        >>> stored = {"ease": {"": np.array([0.41])}}
        >>> difference(stored, {"ease": 0.41}), difference(stored, {"ease": 0.42})
        ('', 'ease: 0.41 stored, 0.42 now')
    """
    for arm, groups in stored.items():
        now = groups_of(scores, arm) if arm in scores else {}
        for key, items in groups.items():
            if key not in now or now[key].shape != items.shape:
                return f"{arm}: other items than stored"
            gap = np.abs(now[key] - items)
            place = int(gap.argmax())
            if gap[place] > 1e-6 * max(1e-9, float(np.abs(items).max())):
                return f"{arm}: {items[place]:.6g} stored, {now[key][place]:.6g} now"
    return ""


def _git(folder: Path, *words: str) -> str:
    """What git prints in `folder`; nothing outside a checkout, or without git."""
    with contextlib.suppress(OSError):
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True).stdout
    return ""
