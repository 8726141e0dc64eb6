"""The documentation site: built once without a warning, complete, and usable in a real browser, wide and narrow."""

from __future__ import annotations

import fcntl
import importlib
import json
import re

import digits
import faces
import links
import looks
import pytest
from browser import Browser, executable, served
from ninefold_testing import warm
from scoreboard import results_page
from workspace import ROOT, members, packages

PAGES = [
    "", "which/", "benchmarks/", "glossary/", "claims/", "security/", "recsys/", "semcom/claims/", "tswitch/tutorial/",
    "tswitch/api/", "tswitch/api/Switch/", "semcom/api/phy/", "tokenprune/changelog/",
]  # fmt: skip


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """The folder of the built site; the first worker that needs it builds it for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "sitemap.xml").exists():
            mkdocs = ["-c", "from mkdocs.__main__ import cli; cli(prog_name='mkdocs')", "build", "--strict"]
            words = ["--config-file", str(ROOT / "tools" / "docs" / "mkdocs.yml"), "--site-dir", str(folder)]
            done = warm().run([*mkdocs, *words], timeout=3600)  # which has the torch that the claims import
            assert done.returncode == 0, done.stdout + done.stderr
            assert "WARNING -" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def visit(site, tmp_path_factory):
    """(a headless Chromium, the address of the site)."""
    if executable() is None:
        pytest.skip("needs Chromium or Chrome")
    with served(site) as address, Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser, address


@pytest.fixture(scope="module")
def unsearched(site, tmp_path_factory):
    """The address of the same pages with a search of one entry: to index all of them takes half the time of a visit."""
    folder = tmp_path_factory.mktemp("unsearched")
    for entry in (one for one in site.iterdir() if one.name != "search"):
        (folder / entry.name).symlink_to(entry)
    (folder / "search").mkdir()
    for file in (site / "search").iterdir():
        index = json.loads(file.read_text(encoding="utf-8"))
        (folder / "search" / file.name).write_text(json.dumps({**index, "docs": index["docs"][:1]}), encoding="utf-8")
    with served(folder) as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_every_public_name_has_a_page_that_says_what_it_is(site, package):
    pages = {}
    for page in (site / package.name / "api").glob("*/index.html"):
        text = page.read_text(encoding="utf-8")
        heading = re.sub(r"<[^>]+>|&para;", " ", re.search(r"<h1.*?</h1>", text, re.DOTALL)[0]).split()[0]
        pages[heading] = text
    names = importlib.import_module(package.import_name).__all__
    assert pages.keys() == {f"{package.import_name}.{name}" for name in names}
    values = {one.name for one in faces.names(package.source) if one.kind == "value"}  # tables and constants
    for name in set(names) - {"__version__"} - values:
        said = pages[f"{package.import_name}.{name}"].split('class="doc doc-contents')[1]
        assert re.search(r"<p>\s*\S", said), f"the page of {name} says nothing"


@pytest.mark.slow
def test_pages_hold_what_results_changelogs_and_demos_say(site):
    def page(name):
        return (site / name / "index.html").read_text(encoding="utf-8")

    for name, package in members().items():
        assert "<h2" in page(f"{name}/changelog")
        if name in packages():
            table = results_page(package).read_text(encoding="utf-8")
            verdicts = re.findall(r"\*\*(\w[\w ]+)\*\* \|", table)
            shown = re.findall(r"<strong>([\w ]+)\.</strong>", page(f"{name}/claims"))
            assert sorted(word.lower() for word in shown if word != "Not run") == sorted(verdicts)
        for file in (package.folder / "experiments" / "results").glob("bench*.jsonl"):
            assert f"{name}: {file.name.split('.')[0].removeprefix('bench-')}" in page("benchmarks")
    assert re.search(r"Machine: x86_64, 2 processors\. Date: \d{4}-\d\d-\d\d\.", page("benchmarks"))
    assert "<dt><strong>Auto-Switch</strong></dt>" in page("glossary")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "methods"),
    [("recsys/api/EASE", ["fit", "recommend", "save"]), ("recsys/api/SASRec", ["fit", "recommend"])],
)
def test_class_pages_show_what_is_inherited(site, page, methods):
    text = (site / page / "index.html").read_text(encoding="utf-8")
    name = page.rsplit("/", 1)[1]
    for method in methods:
        assert re.search(rf'id="recsys\.{name}\.{method}"', text), f"{name} shows no {method}"


@pytest.mark.slow
def test_figures_have_the_digits_of_their_interval(site):
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("index.html")}
    assert sum("±" in text for text in texts.values()) > 9  # there is something to look at
    long = {str(page.relative_to(site)): found for page, text in texts.items() if (found := digits.too_long(text))}
    assert long == {}


@pytest.mark.slow
def test_no_link_is_dead(site):
    assert links.dead_on_site(site) == []


SEARCHES = {  # what newcomers type, and the page that is theirs
    "recommend products to customers": "recsys/",
    "binary neural network": "bnn-fsg/",
    "merge fine-tuned models": "tswitch/",
    "make a long prompt faster": "tokenprune/",
    "occupancy from cameras": "fastocc/",
    "few-shot node classification": "mecoin/",
    "domain generalization on graphs": "mldgg/",
    "proteinGroups.txt": "proteus/",
    "semantic communication": "semcom/",
    "which package": "which/",
    "install without CUDA": "",
}


FIRST_FOUND = """(async words => {
  const base = new URL(JSON.parse(document.getElementById('__config').textContent).base + '/', location.href)
  const worker = new Worker(new URL(JSON.parse(document.getElementById('__config').textContent).search, location.href))
  const ask = data => new Promise(answer => {
    worker.onmessage = said => answer(said.data.data)
    worker.postMessage(data)
  })
  const index = await (await fetch(new URL('search/search_index.json', base))).json()
  await ask({type: 0, data: {...index, options: {suggest: false}}})
  const found = {}
  for (const one of words) found[one] = (await ask({type: 2, data: one})).items.map(item => item[0].location)[0]
  return found
})"""


@pytest.mark.slow
def test_newcomers_searches_find_the_right_page_first(visit):
    browser, address = visit
    browser.open(address)
    found = browser.evaluate(f"{FIRST_FOUND}({json.dumps(list(SEARCHES))})")  # asked of the theme's own search
    assert {words: place.partition("#")[0] for words, place in found.items()} == SEARCHES


FOLDED = "document.querySelectorAll('details:not([open]) > :not(summary)')"  # axe passes it over, but walks through it
COLOURS = "document.querySelector('label[for^=__palette]:not([hidden])')"  # the button that changes them


@pytest.fixture(scope="module", params=[1280, 375])
def shown(request, visit, unsearched):
    """At a width, {page: (pixels it is too wide by, what axe finds by scheme)}, and what the console said.

    Each page is loaded once. Nothing is found by axe where npm or its registry cannot be had.
    """
    browser, _ = visit
    script, found = looks.axe(), {}
    browser.resize(request.param)
    browser.scheme("light")
    for page in PAGES:
        browser.open(unsearched + page)
        wide, faults = browser.overflow(), {}
        if script is not None:
            browser.evaluate(f"{FOLDED}.forEach(one => one.remove())")
            assert browser.evaluate("document.body.dataset.mdColorScheme") == "default"
            faults["light"] = looks.serious(browser, script)
            browser.evaluate(f"{COLOURS}.click()")
            browser.wait("document.body.matches('[data-md-color-scheme=slate]:not([data-md-color-switching])')")
            faults["dark"] = looks.serious(browser, script, colours=True)
            browser.evaluate("localStorage.clear()")  # where the theme keeps the colours that were chosen
        found[page] = wide, faults
    return found, list(browser.errors)


@pytest.mark.slow
def test_pages_fit_the_window_and_the_console_is_quiet(shown):
    found, errors = shown
    assert {page: wide for page, (wide, _) in found.items() if wide} == {}
    assert errors == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown, scheme):
    found, _ = shown
    if not found[""][1]:
        pytest.skip("needs npm and its registry, for axe-core")
    assert {page: faults[scheme] for page, (_, faults) in found.items() if faults[scheme]} == {}


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "named"), [("light", "default"), ("dark", "slate")])
def test_a_first_visit_has_the_colours_that_the_reader_prefers(visit, unsearched, scheme, named):
    browser, _ = visit
    browser.scheme(scheme)
    browser.open(unsearched)
    browser.evaluate("localStorage.clear()")  # where the theme keeps those of the first visit
    browser.open(unsearched)
    assert browser.evaluate("document.body.dataset.mdColorScheme") == named


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 375])
def test_a_name_is_searched_and_a_link_followed(visit, width):
    browser, address = visit
    browser.resize(width)
    browser.open(address)
    browser.click("label[for=__search]" if width < 600 else ".md-search__input")
    browser.wait("document.activeElement.matches('.md-search__input')")
    browser.type("activation_switch")
    browser.click(".md-search-result__item a")
    browser.wait(
        "location.pathname.endsWith('/tswitch/api/activation_switch/') && !!document.querySelector('article p')"
    )
    assert "share of the non-zero entries" in browser.evaluate("document.querySelector('article').innerText")
    browser.open(address)
    browser.click("article a[href='recsys/']")
    browser.wait("location.pathname.endsWith('/recsys/') && !!document.querySelector('#your-own-data')")
    assert browser.errors == []
