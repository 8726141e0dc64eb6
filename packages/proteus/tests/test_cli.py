import json
import sys

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import MissingExtraError, NinefoldError
from proteus.cli import app
from proteus_experiments.simulators._tables import simulate
from typer.testing import CliRunner

from .helpers import template


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    out = tmp_path_factory.mktemp("series")
    drawn = simulate(template("group"), samples=24, features=400, effect=1.0, seed=0)
    drawn.data.save(out / "data")
    (out / "key.json").write_text(json.dumps(drawn.key))
    (out / "sets.gmt").write_text("".join("\t".join([name, "x", *genes]) + "\n" for name, genes in drawn.sets.items()))
    return out


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def ask(*words):
    done = call(*words, "--json")
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def test_test_prints_hits_and_writes_all(simulated, tmp_path):
    out = tmp_path / "result.csv"
    words = ["test", simulated / "data", "--design", "~ batch + group", "--contrast", "case-control", "-o", out]
    found = ask(*words)
    key = json.loads((simulated / "key.json").read_text())
    assert found["rows"][0]["id"] in key["changed"]
    assert len(pd.read_csv(out)) > 350
    assert "result.csv" in str(call(*words).exception)


def test_enrich_and_survival_find_what_was_planted(simulated):
    key = json.loads((simulated / "key.json").read_text())
    contrast = ["--design", "~ batch + group", "--contrast", "case-control"]
    sets = ask("enrich", simulated / "data", *contrast, "--sets", simulated / "sets.gmt", "--method", "fry")
    assert {row["set"] for row in sets["rows"][:6]} & set(key["sets"])
    found = ask("survival", simulated / "data")
    assert key["survival"] in [row["id"] for row in found["rows"][:5]]


def test_profile_and_inspect_say_what_is_there(simulated):
    facts = ask("profile", simulated / "data")
    assert facts["note 1"] == "simulated, with planted truth"
    assert facts["warning 1"].startswith("batch and arm cannot be told apart")
    assert facts["factor group"] == "case 12, control 12"
    assert any("batch and arm" in str(value) for value in facts.values())
    assert ask("inspect", simulated / "data")["format"] == "simulated"


def test_a_table_without_a_sheet_says_how_to_write_one(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("protein,A1,A2,B1,B2\n" + "".join(f"P{at:05},9,9.5,8,8.{at}\n" for at in range(9)))
    for words in ([], ["--design", "~ group", "--contrast", "A-B"]):
        told = str(call("test", table, *words).exception)
        assert "--samples: got no columns of samples, expected -s FILE, a CSV file with one row for each sample" in told
        assert "(A1, A2, ...) under `sample`, its group under `group`; then --design '~ group' --contrast 'A-B'" in told
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,group\nA1,A\nA2,A\nB1,B\nB2,B\n")  # as the error says
    assert ask("test", table, "-s", sheet, "--design", "~ group", "--contrast", "A-B")["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--contrast", "a-b"], "--design: expected a formula over the sheet's columns, "),
        ([], "(for example --design '~ group')"),
        (["--design", "~ group"], "--contrast: expected two groups of '~ group' with a minus, such as 'case-control'"),
        (["--design", "~ nope", "--contrast", "a-b"], "column 'nope'"),
        (["--design", "~ batch + arm", "--contrast", "right-left"], "aliased"),
        (["--design", "~ group", "--contrast", "case-control", "--lfc", "much"], "--lfc"),
        (["--design", "~ group", "--contrast", "case-control", "--normalise", "magic"], "--normalise"),
    ],
)
def test_mistakes_are_named(simulated, words, message):
    done = call("test", simulated / "data", *words)
    assert isinstance(done.exception, NinefoldError)
    assert message in str(done.exception)


def test_a_column_of_follow_up_that_is_absent_is_named_by_its_option(simulated, bare):
    done = call("survival", simulated / "data", "--time", "days")
    assert "--time: got 'days', expected one of: group, batch" in str(done.exception)
    done = call("survival", simulated / "data", "--event", "died")
    assert "--event: got 'died', expected one of: group, batch" in str(done.exception)
    assert "--time: got 'time', expected one of: none: -s FILE" in str(call("survival", bare).exception)


