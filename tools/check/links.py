"""Links of the built site, and of the repository's Markdown, that lead nowhere.

Inside, a link must lead to a file that is there and, if it has an anchor, to that anchor. Outside, it must be a
well-formed https address of one of `HOSTS`: what nobody has looked at is not linked.

    uv run python tools/check/links.py [SITE]  # the folder of the built site; without it, the Markdown alone
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import ROOT, run

HOSTS = {"arxiv.org", "creativecommons.org", "doi.org", "squidfunk.github.io"}  # the last is the theme's own line
_FENCED = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$", re.MULTILINE)
_NO_PAGE = ("/tests/samples/", "tools/docs/pages/", "tools/docs/tutorials/", "/ATTEMPTS.md", "tools/scaffold/template/")


def dead_on_site(site: Path) -> list[str]:
    """Links of the pages of a built site that lead nowhere, as `page: link`."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(site.rglob("*.html"))}
    anchors = {page: set(re.findall(r'\s(?:id|name)="?([^"\s>]+)', text)) for page, text in pages.items()}
    found = []
    for page, text in pages.items():
        folder = site if page.name == "404.html" else page.parent  # its links are absolute
        every = dict.fromkeys(re.findall(r'\s(?:href|src)="?([^"\s>]+)', text))
        dead = [link for link in every if not _leads(html.unescape(link), page, folder, site, anchors)]
        found += [f"{page.relative_to(site)}: {link}" for link in dead]
    return found


def dead_in_markdown(files: dict[str, str]) -> list[str]:
    """Links of Markdown files (path in the repository -> text) that lead nowhere, as `file: link`."""
    anchors = {ROOT / name: headings(text) for name, text in files.items()}
    found = []
    for name, text in files.items():
        page = ROOT / name
        found += [f"{name}: {link}" for link in links(text) if not _leads(link, page, page.parent, ROOT, anchors)]
    return found


def markdown() -> dict[str, str]:
    """The repository's Markdown files that are read where they stand: path -> text."""
    names = run("git", "ls-files", "*.md").split()
    return {name: (ROOT / name).read_text("utf-8") for name in names if not any(part in name for part in _NO_PAGE)}


def links(text: str) -> Iterator[str]:
    """Where the links and pictures of a Markdown text lead, code left out."""
    plain = re.sub(r"`[^`\n]*`", "", _FENCED.sub("", text))
    for found in re.finditer(r"\]\(<?([^)\s>]*)>?(?: +\"[^\"]*\")?\)|\b(?:src|href)=\"([^\"]*)\"", plain):
        yield found[1] if found[2] is None else found[2]


def headings(text: str) -> set[str]:
    """The anchors that code hosts give the headings of a Markdown text."""
    found: set[str] = set()
    for title in _HEADING.findall(_FENCED.sub("", text)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        base = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
        anchor, number = base, 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def _leads(link: str, page: Path, folder: Path, top: Path, anchors: dict[Path, set[str]]) -> bool:
    """Whether a link on `page` leads to something: a file below `top` and its anchor, or a host that is known."""
    if re.match(r"[a-z]+:|//", link, re.IGNORECASE):
        return link.startswith(("data:image/", "javascript:void(0)")) or _is_known(link)
    place, _, anchor = link.partition("#")
    path = unquote(place.partition("?")[0])
    target = (top / path.lstrip("/") if path.startswith("/") else folder / path).resolve() if path else page
    if (target / "index.html").is_file():
        target /= "index.html"
    if target not in anchors and not (target.exists() and target.is_relative_to(top.resolve())):
        return False
    return not anchor or target not in anchors or unquote(anchor) in anchors[target] | {"__top"}


def _is_known(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return parts.scheme == "https" and parts.hostname in HOSTS and parts.port is None and not parts.username
    except ValueError:
        return False


def main() -> int:
    found = dead_in_markdown(markdown())
    for folder in sys.argv[1:]:
        found += dead_on_site(Path(folder).resolve())
    print("\n".join(found) or "every link leads somewhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
