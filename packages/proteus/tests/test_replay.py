"""Runs computed again, killed and resumed."""

import json
import shutil
import subprocess
import time

import pandas as pd
import pytest
from ninefold.errors import ArtifactError
from ninefold_testing import command, digests
from proteus.cli import app
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._objects import Budget
from proteus.record._run_folder import Folder
from proteus.study._study import Study
from proteus.verification._replay import ReplayPlanner, replay
from proteus.verification._verify import verify
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import Fault, load_script
from proteus_experiments.simulators._tables import simulate
from typer.testing import CliRunner

from .helpers import template, undrawn  # noqa: F401  (a fixture)

BUDGET = Budget(objectives=3, hypotheses=12)


@pytest.fixture(scope="module")
def table():
    return simulate(template(), samples=14, features=200, effect=1.5, seed=4)


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    Study(table.data, sets=table.sets).run(BUDGET, out=out)
    return out


def results(folder):
    kept = ("artifacts/", "graph.json", "hypotheses.json", "events.jsonl")
    return {name: digest for name, digest in digests(folder).items() if name.startswith(kept)}


def test_a_replay_gives_every_byte_again(whole):
    done = replay(whole)
    assert done.differences == []
    assert done.files > 6


def test_a_replay_names_the_row_of_an_edited_artifact_whose_digests_were_mended(whole, tmp_path):
    from proteus.record._run_folder import write_artifact

    folder = Folder(shutil.copytree(whole, tmp_path / "run"))
    path = next(path for path in sorted(folder.artifacts.glob("*features.parquet")))
    frame = pd.read_parquet(path)
    frame.loc[3, "effect"] += 1
    write_artifact(folder, path.stem, frame)
    with pytest.raises(ArtifactError, match=rf"{path.name}: row '{frame['id'][3]}' come out otherwise"):
        replay(folder.root).check(folder.root)


def test_a_models_run_is_replayed_without_it(table, tmp_path, monkeypatch):
    trouble = load_script("good").model_copy(
        update={"faults": [Fault(kind="bad_json", task="plan_workflow", count=3), Fault(kind="status", task="judge")]}
    )
    with FakeLLM(trouble) as fake:
        client = Client(Endpoint(fake.base_url, "fake"), Calls(tmp_path / "run" / "llm"), sleep=lambda _: None)
        report = Study(table.data, LLMPlanner(client, table.data), sets=table.sets).run(BUDGET, out=tmp_path / "run")
    assert report.planner == "llm"
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("it connects"))
    assert replay(tmp_path / "run").differences == []


def test_a_replay_that_asks_something_new_says_so(whole):
    from proteus.record._planner import ProposeObjectives

    from .test_llm_planner import PROFILE

    with pytest.raises(ArtifactError, match="holds no answer to this question"):
        ReplayPlanner([]).ask(ProposeObjectives(profile=PROFILE, tools=[], limit=3))
    with pytest.raises(ArtifactError, match=r"events\.jsonl"):
        replay(whole.parent)


@pytest.mark.usefixtures("undrawn")
def test_killed_and_resumed_no_paid_call_is_made_twice(table, tmp_path):
    """SIGKILL in the middle, then --resume: every request that was answered before is not sent again."""
    table.data.save(tmp_path / "table")
    log = tmp_path / "requests.jsonl"
    with FakeLLM(load_script("good"), log=log) as fake:
        words = ["run", str(tmp_path / "table"), "--planner", "llm", "--base-url", fake.base_url, "--model", "fake",
                 "--objectives", "2", "-o", str(tmp_path / "run"), "--quiet"]  # fmt: skip
        process = subprocess.Popen(command("proteus.cli", *words), stderr=subprocess.PIPE)
        while process.poll() is None and len(fake.requests) < 5:  # a whole run sends nine
            time.sleep(0.02)
        process.kill()
        assert process.communicate() is not None
        before = len(fake.requests)
        done = CliRunner().invoke(app, [*words, "--resume"])
        assert done.exit_code == 0, done.output
        asked = [json.dumps(one["messages"]) for one in fake.requests]
    assert 5 <= before < len(asked)
    twice = {one for one in asked if asked.count(one) > 1}
    assert len(twice) <= 1  # one may have been on its way when the kill came
    assert not twice or asked.index(next(iter(twice))) == before - 1
    assert verify(tmp_path / "run").problems == []
