"""Pages of the site about claims: one a package, the scoreboard over all, and what turned out wrong."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import intervals
from counts import Row, outcome_of, passed_by, with_spread
from digits import in_digits
from ninefold.report import Table
from scoreboard import gone, judged_claims, retired_of, retired_table
from workspace import ToolError, find, packages

HERE = Path(__file__).parent


@functools.cache
def _judged() -> dict[str, list[Row]]:
    return judged_claims()


def page(name: str) -> str:
    """Each claim of a package: what it says, how its comparisons came out, scores, and a picture of the intervals."""
    how = "[How a verdict is reached](../claims.md#how-a-verdict-is-reached)"
    parts = [f"# What {name} claims, and what came out", how]
    for row in _judged()[name]:
        parts += [
            f"## {_sentence(row.claim.says)}",
            f"**{_sentence(row.words)}.** {row.claim.source}. `{row.claim.id}`",
        ]
        if row.outcome is None:
            continue
        outcome = row.outcome
        older = "; the source has changed since" if row.is_older else ""
        when = f"{outcome['date']}, version {outcome['version']}{older}"
        parts.append(f"Run: {outcome['seeds']} seeds, {machine_in_words(outcome['hardware'])}, {when}.")
        bars = [bar for bar in row.comparisons if bar.low < bar.high and abs(bar.low) + abs(bar.high) < float("inf")]
        if bars:
            parts.append(intervals.svg(bars))
        if row.comparisons:
            table = Table(["comparison", "passed by [95 % interval]", "result"])
            table.rows += [[bar.bar, passed_by(bar), outcome_of(bar)] for bar in row.comparisons]
            parts.append(table.to_markdown())
        scores = Table(["arm", "score"])
        scores.rows += [[arm, with_spread(score["mean"], score["sd"])] for arm, score in outcome["arms"].items()]
        parts.append(scores.to_markdown())
        parts += [retired_table(row.retired)] if row.retired else []
    left = gone([row.claim for row in _judged()[name]], retired_of(packages()[name]))
    parts += ["## Claims that were withdrawn", retired_table(left)] if left else []
    return "\n\n".join(parts) + "\n"


def overview() -> str:
    """The scoreboard over all packages, with how verdicts are reached."""
    lab = (find("ninefold-lab").folder / "README.md").read_text(encoding="utf-8")
    verdicts = section(lab, "Verdicts").replace("## Verdicts", "## How a verdict is reached")
    board = (HERE / "scoreboard.md").read_text(encoding="utf-8").strip()
    return re.sub(r"\]\(packages/([\w-]+)#results\)", r"](\1/claims.md)", board) + f"\n\n{verdicts}\n"


def corrections() -> str:
    """What was said and turned out wrong: the repository's own list, then each package's."""
    parts = [(HERE / "corrections.md").read_text(encoding="utf-8").strip()]
    for name, package in packages().items():
        file = package.folder / "docs" / "corrections.md"
        if file.is_file():
            _, _, text = file.read_text(encoding="utf-8").strip().partition("\n")
            parts.append(f"## {name}\n\n{in_digits(text.strip())}")
    return "\n\n".join(parts) + "\n"


def machine_in_words(words: str) -> str:
    """`x86_64-2cpu` in words."""
    found = re.fullmatch(r"(\w+)-(\d+)cpu(.*)", words)
    return f"{found[1]}, {found[2]} processors{found[3].replace('-', ' ')}" if found else words


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def section(text: str, heading: str) -> str:
    """A section of a README with its heading; ToolError if there is none."""
    found = re.search(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ToolError(f"no section {heading!r}")
    return found[0].strip()
