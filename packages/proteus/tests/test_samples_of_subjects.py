"""Designs as people bring them: subjects met once, twice, or within a group; numbers as names; shared levels."""

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.data._design import make_contrast, make_design
from proteus.differential._moderated_test import contrast_groups, moderated_test
from proteus.knowledge._describe import describe
from proteus.planning._rules import refine
from proteus.record._objects import DatasetProfile, Factor, Objective, Step, StepResult, Workflow
from proteus.record._planner import Digest, RefineWorkflow
from proteus.tools._context import Context
from proteus.tools._registry import tools


def made(sheet: dict, *, features: int = 120, subject: str | None = None, own: float = 0.0, seed: int = 3):
    """Noise with the columns given; each level of `subject` has an offset of its own in every feature."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(sheet)
    values = rng.normal(22, 0.4, (features, len(frame)))
    if subject is not None:
        code = pd.factorize(frame[subject])[0]
        values += own * rng.standard_normal((features, code.max() + 1))[:, code]
    frame.index = [f"S{one}" for one in range(len(frame))]
    return ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(features)]), frame)


def first(report, template: str):
    return next(one for one in report.answers if one.objective.template == template)


def unpaired_cells() -> ProteomicsData:
    """Eight donors of one sample each, four sick: B cells of the sick carry more pS6."""
    rng = np.random.default_rng(0)
    parts, rows = [], []
    for donor in range(8):
        sick = donor >= 4
        for kind in ("B", "T"):
            number = int(rng.integers(50, 90))
            values = rng.normal(0, 0.3, (number, 4)) + 0.1 * rng.standard_normal()
            values[:, 0 if kind == "B" else 1] += 4
            values[:, 2] += 2.0 * (kind == "B" and sick)
            parts.append(values)
            rows += [(f"s{donor}", f"d{donor}", "sick" if sick else "healthy")] * number
    sheet = pd.DataFrame(rows, columns=["sample_id", "donor", "condition"])
    sheet.index = pd.Index([f"c{one}" for one in range(len(sheet))], name="cell")
    features = pd.DataFrame(index=pd.Index(["CD20", "CD3", "pS6", "pErk"], name="id"))
    return ProteomicsData(
        (np.sinh(np.clip(np.concatenate(parts), 0, None)) * 5).T, features, sheet, "cell", "counts"
    )  # fmt: skip


def test_cells_of_donors_with_one_sample_each_are_tested():
    markers = {"CD20": "type", "CD3": "type", "pS6": "state", "pErk": "state"}
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD20": "-", "CD3": "+"}}
    report = Study(unpaired_cells(), markers=markers, rules=rules).run(Budget(objectives=2))
    for template in ("cell_state", "cell_abundance"):
        answer = first(report, template)
        assert answer.objective.design == "~ condition"
        assert not any(one.error for one in answer.results.values())
    assert report.hypotheses[0].entities == ["pS6"]


def test_the_type_that_a_table_gives_its_cells_is_no_condition_and_is_used():
    data = unpaired_cells()
    given = np.where(data.values[0] > np.sinh(2) * 5, "Bcell", "Tcell")
    data = ProteomicsData(data.values, data.features, data.samples.assign(cell_type=given), "cell", "counts")
    assert [one.name for one in describe(data).factors] == ["donor", "condition"]
    report = Study(data, markers={"pS6": "state", "pErk": "state"}).run(Budget(objectives=3))
    assert [one.target for one in first(report, "cell_state").findings()] == ["sick-healthy in Bcell"]


def test_subjects_within_a_group_are_a_block_not_a_term():
    sheet = {"mouse": np.repeat(list("abcdef"), 2), "genotype": ["wt"] * 6 + ["ko"] * 6}
    data = made(sheet, subject="mouse", own=1.0)
    data.values[:5, 6:] += 6
    assert describe(data).within == []
    report = Study(data).run(Budget(objectives=1))
    answer = report.answers[0]
    assert (answer.objective.template, answer.objective.design) == ("group_contrast", "~ genotype")
    assert answer.workflows[0].step("S2").params["block"] == "mouse"
    assert answer.results["S2"].status == "ok"
    assert {one.entity for one in answer.findings()} == {f"P{one}" for one in range(5)}


def test_subjects_in_both_levels_stay_in_the_design():
    data = made({"mouse": list("abcdef") * 2, "treatment": ["control"] * 6 + ["drug"] * 6}, subject="mouse", own=1.0)
    assert describe(data).within == ["treatment"]
    objective = Study(data).run(Budget(objectives=1)).answers[0].objective
    assert (objective.template, objective.design) == ("paired_change", "~ mouse + treatment")


def test_sets_and_networks_of_a_block_are_tested_with_it():
    sheet = {"mouse": np.repeat(list("abcdef"), 2), "genotype": ["wt"] * 6 + ["ko"] * 6}
    report = Study(made(sheet), sets={"set": [f"P{one}" for one in range(12)]}).run(Budget(objectives=2))
    assert first(report, "pathway_activity").workflows[0].step("S2").params["block"] == "mouse"


@pytest.mark.parametrize("runs", [3, 4])
def test_runs_of_a_subject_do_not_count_as_subjects_in_a_trend(runs):
    sheet = {
        "subject": np.repeat([f"p{one}" for one in range(8)], runs),
        "age": np.repeat([31.0, 38, 45, 47, 52, 60, 66, 71], runs),
    }
    data = made(sheet, features=300, subject="subject", own=1.0)
    report = Study(data).run(Budget(objectives=4))
    answer = first(report, "trend")
    assert answer.workflows[0].step("S2").params["block"] == "subject"
    assert len(answer.findings()) <= 15
    modules = first(report, "module_trait").results["S2"].metrics
    assert modules["subjects"] == 8
    assert modules["hits"] == 0


def test_a_trend_within_subjects_is_found():
    data = made({"subject": np.repeat(list("abcdef"), 4), "dose": [0.0, 1, 2, 4] * 6}, subject="subject", own=1.0)
    data.values[0] += data.samples["dose"].to_numpy()
    context = Context(data, describe(data))
    trend = tools()["trend"]
    found = trend.run(context, trend.params.model_validate({"over": "dose", "block": "subject"}), []).findings
    assert [one.entity for one in found] == ["P0"]


def test_a_dose_that_each_subject_was_given_is_no_trait_of_subjects():
    data = made({"subject": np.repeat(list("abcdef"), 4), "dose": [0.0, 1, 2, 4] * 6}, features=60)
    data.values[:30] += 3 * np.random.default_rng(0).standard_normal(24)
    tool = tools()["module_trait"]
    params = tool.params.model_validate({"trait": "dose", "block": "subject"})
    with pytest.raises(InputError, match=r"trait 'dose'.*hardly differ.*trend"):
        tool.run(Context(data, describe(data)), params, [])


def test_levels_are_compared_with_subjects_as_blocks():
    sheet = {"mouse": np.repeat(list("abcdefghi"), 3), "genotype": np.repeat(["a0", "b1", "c2"], 9)}
    data = made(sheet, features=300, subject="mouse", own=1.0)
    answer = first(Study(data).run(Budget(objectives=5)), "multi_group")
    assert answer.workflows[0].step("S2").params["block"] == "mouse"
    assert len(answer.findings()) <= 15


@pytest.mark.parametrize("clash", [False, True])
def test_levels_that_two_columns_share_are_told_apart(clash):
    """Names of subjects have codes and clash with nothing; those of a batch stay."""
    sheet = {"subject": list("123456") * 2, "group": ["1"] * 6 + ["2"] * 6}
    data = made(sheet | ({"batch": ["1", "2", "1", "2", "1", "2"] * 2} if clash else {}), subject="subject", own=1.0)
    data.values[:5, 6:] += 3
    report = Study(data).run(Budget(objectives=1))
    answer = report.answers[0]
    assert answer.objective.contrast == ("group[2]-group[1]" if clash else "2-1")
    assert answer.results["S2"].metrics["n"] == [6, 6]
    assert {one.entity for one in answer.findings()} == {f"P{one}" for one in range(5)}
    assert any("P0 is higher in 2 than in 1" in one for one in report.statements)


def test_a_batch_that_shares_levels_can_enter_the_design():
    sheet = {"batch": ["A", "B"] * 8, "group": ["A"] * 8 + ["B"] * 8}
    data = made(sheet)
    data.values[:] += 3 * np.random.default_rng(1).standard_normal((120, 1)) * ([0.0, 1.0] * 8)
    report = Study(data).run(Budget(objectives=1))
    answer = report.answers[0]
    assert answer.workflows[-1].step("S2").params["design"] == "~ batch + group"
    assert answer.results["S2"].status == "ok"


def test_levels_of_one_factor_alone_keep_their_plain_name():
    data = made({"batch": ["x", "y"] * 6, "group": ["A"] * 6 + ["B"] * 6})
    assert Study(data).run(Budget(objectives=1)).answers[0].objective.contrast == "B-A"


def test_groups_of_a_contrast_are_found_in_both_forms():
    sheet = pd.DataFrame({"subject": list("1122"), "group": list("1212")})
    design = make_design(sheet, "~ subject + group")
    first_group, second_group = contrast_groups(design, "group[2] - group[1]") or ([], [])
    assert first_group.tolist() == [False, True, False, True]
    assert second_group.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(make_contrast(design, "group[2]-group[1]"), [0, 0, 1])


def test_a_rule_names_the_factor_where_a_batch_brings_the_same_levels():
    step = Step(id="S2", tool="contrast", params={"design": "~ group", "contrast": "B-A"})
    levels = {"A": 8, "B": 8}
    profile = DatasetProfile(
        kind="protein", scale="log2", features=9, samples=16, batch=["batch"], shared_levels=["A", "B"],
        factors=[Factor(name="batch", levels=levels), Factor(name="group", levels=levels)],
    )  # fmt: skip
    results = [
        StepResult(objective="O1", step="S1", metrics={"batch_eta2": {"batch": 0.9}}),
        StepResult(objective="O1", step="S2"),
    ]
    objective = Objective(id="O1", template="group_contrast", question="?", design="~ group", contrast="B-A")
    question = RefineWorkflow(
        profile=profile, objective=objective, results=results, tools=[], left=1,
        workflow=Workflow(objective="O1", steps=[Step(id="S1", tool="quality"), step]),
        digest=Digest(tool="contrast", status="ok", metrics={}, tables={}),
    )  # fmt: skip
    assert refine(question).params == {"design": "~ batch + group", "contrast": "group[B]-group[A]"}


def test_samples_without_a_subject_are_left_out_and_said():
    data = made({"mouse": list("abcdef") * 2, "group": ["u", "v"] * 6}, subject="mouse", own=1.0)
    data.samples.loc[["S0", "S7"], "mouse"] = None
    found = moderated_test(data, "~ group", "v-u", block="mouse", lfc=0.0)
    kept = data.take(samples=data.samples["mouse"].notna().to_numpy())
    pd.testing.assert_frame_equal(found.table, moderated_test(kept, "~ group", "v-u", block="mouse", lfc=0.0).table)
    assert found.made.kept.tolist() == [one not in (0, 7) for one in range(12)]
    assert any("2 samples have no mouse and are left out: S0, S7" in note for note in found.notes)


@pytest.mark.parametrize("bar", [float("nan"), float("inf"), -1.0])
def test_a_fold_bar_that_is_no_number_is_refused(bar):
    with pytest.raises(InputError, match="lfc"):
        moderated_test(made({"group": ["u", "v"] * 6}), "~ group", "v-u", lfc=bar)


@pytest.mark.parametrize("kind", [int, float])
def test_subjects_that_arrive_as_numbers_are_names(kind):
    sheet = {"patient": np.array([101, 102, 103, 104, 105, 106] * 2, kind), "group": ["u"] * 6 + ["v"] * 6}
    data = made(sheet, subject="patient", own=1.0)
    profile = describe(data)
    assert (profile.block, profile.numbers) == ("patient", [])
    study = Study(data)
    assert make_design(study.data.samples, "~ patient + group").names[1] == "patient102"
    assert "column 'patient' holds numbers: taken as names of subjects" in study.data.notes
    answer = study.run(Budget(objectives=1)).answers[0]
    assert answer.objective.design == "~ patient + group"
    assert answer.results["S2"].status == "ok"


def test_numbers_of_patients_seen_once_are_not_followed():
    profile = describe(made({"patient_id": range(101, 113), "group": ["u", "v"] * 6}))
    assert (profile.block, profile.numbers) == (None, [])
