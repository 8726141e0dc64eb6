"""The `ninefold` command and what it finds installed."""

from __future__ import annotations

import json
import sys

import pytest
from ninefold import cli
from ninefold.demo import demo_verb
from ninefold.errors import InputError
from ninefold.systems import System, choose, installed

from .parts import register

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


def test_claims_in_full_refuse_an_uncommitted_tree_before_they_run(site, ninefold, monkeypatch):
    register(site, good="parts_nine:GOOD")
    monkeypatch.setattr("ninefold_lab.confirmation.uncommitted", lambda package: ["src/parts_nine.py", "src/b.py"])
    monkeypatch.setattr("ninefold_lab.outcomes.run_claim", lambda *_, **__: 1 / 0)
    status, out, err = ninefold("claims", "--full", "-o", "results")
    assert (status, out) == (2, "")
    assert "uncommitted changes in src/parts_nine.py, src/b.py" in err
    assert not (site.parent / "results").exists()
    assert ninefold("claims")[0] == 1  # the quick form is not stopped; it runs, and here that divides by zero


def test_claims_in_full_refuse_a_file_in_place_of_a_folder_before_they_run(site, ninefold, monkeypatch):
    register(site, good="parts_nine:GOOD")
    monkeypatch.setattr("ninefold_lab.run_claim", lambda *_, **__: 1 / 0)
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


def test_package_takes_the_verb_demo_for_itself(site, monkeypatch, capfd):
    register(site, good="parts_nine:GOOD", fails="parts_nine:FAILS")
    own = cli.house_app("parts_nine", "Parts.")
    demo_verb(own, "good")
    monkeypatch.setattr(sys, "argv", ["parts", "demo", "-o", "page.html"])
    assert cli.status_of(own) == 0
    assert "fails" not in capfd.readouterr().out
