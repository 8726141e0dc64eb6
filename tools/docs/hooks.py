"""What mkdocs calls while it builds the site: it is given the pages that `site_pages` makes, and their order."""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import site_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import CombinedEvent, event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_startup(command: str, **_: object) -> None:
    """Build without looking for cycles among what all stays in use until the end: that is a fifth of the time."""
    if command != "serve":
        gc.disable()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the contents in."""
    config.nav = site_pages.nav()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages and the pictures that they show."""
    for path, text in site_pages.made().items():
        files.append(File.generated(config, path, content=text))
    for path, source in site_pages.pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(source)))
    return files


@event_priority(100)
def _before_search(context: dict[str, Any], page: Page, **_: object) -> dict[str, Any]:
    """Show the search a page's code without its colours, which are half of all tags: it reads them one by one."""
    context["as_shown"] = page.content or ""
    page.content = _CODE.sub(lambda code: _SPAN.sub("", code[0]), context["as_shown"])
    return context


@event_priority(-100)
def _after_search(context: dict[str, Any], page: Page, **_: object) -> dict[str, Any]:
    page.content = context.pop("as_shown")
    return context


on_page_context = CombinedEvent(_before_search, _after_search)
_CODE = re.compile(r"<pre\b.*?</pre>", re.DOTALL)
_SPAN = re.compile(r"</?span\b[^>]*>")


def on_post_page(output: str, **_: object) -> str:
    """Name the search for screen readers, and let the keyboard scroll code that is wider than its box."""
    named = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    return re.sub(r"<pre\b(?=[^>]*>(?:<span></span>)?<code)", '<pre tabindex="0"', named)