@pytest.fixture
def bare(tmp_path):
    """Eight samples that no sheet describes."""
    values = 2 ** np.random.default_rng(0).normal(25, 1, (60, 8))
    frame = pd.DataFrame(values, [f"P{place:05d}" for place in range(60)], list("abcdefgh"))
    frame.rename_axis("protein").to_csv(tmp_path / "bare.csv")
    return tmp_path / "bare.csv"


def test_run_says_that_a_sheet_is_missing_and_that_nothing_is_kept(bare, tmp_path):
    done = call("run", bare)
    assert "twelve samples (nothing says what the samples are: -s SHEET, in Python samples=SHEET)" in str(
        done.exception
    )
    assert "nothing of this run is kept: -o DIR keeps it" in done.stderr
    assert "-s SHEET names their groups" in done.stderr
    assert not call("run", bare, "-q").stderr
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,age\n" + "".join(f"{name},{place}\n" for place, name in enumerate("abcdefgh")))
    kept = call("run", bare, "-s", sheet, "-o", tmp_path / "run", "--objectives", "1")
    assert not kept.stderr


CONTRAST = ["--design", "~ batch + group", "--contrast", "case-control"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test", *CONTRAST, "--normalise", "magic"], "--normalise: got 'magic', expected one of: median"),
        (["test", *CONTRAST, "--roll-up", "magic"], "--roll-up: got 'magic', expected one of: auto"),
        (["test", *CONTRAST, "--lfc", "much"], "--lfc: got 'much'"),
        (["test", *CONTRAST, "-o", "{old}"], "old.csv: exists already"),
        (["survival", "-o", "{old}"], "old.csv: exists already"),
        (["survival", "-o", "new.xlsx"], "--out: got 'new.xlsx', expected a name that ends in .csv, .tsv or .parquet"),
        (
            ["enrich", *CONTRAST, "--sets", "{sets}", "--method", "magic"],
            "--method: got 'magic', expected one of: camera",
        ),
        (["enrich", *CONTRAST, "--sets", "no.gmt"], "no.gmt: is not there"),
        (["enrich", *CONTRAST, "--sets", "{sets}", "--symbols", "no.tsv"], "no.tsv: is not there"),
    ],
)
def test_options_are_checked_before_the_table_is_read(simulated, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr("proteus.loaders._given.open_table", lambda *_: pytest.fail("it reads the table"))
    (tmp_path / "old.csv").write_text("mine")
    known = {"old": tmp_path / "old.csv", "sets": simulated / "sets.gmt"}
    verb, *rest = (word.format(**known) for word in words)
    done = call(verb, simulated / "data", *rest)
    assert isinstance(done.exception, NinefoldError)
    assert message in str(done.exception)


def test_maxlfq_without_its_extra_is_said_before_the_table_is_read(simulated, monkeypatch):
    monkeypatch.setattr("proteus.loaders._given.open_table", lambda *_: pytest.fail("it reads the table"))
    monkeypatch.setitem(sys.modules, "directlfq", None)
    done = call("test", simulated / "data", *CONTRAST, "--roll-up", "maxlfq")
    assert isinstance(done.exception, MissingExtraError)


@pytest.mark.parametrize("verb", ["profile", "inspect", "tools"])
def test_out_keeps_what_is_printed(simulated, tmp_path, verb):
    words = [verb] if verb == "tools" else [verb, simulated / "data"]
    found = ask(*words, "-o", tmp_path / "facts.json")
    assert json.loads((tmp_path / "facts.json").read_text()) == found
    shown = call(*words, "-o", tmp_path / "facts.txt")
    assert (tmp_path / "facts.txt").read_text() == shown.stdout
    again = call(*words, "-o", tmp_path / "facts.txt")
    assert "facts.txt: exists already" in str(again.exception)
