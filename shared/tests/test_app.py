"""The `ninefold` command and what it finds installed."""

from __future__ import annotations

import importlib
import json
import re
import sys

import pytest
import typer
from ninefold import app, cli
from ninefold.errors import InputError
from ninefold.systems import System, choose, installed

from .helpers import install, module

PARTS = """
    import numpy as np
    from ninefold.proof import Budget, Claim, at_least
    from ninefold.errors import InputError, require
    from ninefold.report import Table, figure
    from ninefold.systems import DemoResult, System

    def demo(seed):
        made, axes = figure()
        axes.plot([0, seed])
        table = Table(["arm", "score"], [["<method>", 0.9], ["rival", 0.8]])
        return DemoResult("simulated", f"Method {seed}", "Rival 0.8", "the method wins", table,
                          [("a caption", made)], ["a note"])

    def demo_that_fails(seed):
        raise RuntimeError("broken inside")

    def demo_without_extra(seed):
        require("no_such_module_9", "ninefold", "plots")

    def demo_of_nothing(seed):
        return None

    def experiment(budget, seed):
        return {"method": 1.0 + np.zeros(9), "rival": np.zeros(9)}

    def failing(budget, seed):
        raise InputError("data", expected="something else")

    CLAIMS = [Claim(id="parts_nine/wins", says="wins", source="ours", run=experiment, full=Budget(1, 1),
                    verdict=at_least("method", "rival"))]
    BAD_CLAIMS = [Claim(id="parts_nine/fails", says="", source="ours", run=failing, verdict=at_least("a", "b"))]
    GOOD = System("good", "does good", "parts_nine:demo", "parts_nine:CLAIMS")
    FAILS = System("fails", "fails", "parts_nine:demo_that_fails", "parts_nine:NO_SUCH_LIST")
    BARE = System("bare", "lacks an extra", "parts_nine:demo_without_extra", "parts_nine:BAD_CLAIMS")
    NOTHING = System("nothing", "returns nothing", "parts_nine:demo_of_nothing", "parts_nine:CLAIMS")
    NO_SYSTEM = 7
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path in which systems can be installed; there are no others."""
    for key, name in (("NINEFOLD_CACHE", "cache"), ("NINEFOLD_DATA", "data")):
        monkeypatch.setenv(key, str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "site"
    module(place, "parts_nine", PARTS)
    module(place, "quits_nine", "import sys; sys.exit(3)")
    real = importlib.metadata.entry_points
    ours = lambda **which: [point for point in real(**which) if "_nine" in point.value]  # noqa: E731
    monkeypatch.setattr(importlib.metadata, "entry_points", ours)
    monkeypatch.syspath_prepend(place)
    yield place
    for name in ("parts_nine", "quits_nine"):
        sys.modules.pop(name, None)


def register(site, **points):
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    install(site, "acme-parts", entry_points=f"[ninefold.systems]\n{lines}")


@pytest.fixture
def ninefold(monkeypatch, capfd):
    """A function that runs `ninefold` in this process: (status, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ninefold", *words])
        return cli.status_of(app.app), *capfd.readouterr()

    return call


# --- systems ---


def test_broken_entry_points_are_rows_that_say_why(site):
    register(
        site,
        good="parts_nine:GOOD",
        away="gone_nine:X",
        quits="quits_nine:X",
        odd="parts_nine:NO_SYSTEM",
        lost="parts_nine:X",
    )
    rows = {row.name: row for row in installed()}
    assert list(rows) == ["away", "good", "lost", "odd", "quits"]
    assert isinstance(rows["good"].system, System)
    assert (rows["good"].distribution, rows["good"].version) == ("acme-parts", "1.2.3")
    assert "ModuleNotFoundError: No module named 'gone_nine'" in rows["away"].reason
    assert rows["quits"].reason == "SystemExit: 3"
    assert "is no ninefold.systems.System" in rows["odd"].reason
    assert "AttributeError" in rows["lost"].reason


def test_choice_keeps_order_once_each_and_names_the_unknown(site):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    assert [row.name for row in choose(["good", "bare", "good"])] == ["good", "bare"]
    assert [row.name for row in choose(None)] == ["bare", "good"]
    with pytest.raises(InputError, match="system: got 'nope', expected one of: bare, good"):
        choose(["nope"])


# --- list ---


def test_list_shows_what_is_installed_and_what_is_broken(site, ninefold):
    register(site, good="parts_nine:GOOD", away="gone_nine:X")
    status, out, _ = ninefold("list", "--json")
    assert status == 0
    assert [(row["system"], row["what it does"][:16]) for row in json.loads(out)["rows"]] == [
        ("away", "cannot be loaded"),
        ("good", "does good"),
    ]


def test_list_without_systems_is_an_empty_table(site, ninefold):
    status, out, _ = ninefold("list", "--json")
    assert (status, json.loads(out)["rows"]) == (0, [])


# --- demo ---


def test_demo_writes_one_page_without_outside_references(site, ninefold):
    register(site, good="parts_nine:GOOD")
    status, out, err = ninefold("demo", "--seed", "3", "--out", "page.html", "--json")
    assert (status, err) == (0, "")
    (row,) = json.loads(out)["rows"]
    assert (row["system"], row["method"], row["verdict"], row["figures"]) == ("good", "Method 3", "the method wins", 1)
    page = (site.parent / "page.html").read_text()
    assert "&lt;method&gt;" in page
    assert "a note" in page
    links = re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?([^"')\s]+)""", page)
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_demo_of_a_failing_system_is_a_row_beside_the_others_and_status_1(site, ninefold):
    register(
        site, good="parts_nine:GOOD", fails="parts_nine:FAILS", bare="parts_nine:BARE", nothing="parts_nine:NOTHING",
        away="gone_nine:X",
    )  # fmt: skip
    status, out, err = ninefold("demo", "--out", "page.html")
    assert status == 1
    assert "the method wins" in out
    assert "failed: RuntimeError: broken inside" in out
    assert "failed: AttributeError" in out
    assert "No module named 'gone_nine'" in out
    assert "pip install 'ninefold-core[plots]'" in out
    assert "RuntimeError: broken inside" in err
    assert "broken inside" in (site.parent / "page.html").read_text()


