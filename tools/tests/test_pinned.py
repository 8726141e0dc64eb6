"""The pinned versions have a hash each and name no address; another version or hash is a difference."""

from __future__ import annotations

import re

import pytest
from pinned import PINNED, differences, resolved
from workspace import ROOT, members

TEXT = PINNED.read_text(encoding="utf-8")


def test_every_requirement_has_a_version_and_hashes_and_no_address():
    lines = [line for line in re.sub(r" \\\n\s+", " ", TEXT).splitlines() if not line.startswith("#")]
    assert len(lines) > 100
    for line in lines:
        assert re.match(r"[\w.\-\[\],]+==\S+( ; .*?)?( --hash=sha256:[0-9a-f]{64})+$", line), line[:80]
    assert "://" not in TEXT
    assert not [name for name in members() if re.search(rf"^{re.escape(name)}==", TEXT, re.MULTILINE)]


def test_another_version_or_hash_is_a_difference():
    if not (ROOT / "uv.lock").exists():
        pytest.skip("needs uv.lock, which `uv sync` writes")
    found = resolved()
    at = found.index("--hash=sha256:") + len("--hash=sha256:")
    assert differences(found, found) == []
    assert len(differences(found[:at] + "0" * 64 + found[at + 64 :], found)) == 2
