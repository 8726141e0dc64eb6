"""What mkdocs calls while it builds the site: it is given the pages that `site_pages` makes, and their order."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import site_pages  # noqa: E402
from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402


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


def on_post_page(output: str, **_: object) -> str:
    """Name the search for screen readers, and let the keyboard scroll code that is wider than its box."""
    named = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    return re.sub(r"<pre\b(?=[^>]*>(?:<span></span>)?<code)", '<pre tabindex="0"', named)
