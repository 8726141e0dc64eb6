"""Links of the repository's Markdown lead somewhere; and the check finds one that does not, on the site too."""

from __future__ import annotations

import links
import pytest
from workspace import ROOT


def test_no_link_of_a_readme_or_page_is_dead():
    files = links.markdown()
    assert len(files) > 40
    assert sum(len(list(links.links(text))) for text in files.values()) > 60
    assert links.dead_in_markdown(files) == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("#head-of-it", True),
        ("#no-head", False),
        ("tools/check/links.py", True),
        ("tools", True),
        ("tools/none.py", False),
        ("shared/lab/README.md#verdicts", True),
        ("shared/lab/README.md#none", False),
        ("../outside", False),
        ("https://doi.org/10.1/x", True),
        ("https://example.com/x", False),
        ("http://doi.org/10.1/x", False),
        ("https://me@doi.org/x", False),
    ],
)
def test_dead_links_of_markdown_are_found(link, leads):
    lab = (ROOT / "shared" / "lab" / "README.md").read_text(encoding="utf-8")
    text = f"## Head of it\n\n[one]({link}) and `[code](nowhere)`\n\n```md\n[no](nowhere)\n```\n"
    found = links.dead_in_markdown({"NEW.md": text, "shared/lab/README.md": lab})
    assert [one for one in found if one.startswith("NEW")] == ([] if leads else [f"NEW.md: {link}"])


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("../b/", True),
        ("../b/#there", True),
        ("../b/index.html#there", True),
        ("../b/#away", False),
        ("../c/", False),
        ("#own", True),
        ("#other", False),
        ("../x.png", True),
        ("../../x.png", False),
        ("https://arxiv.org/abs/2412.00054", True),
        ("https://elsewhere.org/", False),
        ("//doi.org/x", False),
        ("data:image/png;base64,AA", True),
    ],
)
def test_dead_links_of_a_site_are_found(tmp_path, link, leads):
    for name, text in (("a", f'<p id="own"><a href="{link}">x</a>'), ("b", '<h2 id="there">')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(text)
    (tmp_path / "x.png").write_text("")
    assert links.dead_on_site(tmp_path) == ([] if leads else [f"a/index.html: {link}"])
