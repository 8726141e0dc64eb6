"""Every public name has an example, and it prints what it says: in a copy of a warm process for each package, which
has loaded torch where the package needs it and nowhere else."""

from __future__ import annotations

import os
import sys

import pytest
from examples import examples, problem
from ninefold_testing import warm
from workspace import ROOT, find, members


@pytest.mark.slow
@pytest.mark.parametrize("package", members())
def test_every_public_name_has_an_example_that_runs(package):
    done = warm(find(package).import_name).run([str(ROOT / "tools" / "check" / "examples.py"), package], timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Writes a package of one name with a docstring; returns the name's example."""

    def make(name, docstring):
        body = f'"""Shop.\n\n{docstring}\n"""\n__all__ = ["price"]\nprice = 3\n'
        if name == "function":
            body = f'__all__ = ["price"]\ndef price():\n    """A price.\n\n{docstring}\n    """\n    return 3\n'
        (tmp_path / "made_shop.py").write_text(body)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "made_shop", raising=False)
        (found,) = examples("made_shop")
        return found

    return make


def test_example_of_a_function_is_its_own(made):
    right = made("function", "    Examples:\n        >>> from made_shop import price\n        >>> price()\n        3")
    assert problem(right, "made_shop") == ""


@pytest.mark.parametrize(
    "docstring",
    [
        "    Args:\n        none: at all.",
        "    Examples:\n        Words alone.",
        "    Examples:\n        >>> price = 3",  # nothing is printed
        "    Examples:\n        >>> price()  # doctest: +SKIP\n        3",
    ],
)
def test_name_whose_example_shows_nothing_is_named(made, docstring):
    assert "made_shop.price has no example" in problem(made("function", docstring), "made_shop")


def test_example_that_prints_something_else_fails(made):
    wrong = made("function", "    Examples:\n        >>> 1 + 1\n        3")
    assert "Failed example" in problem(wrong, "made_shop")


def test_constant_is_shown_by_its_module(made):
    assert made("constant", "Examples:\n    >>> import made_shop\n    >>> made_shop.price\n    3").shows
    assert not made("constant", "Examples:\n    >>> 1 + 1\n    2").shows


def test_what_an_example_sets_ends_with_it(made, monkeypatch):
    monkeypatch.delenv("MADE_SHOP", raising=False)
    setting = made(
        "function",
        "    Examples:\n        >>> import os, sys\n        >>> os.environ['MADE_SHOP'] = 'open'\n"
        "        >>> sys.argv = ['shop']\n        >>> os.listdir()\n        []",
    )
    before = sys.argv
    assert problem(setting, "made_shop") == ""
    assert ("MADE_SHOP" in os.environ, sys.argv) == (False, before)
