import json

import pandas as pd
import pytest
from ninefold.testing import run
from proteus._simulate_runs import simulate_tables

MODULE = "proteus.cli"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    out = tmp_path_factory.mktemp("series") / "run"
    options = {"template": None, "template_samples": None, "group": None, "sets": None, "network": None}
    simulate_tables(out, tables=1, features=400, samples=24, effect=1.0, seed=0, **options)
    return out / "table-000"


def ask(*words):
    done = run(MODULE, *map(str, words), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_test_prints_hits_and_writes_all(simulated, tmp_path):
    out = tmp_path / "result.csv"
    words = ["test", simulated / "data", "--design", "~ batch + group", "--contrast", "case-control", "-o", out]
    found = ask(*words)
    key = json.loads((simulated / "key.json").read_text())
    assert found["rows"][0]["id"] in key["changed"]
    assert len(pd.read_csv(out)) > 350
    again = run(MODULE, *map(str, words))
    assert again.returncode == 2
    assert "result.csv" in again.stderr


def test_enrich_and_survival_find_what_was_planted(simulated):
    key = json.loads((simulated / "key.json").read_text())
    contrast = ["--design", "~ batch + group", "--contrast", "case-control"]
    sets = ask("enrich", simulated / "data", *contrast, "--sets", simulated / "sets.gmt", "--method", "fry")
    assert {row["set"] for row in sets["rows"][:6]} & set(key["sets"])
    found = ask("survival", simulated / "data")
    assert key["survival"] in [row["id"] for row in found["rows"][:5]]


def test_profile_and_inspect_say_what_is_there(simulated):
    facts = ask("profile", simulated / "data")
    assert facts["factor group"] == "case 12, control 12"
    assert any("batch and arm" in str(value) for value in facts.values())
    assert ask("inspect", simulated / "data")["format"] == "simulated"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--design", "~ nope", "--contrast", "a-b"], "column 'nope'"),
        (["--design", "~ batch + arm", "--contrast", "right-left"], "aliased"),
        (["--design", "~ group", "--contrast", "case-control", "--lfc", "much"], "--lfc"),
        (["--design", "~ group", "--contrast", "case-control", "--normalise", "magic"], "normalisation"),
    ],
)
def test_mistakes_are_one_line(simulated, words, message):
    done = run(MODULE, "test", str(simulated / "data"), *words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


def test_demo_prints_the_verdict_and_draws(tmp_path):
    found = ask("demo", "-o", tmp_path / "volcano.png")
    rows = {row["test"]: row for row in found[1]["rows"]}
    assert rows["proteus (default)"]["false share"] < rows["Student"]["false share"]
    assert rows["proteus, no fold bar, empirical null"]["false share"] <= 0.25
    assert (tmp_path / "volcano.png").stat().st_size > 5000
