"""What the site's pages are made from: docstrings, faces, intervals, tutorials."""

from __future__ import annotations

import importlib
import re

import faces
import griffe
import intervals
import pytest
import site_pages
from docstrings import rewritten
from ninefold_lab import NOT_REPRODUCED, REPRODUCED, Comparison
from workspace import members, packages


def sections(text):
    """Kinds of the sections that griffe finds in a rewritten docstring, with the text of the last."""
    found = griffe.parse_google(griffe.Docstring(rewritten(text)), returns_multiple_items=False, warnings=False)
    return [section.kind.value for section in found], found[-1].value


def test_sections_on_one_line_are_read_as_sections():
    head = "What.\n\nArgs:\n    x: number,\n        in metres.\n"
    kinds, last = sections(f"{head}Returns: the mask,\n    as it was.\nRaises: InputError if x is 0.")
    assert kinds == ["text", "parameters", "returns", "raises"]
    assert (last[0].annotation, last[0].description) == ("InputError", "if x is 0.")
    kinds, last = sections("What.\n\nRaises: whatever the reader meets.")
    assert kinds == ["text"]
    assert last.endswith("**Raises:** whatever the reader meets.")
    assert rewritten("the entry `x[i][j]` of x[i][j]").count("]\\[") == 2


def test_examples_become_code_and_stay_as_they_are():
    """griffe takes a block of `>>>` lines with what they print as code, and what stands between as text."""
    code = ">>> table = [[1, 2], [3, 4]]\n>>> table[1][0]\n3"
    body = f"{code}\n\nReturns: are no section here:\n\n>>> table[0][1]\n2"
    indented = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    kinds, last = sections(
        f"What of `x[i][j]`.\n\nArgs:\n    i: row.\nRaises: InputError if not.\n\nExamples:\n{indented}\n"
    )
    assert kinds == ["text", "parameters", "raises", "examples"]
    parts = [(kind.value, text) for kind, text in last]
    assert parts == [
        ("examples", code),
        ("text", "Returns: are no section here:"),
        ("examples", ">>> table[0][1]\n2"),
    ]


SOURCES = {package.import_name: package.source for package in members().values()}


@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_faces_know_every_name_its_kind_and_its_home(package):
    public = importlib.import_module(package.import_name).__all__
    found = {one.name: one for one in faces.names(package.source)}
    assert list(found) == list(public)
    assert len({one.slug.casefold() for one in found.values()}) == len(found)  # files of their own, on any system
    for one in found.values():
        assert one.kind in ("class", "function", "module", "version", "value")
        assert one.summary or one.kind == "value", f"{one.name} says nothing of itself"
        owner = SOURCES[one.home.split(".")[0]]  # the package, or a floor that it stands on
        assert faces.module_file(owner, one.home.rpartition(".")[0]).is_file()


def test_interval_right_of_the_line_is_passed_and_left_of_it_is_missed():
    bars = [
        Comparison("ours >= a", 2.0, 1.0, 4.0, REPRODUCED),
        Comparison("ours >= b", -1.0, -2.0, -0.5, NOT_REPRODUCED),
    ]
    picture = intervals.svg(bars)
    lines = re.findall(r'<line x1="([\d.]+)" y1="\d+" x2="([\d.]+)" y2="\d+" stroke="#[0-9a-f]{6}"', picture)
    (passed_low, passed_high), (missed_low, missed_high) = (tuple(map(float, line)) for line in lines)
    assert passed_low > 210 and passed_high == 400  # noqa: PT018
    assert missed_low == 20 and missed_high < 210  # noqa: PT018
    assert "ours &gt;= a" in picture


@pytest.mark.parametrize("package", packages().values(), ids=lambda one: one.name)
def test_each_package_has_a_tutorial_whose_commands_a_test_runs(package):
    page = site_pages.tutorial(package)
    assert "<!-- run" in page
    assert re.search(rf"^\$? ?{package.name} .* -o ", page, re.MULTILINE)  # something is saved


def test_package_pages_say_what_an_installation_downloads():
    assert "no PyTorch among it. ([How this is counted](../install.md#" in site_pages.readme(packages()["recsys"])
    assert "of it PyTorch and CUDA" in site_pages.readme(packages()["tswitch"])
