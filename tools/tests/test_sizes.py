"""What an installation downloads stays within its bound, and a page says how much it is."""

from __future__ import annotations

import pytest
import sizes
from workspace import ROOT, ToolError, find, packages


@pytest.fixture(scope="module")
def found():
    """What each package downloads, from the lock file."""
    if not (ROOT / "uv.lock").exists():
        pytest.skip("no lock file: not made by uv")
    return list(sizes.downloads())


def test_page_says_what_each_package_downloads_and_bounds_are_kept(found):
    sizes.check(found, sizes.TABLE.read_text(encoding="utf-8"))
    by_label = {one.label: one for one in found}
    assert by_label["recsys"].torch_megabytes == by_label["proteus"].torch_megabytes == 0
    assert by_label["tswitch"].torch_megabytes > 100  # so that "none" above is no accident


@pytest.mark.parametrize("package", packages().values(), ids=lambda one: one.name)
def test_a_packages_own_readme_says_what_it_downloads(found, package):
    ours = [one for one in found if one.name == package.name]
    text = (package.folder / "README.md").read_text(encoding="utf-8")
    sizes.check_own(ours, text, "its README")
    install = text.split("\n## Install\n")[1].split("\n## ")[0]
    assert sizes.sentence(ours)[:40] in install


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("2 MB in all", "9 MB in all"), "bnn-fsg downloads 2 MB, there says 9 MB"),
        (("3.0 GB with", "2.0 GB with"), r"bnn-fsg\[train\] downloads 3.0 GB, there says 2.0 GB"),
        (("no PyTorch", "PyTorch"), "does not say"),
        (("To download", "For download"), "does not say"),
        (("2 MB in all", "2.04 MB in all"), None),
    ],
)
def test_an_own_sentence_that_is_off_is_refused(change, message):
    ours = [
        sizes.Download("bnn-fsg", (), {"numpy": 2_000_000}),
        sizes.Download("bnn-fsg", ("train",), {"numpy": 2_000_000, "torch": 2_998_000_000}),
    ]
    said = sizes.sentence(ours)
    assert change[0] in said
    if message is None:
        sizes.check_own(ours, said.replace(*change), "there")
    else:
        with pytest.raises(ToolError, match=message):
            sizes.check_own(ours, said.replace(*change), "there")


def test_extra_with_torch_breaks_the_bound(found):
    heavy = sizes.download(find("recsys"), ["torch"])
    with pytest.raises(ToolError, match="none of it PyTorch's"):
        sizes.check([heavy], "")


def test_stale_and_missing_lines_are_refused(found):
    (small,) = [one for one in found if one.label == "mecoin"]
    with pytest.raises(ToolError, match=r"install\.md says 9 MB"):
        sizes.check([small], "| `mecoin` | 9 MB | none |\n")
    with pytest.raises(ToolError, match="no line for mecoin"):
        sizes.check([small], "")
