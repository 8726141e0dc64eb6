"""Build, check and tag one package's release. Nothing is uploaded: the last line says how to.

    uv run python tools/release.py tswitch --dry-run
    uv run python tools/release.py tswitch --prefix ninefold-

The version is the one in the package's pyproject.toml; its notes are what is under `## Unreleased` in its changelog.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import sys
import tempfile
from pathlib import Path

from sample import sample_text
from venvs import Venv, demo, smoke
from wheels import build
from workspace import CORE, ROOT, Package, ToolError, exit_with, find, run

UNRELEASED = re.compile(r"^## Unreleased[ \t]*\n(?P<notes>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def release(package: Package, *, prefix: str, dry_run: bool) -> None:
    """Release one package as the tree stands; ToolError says why not."""
    tag = f"{package.name}-v{package.version}"
    if run("git", "status", "--porcelain"):
        raise ToolError("the tree has changes that are not committed; a release is built from a commit")
    if run("git", "tag", "--list", tag):
        raise ToolError(f"{tag} is there already; raise the version in {package.folder.name}/pyproject.toml")
    if left := next(sample_text(package), None):
        raise ToolError(f"{package.name} still holds text of the sample it was made from: {left}")
    if package.name != CORE:
        refuse_unreleased_core()
    changelog = package.folder / "CHANGELOG.md"
    if not changelog.exists():
        raise ToolError(f"{package.folder.name} has no CHANGELOG.md")
    before = changelog.read_text(encoding="utf-8")
    today = datetime.datetime.now(tz=datetime.UTC).date()
    after, notes = dated(before, package.version, today)
    released = False
    changelog.write_text(after, encoding="utf-8")  # first, so that the sdist has it
    try:
        with tempfile.TemporaryDirectory(prefix="ninefold-release-") as scratch:
            files = build_and_try(package, Path(scratch), prefix)
            if not dry_run:
                dist = ROOT / "dist" / tag
                shutil.rmtree(dist, ignore_errors=True)
                dist.mkdir(parents=True)
                for file in files:
                    shutil.copy(file, dist)
        if not dry_run:
            run("git", "commit", "--quiet", "-m", f"Release {package.name} {package.version}", "--", changelog)
            run("git", "tag", "--annotate", tag, "-m", f"{package.name} {package.version}\n\n{notes}")
            released = True
    finally:
        if not released:
            changelog.write_text(before, encoding="utf-8")
    if dry_run:
        print(f"{tag} could be released; nothing was written")
    else:
        print(f"tagged {tag}; to publish: git push origin HEAD {tag} && uv run twine upload dist/{tag}/*")


def refuse_unreleased_core() -> None:
    """Stop if the core that the package was tried with is none that users can have."""
    core = find(CORE)
    tag = f"{CORE}-v{core.version}"
    if not run("git", "tag", "--list", tag):
        raise ToolError(f"{CORE} {core.version} is not released: no tag {tag}; release it first")
    if run("git", "diff", "--name-only", tag, "HEAD", "--", core.source):
        raise ToolError(f"{CORE} has changed since {tag}: raise its version and release it first")


def dated(changelog: str, version: str, day: datetime.date) -> tuple[str, str]:
    """(the changelog with its unreleased notes under the version and day, those notes); refuses empty ones."""
    found = UNRELEASED.search(changelog)
    notes = found["notes"].strip() if found else ""
    if found is None or not notes:
        raise ToolError("the changelog has nothing under `## Unreleased`; say there what changed for users")
    section = f"## Unreleased\n\n## {version} ({day.isoformat()})\n\n{notes}\n\n"
    return (changelog[: found.start()] + section + changelog[found.end() :]).rstrip() + "\n", notes


def build_and_try(package: Package, scratch: Path, prefix: str) -> list[Path]:
    """Build sdist and wheel, check both, and try the wheel in a clean environment; returns the two files."""
    out = scratch / "dist"
    wheel = build(package, out, prefix=prefix, sdist=True)
    (sdist,) = out.glob("*.tar.gz")
    run("twine", "check", "--strict", wheel.path, sdist)
    core = wheel if package.name == CORE else build(find(CORE), scratch / "core", prefix=prefix)
    venv = Venv(scratch / "bare")
    smoke(venv, package, wheel, core)
    for system in package.systems:
        asks = demo(venv, system)
        print(f"demo {system}: {asks or 'works from the wheel'}")
    print(f"{wheel.path.name} and {sdist.name}: contents, licence and metadata are as they should be")
    return [wheel.path, sdist]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the package, e.g. tswitch or ninefold-core")
    parser.add_argument("--prefix", default="", help="put before distribution names; import names stay")
    parser.add_argument("--dry-run", action="store_true", help="check all, and leave no commit, tag or file")
    options = parser.parse_args()
    try:
        release(find(options.name), prefix=options.prefix, dry_run=options.dry_run)
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
