"""A README is read in five minutes: all else stands in pages beside it."""

from __future__ import annotations

import pytest
from workspace import ROOT, packages

READMES = {"the repository": (ROOT, 900), **{name: (one.folder, 1200) for name, one in packages().items()}}


@pytest.mark.parametrize("name", READMES)
def test_readme_is_short_and_its_lines_can_be_read(name):
    folder, most = READMES[name]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= most
    assert max(map(len, text.splitlines())) <= 400
