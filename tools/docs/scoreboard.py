"""Write the tables of the READMEs from what is committed: verdicts from the results of each package.

    uv run python tools/docs/scoreboard.py            # rewrites what stands between the markers
    uv run python tools/docs/scoreboard.py --check    # fails if a table is not what the results say
    uv run python tools/docs/scoreboard.py recsys     # the tables of one package; those of the others stay as they are

Results are made by `ninefold claims NAME --full --out packages/NAME/experiments/results`. What is counted is the
comparison: one bar of one claim, met, missed or open, judged here from the scores that an outcome stores. Comparisons
that left their claim are counted apart, from `experiments/retired.json`, and so are those whose two arms gave identical
scores. A claim without an outcome is "not run", or named below the table if it needs files that a reader brings; an
outcome without scores (of an older version), or without an arm of today's bars, is "to be judged again"; one whose
experiment, or what that imports, has changed since and that was not confirmed (`tools/check/confirm.py`) is marked
"older source". `--check` fails on a wrong count of these, too.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from counts import COLUMNS, MOST_ARMS, NOT_RUN, OLDER, TO_JUDGE, Counts, Row, outcome_of, passed_by, with_spread
from ninefold.errors import InputError
from ninefold.report import Table
from ninefold.systems import installed
from ninefold_lab import Claim, Comparison, code_key, is_older, is_uncommitted, load_scores, overall
from ninefold_lab.experiments import claims_of
from retired import Retired, load_retired
from workspace import ROOT, Package, ToolError, exit_with, find, packages


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


def rows(
    declared: Sequence[Claim], committed: Sequence[Mapping[str, Any]], retired: Sequence[Retired] = ()
) -> list[Row]:
    """Each declared claim with each of its outcomes, or with none, then the claims that are retired with all that they
    compared; refuses an outcome of no declared claim."""
    unknown = {outcome["id"] for outcome in committed} - {claim.id for claim in declared}
    if unknown:
        raise ToolError(f"results of claims that no longer exist: {', '.join(sorted(unknown))}")
    found = []
    for claim in declared:
        of_claim = [judged(claim, outcome) for outcome in committed if outcome["id"] == claim.id]
        found += of_claim or [Row(claim)]
        entries = [one for one in retired if one.claim == claim.id and not one.now]
        scores = of_claim[-1].outcome["scores"] if of_claim and of_claim[-1].outcome else []
        found[-1] = replace(found[-1], retired=[(one, one.judge(scores)) for one in entries])
    return found


def judged(claim: Claim, outcome: Mapping[str, Any]) -> Row:
    """An outcome by the claim's bars of today; without bars if these name an arm that it does not have."""
    try:
        comparisons = claim.verdict(outcome["scores"]) if outcome["scores"] else []
    except InputError:  # the claim has gained an arm since
        comparisons = []
    state = overall(comparisons) if comparisons else TO_JUDGE
    return Row(claim, outcome, state, comparisons, is_older(outcome, code_key(claim)), is_uncommitted(outcome))


def gone(declared: Sequence[Claim], retired: Sequence[Retired]) -> list[tuple[Retired, Comparison]]:
    """The comparisons of claims that no longer exist, as last judged."""
    ids = {claim.id for claim in declared}
    return [(one, one.last) for one in retired if one.claim not in ids and not one.now]


def package_table(pairs: Sequence[Row], left: Sequence[tuple[Retired, Comparison]] = ()) -> str:
    """All that came out of a package's claims, for its own README; `left`: comparisons of claims that are gone."""
    table = Table(["claim", "scores", "passed by [95 % interval]", "verdict", "run"])
    table.notes = waiting(pairs)
    for row in answered(pairs):
        says, outcome = f"{row.claim.says} ({row.claim.source})", row.outcome
        if outcome is None:
            table.rows.append([says, "", "", row.state, ""])
            continue
        arms = shown(outcome["arms"], [bar.bar for bar in row.comparisons])
        scores = [f"{arm} {with_spread(score['mean'], score['sd'])}" for arm, score in arms.items()]
        more = len(outcome["arms"]) - len(arms)
        scores += [f"and {more} more in `experiments/results`"] if more else []
        bars = [f"{bar.bar}: {passed_by(bar)}, {outcome_of(bar)}" for bar in row.comparisons]
        where = f"{outcome['seeds']} seeds, {outcome['hardware']}, {outcome['date']}, v{outcome['version']}"
        where += f", {OLDER}" if row.is_older else ", uncommitted source" if row.is_uncommitted else ""
        table.rows.append([says, "<br>".join(scores), "<br>".join(bars), f"**{row.words}**", where])
    text = table.to_markdown().replace("\\<br>", "<br>")  # line breaks inside a cell are meant
    retired = [*(one for row in pairs for one in row.retired), *left]
    return f"{text}\n\n{retired_table(retired)}" if retired else text


def retired_table(retired: Sequence[tuple[Retired, Comparison]]) -> str:
    """Comparisons that left their claim, with the reason and what came of each, folded away."""
    table = Table(["claim", "comparison", "passed by [95 % interval]", "result", "judged", "why it was retired"])
    for one, result in sorted(retired, key=lambda pair: (pair[0].claim, pair[0].bar)):
        name, reason = one.claim.split("/")[1], f"{one.date}: {one.reason}"
        table.rows.append([name, one.bar, passed_by(result), outcome_of(result), one.judged, reason])
    counts = Counts.of(result for _, result in retired)
    summary = f"{len(retired)} retired comparisons: {counts}"
    return f"<details markdown><summary>{summary}</summary>\n\n{table.to_markdown()}\n\n</details>"


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


