"""Hypotheses that join several entities, each edge by cells of its own."""

import json
from dataclasses import replace

import numpy as np
import pytest
from proteus import Budget, Steps, Study
from proteus.knowledge._coupling import coupling
from proteus.planning._expert import joins, propose
from proteus.record._documents import read_documents
from proteus.record._objects import Edge, Finding, Hypothesis
from proteus.record._planner import ProposeHypotheses
from proteus.record._run_folder import Folder
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._mediation import mediation
from proteus.study._gate import check, derived
from proteus.study._ranking import finish, merge
from proteus.study._replicated import Again
from proteus.verification._verify import verify
from proteus_experiments.baselines._systems import study
from proteus_experiments.claims._study_claims import _LinksAlone
from proteus_experiments.planted._regulation import plant_mediation, plant_regulators, score_joins
from proteus_experiments.simulators._tables import simulate

from .helpers import noise, table, template, write_undrawn
from .test_gate import EVIDENCE, FINDINGS, NAME, Knowledge, finding, frame

UP, DOWN = f"{NAME}#P1", f"{NAME}#P2"


def both(**changes) -> Hypothesis:
    """TFRC up and with it CD3E down."""
    values = {
        "statement": "x", "entities": ["TFRC", "CD3E"], "direction": "up", "context": "AD-control",
        "evidence": [UP, DOWN], "joins": [Edge(entity="CD3E", sign=-1, finding=DOWN)],
    }  # fmt: skip
    made = derived(Hypothesis(**(values | changes)), EVIDENCE)
    return made.model_copy(update={"prose": "", "prose_numbers": {}})


def test_a_joined_hypothesis_says_its_lead_with_numbers_and_the_direction_of_each_edge():
    one = both()
    assert check(one, EVIDENCE) == []
    assert one.statement == (
        "TFRC is higher in AD than in control (change in the table's own units {effect}; q {q}); CD3E is lower"
    )
    assert one.numbers["effect"].row == "P1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"joins": [Edge(entity="CD3E", sign=1, finding=DOWN)]}, "'CD3E' with sign 1 is not what"),
        ({"joins": [Edge(entity="TFRC", sign=-1, finding=DOWN)]}, "'TFRC' with sign -1 is not what"),
        ({"joins": []}, "not the estimated sign of every cited row"),
        ({"evidence": [UP]}, "joined, and not among the evidence"),
        ({"evidence": [DOWN, UP], "entities": ["CD3E", "TFRC"]}, "joined to itself"),
        ({"direction": "down"}, "not the estimated sign"),
        ({"entities": ["TFRC", "CD3E", "MYC"]}, "'MYC' is in none"),
    ],
)
def test_an_edge_that_its_cells_do_not_carry_is_refused(changes, reason):
    wrong = check(both(**changes), EVIDENCE)
    assert any(reason in one for one in wrong), wrong


def test_an_edge_under_no_bar_or_of_nothing_is_refused():
    weak = EVIDENCE.__class__({**FINDINGS, DOWN: finding("CD3E", "P2", -1, q=0.2)}, frame)
    assert any("does not pass its own family" in one for one in check(both(), weak))
    gone = both().model_copy(update={"joins": [Edge(entity="CD3E", sign=-1, finding="O1.S2.v1.features#P9")]})
    assert check(gone, EVIDENCE) == ["there is no finding 'O1.S2.v1.features#P9'"]


def test_the_grade_of_a_joined_hypothesis_is_that_of_its_weakest_edge():
    stable = {key: one.model_copy(update={"stable": True}) for key, one in FINDINGS.items()}
    for rejected, firm in (({UP, DOWN}, True), ({UP}, False), (set(), False)):
        made = finish(both(), stable, frozenset(rejected), frozenset({"O1"}), Knowledge())
        assert (made.grade, made.firm) == ("B", firm)
    again = {UP: Again(True), DOWN: Again(False)}
    for replicated, expected in ((again, ("B", False)), (again | {DOWN: Again(True)}, ("A", True)), ({}, ("B", None))):
        made = finish(both(), stable, frozenset({UP, DOWN}), frozenset({"O1"}), Knowledge(), replicated)
        assert (made.grade, made.replicated) == expected


