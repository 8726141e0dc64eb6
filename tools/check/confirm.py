"""Confirm outcomes whose code has changed: run the first seed again, and stamp those whose scores are the same.

    uv run python tools/check/confirm.py --minutes 30            # all packages, the cheapest outcomes first
    uv run python tools/check/confirm.py tswitch --minutes 10

An outcome is current if it comes from a committed tree and from today's source. One that is not is due. If each score
of its first seed equals the stored one to 1e-6, it is stamped with today's source and commit; else it stays as it is,
marked as of older source, until the claim is run again. The checkout must have no uncommitted changes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table
from ninefold.systems import installed
from ninefold_lab import Claim, Scores, code_key, is_older, is_uncommitted, load_scores
from ninefold_lab.claims import groups_of
from ninefold_lab.confirmation import git, refuse_uncommitted
from ninefold_lab.experiments import claims_of
from ninefold_lab.experiments import folder_of as experiments_of
from ninefold_lab.imports import folder_of
from ninefold_lab.outcomes import write_outcome


def due(claims: Sequence[Claim]) -> list[tuple[float, Claim, Path]]:
    """(expected seconds, claim, file) of each committed outcome that is older or uncommitted, the cheapest first."""
    found = []
    for claim in claims:
        folder = experiments_of(claim.package) or Path()
        for path in sorted(folder.glob(f"results/{claim.id.split('/')[1]}.full.*.json")):
            outcome = json.loads(path.read_text(encoding="utf-8"))
            if is_older(outcome, code_key(claim)) or is_uncommitted(outcome):
                found.append((outcome["seconds"] / max(1, outcome["seeds"]), claim, path))
    return sorted(found, key=lambda one: one[0])


def confirm_all(claims: Sequence[Claim], minutes: float) -> Table:
    """Confirm the outcomes that are due, the cheapest first, within a time limit; a row for each."""
    table = Table(["claim", "result"], title="Outcomes whose code has changed since")
    end = time.monotonic() + 60 * minutes
    for seconds, claim, path in due(claims):
        late = time.monotonic() + seconds > end
        said = f"left: needs about {seconds:.0f} s" if late else confirm(claim, path) or "same scores"
        print(f"{claim.id}: {said}", flush=True)
        table.rows.append([claim.id, said])
    return table


def confirm(claim: Claim, path: Path) -> str:
    """Run the first seed of an outcome again and stamp the file if each stored score comes out the same.

    Returns: the first arm that differs, in words; empty if none does.

    Raises:
        InputError: if the tree has uncommitted changes, or the outcome stores no scores.
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
        commit = git(folder_of(claim.package), "rev-parse", "--short=12", "HEAD").strip()
        fields["confirmed"] = {"code": code_key(claim), "commit": commit, "date": time.strftime("%Y-%m-%d"), "seed": 0}
        write_outcome(path, fields)
    return reason


def difference(stored: Mapping[str, Mapping[str, np.ndarray]], scores: Scores) -> str:
    """The first arm whose scores differ from the stored ones by more than 1e-6 of the largest, in words; else empty."""
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="distributions; all if none is named")
    parser.add_argument("--minutes", type=float, default=30.0, help="time limit for all outcomes")
    options = parser.parse_args()
    rows = [row for row in installed() if row.system and (not options.names or row.distribution in options.names)]
    try:
        found = confirm_all([claim for row in rows for claim in claims_of(row)], options.minutes)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    same = sum(row[1] == "same scores" for row in found.rows)
    print(f"{same} of {len(found.rows)} outcomes confirmed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
