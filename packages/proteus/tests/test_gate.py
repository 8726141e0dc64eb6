import pandas as pd
import pytest
from proteus.record._objects import Experiment, Finding, Hypothesis, Ref
from proteus.review._rubric import Knowledge, score, total
from proteus.study._gate import Evidence, check, render
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


EVIDENCE = Evidence(FINDINGS, frame, {"TFRC", "CD3E", "MYC", "P1", "P2"}, {"AD", "control", "group"})


def hypothesis(**changes) -> Hypothesis:
    values = {
        "statement": "TFRC is higher in AD than in control by {effect} (q {q})", "entities": ["TFRC"],
        "direction": "up", "context": "AD-control", "evidence": [f"{NAME}#P1"],
        "numbers": {name: Ref(artifact=NAME, row="P1", column=name) for name in ("effect", "q")},
    }  # fmt: skip
    return Hypothesis(**(values | changes))


def test_a_hypothesis_made_of_cells_passes_and_is_rendered_from_them():
    assert check(hypothesis(), EVIDENCE) == []
    assert (
        render(hypothesis().statement, hypothesis(), frame) == "TFRC is higher in AD than in control by 1.25 (q 0.001)"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"statement": "TFRC is up by 1.25"}, "typed number"),
        ({"statement": "TFRC is up by ½"}, "typed number"),
        ({"statement": "TFRC is up by ٣"}, "typed number"),
        ({"statement": "TFRC is up twofold"}, "number in words"),
        ({"statement": "TFRC doubles in AD"}, "number in words"),
        ({"mechanism": "iron, 3 of 4 donors"}, "typed number"),
        ({"alternatives": ["n of 12 only"]}, "typed number"),
        ({"experiment": Experiment(assay="PRM of 40 samples")}, "typed number"),
        ({"statement": "TFRC and MYC are up"}, "'MYC' is not in the cited rows"),
        ({"statement": "TFRC and BRCQX are up"}, "'BRCQX' is no name"),
        ({"entities": ["TFRC", "MYC"]}, "'MYC' is in none"),
        ({"direction": "down"}, "not the estimated sign"),
        ({"direction": "associated"}, "hides the estimated sign"),
        ({"context": "AD-other"}, "context"),
        ({"evidence": ["O9.S1.v1.x#P1"]}, "no finding"),
        ({"statement": "TFRC is up by {fold}"}, "{fold} is not in numbers"),
        ({"numbers": {"effect": Ref(artifact=NAME, row="P2", column="effect")}}, "not among the cited"),
        ({"numbers": {"effect": Ref(artifact=NAME, row="P1", column="fold")}}, "no column 'fold'"),
        ({"numbers": {"effect": Ref(artifact=NAME, row="P1", column="entity")}}, "holds no number"),
        ({"numbers": {"effect": Ref(artifact="../../etc/passwd", row="P1", column="q")}}, "not among the cited"),
    ],
)
def test_what_is_no_cell_of_a_cited_row_does_not_pass(changes, reason):
    assert any(reason in one for one in check(hypothesis(**changes), EVIDENCE)), check(hypothesis(**changes), EVIDENCE)


def test_digits_in_the_name_of_a_cited_entity_are_no_numbers():
    one = hypothesis(statement="CD3E is lower in AD", entities=["CD3E"], direction="down", numbers={},
                     evidence=[f"{NAME}#P2"])  # fmt: skip
    assert check(one, EVIDENCE) == []


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
    assert [one.id for one in merged] == ["H1", "H2", "H3"]
    assert sum("PSMA" in one.entities and one.direction == "up" for one in merged) == 1


def test_the_rubric_marks_down_evidence_of_others():
    own, foreign = hypothesis(grade="A"), hypothesis(grade="A", evidence=[f"{NAME}#P2"])
    marks = [total(score(one, FINDINGS, Knowledge())) for one in (own, foreign)]
    assert marks[0] > marks[1]
    assert score(own, FINDINGS, Knowledge()).novelty is None  # nothing is known of it: no middle mark
