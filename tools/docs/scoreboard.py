"""Write the tables of the READMEs from what is committed: verdicts from the results of each package.

    uv run python tools/docs/scoreboard.py            # rewrites what stands between the markers
    uv run python tools/docs/scoreboard.py --check    # fails if a table is not what the results say
    uv run python tools/docs/scoreboard.py recsys     # the tables of one package; those of the others stay as they are

Results are made by `ninefold claims NAME --full --out packages/NAME/experiments/results`. Verdicts and intervals are
computed here, from the scores that an outcome stores and the bars that the claim has today. A claim without an outcome
is "not run", or named below the table if it needs files that a reader brings; an outcome without scores (of an older
version), or without an arm of today's bars, is "to be judged again"; one whose experiment, or what that imports, has
changed since is marked "older source". `--check` prints the number of these, and does not fail for a mark.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from ninefold.errors import InputError
from ninefold.report import Table, cell_text
from ninefold.systems import installed
from ninefold_lab import (
    HELD,
    INCONCLUSIVE,
    MISSED,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Comparison,
    code_key,
    load_scores,
    overall,
)
from ninefold_lab.experiments import claims_of
from workspace import ROOT, Package, ToolError, exit_with, find, packages

NOT_RUN, TO_JUDGE = "not run", "to be judged again"
OLDER = "older source"
MOST_ARMS = 60  # in one cell of a table
STATES = {  # columns of the table over all packages, and what counts in each
    "reproduced or held": (REPRODUCED, HELD), "not reproduced or missed": (NOT_REPRODUCED, MISSED),
    INCONCLUSIVE: (INCONCLUSIVE,), TO_JUDGE: (TO_JUDGE,), NOT_RUN: (NOT_RUN,),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A claim beside one of its outcomes, or beside none."""

    claim: Claim
    outcome: Mapping[str, Any] | None = None
    state: str = NOT_RUN
    comparisons: Sequence[Comparison] = ()
    is_older: bool = False


def outcomes(package: Package) -> list[dict[str, Any]]:
    """The package's committed outcomes, by claim, then hardware; ToolError names a file that should not be there."""
    found = []
    for path in sorted((package.folder / "experiments" / "results").glob("*.json")):
        outcome = json.loads(path.read_text(encoding="utf-8"))
        statement, form, hardware = path.name.removesuffix(".json").rsplit(".", 2)
        if form != "full" or outcome["form"] != "full":
            raise ToolError(f"{path.name}: only full forms count; quick ones never enter results/")
        if outcome["id"].split("/", 1)[1] != statement:
            raise ToolError(f"{path.name} holds the outcome of {outcome['id']}")
        found.append({**outcome, "hardware": hardware, "scores": load_scores(path)})
    return found


def claims(package: Package) -> list[Claim]:
    """The claims that the installed package declares."""
    found = []
    for row in installed():
        if row.distribution == package.name:
            if row.system is None:
                raise ToolError(f"{row.name} cannot be loaded: {row.reason}")
            found += claims_of(row)
    return found


