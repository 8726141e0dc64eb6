"""The verbs that ask a model after a run: `score --judge`; and objectives that no planner has a plan for."""

import json
import shutil

import pytest
from ninefold_testing import digests
from proteus.cli import app
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._objects import Budget
from proteus.record._run_folder import Folder
from proteus.study._study import Study
from proteus.verification._verify import verify
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import Fault, Turn, load_script
from proteus_experiments.simulators._tables import simulate
from typer.testing import CliRunner

from .helpers import template, undrawn  # noqa: F401  (a fixture)

BUDGET = Budget(objectives=2, hypotheses=6)
MADE_UP = {"objectives": [{"id": "O1", "template": "astrology", "question": "What do the stars say?", "priority": 9},
                          {"id": "O2", "template": "group_contrast", "question": "What differs?", "design": "~ group",
                           "contrast": "case-control", "priority": 1}]}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return simulate(template(), samples=14, features=200, effect=1.5, seed=4)


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    """An expert's run; copied where a test writes into it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    Study(table.data, sets=table.sets).run(BUDGET, out=run)
    return run


def ask(*words):
    return CliRunner().invoke(app, [str(one) for one in words])


def planned(fake, folder, data):
    return LLMPlanner(Client(Endpoint(fake.base_url, "fake"), Calls(folder / "llm"), sleep=lambda _: None), data)


@pytest.mark.usefixtures("undrawn")
def test_a_model_judges_a_run_and_the_report_shows_its_marks(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    with FakeLLM(load_script("good")) as fake:
        words = ["score", run, "--judge", "--base-url", fake.base_url, "--model", "fake", "--json"]
        done = ask(*words)
        assert done.exit_code == 0, done.output
        asked = len(fake.requests)
        ask(*words)
        assert len(fake.requests) == asked  # paid once
    rubric, model = json.loads(done.stdout)
    assert [row["hypothesis"] for row in rubric["rows"]] == [row["hypothesis"] for row in model["rows"]]
    assert {row["coherence"] for row in model["rows"]} <= {2, 4}
    items = json.loads((run / "judge.json").read_bytes())["items"]
    assert all(len(one["scores"]) == 3 and len(one["reasons"]) == 3 for one in items)
    assert "coherence 4" in (run / "report.html").read_text()
    assert verify(run).problems == []
    items = json.loads((run / "judge.json").read_bytes())
    items["items"][0]["mean"]["coherence"] = 5
    (run / "judge.json").write_text(json.dumps(items))
    assert verify(run).problems[0].startswith("report.html: line")


def test_a_judge_needs_a_server_and_results_to_read(finished):
    done = ask("score", finished, "--judge")
    assert "--base-url and --model: there is no default server" in str(done.exception)
    url = ["--base-url", "http://127.0.0.1:9/v1", "--model", "fake"]
    done = ask("score", finished, "--judge", *url, "--data-policy", "schema-only")
    assert "a judge reads results" in str(done.exception)


@pytest.mark.parametrize("server", ["good", "gone"])
def test_an_objective_that_no_planner_has_a_plan_for_is_refused_and_the_run_goes_on(table, tmp_path, server):
    turn = Turn(task="propose_objectives", reply=MADE_UP)
    none = Turn(task="plan_workflow", contains="astrology", reply={"steps": []})
    script = load_script("good").model_copy(update={"turns": [turn, none, *load_script("good").turns]})
    if server == "gone":
        script = script.model_copy(update={"faults": [Fault(kind="status", first=2)]})
    with FakeLLM(script) as fake:
        report = Study(table.data, planned(fake, tmp_path / "run", table.data)).run(BUDGET, out=tmp_path / "run")
    first, second = report.answers
    assert first.refused == "no workflow: no template for 'astrology'"
    assert second.findings()
    assert report.hypotheses
    events = [json.loads(line) for line in Folder(tmp_path / "run").events.read_text().splitlines()]
    refused = [one["data"] for one in events if one["kind"] == "objective" and not one["data"]["accepted"]]
    assert [(one["objective"]["id"], one["reason"]) for one in refused] == [("O1", first.refused)]


def test_a_resumed_run_meets_its_fallbacks_again_and_repeats_nothing(table, tmp_path):
    fault = Fault(kind="status", task="refine_workflow", first=2)
    script = load_script("good").model_copy(update={"faults": [fault]})
    with FakeLLM(script) as fake:
        whole = Study(table.data, planned(fake, tmp_path / "run", table.data)).run(BUDGET, out=tmp_path / "run")
        assert whole.fallbacks
        before = digests(tmp_path / "run")
        asked = len(fake.requests)
        again = Study(table.data, planned(fake, tmp_path / "run", table.data)).run(
            BUDGET, out=tmp_path / "run", resume=True
        )
        assert len(fake.requests) == asked
    assert again.fallbacks == whole.fallbacks
    assert digests(tmp_path / "run") == before
