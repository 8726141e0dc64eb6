"""Build, check and tag one package's release. Nothing is uploaded: the last line says how to.

    uv run python tools/release/release.py tswitch --dry-run
    uv run python tools/release/release.py --all --dry-run             # all, what the others stand on first
    uv run python tools/release/release.py tswitch --prefix acme-   # under another publisher's names than ninefold-
    uv run python tools/release/release.py tswitch --index ~/wheels   # the files go there, too: --find-links
    uv run python tools/release/release.py bnn-fsg --target aarch64-macos.11.0   # one more wheel

The version is the one in the package's pyproject.toml; its notes are what is under `## Unreleased` in its changelog.
A package is tried with the newest release that its ranges admit of what it stands on. The public API is compared with
that of the last release (`tools/release/api.py`): too small a step of the version is refused.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from api import difference, last_release, refuse_small_step
from changelog import dated
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from publish import PREFIX
from sample import sample_text
from venvs import Venv, demo, has_python, smoke
from wheels import Wheel, build, prefixed
from workspace import ROOT, Package, ToolError, below, exit_with, find, members, run

PYTHONS = ("3.11", "3.13")


def in_order() -> list[Package]:
    """All members, each after what it stands on."""
    return sorted(members().values(), key=lambda one: len(below(one)))


def release(
    package: Package,
    *,
    prefix: str,
    index: Path | None,
    pythons: Sequence[str],
    dry_run: bool,
    tried: Path | None = None,
    targets: Sequence[str] = (),
) -> None:
    """Release one package as the tree stands; ToolError says why not.

    Args:
        package: what to release.
        prefix: put before distribution names; import names stay.
        index: a folder of released wheels, which gets this one, too.
        pythons: versions of Python to try the wheel on.
        dry_run: check all, and leave no commit, tag or file.
        tried: a folder that gets the files, too, and in which what this package stands on may be.
        targets: other systems to build wheels for; they cannot be tried here.
    """
    tag = f"{package.name}-v{package.version}"
    if run("git", "status", "--porcelain"):
        raise ToolError("the tree has changes that are not committed; a release is built from a commit")
    if run("git", "tag", "--list", tag) or released_wheel(index, prefixed(package.name, prefix), package.version):
        raise ToolError(f"{tag} is there already; raise the version in {package.folder.name}/pyproject.toml")
    if left := next(sample_text(package), None):
        raise ToolError(f"{package.name} still holds text of the sample it was made from: {left}")
    indexes = [one for one in (index, tried) if one]
    for floor in below(package):
        newest_release(package, floor, indexes, prefix)  # or ToolError, before the work
    refuse_missing(pythons)
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
            if last := last_release(package, Path(scratch), index, prefix):
                refuse_small_step(Version(package.version), difference(package, last, Path(scratch)))
            files = build_and_try(package, Path(scratch), prefix, indexes, pythons)
            for target in targets:
                other = build(package, Path(scratch) / target, prefix=prefix, target=target).path
                run(sys.executable, "-m", "twine", "check", "--strict", other)
                print(f"{other.name}: built for {target}, not tried here")
                files.append(other)
            if tried:
                copied(files, tried)
            if not dry_run:
                dist = ROOT / "dist" / tag
                shutil.rmtree(dist, ignore_errors=True)
                copied(files, dist)
                run("git", "commit", "--quiet", "-m", f"Release {package.name} {package.version}", "--", changelog)
                run("git", "tag", "--annotate", tag, "-m", f"{package.name} {package.version}\n\n{notes}")
                released = True
                if index:
                    copied(files, index)
    finally:
        if not released:
            changelog.write_text(before, encoding="utf-8")
    if dry_run:
        print(f"{tag} could be released; nothing was written")
    else:
        print(f"tagged {tag}; to publish: git push origin HEAD {tag} (the workflow `publish` does the rest)")


def copied(files: Sequence[Path], folder: Path) -> None:
    """Copy files into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)


def refuse_missing(pythons: Sequence[str]) -> None:
    """Stop if a version of Python that the wheel is to be tried on is not installed."""
    missing = [version for version in pythons if not has_python(version)]
    if missing:
        raise ToolError(f"no Python {', '.join(missing)} here to try the wheel on; name what there is with --python")


def released_wheel(index: Path | None, name: str, version: str) -> Path | None:
    """The wheel of that distribution and version in a folder of released ones."""
    for wheel in index.glob("*.whl") if index else ():
        found, its_version, *_ = parse_wheel_filename(wheel.name)
        if (found, its_version) == (canonicalize_name(name), Version(version)):
            return wheel
    return None