def rows(declared: Sequence[Claim], committed: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Each declared claim with each of its outcomes, or with none; refuses an outcome of no declared claim."""
    unknown = {outcome["id"] for outcome in committed} - {claim.id for claim in declared}
    if unknown:
        raise ToolError(f"results of claims that no longer exist: {', '.join(sorted(unknown))}")
    found = []
    for claim in declared:
        of_claim = [judged(claim, outcome) for outcome in committed if outcome["id"] == claim.id]
        found += of_claim or [Row(claim)]
    return found


def judged(claim: Claim, outcome: Mapping[str, Any]) -> Row:
    """An outcome by the claim's bars of today; without bars if these name an arm that it does not have."""
    try:
        comparisons = claim.verdict(outcome["scores"]) if outcome["scores"] else []
    except InputError:  # the claim has gained an arm since
        comparisons = []
    key = outcome.get("provenance", {}).get("code")
    is_older = key is not None and key != code_key(claim)
    return Row(claim, outcome, overall(comparisons) if comparisons else TO_JUDGE, comparisons, is_older)


def package_table(pairs: Sequence[Row]) -> str:
    """All that came out of a package's claims, for its own README."""
    table = Table(["claim", "scores", "passed by [95 % interval]", "verdict", "run"])
    table.notes = waiting(pairs)
    for row in answered(pairs):
        says, outcome = f"{row.claim.says} ({row.claim.source})", row.outcome
        if outcome is None:
            table.rows.append([says, "", "", row.state, ""])
            continue
        arms = shown(outcome["arms"], [bar.bar for bar in row.comparisons])
        scores = [f"{arm} {with_spread(score['mean'], score['sd'])}" for arm, score in arms.items()]
        left = len(outcome["arms"]) - len(arms)
        scores += [f"and {left} more in `experiments/results`"] if left else []
        bars = [f"{bar.bar}: {passed_by(bar)}" for bar in row.comparisons]
        where = f"{outcome['seeds']} seeds, {outcome['hardware']}, {outcome['date']}, v{outcome['version']}"
        where += f", {OLDER}" if row.is_older else ""
        table.rows.append([says, "<br>".join(scores), "<br>".join(bars), f"**{row.state}**", where])
    return table.to_markdown().replace("\\<br>", "<br>")  # line breaks inside a cell are meant


def answered(pairs: Sequence[Row]) -> list[Row]:
    """Rows without the claims that wait for files which a reader must bring."""
    return [row for row in pairs if row.outcome is not None or not row.claim.brings]


def waiting(pairs: Sequence[Row]) -> list[str]:
    """A line for each place where a reader's own files must lie before claims can run: what these say."""
    by_place: dict[str, list[Claim]] = {}
    for row in pairs:
        if row.outcome is None and row.claim.brings:
            by_place.setdefault(row.claim.brings, []).append(row.claim)
    return [
        f"{counted(len(claims), 'recipe')} for your own files in `{place}` (`ninefold claims NAME --only RECIPE`):\n\n"
        + "\n".join(f"- `{claim.id.split('/')[1]}`: {claim.says} ({claim.source})" for claim in claims)
        for place, claims in by_place.items()
    ]  # fmt: skip


def counted(number: int, what: str) -> str:
    """`number` of `what` that wait."""
    return f"{number} {what} waits" if number == 1 else f"{number} {what}s wait"


def shown(arms: Mapping[str, Any], bars: Sequence[str]) -> dict[str, Any]:
    """All arms; of more than a cell holds, those that a bar names."""
    if len(arms) <= MOST_ARMS:
        return dict(arms)
    return {arm: score for arm, score in arms.items() if any(arm in bar for bar in bars)}


def root_table(by_package: Mapping[str, Sequence[Row]]) -> str:
    """One line a package: how many of its claims came out how; each links to the package's own table."""
    table = Table(["package", *STATES])
    older = total = brought = 0
    for name, pairs in by_package.items():
        latest = {
            row.claim.id: row
            for row in sorted(answered(pairs), key=lambda row: row.outcome["date"] if row.outcome else "")
        }
        counts = [sum(row.state in states for row in latest.values()) for states in STATES.values()]
        table.rows.append([f"[{name}](packages/{name}#results)", *(count or "" for count in counts)])
        older, total = older + sum(row.is_older for row in pairs), total + sum(row.outcome is not None for row in pairs)
        brought += len(pairs) - len(answered(pairs))
    table.notes = [f"{older} of {total} outcomes are of {OLDER} than what stands beside them."] if older else []
    table.notes += [f"{counted(brought, 'claim')} for readers' files."] if brought else []
    return table.to_markdown()


def with_spread(mean: float, spread: float) -> str:
    """A mean to the second digit of its standard deviation over seeds."""
    if not math.isfinite(spread) or spread <= 1e-12 * abs(mean):  # seeds differ by rounding
        return cell_text(float(mean))
    digits = max(0, 1 - math.floor(math.log10(spread)))
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}"


