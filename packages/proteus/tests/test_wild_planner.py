"""A planner that answers at random within the schemas: whatever a model plans, a run ends, and no tool breaks.

A tool may refuse what it is given (`InputError`, a failed step); any other exception would end a paid run.
"""

import random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, Network, Output, Params, ProteomicsData, Study, register_tool
from proteus.planning._expert import ExpertPlanner, propose
from proteus.planning._templates import PLANS
from proteus.record._objects import Objective, Step
from proteus.record._planner import (
    Hypotheses,
    Objectives,
    Plan,
    Planner,
    PlannerError,
    PlanWorkflow,
    ProposeHypotheses,
    ProposeObjectives,
    Refinement,
    RefineWorkflow,
)
from proteus.tools import _registry
from proteus.tools._registry import tools

from .helpers import noise, table

LIKELY = {
    "design": ["~ group", "~ batch + group", "~ donor + group", "~ group + age"], "first": ["group"],
    "contrast": ["case-control", "control-case"], "factor": ["group", "batch", "donor"], "positive": ["case", "b1"],
    "negative": ["control", "b2"], "time": ["time", "age"], "event": ["event"], "over": ["age", "group", "time"],
    "second": ["batch"], "block": ["donor", "batch"], "remove": ["~ group", "~ 1"], "sample": ["donor", "sample_id"],
}  # fmt: skip
ANY = [
    "group",
    "batch",
    "age",
    "case",
    "s0",
    "~",
    "~ 1",
    "~ group",
    "case-nothing",
    "group:batch",
    "",
    "age/0",
    "donor",
]


class Wild(Planner):
    name = "wild"

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)

    def value(self, schema, name):
        choose = self.random.choice
        if "enum" in schema or "const" in schema:
            return choose(schema.get("enum", [schema.get("const")]))
        if "anyOf" in schema:
            return self.value(choose(schema["anyOf"]), name)
        if schema.get("type") == "array":
            return [self.value(schema["items"], name) for _ in range(choose([0, 1, 2]))]
        if schema.get("type") == "object":
            return {choose(ANY): [choose(ANY)] for _ in range(choose([0, 1]))}
        plain = {
            "boolean": [True, False],
            "integer": [-5, 0, 1, 3, 1000],
            "number": [-1.0, 0.0, 0.5, 1e9],
            "null": [None],
        }
        return choose(plain.get(schema.get("type"), LIKELY.get(name, ANY) if self.random.random() < 0.7 else ANY))

    def params(self, tool):
        schema = tools()[tool].card().params
        wanted, most = schema.get("required", []), schema.get("properties", {})
        return {key: self.value(one, key) for key, one in most.items() if key in wanted or self.random.random() < 0.3}

    def steps(self, first, known):
        made, known = [], list(known)
        for number in range(first, first + self.random.randint(1, 5)):
            tool = self.random.choice([one for one in tools() if one != "panel"])  # 21 nested cross-validations
            reads = [key for key, name in known if name in tools()[tool].reads]
            if reads or not tools()[tool].reads:
                inputs = [self.random.choice(reads)] if reads else []
                made.append(Step(id=f"S{number}", tool=tool, params=self.params(tool), inputs=inputs))
                known.append((f"S{number}", tool))
        return made or [Step(id=f"S{first}", tool="quality")]

    def objective(self, number):
        choose = self.random.choice
        return Objective(
            id=f"O{number}", template=choose([*PLANS, "astrology"]), question=f"What of {self.random.random()}?",
            design=choose([None, "~ group", "~ nothing"]), contrast=choose([None, "case-control", "x-y"]),
            outcome=choose([[], ["time"], ["time", "event"], ["x", "y"]]),
        )  # fmt: skip

    def ask(self, question):
        choose = self.random.choice
        if self.random.random() < 0.2:
            raise PlannerError("refused", "no answer")
        if isinstance(question, ProposeObjectives):
            return Objectives(objectives=[self.objective(number) for number in (1, 2, 3)])
        if isinstance(question, PlanWorkflow):
            return Plan(steps=self.steps(1, []))
        if isinstance(question, ProposeHypotheses):
            made = propose(question, 10)
            wrong = [{}, {"evidence": ["x#y"]}, {"numbers": {}}, {"entities": ["zz"]}, {"statement": "{effect} {none}"}]
            return Hypotheses(hypotheses=[one.model_copy(update=choose(wrong)) for one in made])
        assert isinstance(question, RefineWorkflow)
        steps = question.workflow.steps
        action = choose(["continue"] * 4 + ["set_params", "insert", "drop", "branch", "refuse", "stop"])
        step = choose([*steps, Step(id="S99", tool="quality")])
        more = {"params": self.params(step.tool)} if action == "set_params" else {}
        if action == "insert":
            more = {"steps": self.steps(choose([7, 30]), [(one.id, one.tool) for one in steps])}
        if action == "branch":
            more = {"objective": choose([None, self.objective(9)])}
        return Refinement(action=action, reason="so", step=step.id, **more)


def bulk():
    values = noise(60, 16, sd=0.4)
    values[:20, ::2] += 1.5
    rng = np.random.default_rng(0)
    values[rng.random(values.shape) < 0.1] = np.nan
    return table(
        values, group=["case", "control"] * 8, batch=["b1"] * 8 + ["b2"] * 8,
        donor=[f"d{one // 2}" for one in range(16)], age=rng.uniform(20, 80, 16), event=rng.integers(0, 2, 16),
        time=rng.integers(1, 50, 16).astype(float),
    )  # fmt: skip