def build_and_try(
    package: Package, scratch: Path, prefix: str, indexes: Sequence[Path], pythons: Sequence[str]
) -> list[Path]:
    """Build sdist and wheel (from the sdist), check both, and try the wheel in clean environments; returns the two.

    It is tried on each Python, and on the first one with the lowest versions of what it requires, too.
    """
    out = scratch / "dist"
    wheel = build(package, out, prefix=prefix, sdist=True)
    (sdist,) = out.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel.path, sdist)
    floors = released_floors(package, indexes, prefix, scratch)
    for python in pythons:
        venv = Venv(scratch / f"python-{python}", python=python)
        smoke(venv, package, wheel, floors)
        print(f"Python {python}: installs, imports, helps")
        for system in package.systems:
            print(f"Python {python}: demo {system}: {shown(venv, system, wheel, list(floors.values()))}")
    if pythons[0] == PYTHONS[0]:  # the lowest versions have wheels for the lowest Python alone
        smoke(Venv(scratch / "lowest", lowest=True, python=pythons[0]), package, wheel, floors)
        print(f"Python {pythons[0]}, lowest direct versions: installs, imports, helps")
    print(f"{wheel.path.name} and {sdist.name}: contents, licence and metadata are as they should be")
    return [wheel.path, sdist]


def shown(venv: Venv, system: str, wheel: Wheel, floors: Sequence[Wheel]) -> str:
    """Run a system's demo from the wheel, with the extra that it asks for if it asks for one; returns how it ran."""
    asks = demo(venv, system)
    if not asks:
        return "works from the wheel"
    extra = re.search(rf"{re.escape(wheel.name)}(\[[\w,-]+\])", asks)
    if extra is None:
        raise ToolError(f"the demo of {system} asks for what is no extra of {wheel.name}: {asks}")
    venv.install([wheel.name + extra[1], *(one.name for one in floors)], [wheel, *floors])
    if again := demo(venv, system):
        raise ToolError(f"the demo of {system} asks for more than {extra[1]}, which it named: {again}")
    return f"works from the wheel with the extra {extra[1]}"


def released_floors(package: Package, indexes: Sequence[Path], prefix: str, scratch: Path) -> dict[str, Wheel]:
    """What a package stands on, by import name, as users get it: the newest release that all ranges admit."""
    return {
        one.import_name: _wheel_of(one, newest_release(package, one, indexes, prefix), prefix, scratch)
        for one in below(package)
    }


def newest_release(package: Package, floor: Package, indexes: Sequence[Path], prefix: str) -> Path | str:
    """The newest released version of `floor` that `package`, and what else it stands on, admit: a wheel, or its tag."""
    lines = [line for one in (package, *below(package)) for line in one.settings["project"]["dependencies"]]
    ranges = [wanted.specifier for wanted in map(Requirement, lines) if wanted.name == floor.name]
    found: dict[Version, Path | str] = {}
    for tag in run("git", "tag", "--list", f"{floor.name}-v*").split():
        found[Version(tag.removeprefix(f"{floor.name}-v"))] = tag
    for wheel in (wheel for index in indexes for wheel in index.glob("*.whl")):
        its_name, version, *_ = parse_wheel_filename(wheel.name)
        if its_name == canonicalize_name(prefixed(floor.name, prefix)):
            found[version] = wheel
    fitting = [version for version in found if all(version in one for one in ranges)]
    if not fitting:
        wanted = ", ".join(map(str, ranges))
        raise ToolError(f"{floor.name} {wanted} is not released: release it first, or name a folder that has it")
    return found[max(fitting)]


def _wheel_of(package: Package, source: Path | str, prefix: str, scratch: Path) -> Wheel:
    """A released wheel, or one built from the tag of a release."""
    if isinstance(source, Path):
        return Wheel(prefixed(package.name, prefix), source.resolve())
    archive, folder = scratch / f"{source}.tar", scratch / source
    run("git", "archive", "-o", archive, source, "--", package.folder.relative_to(ROOT))
    folder.mkdir()
    run("tar", "-xf", archive, "-C", folder)
    run("git", "init", "--quiet", cwd=folder)  # `build` takes the files that git sees
    return build(Package(folder / package.folder.relative_to(ROOT)), scratch / f"{source}-dist", prefix=prefix)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", nargs="?", help="the package, e.g. tswitch or ninefold-core")
    parser.add_argument("--all", action="store_true", help="all of them, what the others stand on first")
    parser.add_argument("--prefix", default=PREFIX, help=f"put before distribution names, {PREFIX} if omitted")
    parser.add_argument(
        "--index", type=Path, metavar="FOLDER", help="a folder of released wheels; the files go there, too"
    )
    parser.add_argument(
        "--python",
        action="append",
        metavar="VERSION",
        help=f"try the wheel on it, more than once; {' and '.join(PYTHONS)}",
    )
    parser.add_argument(
        "--target", action="append", default=[], metavar="SYSTEM", help="build a wheel for that system, too"
    )
    parser.add_argument("--dry-run", action="store_true", help="check all, and leave no commit, tag or file")
    options = parser.parse_args()
    try:
        if bool(options.name) == options.all:
            parser.error("name one package, or --all")
        chosen = in_order() if options.all else [find(options.name)]
        with tempfile.TemporaryDirectory(prefix="ninefold-index-") as scratch:
            tried = Path(scratch)  # with --dry-run those before, as if they were released
            for package in chosen:
                release(
                    package, prefix=options.prefix, index=options.index, pythons=options.python or PYTHONS,
                    dry_run=options.dry_run, tried=tried if options.all else None, targets=options.target,
                )  # fmt: skip
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