def passed_by(bar: Comparison) -> str:
    """By how much a bar is passed, to the second digit of the interval's width."""
    if not math.isfinite(bar.estimate):
        return f"no seed left ({bar.collapsed} collapsed)"
    width = bar.high - bar.low
    if not math.isfinite(width):
        return f"{bar.estimate:+.3g} ({bar.interval})"
    if width <= 1e-12 * max(1.0, abs(bar.estimate)):  # seeds differ by rounding
        return f"{bar.estimate:+.3g} [every seed]"
    digits = max(0, 1 - math.floor(math.log10(width)))
    collapsed = f", {bar.collapsed} collapsed" if bar.collapsed else ""
    return f"{bar.estimate:+.{digits}f} [{bar.low:+.{digits}f}, {bar.high:+.{digits}f}]{collapsed}"


def with_block(text: str, name: str, block: str, where: Path) -> str:
    """`text` with `block` between its markers of that name; refuses a text without them."""
    pattern = re.compile(rf"(<!-- {name}:begin[^\n]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ToolError(f"{where} needs one pair of markers <!-- {name}:begin --> and <!-- {name}:end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{block}\n\n{found[2]}", text)


def judged_claims(root: Path = ROOT, names: Sequence[str] = ()) -> dict[str, list[Row]]:
    """By package (all, or those named), its claims beside their outcomes."""
    chosen = {name: package for name, package in packages(root).items() if not names or name in names}
    return {name: rows(claims(package), outcomes(package)) for name, package in chosen.items()}


def readmes(pairs: Mapping[str, Sequence[Row]], root: Path = ROOT) -> dict[Path, str]:
    """Every README with tables, as it should read; rows of packages that `pairs` leaves out stay as they are."""
    members = packages(root)
    top = root / "README.md"
    text = top.read_text(encoding="utf-8")
    table = root_table(pairs)
    if pairs.keys() != members.keys():
        table = _with_rows(text, table, list(members))
    texts = {top: with_block(text, "scoreboard", table, top)}
    for name in pairs:
        path = results_page(members[name])
        texts[path] = with_block(path.read_text(encoding="utf-8"), "scoreboard", package_table(pairs[name]), path)
    return texts


def _with_rows(text: str, table: str, names: Sequence[str]) -> str:
    """The table of `text` with the rows of `table` in place of its own, in the order of `names`; its note stays."""
    block = re.search(r"<!-- scoreboard:begin[^\n]*-->\n(.*?)<!-- scoreboard:end -->", text, re.DOTALL)
    old = block[1].strip().splitlines() if block else []
    found = {row[1]: row[0] for row in re.finditer(r"^\| \[([\w-]+)\]\(.*$", "\n".join([*old, table]), re.MULTILINE)}
    note = [line for line in old if line and not line.startswith("|")]
    head = table.splitlines()[:2]
    return "\n".join([*head, *(found[name] for name in names if name in found), *(["", *note] if note else [])])


def results_page(package: Package) -> Path:
    """Where a package's table of claims stands: its page of results, or the README of one that has none."""
    page = package.folder / "docs" / "results.md"
    return page if page.is_file() else package.folder / "README.md"


def unmarked(text: str) -> str:
    """A README's text without what says which outcomes are of older source: any change of the code moves that."""
    return re.sub(rf"\n\d+ of \d+ outcomes are of {OLDER}[^\n]*\n", "", text).replace(f", {OLDER} |", " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="packages; all if none is named")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table differs")
    options = parser.parse_args()
    try:
        pairs = judged_claims(names=[find(name).name for name in options.names])
        texts = readmes(pairs)
        old = {path: path.read_text(encoding="utf-8") for path in texts}
        stale = [path for path, text in texts.items() if old[path] != text]
        if options.check:
            wrong = [path for path in stale if unmarked(old[path]) != unmarked(texts[path])]
            if wrong:
                names = ", ".join(str(path.relative_to(ROOT)) for path in wrong)
                raise ToolError(f"tables differ from the committed results in {names}; run tools/docs/scoreboard.py")
        else:
            for path in stale:
                path.write_text(texts[path], encoding="utf-8")
        every = [row for found in pairs.values() for row in found]
        older, again = sum(row.is_older for row in every), sum(row.state == TO_JUDGE for row in every)
        print(f"{len(texts)} READMEs, {0 if options.check else len(stale)} rewritten")
        print(f"outcomes: {sum(row.outcome is not None for row in every)}, of {OLDER}: {older}, {TO_JUDGE}: {again}")
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
