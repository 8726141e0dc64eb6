"""What an installation downloads stays within its bound, and the README says how much it is."""

from __future__ import annotations

import pytest
import sizes
from workspace import ROOT, ToolError, find


@pytest.fixture(scope="module")
def found():
    """What each package downloads, from the lock file."""
    if not (ROOT / "uv.lock").exists():
        pytest.skip("no lock file: not made by uv")
    return list(sizes.downloads())


def test_readme_says_what_each_package_downloads_and_bounds_are_kept(found):
    sizes.check(found, (ROOT / "README.md").read_text(encoding="utf-8"))
    by_label = {one.label: one for one in found}
    assert by_label["recsys"].torch_megabytes == by_label["proteus"].torch_megabytes == 0
    assert by_label["tswitch"].torch_megabytes > 100  # so that "none" above is no accident


def test_extra_with_torch_breaks_the_bound(found):
    heavy = sizes.download(find("recsys"), ["torch"])
    with pytest.raises(ToolError, match="none of it PyTorch's"):
        sizes.check([heavy], "")


def test_stale_and_missing_lines_are_refused(found):
    (small,) = [one for one in found if one.label == "mecoin"]
    with pytest.raises(ToolError, match="the README says 9 MB"):
        sizes.check([small], "| `mecoin` | 9 MB | none |\n")
    with pytest.raises(ToolError, match="no line for mecoin"):
        sizes.check([small], "")
