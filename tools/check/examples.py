"""Run the example of every public name of a package, all in this process; prints what is missing and what fails.

    uv run python tools/check/examples.py recsys
    uv run python tools/check/examples.py recsys EASE load    # these names alone

A name's example is the `Examples:` block of its docstring. That of a constant stands in the docstring of the module
that lists it, and uses the name. Each example runs in an empty folder of its own, and needs no network.
"""

from __future__ import annotations

import argparse
import contextlib
import doctest
import importlib
import inspect
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import Package, ToolError, exit_with, find, members

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ROOMS = {  # modules beside the package itself that users import from
    "ninefold": [
        "artifacts", "cli", "datasets", "errors", "files", "interval", "lazy", "measure", "report", "run", "systems",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """What the docstring of a public name shows; `code` is empty where it shows nothing."""

    name: str
    code: doctest.DocTest

    @property
    def shows(self) -> bool:
        """Whether a line runs and prints a result."""
        return any(line.want and not line.options.get(doctest.SKIP) for line in self.code.examples)


def examples(import_name: str) -> Iterator[Example]:
    """The example of each public name of a package, and of the rooms that users import from."""
    for path in (import_name, *(f"{import_name}.{room}" for room in ROOMS.get(import_name, ()))):
        module = importlib.import_module(path)
        for name in getattr(module, "__all__", None) or _defined(module):
            yield _example(module, name)


def _defined(module: ModuleType) -> list[str]:
    """The classes and functions that a module without `__all__` defines, without an underscore."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__ == module.__name__
    ]


def _example(module: ModuleType, name: str) -> Example:
    value = getattr(module, name)
    says = inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)
    text = (value if says else module).__doc__ or ""
    block = inspect.cleandoc(text).partition("\nExamples:\n")[2]
    if not says and name not in block:
        block = ""
    full = f"{module.__name__}.{name}"
    return Example(full, doctest.DocTestParser().get_doctest(inspect.cleandoc(block), {}, full, None, 0))


def problem(example: Example, package: str) -> str:
    """What is wrong with an example; empty if it prints what it says."""
    if not example.shows:
        return f"{example.name} has no example: an `Examples:` block that prints a result\n"
    report: list[str] = []
    runner: Any = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _restored(), warnings.catch_warnings():
        warnings.filterwarnings("error", module=rf"{package}(\.|$)")
        runner.run(example.code, out=report.append, clear_globs=True)
    return "".join(report)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """What an example sets in the environment or among the words of the command line lasts no longer than it."""
    words = sys.argv
    with mock.patch.dict(os.environ):
        yield
    sys.argv = words


def check(package: Package, chosen: list[str]) -> list[str]:
    """The problems of a package's examples, printed with the time that each took."""
    found = []
    for example in examples(package.import_name):
        if chosen and example.name.rpartition(".")[2] not in chosen:
            continue
        start = time.perf_counter()
        wrong = problem(example, package.import_name)
        print(f"{time.perf_counter() - start:6.2f} s  {example.name}{'  FAILED' if wrong else ''}", flush=True)
        if wrong:
            found.append(wrong)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", metavar="PACKAGE", help=f"one of {', '.join(members())}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="public names; all of them if none is given")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        found = check(find(options.package), options.names)
    except ToolError as error:
        return exit_with(error)
    print("\n".join(found) if found else f"{options.package}: all examples run")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
