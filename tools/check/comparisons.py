"""Every comparison that a committed outcome ever stored is in today's tables: in its claim, or retired with a reason.

    uv run python tools/check/comparisons.py                     # status 1, and a line for each comparison that is lost
    uv run python tools/check/comparisons.py --retire "REASON"   # enters the lost ones in experiments/retired.json

The history has to be complete (`git fetch --unshallow`). A comparison that a later outcome of the claim has under
another text, with the same result, is entered as reworded and is not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold_lab import Comparison

TOOLS = Path(__file__).resolve().parents[1]
sys.path += [str(TOOLS), str(TOOLS / "docs")]  # for `workspace` and `scoreboard`
from counts import Row
from retired import Retired, load_retired, save_retired
from scoreboard import judged_claims
from workspace import ROOT, ToolError, exit_with, packages

RESULTS = ":(glob)**/results/*.json"


@dataclass(frozen=True)
class Stored:
    """A comparison as an outcome stored it: when it was committed, and which commit took it out (empty: none yet)."""

    claim: str
    comparison: Comparison
    judged: str
    replaced: str = ""
    by: str = ""


def git(root: Path, *words: str) -> str:
    """What git prints; ToolError with its words if it fails."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def history(root: Path = ROOT) -> dict[tuple[str, str], Stored]:
    """By (claim, bar) the last time that an outcome stored it, from every commit that HEAD contains."""
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise ToolError("this clone has no complete history; run `git fetch --unshallow` first")
    words = ("--full-history", "--raw", "--no-renames", "--no-abbrev", "--format=commit %cs %s", "--", RESULTS)
    log = git(root, "log", *words) + git(root, "log", "-m", "--merges", *words)  # merges last: they say least about why
    versions: list[tuple[str, str, str, str]] = []  # (blob before, blob after, date, subject), the newest first
    date = subject = ""
    for line in log.splitlines():
        if line.startswith("commit "):
            _, date, subject = line.split(" ", 2)
        elif line.startswith(":"):
            before, after = line.split("\t")[0].split()[2:4]
            versions.append((before, after, date, subject))
    texts = _contents(root, {blob for before, after, *_ in versions for blob in (before, after) if blob.strip("0")})
    found: dict[tuple[str, str], Stored] = {}
    for before, after, date, subject in versions:
        new = _comparisons(texts.get(after))
        for (claim, bar), comparison in new.items():
            found.setdefault((claim, bar), Stored(claim, comparison, date))
        for (claim, bar), comparison in _comparisons(texts.get(before)).items():
            if (claim, bar) not in new:
                found.setdefault((claim, bar), Stored(claim, comparison, date, date, subject))
    return found


def _contents(root: Path, blobs: Iterable[str]) -> dict[str, str]:
    """The text of each blob, from one process."""
    asked = sorted(blobs)
    done = subprocess.run(
        ["git", "-C", str(root), "cat-file", "--batch"],
        input="\n".join(asked).encode(),
        capture_output=True,
        check=True,
    )
    texts, rest = {}, done.stdout
    for blob in asked:
        head, _, rest = rest.partition(b"\n")
        size = int(head.split()[2])
        texts[blob], rest = rest[:size].decode(), rest[size + 1 :]
    return texts


def _comparisons(text: str | None) -> dict[tuple[str, str], Comparison]:
    """The comparisons of an outcome's text; none of a file that is no outcome."""
    try:
        outcome = json.loads(text or "")
    except ValueError:
        return {}
    if not isinstance(outcome, dict) or not isinstance(outcome.get("comparisons"), list):
        return {}
    return {(outcome["id"], one["bar"]): comparison(one) for one in outcome["comparisons"]}


def comparison(stored: Mapping[str, Any]) -> Comparison:
    """A comparison from the fields that an outcome stored; JSON has no infinity, and early outcomes had other names."""
    low, high = (-math.inf if stored.get("low") is None else stored["low"],
                 math.inf if stored.get("high") is None else stored["high"])  # fmt: skip
    return Comparison(
        stored["bar"], stored.get("estimate") or 0.0, low, high, stored["verdict"], stored.get("collapsed", 0)
    )


def shown(rows: Mapping[str, Sequence[Row]]) -> set[tuple[str, str]]:
    """(claim, bar) of the comparisons in today's tables."""
    return {(row.claim.id, one.bar) for found in rows.values() for row in found for one in row.comparisons}


def entry(stored: Stored, reason: str, today: Mapping[str, Sequence[Comparison]]) -> Retired:
    """A retired comparison; reworded if today's claim has the same result under another text."""
    last = stored.comparison
    same = [one.bar for one in today.get(stored.claim, ())
            if abs(last.estimate) > 1e-9 and math.isclose(one.estimate, last.estimate, rel_tol=1e-6)
            and (one.low, one.high) == (last.low, last.high)]  # fmt: skip
    now = same[0] if len(same) == 1 else ""
    return Retired(
        claim=stored.claim, bar=last.bar, reason="the same comparison in other words" if now else reason or stored.by,
        date=stored.replaced or time.strftime("%Y-%m-%d"), judged=stored.judged, last=last, now=now,
    )  # fmt: skip


def lost(root: Path = ROOT) -> tuple[dict[tuple[str, str], Stored], dict[str, list[Row]]]:
    """(comparisons of the history that no table of today has, today's claims)."""
    rows = judged_claims(root)
    known = shown(rows)
    for package in packages(root).values():
        known |= {(one.claim, one.bar) for one in load_retired(package.folder / "experiments")}
    return {key: one for key, one in history(root).items() if key not in known}, rows


def retire(missing: Mapping[tuple[str, str], Stored], rows: Mapping[str, Sequence[Row]], reason: str) -> None:
    """Enter the missing comparisons in the lists of their packages."""
    today: dict[str, list[Comparison]] = {}
    for found in rows.values():
        for row in found:
            today.setdefault(row.claim.id, []).extend(row.comparisons)
    for name, package in packages().items():
        new = [entry(one, reason, today) for one in missing.values() if one.claim.split("/")[0] == name]
        if new:
            folder = package.folder / "experiments"
            save_retired(folder, [*load_retired(folder), *new])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retire", metavar="REASON", help="enter the lost comparisons with this reason")
    options = parser.parse_args()
    try:
        missing, rows = lost()
        if options.retire is not None:
            retire(missing, rows, options.retire)
            print(f"{len(missing)} comparisons entered as retired")
            return 0
        for (claim, bar), one in missing.items():
            print(f"{claim}: {bar!r}, last judged {one.judged}, is in no table: state it, or retire it with a reason")
        print(f"{len(missing)} comparisons are lost")
    except ToolError as error:
        return exit_with(error)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