def root_table(by_package: Mapping[str, Sequence[Row]], left: Mapping[str, Sequence[Any]] | None = None) -> Table:
    """One line a package: how its comparisons came out; each links to the package's own table."""
    table = Table([*COLUMNS])
    every = [row for pairs in by_package.values() for row in pairs]
    for name, pairs in by_package.items():
        latest = {row.claim.id: row for row in sorted(answered(pairs), key=_date)}
        counts = Counts.of(one for row in latest.values() for one in row.comparisons)
        retired = [*(one for row in pairs for one in row.retired), *(left or {}).get(name, ())]
        cells = [counts.met, counts.missed, counts.open, counts.identical, len(retired)]
        table.rows.append([f"[{name}](packages/{name}#results)", *(cell or "" for cell in cells)])
    table.rows.append(["all", *totals(table)])
    table.notes = [note for note in (
        _note(sum(row.is_older for row in every), every, f"are of {OLDER} than the code in this tree"),
        _note(sum(row.is_uncommitted for row in every), every, "come from a tree with uncommitted changes"),
        _note(sum(row.state == TO_JUDGE for row in every), every, "store no scores for a comparison of today"),
        counted(sum(row.state == NOT_RUN and not row.claim.brings for row in every), "claim") + " for a first run.",
        counted(sum(row.outcome is None and bool(row.claim.brings) for row in every), "claim") + " for readers' files.",
    ) if note and not note.startswith("0 ")]  # fmt: skip
    return table


def summary(table: Table) -> str:
    """The table over all packages in a sentence, and what its notes say."""
    met, missed, still_open, identical, retired = totals(table)
    said = f"Of {met + missed + still_open} comparisons {met} are met, {missed} are missed and {still_open} are open."
    said += f" {identical} more compare identical scores, and {retired} are retired."
    return " ".join([said, *table.notes[:2]])


def totals(table: Table) -> list[int]:
    """Sums of the columns of counts, over packages."""
    return [sum(int(row[place] or 0) for row in table.rows if row[0] != "all") for place in range(1, len(COLUMNS))]


def _date(row: Row) -> str:
    return row.outcome["date"] if row.outcome else ""


def _note(number: int, every: Sequence[Row], text: str) -> str:
    total = sum(row.outcome is not None for row in every)
    return f"{number} of {total} outcomes {text}." if number else ""


def with_block(text: str, name: str, block: str, where: Path) -> str:
    """`text` with `block` between its markers of that name; refuses a text without them."""
    pattern = re.compile(rf"(<!-- {name}:begin[^\n]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ToolError(f"{where} needs one pair of markers <!-- {name}:begin --> and <!-- {name}:end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{block}\n\n{found[2]}", text)


def judged_claims(root: Path = ROOT, names: Sequence[str] = ()) -> dict[str, list[Row]]:
    """By package (all, or those named), its claims beside their outcomes."""
    chosen = {name: package for name, package in packages(root).items() if not names or name in names}
    return {name: rows(claims(one), outcomes(one), retired_of(one)) for name, one in chosen.items()}


def retired_of(package: Package) -> list[Retired]:
    """The retired comparisons of a package."""
    return load_retired(package.folder / "experiments")


def readmes(pairs: Mapping[str, Sequence[Row]], root: Path = ROOT) -> dict[Path, str]:
    """Every README with tables, as it should read; rows of packages that `pairs` leaves out stay as they are."""
    members = packages(root)
    top = root / "README.md"
    text = top.read_text(encoding="utf-8")
    left = {name: gone([row.claim for row in found], retired_of(members[name])) for name, found in pairs.items()}
    texts: dict[Path, str] = {}
    if pairs.keys() == members.keys():  # the counts over all packages need all of them
        table, page = root_table(pairs, left), root / "tools" / "docs" / "scoreboard.md"
        texts[top] = with_block(text, "scoreboard", summary(table), top)
        texts[page] = with_block(page.read_text(encoding="utf-8"), "scoreboard", table.to_markdown(), page)
    for name in pairs:
        path = results_page(members[name])
        block = package_table(pairs[name], left[name])
        texts[path] = with_block(path.read_text(encoding="utf-8"), "scoreboard", block, path)
    return texts


def results_page(package: Package) -> Path:
    """Where a package's table of claims stands: its page of results, or the README of one that has none."""
    page = package.folder / "docs" / "results.md"
    return page if page.is_file() else package.folder / "README.md"


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
            if stale:
                names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
                raise ToolError(f"tables differ from the committed results in {names}; run tools/docs/scoreboard.py")
        else:
            for path in stale:
                path.write_text(texts[path], encoding="utf-8")
        every = [row for found in pairs.values() for row in found]
        older = sum(row.is_older for row in every)
        print(f"{len(texts)} READMEs, {0 if options.check else len(stale)} rewritten")
        print(f"outcomes: {sum(row.outcome is not None for row in every)}, of {OLDER}: {older}")
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
