"""The published method stands apart: nothing imports it, and one file of the command line opens the door."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest
import tokenprune
from ninefold_testing import warm
from tokenprune import ftp

SOURCE = Path(tokenprune.__file__).parent


def _imports(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_one_file_alone_imports_the_room():
    rooms = [file for file in SOURCE.rglob("*.py") if "ftp" not in file.relative_to(SOURCE).parts[:-1]]
    doors = [file.relative_to(SOURCE).as_posix() for file in rooms
             if any(f"{one}.".startswith("tokenprune.ftp.") for one in _imports(file))]  # fmt: skip
    assert doors == ["cli/_ftp.py"]


def test_a_pruner_generates_and_the_command_line_helps_without_it():
    code = """
import sys, torch, tokenprune, tokenprune.cli, tokenprune.demo, tokenprune.baselines
model = tokenprune.tiny_model()
with tokenprune.TokenPruner(model):
    model.generate(torch.ones(1, 9, dtype=torch.long), max_new_tokens=1, pad_token_id=0)
print([name for name in sys.modules if name.startswith("tokenprune.ftp")])
"""
    done = warm().run(["-c", code])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "[]"


@pytest.mark.parametrize("name", ftp.__all__)
def test_each_name_shows_an_example_that_runs(name):
    made = getattr(ftp, name)
    found = doctest.DocTestFinder(recurse=False).find(made, name, globs={})
    assert found[0].examples, f"{name} has no example"
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found[0]).failed == 0
    assert importlib.import_module(made.__module__).__doc__