def test_of_a_set_alone_and_with_its_members_one_is_kept():
    lead = finding("complex", "P1", 1, kind="set", members=["a", "b", "c"])
    rows = {one.id: one for one in [lead, *(finding(name, f"r{name}", 1) for name in "abc")]}
    question = ProposeHypotheses(profile=EVIDENCE.profile, objectives=[], findings=list(rows.values()), limit=20)
    made = [one.model_copy(update={"grade": "B"}) for one in propose(question, 20) if one.entities[0] == "complex"]
    assert sorted(bool(one.joins) for one in made) == [False, True]
    assert [bool(one.joins) for one in merge(made, rows)] == [True]
    better = [one.model_copy(update={"grade": "B" if one.joins else "A"}) for one in made]
    assert [bool(one.joins) for one in merge(better, rows)] == [False]


def test_links_go_to_the_feature_with_most_of_them():
    own = [finding(name, f"r{name}", 1) for name in "abcd"]
    links = [finding(f"{x} and {y}", f"{x}|{y}", 1, kind="link", relation="coupled_with", members=[x, y])
             for x, y in ("ab", "ac", "cd")]  # fmt: skip
    groups = [[one.entity for one in group] for group in joins([*own, *links])]
    assert groups[0] == ["a", "b", "a and b", "c", "a and c"]
    assert sorted(groups[1]) == ["c", "c and d", "d"]
    assert joins([*own[:1], *links]) == []  # partners without a change of their own


def test_a_link_that_a_joined_hypothesis_holds_and_the_features_of_a_panel_are_told_once():
    own = [finding(name, f"r{name}", 1) for name in "ab"]
    link = finding("a and b", "a|b", 1, kind="link", relation="coupled_with", members=["a", "b"])
    alone = finding("c and d", "c|d", 1, kind="link", relation="coupled_with", members=["c", "d"])
    panel = [finding(name, f"p{name}", 1, kind="panel", relation="classifies", descriptive=True) for name in "xyz"]
    question = ProposeHypotheses(
        profile=EVIDENCE.profile, objectives=[], findings=[*own, link, alone, *panel], limit=20
    )
    leads = [(one.entities[0], len(one.joins)) for one in propose(question, 20)]
    assert sorted(leads) == [("a", 0), ("a", 2), ("b", 0), ("c and d", 0), ("x", 2)]


def test_coupling_is_the_partial_correlation_given_the_design():
    rng = np.random.default_rng(0)
    values = rng.normal(25, 1, (4, 20))
    values[1] += 0.8 * values[0]
    values[:, :10] += 3.0  # what all share is no link
    values[2, 3] = np.nan
    design = np.stack([np.ones(20), np.arange(20) < 10], 1)
    found = coupling(fit_linear_model(values, design), np.array([[0, 1], [0, 3], [2, 3]]))
    left = values[[0, 1, 3]].T - design @ np.linalg.lstsq(design, values[[0, 1, 3]].T, rcond=None)[0]
    np.testing.assert_allclose(found["effect"][:2], np.corrcoef(left.T)[0, 1:], rtol=1e-9)
    assert found["n"].tolist() == [20, 20, 19]
    assert found["p"][0] < 1e-3 < found["p"][1]
    assert (found["ci_low"] < found["effect"]).all()


def test_coupling_takes_out_what_many_features_share():
    values = noise(400, 24, sd=0.3)
    batch = np.random.default_rng(3).normal(0, 1, 24)
    values[:150] += batch
    design = np.ones((24, 1))
    pairs = np.array([[one, one + 1] for one in range(0, 100, 2)])
    assert (coupling(fit_linear_model(values, design), pairs)["q"] <= 0.05).mean() <= 0.1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    drawn = simulate(template("group"), samples=24, features=400, effect=0.6, seed=5)
    planted = plant_regulators(drawn, regulators=4, seed=5)
    out = tmp_path_factory.mktemp("joined") / "run"
    report = study(planted.simulation, _LinksAlone()).run(Budget(objectives=4, hypotheses=60), out=out)
    write_undrawn(out)
    return planted, report, out


def test_planted_regulators_come_out_with_their_targets_and_decoys_do_not(run):
    planted, report, _ = run
    found, false = score_joins(report.hypotheses, planted)
    assert found.mean() >= 0.7
    assert false.mean() <= 0.1
    assert all(len(one.evidence) == 1 + len(one.joins) for one in report.hypotheses if one.joins)


