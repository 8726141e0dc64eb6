import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.data._roles import subject_column
from proteus.knowledge._describe import describe, order_levels
from proteus.tools._context import Context
from proteus.tools._registry import missing_requirements, tools

from .helpers import noise, table


def test_every_tool_says_what_it_does_and_takes_no_path_code_or_address():
    for tool in tools().values():
        card = tool.card()
        assert card.summary.endswith(".") or ";" in card.summary
        assert all(columns[0] == "id" for columns in card.tables.values())
        assert not {"path", "file", "url", "code", "command"} & set(card.params.get("properties", {}))


def test_levels_named_as_controls_are_the_base():
    assert list(order_levels({"treated": 3, "DMSO": 3})) == ["DMSO", "treated"]
    assert list(order_levels({"fmol100": 4, "fmol25": 4, "fmol50": 4})) == ["fmol25", "fmol50", "fmol100"]


def test_subjects_are_told_by_name_and_repetition():
    assert subject_column(pd.DataFrame({"donor": ["a", "a", "b", "b"], "x": [1, 2, 3, 4]})) == "donor"
    assert subject_column(pd.DataFrame({"donor": ["a", "b", "c", "d"]})) is None


@pytest.fixture(scope="module")
def cells() -> ProteomicsData:
    """Two donors' worth of nothing would do nobody good: four donors, B cells answer to the stimulus."""
    rng = np.random.default_rng(0)
    rows = []
    for donor in range(4):
        for condition in ("Ref", "Stim"):
            for kind in ("B", "T"):
                values = rng.normal(0, 0.3, (80, 4)) + 0.1 * donor
                values[:, 0 if kind == "B" else 1] += 4
                if kind == "B" and condition == "Stim":
                    values[:, 2] += 1.5
                rows.append((values, donor, condition))
    counts = np.sinh(np.clip(np.concatenate([one for one, _, _ in rows]), 0, None)) * 5
    sheet = pd.concat(
        pd.DataFrame(
            {"sample_id": f"{condition}{donor}", "donor": f"d{donor}", "condition": condition}, index=range(80)
        )
        for _, donor, condition in rows
    ).reset_index(drop=True)
    sheet.index = pd.Index([f"c{place}" for place in range(len(sheet))], name="cell")
    features = pd.DataFrame(index=pd.Index(["CD20", "CD3", "pS6", "pErk"], name="id"))
    return ProteomicsData(counts.T, features, sheet, "cell", "counts")


def test_cells_are_tested_with_donors_as_n(cells):
    markers = {"CD20": "type", "CD3": "type", "pS6": "state", "pErk": "state"}
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD20": "-", "CD3": "+"}}
    report = Study(cells, markers=markers, rules=rules).run(Budget(objectives=3))
    first = report.hypotheses[0]
    assert (first.entities, first.direction, first.context) == (["pS6"], "up", "Stim-Ref in B cells")
    state = next(one for one in report.answers if one.objective.template == "cell_state")
    assert state.results["S2"].metrics["samples"] == 8
    assert state.objective.design == "~ donor + condition"
    check = state.results["S3"].metrics
    donors = [f"without donor_{one}" for one in range(1, 5)]  # codes, for donors are persons
    assert check["refits"] == ["other clusters", "another start", *donors]  # each donor is left out once
    assert (first.grade, first.firm) == ("B", True)


def test_a_hit_of_one_donor_is_not_stable(cells):
    values = cells.values.copy()
    odd = (cells.samples["donor"] == "d0") & (cells.samples["condition"] == "Stim")
    values[2, odd] *= 40  # one donor carries it
    values[2, ~odd & (cells.samples["condition"] == "Stim").to_numpy()] *= 0.5
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD20": "-", "CD3": "+"}}
    markers = {"CD20": "type", "CD3": "type", "pS6": "state", "pErk": "state"}
    report = Study(cells.with_values(values), markers=markers, rules=rules).run(Budget(objectives=1))
    assert "pS6" not in {one.entities[0] for one in report.firm()}


def test_a_module_that_follows_a_number_is_found_as_one():
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, 40)
    values = rng.normal(22, 0.5, (300, 40))
    values[:25] += 0.4 * (age - age.mean()) / age.std() + 0.5 * rng.standard_normal(40)
    values[40:60] += 0.8 * rng.standard_normal(40)  # together, but not with age
    sheet = pd.DataFrame({"age": age}, index=[f"S{one}" for one in range(40)])
    data = ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(300)]), sheet)
    report = Study(data).run(Budget(objectives=4))
    answer = next(one for one in report.answers if one.objective.template == "module_trait")
    found = answer.findings()
    assert len(found) == 1
    assert found[0].sign == 1
    assert found[0].low < found[0].effect < found[0].high
    assert len(set(found[0].members) & {f"P{one}" for one in range(25)}) >= 20
    written = next(text for text in report.statements if text.startswith("module of P"))
    assert "rises with age (correlation 0." in written


def test_survival_and_trend_find_what_was_planted():
    rng = np.random.default_rng(1)
    values = rng.normal(20, 1, (120, 40))
    dose = np.tile([0.0, 1.0, 2.0, 3.0], 10)
    values[7] += dose
    time = rng.exponential(np.exp(-1.5 * (values[3] - 20))) * 100 + 1
    sheet = pd.DataFrame(
        {"dose": dose, "time": time, "event": np.ones(40, int)}, index=[f"S{one}" for one in range(40)]
    )
    sheet.loc["S0", "event"] = 0
    data = ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(120)]), sheet)
    assert missing_requirements(["outcome", "numbers"], describe(data)) == []
    report = Study(data).run(Budget(objectives=4))
    graded = {(one.context, one.entities[0], one.direction): one.firm for one in report.hypotheses}
    assert graded["time/event", "P3", "up"]
    assert ("dose", "P7", "up") in graded


def test_modules_against_an_outcome_in_words_are_refused():
    data = table(noise(60, 14), group=["case", "control"] * 7, days=range(1, 15))
    asked = tools()["module_outcome"]
    with pytest.raises(InputError, match="'group', which is text"):
        asked.run(Context(data, describe(data)), asked.params(time="days", event="group"), [])
