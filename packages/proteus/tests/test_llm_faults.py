"""Whole studies with a scripted model: the good one, and every fault. Whatever a model says, the run ends cleanly, and
nothing that it made up is printed."""

import json
import re

import pytest
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._objects import Budget
from proteus.record._run_folder import Folder
from proteus.study._study import Study
from proteus.verification._report import render_report
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._requests import text_of
from proteus_experiments.scripted._script import load_script, shipped_scripts
from proteus_experiments.scripted._spoil import INVENTED_GENE, INVENTED_NUMBER, INVENTED_TOOL
from proteus_experiments.simulators._tables import simulate

from .helpers import noise, template
from .helpers import table as table_of

BUDGET = Budget(objectives=2, refinements=2, hypotheses=12)


@pytest.fixture(scope="module")
def table():
    return simulate(template(), samples=16, features=220, effect=1.5, seed=4)


@pytest.fixture(scope="module")
def contrast():
    """Two groups and a batch, small; the one objective is the contrast, which has most to refine."""
    values = noise(120, 16)
    values[:20, ::2] += 1.5
    values[60:, 8:] += 1.5
    return table_of(values, group=["case", "control"] * 8, batch=["b1"] * 8 + ["b2"] * 8)


def study(data, folder, script, budget=BUDGET, sets=None, **endpoint):
    """(report, server) of a run with a scripted model."""
    with FakeLLM(load_script(script)) as fake:
        client = Client(
            Endpoint(fake.base_url, "fake", **{"timeout": 20.0, **endpoint}),
            Calls(folder / "llm"),
            sleep=lambda _: None,
        )
        report = Study(data, LLMPlanner(client, data), sets=sets).run(budget, out=folder)
    return report, fake


def test_a_good_model_does_what_the_expert_does(table, tmp_path):
    report, fake = study(table.data, tmp_path / "good", "good", sets=table.sets)
    expert = Study(table.data, sets=table.sets).run(BUDGET)
    assert report.fallbacks == []
    found, known = ({one.entities[0] for one in run.hypotheses} for run in (report, expert))
    assert len(found & known) >= 0.7 * len(known)
    assert {one.objective.contrast for one in report.answers} == {"case-control"}
    names = {str(one) for one in table.data.samples.index}
    assert not any(name in text_of(body) for body in fake.requests for name in names)


@pytest.mark.parametrize("script", sorted(set(shipped_scripts()) - {"good"}))
def test_each_fault_ends_in_a_clean_report_without_inventions(contrast, tmp_path, script):
    folder = Folder(tmp_path / "run")
    budget = BUDGET.model_copy(update={"objectives": 1})
    report, fake = study(contrast, folder.root, script, budget, **({"timeout": 0.2} if script == "hang" else {}))
    assert report.hypotheses or script in ("invented-gene", "invented-number")  # refused twice by the gate: dropped
    assert {one.objective.template for one in report.answers} == {"group_contrast"}
    assert len(fake.requests) < 400
    printed = render_report(folder) + folder.hypotheses.read_text() + folder.graph.read_text()
    for invented in (INVENTED_GENE, INVENTED_NUMBER, INVENTED_TOOL):
        assert invented not in printed
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    marked = {one["data"]["role"] for one in events if one["kind"] == "fallback"}
    assert set(report.fallbacks) == marked
    assert events[-1]["kind"] == "finish"
    if not report.hypotheses:
        assert [one["data"]["accepted"] for one in events if one["kind"] == "gate"].count(False) >= 2
    if script in ("bad-json", "empty", "hang", "status-500", "invented-gene", "invented-tool"):
        assert marked, "the expert stood in, and the run does not say so"
    if script in ("cut", "status-429", "invented-number"):  # a number in words that nobody prints does no harm
        assert not marked, "the trouble passed, and the model was left"
    if script == "endless-refine":
        assert all(len(one.refinements) <= BUDGET.refinements for one in report.answers)
    for one in report.hypotheses:  # numbers are cells, which are put in when a statement is printed
        text = re.sub(r"\{\w+\}", "", one.statement)
        for name in [*one.entities, one.context]:
            text = text.replace(name, "")
        assert not re.search(r"\d", text.replace("log2", ""))
