"""The experiments of every package of this checkout: found outside the wheel, and well formed."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from ninefold.errors import InputError
from ninefold.systems import System, installed
from ninefold_lab import experiments

ROWS = [row for row in installed() if row.system and experiments.folder_of(row.system.demo.split(".")[0])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_claims_are_well_formed(row):
    claims = experiments.claims_of(row)
    assert len({claim.id for claim in claims}) == len(claims) > 0
    for claim in claims:
        assert claim.package == row.system.demo.split(".")[0]
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", claim.id)
        assert claim.says
        assert claim.source
        assert claim.full.seeds >= 1


def test_experiments_are_found_from_the_checkout_that_holds_the_current_folder(tmp_path, monkeypatch):
    folder = tmp_path / "packages" / "thing-nine" / "experiments"
    (folder / "claims").mkdir(parents=True)
    (folder / "claims" / "__init__.py").write_text("CLAIMS = ['one']\n")
    (tmp_path / "deep" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "below")
    row = SimpleNamespace(name="thing", system=System("thing", "", "", "thing_nine_experiments.claims:CLAIMS"))
    assert experiments.claims_of(row) == ["one"]


def test_claims_without_a_checkout_are_one_line_that_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = SimpleNamespace(name="gone", system=System("gone", "", "", "gone_nine_experiments.claims:CLAIMS"))
    with pytest.raises(InputError, match=r"claims of gone: got no folder .*expected a checkout"):
        experiments.claims_of(row)
