"""The checks of pages find what they are for: each is tried on a page that fails it."""

from __future__ import annotations

import shutil
import time

import looks
import pytest
from browser import Browser, executable, picture

PAGE = """<!doctype html><html lang="en"><head><title>A page</title><meta name="viewport" content="width=device-width">
<style>body{background:#fff}.faint{color:#eee}.mute:focus{outline:none}a:focus{outline:2px solid}</style></head>
<body><main><h1>Head</h1>%s</main></body></html>"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if executable() is None:
        pytest.skip("needs Chromium or Chrome")
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def shown(tmp_path, browser):
    """A function that opens a page with a body in the browser."""

    def show(body: str) -> Browser:
        (tmp_path / "page.html").write_text(PAGE % body)
        browser.resize(1280)
        browser.scheme("light")
        browser.open((tmp_path / "page.html").as_uri())
        return browser

    return show


def test_faint_text_is_serious_and_plain_text_is_not(shown):
    script = looks.axe()
    if script is None:
        pytest.skip("needs npm and its registry, for axe-core")
    assert looks.serious(shown("<p>plain</p>"), script) == []
    (found,) = looks.serious(shown('<p class="faint">faint</p>'), script)
    assert found["id"] == "color-contrast"


def test_what_the_keyboard_misses_is_named(shown):
    assert looks.out_of_reach(shown('<a href="#x">good</a>')) == []
    (missed,) = looks.out_of_reach(shown('<a href="#x">good</a><a href="#y" tabindex="-1">bad</a>'))
    assert "bad" in missed
    (missed,) = looks.out_of_reach(shown('<a href="#x" class="mute" style="outline:none">silent</a>'))
    assert "silent" in missed


def test_pictures_with_small_text_are_named(shown):
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    picture = f'<img alt="%s" src="{dot}" width="300" height="100" style="%s">'
    assert looks.small_text(shown(f"<figure>{picture % ('fine', 'min-width:280px')}</figure>")) == []
    clipped = picture % ("small", "min-width:400px;max-width:300px;transform:scale(.7)")
    assert looks.small_text(shown(f"<figure>{clipped}</figure>")) == ["small"]
    card = (
        f'<article class="card" style="width:200px"><figure>{picture % ("wide", "min-width:280px")}</figure></article>'
    )
    assert looks.small_text(shown(card)) == ["wide"]


def test_screens_and_schemes(shown):
    browser = shown('<p style="height:2000px"></p>')
    assert 2.7 < looks.screens(browser) < 3.2
    browser.scheme("dark")
    assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_nothing_of_a_browser_writes_after_its_end(tmp_path, monkeypatch):
    program, profile = tmp_path / "chromium", tmp_path / "profile"
    writes = (
        f"for n in $(seq 2000); do mkdir -p {profile}; date > {profile}/late; done"  # some seconds, if nobody ends it
    )
    program.write_text(f"#!/bin/sh\n(trap '' TERM; {writes}) &\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr("browser.executable", lambda: str(program))
    with pytest.raises(AssertionError, match="browser to start"):
        Browser(profile, seconds=0.5)
    shutil.rmtree(profile)
    time.sleep(0.2)
    assert not profile.exists()


@pytest.mark.parametrize("path", ["/home/ann/x.html", "/root/x", "/Users/ann", "/tmp/y", "C:\\Users\\ann"])  # noqa: S108
def test_paths_of_users_are_found(path):
    assert looks.user_paths(f"<p>Pictures: {path}</p>")
    assert looks.user_paths("<p>the /home page, ~/.cache/x, the root/x of it</p>") == []


def test_pictures_differ_by_what_they_show(shown, tmp_path):
    shown("<p>some words</p>")
    first = picture(tmp_path / "page.html", (400, 300))
    shown('<p style="height:200px;background:#000"></p>')
    assert looks.unlike(first, first) == 0
    assert looks.unlike(first, picture(tmp_path / "page.html", (400, 300))) > 0.1
    assert looks.unlike(first, picture(tmp_path / "page.html", (400, 200))) == 1
