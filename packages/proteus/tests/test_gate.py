import pandas as pd
import pytest
from proteus.record._objects import Experiment, Finding, Hypothesis, Ref
from proteus.review._rubric import Knowledge, score, total
from proteus.study._gate import Evidence, check, derived, fill
from proteus.study._grading import Family, grade, judge
from proteus.study._ranking import merge

NAME = "O1.S2.v1.features"
FRAME = pd.DataFrame({"id": ["P1", "P2"], "entity": ["TFRC", "CD3E"], "effect": [1.25, -0.5], "q": [0.001, 0.02]})


def finding(entity: str, row: str, sign: int, **more) -> Finding:
    values = {"id": f"{NAME}#{row}", "objective": "O1", "entity": entity, "relation": "changed_in",
              "target": "AD-control", "sign": sign, "effect": float(sign), "p": 1e-5, "q": 0.001, "artifact": NAME,
              "row": row}  # fmt: skip
    return Finding(**(values | more))


FINDINGS = {one.id: one for one in (finding("TFRC", "P1", 1), finding("CD3E", "P2", -1))}


def frame(name: str) -> pd.DataFrame:
    if name != NAME:
        raise KeyError(f"there is no artifact {name!r}")
    return FRAME


EVIDENCE = Evidence(FINDINGS, frame)


def hypothesis(**changes) -> Hypothesis:
    values = {
        "statement": "TFRC is higher in AD than in control by {effect} (q {q})", "entities": ["TFRC"],
        "direction": "up", "context": "AD-control", "evidence": [f"{NAME}#P1"],
        "numbers": {name: Ref(artifact=NAME, row="P1", column=name) for name in ("effect", "q")},
    }  # fmt: skip
    return Hypothesis(**(values | changes))


def test_a_hypothesis_made_of_cells_passes_and_is_rendered_from_them():
    assert check(hypothesis(), EVIDENCE) == []
    made = fill(hypothesis().statement, hypothesis().numbers, frame)
    assert made == "TFRC is higher in AD than in control by 1.25 (q 0.001)"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"entities": ["TFRC", "MYC"]}, "'MYC' is in none"),
        ({"direction": "down"}, "not the estimated sign"),
        ({"direction": "associated"}, "hides the estimated sign"),
        ({"context": "AD-other"}, "context"),
        ({"evidence": ["O9.S1.v1.x#P1"]}, "no finding"),
    ],
)
def test_what_is_no_cell_of_a_cited_row_does_not_pass(changes, reason):
    assert any(reason in one for one in check(hypothesis(**changes), EVIDENCE)), check(hypothesis(**changes), EVIDENCE)


def test_words_and_numbers_of_a_proposer_are_replaced_by_those_of_its_findings():
    said = {
        "statement": "TFRC is toxic to 3 of 4 neurons", "mechanism": "a contaminant from keratin", "notes": ["sure"],
        "alternatives": ["MYC does it"], "experiment": Experiment(assay="PRM of 40 samples"), "prose": "It is proven.",
        "numbers": {"effect": Ref(artifact="../../etc/passwd", row="P1", column="q")}, "grade": "A",
    }  # fmt: skip
    made = derived(hypothesis(**said), EVIDENCE)
    assert check(hypothesis(**said), EVIDENCE) == []
    assert made.statement == "TFRC is higher in AD than in control (change in the table's own units {effect}; q {q})"
    assert {one.artifact for one in made.numbers.values()} == {NAME}
    assert (made.mechanism, made.prose, made.notes, made.experiment, made.grade) == ("", "", [], None, None)
    assert made.alternatives == derived(hypothesis(), EVIDENCE).alternatives


def test_grades_need_the_run_wide_control_and_the_refits():
    import numpy as np

    rng = np.random.default_rng(0)
    strong = np.concatenate([[1e-9, 1e-8], rng.random(98)])
    weak = rng.random(100)
    rows = np.array([f"{NAME}#P{place}" for place in range(1, 101)], object)
    verdicts = judge([Family("O1", rows, strong), Family("O2", rows, weak)])
    assert [one.passed for one in verdicts] == [True, False]
    assert verdicts[0].level == pytest.approx(0.025)
    rejected, families = verdicts[0].rejected, frozenset({"O1"})
    stable = finding("TFRC", "P1", 1, stable=True)
    assert grade(stable, rejected, families) == "A"
    assert grade(stable.model_copy(update={"stable": None}), rejected, families) == "B"
    assert grade(stable.model_copy(update={"id": f"{NAME}#P50"}), rejected, families) == "B"
    assert grade(stable.model_copy(update={"descriptive": True}), rejected, families) == "C"
    assert grade(stable.model_copy(update={"q": 0.2}), rejected, families) == "C"
    assert grade(stable.model_copy(update={"objective": "O7"}), rejected, families) == "C"


def test_near_duplicates_of_one_sign_are_one_hypothesis():
    members = ["PSMA", "PSMB", "PSMC", "PSMD"]
    made = [
        hypothesis(entities=["Proteasome", *members], statement="Proteasome is up", numbers={}),
        hypothesis(entities=["Degradation", *members], statement="Degradation is up", numbers={}),
        hypothesis(entities=["Degradation", *members], statement="It is down", numbers={}, direction="down"),
        hypothesis(),
    ]
    merged = merge(made, FINDINGS)
    assert sorted(one.id for one in merged) == ["H1", "H2", "R1"]  # two join several entities, one is single
    assert sum("PSMA" in one.entities and one.direction == "up" for one in merged) == 1


def test_the_rubric_marks_down_evidence_of_others():
    own, foreign = hypothesis(grade="A"), hypothesis(grade="A", evidence=[f"{NAME}#P2"])
    marks = [total(score(one, FINDINGS, Knowledge())) for one in (own, foreign)]
    assert marks[0] > marks[1]
    assert score(own, FINDINGS, Knowledge()).novelty is None  # nothing is known of it: no middle mark
