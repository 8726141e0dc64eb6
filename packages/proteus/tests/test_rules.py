import pytest
from proteus.planning._rules import refine
from proteus.record._objects import DatasetProfile, Factor, Objective, Step, StepResult, Workflow
from proteus.record._planner import Digest, RefineWorkflow

PROFILE = DatasetProfile(
    kind="protein", scale="log2", features=500, samples=20, batch=["batch"], block="donor",
    factors=[Factor(name="group", levels={"control": 10, "case": 10}), Factor(name="batch", levels={"a": 10, "b": 10})],
    aliasing={"group": {"batch": 0.1}, "batch": {"group": 0.1}}, knowledge=["sets"],
    variance_explained={"group": [0.3], "batch": [0.2]},
    warnings=["batch and group cannot be told apart: a control=10"],
)  # fmt: skip
OBJECTIVE = Objective(
    id="O1", template="group_contrast", question="?", design="~ group", contrast="case-control", requires=["groups"]
)


def question(metrics, tool="contrast", quality=None, profile=PROFILE, left=3, params=None) -> RefineWorkflow:
    steps = [
        Step(id="S1", tool="quality"),
        Step(id="S2", tool=tool, params=params or {"design": "~ group", "contrast": "case-control"}),
        Step(id="S3", tool="survival_check" if tool == "survival" else "sensitivity", inputs=["S2"]),
    ]
    first = StepResult(objective="O1", step="S1", metrics=quality or {"batch_eta2": {}, "outliers": [], "eta2": {}})
    results = [first] if tool == "quality" else [first, StepResult(objective="O1", step="S2", metrics=metrics)]
    return RefineWorkflow(
        profile=profile, objective=OBJECTIVE, workflow=Workflow(objective="O1", steps=steps), results=results,
        digest=Digest(tool=tool, status="ok", metrics=metrics, tables={}), tools=[], left=left,
    )  # fmt: skip


CALM = {"hits": 5, "tested": 500, "share": 0.01, "z_mode": 0.0, "p_shape": "flat"}


@pytest.mark.parametrize(
    ("metrics", "more", "action", "params"),
    [
        (CALM, {}, "continue", {}),
        (CALM, {"quality": {"batch_eta2": {"batch": 0.5}}}, "set_params", {"design": "~ batch + group"}),
        (CALM, {"quality": {"batch_eta2": {"batch": 0.49}, "outliers": []}}, "continue", {}),
        (CALM | {"share": 0.9, "missing_by_intensity": -0.9}, {}, "continue", {}),
        (CALM | {"z_mode": -0.6, "near_mode": 0.8}, {}, "set_params", {"recentre": True}),
        (CALM | {"z_mode": -0.6, "near_mode": 0.69}, {}, "continue", {}),
        (CALM | {"z_mode": 0.5, "near_mode": 0.9}, {}, "continue", {}),
        (CALM | {"hits": 0, "detectable": 1.0}, {"left": 0}, "continue", {}),
        (CALM | {"p_shape": "odd", "p_right": 1.3}, {}, "set_params", {"block": "donor"}),
        (CALM | {"hits": 0, "detectable": 1.0}, {}, "insert", {}),
        (CALM, {"quality": {"batch_eta2": {}, "outliers": ["S7"]}}, "set_params", {"drop": ["S7"]}),
        (CALM | {"spread": 1.6}, {}, "set_params", {"spread": "groups"}),
        (CALM | {"spread": 1.4}, {}, "continue", {}),
        ({"ph_violated": 1}, {"tool": "survival"}, "set_params", {"rmst": True}),
    ],
)  # fmt: skip
def test_each_rule_fires_on_its_measured_trigger_and_not_below_it(metrics, more, action, params):
    found = refine(question(metrics, **more))
    assert (found.action, found.params) == (action, params)
    if action != "continue":
        assert found.trigger
        assert found.reason


def test_an_aliased_batch_refuses_the_objective_with_its_counts_even_without_a_refinement_left():
    aliased = PROFILE.model_copy(update={"aliasing": {"group": {"batch": 1.0}, "batch": {"group": 1.0}}})
    ask = question(
        {}, tool="quality", quality={"eta2": {"batch": 0.9}, "batch_eta2": {"batch": 0.9}}, profile=aliased, left=0
    )
    ask = ask.model_copy(update={"workflow": Workflow(objective="O1", steps=[Step(id="S1", tool="quality")])})
    found = refine(ask)
    assert found.action == "refuse"
    assert "a control=10" in found.reason
    assert found.trigger["cramers_v"] == 1.0