def test_demo_of_a_missing_extra_beside_others_is_no_defect(site, ninefold):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    status, out, err = ninefold("demo", "--out", "page.html")
    assert (status, err) == (0, "")
    assert "pip install 'ninefold-core[plots]'" in out


def test_demo_of_a_missing_extra_alone_is_one_line_and_status_2(site, ninefold):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    status, out, err = ninefold("demo", "bare", "--out", "page.html")
    assert (status, out) == (2, "")
    assert err == "error: this needs no_such_module_9: pip install 'ninefold-core[plots]'\n"


def test_demo_replaces_no_page_without_force(site, ninefold):
    register(site, good="parts_nine:GOOD")
    (site.parent / "page.html").write_text("mine")
    status, _, err = ninefold("demo", "--out", "page.html")
    assert status == 2
    assert "page.html: exists already" in err
    assert (site.parent / "page.html").read_text() == "mine"
    assert ninefold("demo", "--out", "page.html", "--force")[0] == 2
    assert (site.parent / "page.html").read_text() == "mine"
    assert ninefold("demo", "--out", "ours.html")[0] == 0
    assert ninefold("demo", "--out", "ours.html")[0] == 2
    assert ninefold("demo", "--out", "ours.html", "--force")[0] == 0
    for _ in range(2):
        assert ninefold("demo")[0] == 0
    assert sorted(path.name for path in site.parent.glob("ninefold-demo*")) == [
        "ninefold-demo-2.html",
        "ninefold-demo.html",
    ]


def test_demo_without_systems_says_what_to_install(site, ninefold):
    status, _, err = ninefold("demo")
    assert status == 2
    assert "pip install" in err


# --- claims ---


def test_claims_print_bars_and_verdicts(site, ninefold):
    register(site, good="parts_nine:GOOD")
    status, out, _ = ninefold("claims", "--json")
    assert status == 0
    (row,) = json.loads(out)["rows"]
    assert (row["claim"], row["bar"], row["verdict"]) == ("parts_nine/wins", "method >= rival", "reproduced")


def test_claims_in_full_are_written_and_quick_ones_are_not(site, ninefold):
    register(site, good="parts_nine:GOOD")
    assert ninefold("claims", "-o", "results")[0] == 0
    assert not (site.parent / "results").exists()
    assert ninefold("claims", "--full", "-o", "results")[0] == 0
    assert [path.name.split(".")[:2] for path in (site.parent / "results").iterdir()] == [["wins", "full"]]


def test_claims_in_full_refuse_a_file_in_place_of_a_folder_before_they_run(site, ninefold, monkeypatch):
    register(site, good="parts_nine:GOOD")
    monkeypatch.setattr("ninefold.proof.run_claim", lambda *_, **__: 1 / 0)
    (site.parent / "results").write_text("of value")
    status, out, err = ninefold("claims", "--full", "-o", "results")
    assert (status, out) == (2, "")
    assert err == "error: results: exists already, and is a file, not a folder\n"


def test_claims_of_failing_systems_are_rows_beside_the_others(site, ninefold):
    register(site, good="parts_nine:GOOD", fails="parts_nine:FAILS", bare="parts_nine:BARE")
    status, out, _ = ninefold("claims", "--json")
    assert status == 1
    verdicts = {row["claim"]: row["verdict"] for row in json.loads(out)["rows"]}
    assert verdicts.pop("fails").startswith("failed: AttributeError")
    assert verdicts == {"parts_nine/wins": "reproduced", "parts_nine/fails": "data: expected something else"}


def test_claim_that_fails_alone_is_one_line_and_status_2(site, ninefold):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    assert ninefold("claims", "bare") == (2, "", "error: data: expected something else\n")


def test_claims_that_nothing_matches_are_refused(site, ninefold):
    register(site, good="parts_nine:GOOD")
    status, _, err = ninefold("claims", "--only", "nope")
    assert status == 2
    assert "none of that name" in err


# --- doctor, and the verbs that packages take ---


def test_doctor_tells_the_state_and_makes_nothing(site, ninefold, tmp_path):
    register(site, good="parts_nine:GOOD", away="gone_nine:X")
    status, out, _ = ninefold("doctor", "--json", "--threads", "1")
    facts = json.loads(out)
    assert status == 0
    assert facts["threads"] == 1
    assert facts["devices"].startswith("cpu")
    assert facts["system good"] == "acme-parts 1.2.3"
    assert facts["system away"].startswith("broken: ModuleNotFoundError")
    assert facts["cache"] == str(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_doctor_survives_a_broken_torch(site, ninefold, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, out, _ = ninefold("doctor", "--json")
    assert status == 0
    assert json.loads(out)["torch"].startswith("cannot be loaded")


def test_package_takes_the_house_verbs_for_itself(site, monkeypatch, capfd):
    register(site, good="parts_nine:GOOD", fails="parts_nine:FAILS")
    own = cli.house_app("parts_nine", "Parts.")
    app.house_verbs(own, "good")
    assert set(typer.main.get_command(own).commands) == {"demo", "claims"}
    for words in (["demo", "-o", "page.html"], ["claims"]):
        monkeypatch.setattr(sys, "argv", ["parts", *words])
        assert cli.status_of(own) == 0
    assert "fails" not in capfd.readouterr().out
