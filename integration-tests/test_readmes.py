"""What READMEs and tutorials tell people to type works as written, in a folder of its own and without real data around.

Every HTML page that these commands write is opened in a browser, wide and narrow, where one is installed.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import looks
import pytest
import tutorials
import words
from browser import Browser, executable, picture
from ninefold_testing import warm
from workspace import ROOT, members, packages

from .readme import Block, blocks, once
from .shims import make_shims

READMES = [
    ROOT / "README.md",
    *(package.folder / "README.md" for package in members().values()),
    *sorted((ROOT / "packages").glob("*/docs/guide.md")),
    *sorted(tutorials.FOLDER.glob("*.md")),
]
RUNNABLE = {path.relative_to(ROOT).as_posix(): blocks(path) for path in READMES if blocks(path)}

SCRIPTS = [script for package in members().values() for script in package.scripts]
COUNTS = Counter(one for page in RUNNABLE.values() for one in {one for block in page for one in block.commands})
SHARED = {one for one, pages in COUNTS.items() if pages > 1 and one.split()[0] in SCRIPTS}  # each is run once

SYSTEMS = {system: f"{one.name} {one.version}" for one in packages().values() for system in one.systems}


@pytest.fixture(scope="module")
def shims(tmp_path_factory):
    """A folder of programs by which a warm process runs Python and the packages' scripts."""
    folder = tmp_path_factory.mktemp("bin")
    make_shims(warm().address, folder, {script: Path(sys.executable).with_name(script) for script in SCRIPTS})
    return folder


@pytest.fixture(scope="session")
def kept(tmp_path_factory, worker_id):
    """A folder for what commands of several pages printed and wrote, the same for all workers."""
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "commands"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium that opens all pages, one after another; None where none is installed."""
    if executable() is None:
        yield None
        return
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def run_as_written(name: str, folder: Path, shims: Path, kept: Path, browser: Browser | None) -> str:
    """Run a page's blocks in `folder`; returns all they printed.

    The first of a README has processes of its own, where a missing import would show; those of all others are forked.
    """
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "UV_PROJECT": str(ROOT)}
    env["UV_NO_SYNC"] = "1"  # the environment is the one under test
    env.pop("NINEFOLD_DATA", None)
    env.pop("COLUMNS", None)  # tables are as wide as where nothing says how wide
    env.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # nor has a newcomer's shell this: torch is compiled once, not by each command
    locks = ("nfs", "ENOSYS")[list(RUNNABLE).index(name) % 2]  # a cluster's file systems: all is written there, too
    printed, forked = "", {**env, "PATH": f"{shims}:{env['PATH']}", "NINEFOLD_FLOCK": locks}

    def run(block: Block, env: dict[str, str]) -> str:
        done = subprocess.run(block.command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
        return done.stdout

    for number, block in enumerate(RUNNABLE[name]):
        how = partial(run, env=env if number == 0 and Path(name).name == "README.md" else forked)
        for piece in block.pieces(SHARED):
            own = piece.text not in SHARED
            printed += how(piece) if own else once(piece.text, folder, kept, partial(how, piece))
    look_at_pages(folder, browser)
    return printed


def look_at_pages(folder: Path, browser: Browser | None) -> None:
    """Every HTML page of a folder fits a desktop's and a phone's window, asks no network and has a quiet console."""
    if browser is None:
        return
    browser.errors.clear()
    for width, page in itertools.product((1280, 375), sorted(folder.rglob("*.html"))):
        browser.resize(width)
        browser.open(page.as_uri())
        assert browser.evaluate("document.body.innerText.trim().length") > 100, f"{page.name} is empty"
        assert browser.overflow() == 0, f"{page.name} is wider than {width} pixels"
        asked = browser.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert not [name for name in asked if name.startswith("http")], f"{page.name} asks the network"
    assert browser.errors == []


def look_at_the_overview(page: Path, browser: Browser | None) -> None:
    """The page of all systems is short, in order for people with a keyboard or a reader, and as the README shows it."""
    assert looks.user_paths(page.read_text(encoding="utf-8")) == []
    if browser is None:
        return
    script = looks.axe()
    for width, scheme in itertools.product((1280, 375), ("dark", "light")):
        browser.resize(width)
        browser.scheme(scheme)
        browser.open(page.as_uri())
        assert width < 1280 or looks.screens(browser) <= 8
        edited = "".join(f":not(#{name})" for name in words.PENDING)
        assert looks.small_text(browser, f".card{edited} > figure img") == [], f"at {width} pixels"
        browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert browser.overflow() == 0
        assert looks.small_text(browser) == [], f"at {width} pixels"
        assert not script or looks.serious(browser, script, colours=scheme == "dark") == [], (width, scheme)
    browser.open(page.as_uri())
    assert looks.out_of_reach(browser) == []
    browser.evaluate("document.querySelector('summary').focus()")
    browser.press("Enter")
    assert browser.evaluate("document.querySelector('details').open")
    shown = (ROOT / "tools" / "demo-page.png").read_bytes()
    assert looks.unlike(picture(page), shown) < 0.03, (
        "tools/demo-page.png is not of today: tools/docs/browser.py makes it"
    )


@pytest.mark.slow
def test_the_first_command_shows_every_system_on_one_page(tmp_path, shims, kept, browser):
    (tmp_path / "packages").symlink_to(ROOT / "packages")  # its commands are those of a checkout
    printed = run_as_written("README.md", tmp_path, shims, kept, browser)
    page = (tmp_path / "ninefold-demo.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page), "the page needs the network"
    for system, about in SYSTEMS.items():
        assert re.search(rf"^\s+{system}\s", printed, re.MULTILINE), f"{system} is not in the table"
        assert re.search(rf"^system {system}\s+{about}$", printed, re.MULTILINE), f"doctor does not see {system}"
        card = page.split(f'<article class="card" id="{system}">')[1].split("</article>")[0]
        headline = card.split('<p class="lead">')[1].split("</p>")[0]
        if about.split()[0] not in words.PENDING:
            assert not re.search(r"\[|no measurable difference", headline), f"{system}: the headline is no gain"
        picture_of_it = card.split("<details>")[0]
        assert re.search(r"data:image/(png|svg\+xml);base64,", picture_of_it), f"no picture of {system}"
    look_at_the_overview(tmp_path / "ninefold-demo.html", browser)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RUNNABLE if name != "README.md"])
def test_marked_commands_run_as_written(name, tmp_path, shims, kept, browser):
    text = (ROOT / name).read_text(encoding="utf-8")
    if reason := tutorials.no_data(text):
        pytest.skip(reason)
    tutorials.prepare(text, tmp_path)
    printed = run_as_written(name, tmp_path, shims, kept, browser)
    if (ROOT / name).parent != tutorials.FOLDER:
        return
    assert tutorials.likeness(text, printed) > 0.9, "its outputs are not of today: tools/docs/tutorials.py writes them"
    for written, _, shown in tutorials.pictures(text):
        tutorials.small(tmp_path / written, tmp_path / f"again-{shown}")
        pair = ((tmp_path / f"again-{shown}").read_bytes(), (tutorials.FOLDER / shown).read_bytes())
        assert looks.unlike(*pair) < 0.05, f"{shown} is not of today: tools/docs/tutorials.py draws it"
