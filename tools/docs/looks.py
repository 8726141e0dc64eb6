"""How a page looks to people: how many screens it fills, what axe-core finds, what a keyboard reaches, its picture.

axe-core comes from the npm registry into a temporary folder; where that cannot be reached there is no such check.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from browser import Browser

_AXE = "axe-core@4.14.1"
_RUN = (
    "axe.run(document, {resultTypes: ['violations'], selectors: false, ...%s}).then(found => found.violations.map("
    "one => ({id: one.id, impact: one.impact, where: one.nodes.slice(0, 3).map(node => node.html.slice(0, 120))})))"
)
_COLOURS = "{runOnly: ['color-contrast', 'link-in-text-block']}"
_SERIOUS = ("serious", "critical")


@cache
def axe() -> str | None:
    """The script of axe-core, or None where npm or its registry cannot be had."""
    if shutil.which("npm") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ninefold-axe-") as folder:
        done = subprocess.run(
            ["npm", "pack", "--silent", _AXE], cwd=folder, capture_output=True, timeout=120, check=False
        )
        found = list(Path(folder).glob("axe-core-*.tgz"))
        if done.returncode or not found:
            return None
        with tarfile.open(found[0]) as archive:
            file = archive.extractfile("package/axe.min.js")
            return file.read().decode() if file else None


def serious(browser: Browser, script: str, *, colours: bool = False) -> list[dict[str, Any]]:
    """What axe-core finds that is serious or critical, on the page as it is shown now; with `colours` by these alone.

    A page in its other colours differs in nothing else.
    """
    browser.evaluate(f"{script}; true")
    return [one for one in browser.evaluate(_RUN % (_COLOURS if colours else "{}")) if one["impact"] in _SERIOUS]


def screens(browser: Browser, height: int = 720) -> float:
    """How many windows of so many pixels the page is long."""
    return browser.evaluate("document.documentElement.scrollHeight") / height


def small_text(browser: Browser, selector: str = "figure img") -> list[str]:
    """Pictures whose smallest text is shown with fewer than 11 pixels: a figure says how wide it is at 11 (min-width).

    A picture on a card (`.card > figure`) must also fit, so that nobody has to scroll to see it.
    """
    return browser.evaluate(
        f"[...document.querySelectorAll({selector!r})].filter(e => e.checkVisibility()).filter(e => "
        "e.getBoundingClientRect().width < parseFloat(e.style.minWidth || 0) - 1 || "
        "(e.matches('.card > figure img') && e.scrollWidth > e.parentElement.clientWidth + 1)).map(e => e.alt)"
    )


def out_of_reach(browser: Browser) -> list[str]:
    """Links, buttons and folds that the Tab key does not come to, or that show no focus."""
    wanted = browser.evaluate(
        "document.querySelectorAll('a[href], button, summary, input').forEach((e, i) => e.dataset.reach = i); "
        "[...document.querySelectorAll('[data-reach]')].filter(e => e.checkVisibility()).map(e => e.dataset.reach)"
    )
    browser.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    seen = set()
    for _ in range(len(wanted) + 60):  # a scrolling table is a stop too
        browser.press("Tab")
        place = browser.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e); return e.dataset.reach && "
            "s.outlineStyle !== 'none' ? e.dataset.reach : ''; })()"
        )
        seen.add(place)
    missed = [place for place in wanted if place not in seen]
    return [browser.evaluate(f"document.querySelector('[data-reach=\"{place}\"]').outerHTML") for place in missed]


def user_paths(text: str) -> list[str]:
    """Absolute paths of a user's home or a temporary folder in a page."""
    return re.findall(
        r"(?:/home/\w+|/root\b|/Users/\w+|/tmp/|[A-Z]:\\Users)[^\s<\"]*", re.sub(r"base64,[^\"]*", "", text)
    )


def unlike(one: bytes, other: bytes) -> float:
    """By how much two pictures differ: mean distance of grey values in cells of 20 pixels, 0 to 1; 1 at other sizes."""
    from PIL import Image, ImageChops, ImageStat

    pictures = [Image.open(io.BytesIO(data)).convert("L") for data in (one, other)]
    if pictures[0].size != pictures[1].size:
        return 1.0
    small = [picture.resize((picture.width // 20, picture.height // 20), Image.Resampling.BOX) for picture in pictures]
    return ImageStat.Stat(ImageChops.difference(*small)).mean[0] / 255