def test_verify_makes_a_joined_sentence_again(run, tmp_path):
    _, report, out = run
    assert verify(out).problems == []
    place = next(place for place, one in enumerate(report.hypotheses) if one.joins)
    folder = Folder(out)
    before, graph = folder.hypotheses.read_bytes(), read_documents(folder.graph, "graph", Finding)
    document = json.loads(before)
    edge = document["items"][place]["joins"][-1]
    assert {edge["finding"]} <= {one.id for one in graph}
    text = document["items"][place]["statement"]
    document["items"][place]["statement"] = text.replace("move together", "move against each other", 1) + "."
    folder.hypotheses.write_text(json.dumps(document))
    assert verify(out).problems
    folder.hypotheses.write_bytes(before)


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A run on a table whose f0 to f19 move together, against age and with the hazard; f20 to f39 with neither."""
    rng = np.random.default_rng(4)
    values = noise(300, 60, seed=4, sd=0.4)
    own, other = rng.standard_normal((2, 60))
    values[:20] += 0.5 * own
    values[20:40] += 0.5 * other
    time = rng.exponential(np.exp(-own)) * 100 + 1
    data = table(values, age=list(50 - 6 * own + rng.normal(0, 4, 60)), time=list(time), event=[1] * 55 + [0] * 5)
    out = tmp_path_factory.mktemp("modules") / "run"
    report = Study(data).run(Budget(objectives=5, hypotheses=60), out=out)
    write_undrawn(out)
    return report, out


@pytest.mark.parametrize(
    ("template", "context", "sign", "words"),
    [
        ("module_outcome", "time/event", 1, "goes with a higher hazard as it rises (log hazard ratio"),
        ("module_trait", "age", -1, "falls with age (correlation"),
    ],
)
def test_a_module_is_joined_with_its_outcome_and_the_members_that_pass_alone(modules, template, context, sign, words):
    report, out = modules
    answer = next(one for one in report.answers if one.objective.template == template)
    found = min(answer.findings(), key=lambda one: one.p)
    assert found.sign == sign
    assert found.low < found.effect < found.high
    assert len(set(found.members) & {f"f{one}" for one in range(20)}) >= 18
    (one,) = [one for one in report.hypotheses if (one.context, one.entities[0]) == (context, found.entity)]
    assert one.evidence[0] == found.id
    assert {edge.entity for edge in one.joins} <= set(found.members)
    assert len(one.joins) >= 3
    assert one.statement.startswith(f"{found.entity} {words}")
    assert one.grade == "B"  # modules have no refits
    assert {edge.sign for edge in one.joins} == {sign}
    assert verify(out).problems == []


def test_a_table_without_modules_has_no_findings_on_its_outcome():
    rng = np.random.default_rng(0)
    data = table(noise(120, 40, seed=1, sd=0.4), time=list(rng.exponential(100, 40) + 1), event=[1] * 35 + [0] * 5)
    found = Steps(Study(data))("module_outcome", time="time", event="event", smallest=58)
    assert found.metrics == {"tested": 0, "hits": 0}
    assert found.tables["modules"].empty


@pytest.mark.parametrize(("through", "order"), [(0, [0, 1]), (1, [1, 0])])
def test_mediation_tells_which_feature_a_change_goes_through(through, order):
    rng, x = np.random.default_rng(0), np.arange(60) % 2
    lead = 2 * x + rng.standard_normal(60)
    values = np.stack([lead, 0.8 * lead + 0.6 * rng.standard_normal(60)])[order]
    found = mediation(fit_linear_model(values, np.stack([np.ones(60), x], 1)), np.array([0.0, 1.0]), np.array([[0, 1]]))
    assert found.loc[0, "through"] == through
    assert found.loc[0, "support"] > 1
    assert found.loc[0, "direct"] < 0.4


def test_mediation_is_not_said_of_changes_that_are_apart_or_too_few_samples():
    rng, x = np.random.default_rng(1), np.arange(60) % 2
    values = 2 * x + rng.standard_normal((2, 60))
    design, pair = np.stack([np.ones(60), x], 1), np.array([[0, 1]])
    found = mediation(fit_linear_model(values, design), np.array([0.0, 1.0]), pair)
    assert found.loc[0, "support"] < 0
    assert found.loc[0, "direct"] > 0.8
    few = mediation(fit_linear_model(values[:, :5], design[:5]), np.array([0.0, 1.0]), pair)
    assert few.loc[0, "through"] == -1
    assert np.isnan(few.loc[0, "support"])


def test_a_change_that_goes_through_a_regulator_is_said_in_order():
    complete = replace(template("group"), dropout=(20.0, 0.0))
    planted = plant_mediation(simulate(complete, samples=60, features=300, effect=0.6, seed=3), effect=8.0, seed=3)
    report = study(planted.simulation, _LinksAlone()).run(Budget(objectives=4, hypotheses=60))
    said = [one for one in report.findings if one.relation == "passes_on"]
    through = [pair for pair, kind in planted.kinds.items() if kind == "through"]
    assert sum(tuple(one.members) in through for one in said) >= 3
    assert any("the change of the second goes through the first" in text for text in report.statements)
