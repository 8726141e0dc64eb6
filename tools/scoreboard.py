"""Write the tables of the READMEs from what is committed: packages from their pyproject, verdicts from their results.

    uv run python tools/scoreboard.py            # rewrites what stands between the markers
    uv run python tools/scoreboard.py --check    # fails if a table is not what the results say

Results are made by `ninefold claims NAME --full --out packages/NAME/results`; a claim without one is shown as not run.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.proof import Claim
from ninefold.report import Table, cell_text
from ninefold.systems import installed
from workspace import CORE, ROOT, Package, ToolError, exit_with, packages

Outcome = Mapping[str, Any]


def outcomes(package: Package) -> list[Outcome]:
    """The package's committed outcomes, by claim, then hardware; ToolError names a file that should not be there."""
    found = []
    for path in sorted((package.folder / "results").glob("*.json")):
        outcome = json.loads(path.read_text(encoding="utf-8"))
        statement, form, hardware = path.name.removesuffix(".json").rsplit(".", 2)
        if form != "full" or outcome["form"] != "full":
            raise ToolError(f"{path.name}: only full forms count; quick ones never enter results/")
        if outcome["id"].split("/", 1)[1] != statement:
            raise ToolError(f"{path.name} holds the outcome of {outcome['id']}")
        found.append({**outcome, "hardware": hardware})
    return found


def claims(package: Package) -> list[Claim]:
    """The claims that the installed package declares."""
    found = []
    for row in installed():
        if row.distribution == package.name:
            if row.system is None:
                raise ToolError(f"{row.name} cannot be loaded: {row.reason}")
            found += row.system.load_claims()
    return found


def rows(declared: Sequence[Claim], committed: Sequence[Outcome]) -> list[tuple[Claim, Outcome | None]]:
    """Each declared claim with each of its outcomes, or with None; refuses an outcome of no declared claim."""
    unknown = {outcome["id"] for outcome in committed} - {claim.id for claim in declared}
    if unknown:
        raise ToolError(f"results of claims that no longer exist: {', '.join(sorted(unknown))}")
    by_claim = {claim.id: [one for one in committed if one["id"] == claim.id] or [None] for claim in declared}
    return [(claim, outcome) for claim in declared for outcome in by_claim[claim.id]]


def package_table(pairs: Sequence[tuple[Claim, Outcome | None]]) -> str:
    """All that came out of a package's claims, for its own README."""
    table = Table(["claim", "source", "scores", "bar passed by [95 % interval]", "verdict", "run"])
    for claim, outcome in pairs:
        if outcome is None:
            table.rows.append([claim.says, claim.source, "", "", "not run yet", ""])
            continue
        scores = [f"{arm} {cell_text(score['mean'])} ± {score['sd']:.2g}" for arm, score in outcome["arms"].items()]
        bars = [f"{bar['bar']}: {passed_by(bar)}" for bar in outcome["comparisons"]]
        where = f"{outcome['seeds']} seeds, {outcome['hardware']}, {outcome['date']}, v{outcome['version']}"
        verdict = f"**{outcome['verdict']}**"
        table.rows.append([claim.says, claim.source, "<br>".join(scores), "<br>".join(bars), verdict, where])
    return table.to_markdown().replace("\\<br>", "<br>")  # line breaks inside a cell are meant


def root_table(by_package: Mapping[str, Sequence[tuple[Claim, Outcome | None]]]) -> str:
    """One line a claim over all packages."""
    table = Table(["package", "claim", "verdict", "run"])
    for name, pairs in by_package.items():
        for claim, outcome in pairs:
            verdict = outcome["verdict"] if outcome else "not run yet"
            run = f"{outcome['seeds']} seeds, {outcome['hardware']}, {outcome['date']}" if outcome else ""
            table.rows.append([f"[{name}](packages/{name})", claim.says, verdict, run])
    return table.to_markdown()


def passed_by(bar: Mapping[str, Any]) -> str:
    return f"{bar['estimate']:+.3g} [{bar['low']:+.3g}, {bar['high']:+.3g}]"


def packages_table(members: Mapping[str, Package]) -> str:
    table = Table(["package", "version", "what it does"])
    table.rows += [
        [f"[{name}](packages/{name})", package.version, package.settings["project"]["description"]]
        for name, package in members.items()
    ]
    return table.to_markdown()


def with_block(text: str, name: str, block: str, where: Path) -> str:
    """`text` with `block` between its markers of that name; refuses a text without them."""
    pattern = re.compile(rf"(<!-- {name}:begin[^\n]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ToolError(f"{where} needs one pair of markers <!-- {name}:begin --> and <!-- {name}:end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{block}\n\n{found[2]}", text)


def readmes(root: Path = ROOT) -> dict[Path, str]:
    """Every README with tables, as it should read."""
    members = {name: package for name, package in packages(root).items() if name != CORE}
    pairs = {name: rows(claims(package), outcomes(package)) for name, package in members.items()}
    top = root / "README.md"
    text = with_block(top.read_text(encoding="utf-8"), "packages", packages_table(members), top)
    texts = {top: with_block(text, "scoreboard", root_table(pairs), top)}
    for name, package in members.items():
        path = package.folder / "README.md"
        texts[path] = with_block(path.read_text(encoding="utf-8"), "scoreboard", package_table(pairs[name]), path)
    return texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table differs")
    options = parser.parse_args()
    try:
        texts = readmes()
        stale = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
        if options.check and stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            raise ToolError(f"tables differ from the committed results in {names}; run tools/scoreboard.py")
        for path in stale:
            path.write_text(texts[path], encoding="utf-8")
        print(f"{len(texts)} READMEs, {len(stale)} rewritten")
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
