"""Run the tests that a change reaches, the nearest first, for a minute.

    uv run python tools/check/reached.py                 # what is not committed
    uv run python tools/check/reached.py main            # what differs from a commit, committed or not
    uv run python tools/check/reached.py main --list     # the files of tests, nearest first; nothing is run
    uv run python tools/check/reached.py --seconds 300   # for five minutes

A test reaches a module if it imports it, or imports what imports it: at any depth, inside functions, by the tables of
names that packages resolve on first use, or as text (`ninefold_lab.imports` reads all that without running it). The
number of steps between them orders the files. A change in the core runs each package's contract, and the tests next to
what imports the changed module. What time leaves out is said, and the status is then that of what ran.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

import pytest
from ninefold_lab.imports import Module, Roots, _imported
from workspace import ROOT, Package, ToolError, exit_with, run
from workspace import members as read_members

members = functools.cache(read_members)

NEAR = 1  # steps from a test of a package to a module of the core that it is run for
_BEGIN = time.monotonic()
SECONDS = 60  # for everything, the search for the tests included
_WHOLE = {"pyproject.toml", "conftest.py", "hatch_build.py"}  # files of a package that concern all of its tests


def changed(since: str) -> list[Path]:
    """Files that differ from a commit, and those that git does not know yet, relative to the workspace."""
    names = run("git", "diff", "--name-only", since).splitlines()
    names += run("git", "ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({Path(name) for name in names})


def reached(files: Iterable[Path]) -> dict[Path, int]:
    """Files of tests that changed files reach, with the steps between, the nearest first."""
    found: dict[Path, int] = {}
    for file in files:
        for test, steps in _reached_by(file):
            found[test] = min(steps, found.get(test, steps))
    return dict(sorted(found.items(), key=lambda pair: (pair[1], (ROOT / pair[0]).stat().st_size)))


def _reached_by(file: Path) -> Iterator[tuple[Path, int]]:
    whole = ROOT / file
    owner = next((one for one in members().values() if whole.is_relative_to(one.folder)), None)
    if file.parts[0] == "integration-tests" and file.name.startswith("test_") and whole.exists():
        yield file, 0
    elif file.parts[0] == "tools":
        yield from _of_tools(file)
    elif owner is None:
        yield from ((test, 0) for test in _tests(ROOT / "tools") if test.stem in ("test_workspace", "test_workflow"))
    elif whole.is_relative_to(owner.source):
        name = ".".join([owner.import_name, *whole.relative_to(owner.source).with_suffix("").parts])
        name = name.removesuffix(".__init__")
        for package in members().values():
            if package.name == owner.name or file.parts[0] == "shared":
                yield from _of_module(package, name, owner)
    elif file.name in _WHOLE:
        yield from ((test, 0) for test in _tests(owner.folder))
    elif whole.is_relative_to(owner.folder / "tests"):
        tests = {test: steps_from(ROOT / test, owner) for test in _tests(owner.folder)}
        near = [test for test, steps in tests.items() if _own_name(whole, owner) in steps]
        yield from ((test, 0) for test in (near or ([file] if whole.exists() else tests)))
    elif "experiments" in file.parts:
        yield from ((test, 1) for test in _tests(owner.folder) if "claim" in test.name)
    elif file.suffix == ".md":
        yield from ((test, 1) for test in _tests(ROOT / "tools") if test.stem in ("test_readme_lengths", "test_words"))


def _of_module(package: Package, name: str, owner: Package) -> Iterator[tuple[Path, int]]:
    """The tests of a package that reach a module; of a shared one only those near it, and the contract."""
    for test in _tests(package.folder):
        most = None if package.name == owner.name else NEAR
        if most is not None and test.stem == "test_contract":
            yield test, NEAR + 1
            continue
        steps = steps_from(ROOT / test, package, most).get(name)
        if steps is not None:
            yield test, steps + (NEAR + 1 if most is not None else 0)


def _of_tools(file: Path) -> Iterator[tuple[Path, int]]:
    tests = list(_tests(ROOT / "tools"))
    if file in tests:
        yield file, 0
        return
    for test in tests:
        text = (ROOT / test).read_text(encoding="utf-8")
        if re.search(rf"^\s*(from|import) {file.stem}\b|\b{file.name}\b", text, re.MULTILINE):
            yield test, 0


def _tests(folder: Path) -> Iterator[Path]:
    yield from (file.relative_to(ROOT) for file in sorted((folder / "tests").rglob("test_*.py")))


def _own_name(file: Path, package: Package) -> str:
    parts = file.relative_to(package.folder / "tests").with_suffix("").parts
    return ".".join([f"tests_of_{package.import_name}", *parts])


@functools.cache
def steps_from(test: Path, package: Package, most: int | None = None) -> dict[str, int]:
    """Modules that a file of tests imports, directly or not, with the steps to each (at most `most`)."""
    roots: Roots = (*_shared(), (f"tests_of_{package.import_name}", package.folder / "tests"))
    if package.folder.parent.name != "shared":
        roots = (*roots, (package.import_name, package.source))
    start = Module(_own_name(test, package), test, ast.parse(test.read_text(encoding="utf-8")), roots)
    near = {*_further(start), start.name}
    if test.stem == "test_contract" or "cli" in test.stem:
        near.add(f"{package.import_name}.cli")
    found: dict[str, int] = {}
    steps = 0
    while near:
        found |= dict.fromkeys(near, steps)
        if steps == most:
            break
        modules = [module for name in near if (module := _find(name, start.roots)) is not None]
        further = {parent for name in near for parent in _parents(name)}
        further |= {name for module in modules if module.name != start.name for name in _further(module)}
        near, steps = further - found.keys(), steps + 1
    return found


@functools.cache
def _shared() -> Roots:
    shared = [one for one in members().values() if one.folder.parent.name == "shared"]
    return tuple((one.import_name, one.source) for one in shared)


def _find(name: str, roots: Roots) -> Module | None:
    """A module; a shared one imports shared ones only, so it is parsed once for all packages."""
    return Module.find(name, _shared() if name.split(".")[0] in dict(_shared()) else roots)


@functools.cache
def _further(module: Module) -> frozenset[str]:
    return frozenset(_imported(module))


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts)))


class Deadline:
    """Starts no test after a time, in seconds since this program began."""

    def __init__(self, seconds: float) -> None:
        self.end = _BEGIN + seconds

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Before a test."""
        if time.monotonic() > self.end:
            item.session.shouldstop = "the time is over; what is left is farther from the change"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("since", nargs="?", default="HEAD", metavar="REV", help="commit to compare with, or HEAD")
    parser.add_argument("--list", action="store_true", help="print the files of tests, and run none")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS - 5, help="no test starts later; %(default)s if omitted"
    )
    options = parser.parse_args()
    try:
        tests = reached(changed(options.since))
    except ToolError as error:
        return exit_with(error)
    if options.list:
        print("".join(f"{test}\n" for test in tests), end="")
        return 0
    if not tests:
        print("no test reaches what has changed")
        return 0
    words = [
        "-n",
        "0",
        "-q",
        "-x",
        "-m",
        "not slow and not peer",
        f"--rootdir={ROOT}",
        *(str(ROOT / test) for test in tests),
    ]
    status = pytest.main(words, plugins=[Deadline(options.seconds)])
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else int(status)


if __name__ == "__main__":
    sys.exit(main())
