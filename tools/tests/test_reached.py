"""A change selects the tests that reach it, the nearest first; the wrong lines of `mutants.py` are still to be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants import MUTANTS
from reached import _reached_by, changed, reached
from workspace import ROOT, run


def selected(name: str) -> list[str]:
    return [test.as_posix() for test in reached([Path(name)])]


def test_module_of_a_package_selects_its_tests_nearest_first_and_no_other_package():
    found = reached([Path("packages/mecoin/src/mecoin/sessions/_split.py")])
    assert list(found.values()) == sorted(found.values())
    assert {test.parts[:2] for test in found} == {("packages", "mecoin")}
    assert 0 < len(found) < len(list((ROOT / "packages/mecoin/tests").rglob("test_*.py")))


def test_module_of_the_core_selects_its_tests_the_contracts_and_what_imports_it():
    found = selected("shared/core/src/ninefold/files/_lock.py")
    assert found[0].startswith("shared/core/tests/")
    contracts = [test for test in found if test.endswith("test_contract.py") and test.startswith("packages/")]
    assert len(contracts) == 9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tools/check/rooms.py", "tools/tests/test_rooms.py"),
        ("tools/tests/test_rooms.py", "tools/tests/test_rooms.py"),
        ("integration-tests/test_pairs.py", "integration-tests/test_pairs.py"),
        ("packages/mecoin/tests/test_contract.py", "packages/mecoin/tests/test_contract.py"),
        ("pyproject.toml", "tools/tests/test_workspace.py"),
        ("packages/mecoin/README.md", "tools/tests/test_words.py"),
    ],
)
def test_every_other_kind_of_file_has_its_tests(name, expected):
    assert expected in selected(name)


def test_every_file_that_is_selected_is_there():
    files = [Path(name) for name in ("packages/mecoin/src/mecoin/demo.py", "packages/mldgg/pyproject.toml")]
    assert all((ROOT / test).is_file() for file in files for test, _ in _reached_by(file))


def test_changes_are_those_that_git_names():
    assert changed("HEAD") == sorted(changed("HEAD"))
    assert not set(run("git", "diff", "--name-only", "HEAD").splitlines()) - set(map(str, changed("HEAD")))


@pytest.mark.parametrize("module", MUTANTS)
def test_wrong_line_has_its_place(module):
    right, wrong = MUTANTS[module]
    assert right != wrong
    assert right in (ROOT / module).read_text(encoding="utf-8")


def test_ten_modules_of_as_many_members_have_a_wrong_line():
    assert len({module.split("/")[1] for module in MUTANTS}) == len(MUTANTS) == 10