def cells():
    rng = np.random.default_rng(0)
    names = ["CD3", "CD4", "CD7", "CD20", "CD33", "CD14", "HLA-DR", "pS6", "pAkt"]
    data = table(
        rng.gamma(2, 2, (9, 800)), group=rng.choice(["case", "control"], 800), donor=rng.choice(list("abcd"), 800)
    )
    sheet = data.samples.assign(sample_id=data.samples["group"] + data.samples["donor"])
    features = data.features.set_axis(names)
    return ProteomicsData(data.values, features, sheet, "cell", "counts")


SETS = {f"SET{first}": [f"f{one}" for one in range(first, first + 12)] for first in range(0, 48, 6)}
NETWORK = Network.from_pairs([f"f{one}" for one in range(60)], [f"f{(7 * one + 3) % 60}" for one in range(60)])
ROLES = {name: "state" if name.startswith("p") else "type" for name in ("CD3", "CD4", "CD7", "CD20", "pS6", "pAkt")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(12))
def test_a_run_ends_whatever_a_model_plans_for_a_table(seed):
    Study(bulk(), Wild(seed), sets=SETS, network=NETWORK).run(Budget(objectives=3, hypotheses=10, steps=8))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_a_run_ends_whatever_a_model_plans_for_cells(seed):
    Study(cells(), Wild(seed), markers=ROLES).run(Budget(objectives=2, hypotheses=10, steps=6))


class Plans(ExpertPlanner):
    """The expert, but for one objective and the answer to it."""

    name = "plans"

    def __init__(self, objective, plan=None, refinement=None):
        super().__init__()
        self.objective, self.plan, self.refinement = objective, plan, refinement

    def ask(self, question):
        if isinstance(question, ProposeObjectives):
            return Objectives(objectives=[Objective(id="O1", question="What?", **self.objective)])
        if isinstance(question, PlanWorkflow) and self.plan is not None:
            return Plan(steps=self.plan)
        if isinstance(question, RefineWorkflow) and question.results[-1].step == "S3" and self.refinement:
            return self.refinement
        return super().ask(question)


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        ({"template": "multi_group"}, "S2: groups.design: Input should be a valid string"),
        ({"template": "survival"}, "S2: survival.time: Field required"),
        ({"template": "trend"}, "S2: trend.over: Field required"),
        ({"template": "group_contrast", "design": "~ group"}, "S2: contrast.contrast: Input should be a valid string"),
        ({"template": "ptm_versus_protein", "design": "~ group", "contrast": "case-control"},
         "S2: site_contrast needs modified peptides beside their proteins"),
        ({"template": "cell_state", "design": "~ group", "contrast": "case-control"},
         "S1: cell_types needs a table of cells"),
    ],
)  # fmt: skip
def test_an_objective_that_its_template_cannot_plan_is_refused_with_the_reason(objective, reason):
    report = Study(bulk(), Plans(objective)).run(Budget(objectives=1))
    assert reason in report.answers[0].refused
    assert report.answers[0].results == {}


def test_an_objective_in_a_models_words_gets_its_templates_plan():
    objective = {"template": "multi_group", "design": "~ group", "requires": ["groups"]}
    data = bulk()
    data = ProteomicsData(data.values, data.features, data.samples.assign(group=["a", "b", "c", "d"] * 4))
    report = Study(data, Plans(objective)).run(Budget(objectives=1))
    expected = {"design": "~ group", "factor": "group", "block": "donor"}  # each donor gave two samples
    assert report.answers[0].workflows[0].step("S2").params == expected


class Above(Params):
    level: float


def test_a_tool_of_another_package_is_found_by_its_entry_point_and_runs(monkeypatch):
    monkeypatch.setattr(_registry, "_TOOLS", tools())

    def load():
        @register_tool("above", params=Above, tables={"features": ("mean",)})
        def above(context, params, inputs):
            """Features whose mean lies above a level."""
            frame = pd.DataFrame({"id": context.data.features.index, "mean": np.nanmean(context.data.values, axis=1)})
            return Output({"features": frame}, {"above": int((frame["mean"] > params.level).sum())})

    points = {"proteus.tools": [SimpleNamespace(load=load)]}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points[group])
    _registry._load.__wrapped__()
    assert "above" in tools()
    plan = [Step(id="S1", tool="above", params={"level": -100.0})]
    report = Study(bulk(), Plans({"template": "mine"}, plan)).run(Budget(objectives=1))
    assert report.answers[0].results["S1"].metrics == {"above": 60}


def test_a_dropped_step_takes_along_what_had_read_it():
    plan = [
        Step(id="S1", tool="quality"),
        Step(id="S2", tool="contrast", params={"design": "~ group", "contrast": "case-control"}),
        Step(id="S3", tool="sensitivity", inputs=["S2"]),
    ]
    drop = Refinement(action="drop", reason="not wanted", step="S2")
    report = Study(bulk(), Plans({"template": "mine"}, plan, drop)).run(Budget(objectives=1))
    assert list(report.answers[0].results) == ["S1"]
    assert report.findings == []
    assert report.hypotheses == []


def test_the_experts_rules_are_left_where_they_do_not_fit_a_models_workflow(monkeypatch):
    misfit = Refinement(action="set_params", reason="so", step="S1", params={"no_such": 1}, trigger={"hits": 0})
    monkeypatch.setattr("proteus.planning._expert.refine", lambda _: misfit)
    report = Study(bulk()).run(Budget(objectives=1))
    assert report.refinements == []
    assert len(report.answers[0].results) == 3
