"""Hypotheses that join results: which sets' hits move together, what is no join, alternatives that fit the assay."""

import re

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.knowledge._addresses import of_protein, of_set
from proteus.knowledge._assay import assay_of, assays
from proteus.knowledge._together import one_each, together
from proteus.planning._cards import alternatives_of, next_of
from proteus.planning._expert import joins, propose
from proteus.record._objects import DatasetProfile, Finding, Hypothesis
from proteus.record._planner import ProposeHypotheses
from proteus.record._words import words
from proteus.statistics._linear_model import fit_linear_model
from proteus.study._ranking import merge
from proteus.verification._drawn import tree, volcano
from proteus.verification._replay import replay
from proteus.verification._verify import verify
from proteus_experiments import published

from .helpers import needs_data, noise
from .helpers import undrawn as undrawn
from .test_gate import EVIDENCE, finding


def hits(seed=0, strength=1.0, samples=40):
    """60 hits in 12 sets of five; those of S0 share a factor within groups."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((60, samples))
    values[:5] += strength * rng.standard_normal(samples)
    values[:, : samples // 2] += 2.0
    design = np.column_stack([np.ones(samples), np.arange(samples) < samples // 2]).astype(float)
    genes = [f"G{one}" for one in range(60)]
    sets = {f"S{one}": genes[5 * one : 5 * one + 5] for one in range(12)}
    return fit_linear_model(values, design), genes, sets


def calls_of(fit, genes, sets, **more):
    return together(fit, np.arange(60), more.pop("sign", np.ones(60)), genes, sets, **more)


def test_hits_of_a_set_that_move_together_within_groups_are_found():
    found = calls_of(*hits())
    assert found.index[found["q"] <= 0.05].tolist() == ["S0"]
    assert found.loc["S0", ["hits", "higher", "told"]].tolist() == [5, 5, "S0"]
    assert found.loc["S0", "effect"] > 0.2
    assert abs(found["chance"]).max() < 0.05


def test_under_other_labels_no_set_is_found():
    calls = 0
    for seed in range(10):
        fit, genes, sets = hits(seed)
        calls += int((calls_of(fit, list(np.random.default_rng(seed).permutation(genes)), sets)["q"] <= 0.05).sum())
    assert calls <= 2


def test_opposite_changes_of_a_regulator_and_its_target_may_belong_together():
    fit, genes, sets = hits()
    residuals = fit.residuals.copy()
    residuals[:2] *= -1
    sign = np.ones(60)
    sign[:2] = -1
    turned = fit.__class__(**{**vars(fit), "residuals": residuals})
    found = calls_of(turned, genes, sets, sign=sign)
    assert found.index[0] == "S0"
    assert found.loc["S0", ["q", "higher"]].tolist() == [pytest.approx(found["q"].min()), 3]


def test_paralogs_count_once_and_a_set_of_paralogs_is_not_tested():
    fit, genes, sets = hits()
    assert "S0" not in calls_of(fit, genes, sets, alike=[genes[:4]]).index
    assert calls_of(fit, genes, sets, alike=[genes[:2]]).loc["S0", "hits"] == 4
    assert one_each(["A", "B", "C", "D"], [["A", "C"], ["B", "D"]]) == ["A", "B"]


def test_a_set_is_told_under_the_set_that_shares_most_of_its_hits():
    fit, genes, sets = hits()
    found = calls_of(fit, genes, {**sets, "more": genes[:7], "again": [*genes[:5], "not measured"]})
    assert found.loc["more", "told"] == found.loc["S0", "told"] != "more"
    assert "again" not in found.index  # the same hits, in a larger set


def test_shared_peptides_are_no_join():
    own = [finding(name, f"r{name}", 1) for name in "abcd"]
    own[1] = own[1].model_copy(update={"also": ["a"]})
    lead = finding("set", "P1", 1, kind="set", relation="enriched_in", members=list("abcd"))
    (group,) = joins([*own, lead])
    assert [one.entity for one in group] == ["set", "a", "c", "d"]
    link = finding("a and b", "a|b", 1, kind="link", relation="coupled_with", members=["a", "b"])
    assert joins([*own, link]) == []


def test_presence_joins_what_no_change_was_measured_of():
    own = [finding(name, f"r{name}", 1, relation="detected_in") for name in "abc"]
    own.append(finding("a", "ra2", 1))
    lead = finding("set", "P1", 1, kind="set", relation="enriched_in", members=list("abc"))
    (group,) = joins([*own, lead])
    assert [one.relation for one in group[1:]] == ["changed_in", "detected_in", "detected_in"]


def test_single_results_have_numbers_of_their_own_and_a_result_is_told_once_over_objectives():
    found = [
        finding("a", "r1", 1),
        finding("a", "r2", 0, relation="differs_between", target="group"),
        finding("a", "r3", -1, target="old-young"),
        finding("b", "r4", 1),
    ]
    found = [one.model_copy(update={"objective": f"O{place}"}) for place, one in enumerate(found)]
    lead = finding("set", "P1", 1, kind="set", relation="enriched_in", members=["a", "b", "c"])
    rows = {one.id: one for one in [*found, lead]}
    question = ProposeHypotheses(profile=EVIDENCE.profile, objectives=[], findings=list(rows.values()), limit=20)
    made = merge([one.model_copy(update={"grade": "B"}) for one in propose(question, 20)], rows)
    told = {one.id: (one.entities[0], one.direction) for one in made}
    assert sorted(told) == ["H1", "R1", "R2", "R3"]
    assert told["H1"] == ("set", "up")
    assert sorted([told["R1"], told["R2"], told["R3"]]) == [("a", "down"), ("a", "up"), ("b", "up")]


def measured(genes, levels=("control", "case"), **features):
    sheet = pd.DataFrame({"group": np.repeat(levels, 6 // len(levels))}, [f"s{one}" for one in range(6)])
    about = pd.DataFrame({"gene": genes, **features}, pd.Index([f"X{one}" for one in range(len(genes))], name="id"))
    return ProteomicsData(noise(len(genes), 6), about, sheet)


def fluid(name):
    """A table whose most abundant proteins are the markers of a card, and in which other proteins are few."""
    markers = words("assays")[name]["markers"].split()
    data = measured([*markers, *(f"G{one}" for one in range(8 * len(markers)))])
    values = data.values.copy()
    values[: len(markers)] += 20
    return data.with_values(values)


@pytest.mark.parametrize("name", ["plasma", "CSF"])
def test_a_body_fluid_is_known_by_its_abundant_proteins(name):
    assert assay_of(fluid(name)) == name
    scarce = fluid(name)
    assert assay_of(scarce.with_values(scarce.values[:, ::-1] * 0 + noise(*scarce.shape))) == "unknown"


@pytest.mark.parametrize(("levels", "name"), [
    (("IgG", "bait"), "pull-down"), (("fmol25", "fmol50"), "spike-in"), (("tumour", "liver"), "tissue"),
    (("control", "case"), "unknown"), (("wt", "trip"), "unknown"),
])  # fmt: skip
def test_words_of_the_sheet_tell_the_assay(levels, name):
    assert assay_of(measured([f"G{one}" for one in range(20)], levels)) == name


def test_a_level_that_is_named_like_its_enriched_protein_is_a_bait():
    data = measured(["UBB", *(f"G{one}" for one in range(20))], ("Ctrl", "Ubi4"))
    assert assay_of(data) == "unknown"
    values = data.values.copy()
    values[0, 3:] += 5
    assert assay_of(data.with_values(values)) == "unknown"  # UBB is not what Ubi begins, its protein is
    named = data.features.assign(description=["Ubiquitin B", *[""] * 20])
    assert assay_of(ProteomicsData(values, named, data.samples)) == "pull-down"


def test_the_word_of_the_user_is_taken_and_another_is_refused():
    data = measured(["A", "B"])
    assert [assay_of(data, one) for one in assays()] == assays()
    with pytest.raises(InputError, match=r"'urine'.*pull-down.*unknown"):
        assay_of(data, "urine")
    assert Study(data, assay="tissue").context().profile.assay == "tissue"


@needs_data
def test_public_tables_are_taken_for_what_they_are():
    assert assay_of(published.ubi_length()) == "pull-down"
    assert assay_of(published.csf()) == "CSF"
    assert assay_of(published.hye124_precursors()) == "spike-in"


def lead(kind):
    return Finding(id="a#r", objective="O1", entity="PKM", kind=kind, relation="changed_in", target="a-b", sign=1,
                   artifact="a", row="r")  # fmt: skip


@pytest.mark.parametrize("assay", assays())
def test_each_card_says_what_else_it_could_be_and_what_to_do_next(assay):
    for kind in words("tests"):
        assert "{" not in next_of(lead(kind), assay)
        assert next_of(lead(kind), assay)
    assert alternatives_of(lead("feature"), assay)
    card = words("assays")[assay]
    assert re.compile(card["words"])
    assert set(card) <= {"words", "markers", "feature", "set", "link", "cluster"}
    if assay in ("pull-down", "plasma", "CSF", "spike-in"):
        assert "a shift in cell or tissue composition" not in alternatives_of(lead("feature"), assay)
    assert alternatives_of(lead("feature"), "unknown") == words("alternatives")["feature"]


def test_addresses_are_made_from_identifiers_that_are_known():
    assert dict(of_protein("MAPT", "P10636-2;P10636-6")) == {
        "UniProt": "https://www.uniprot.org/uniprotkb/P10636", "STRING": "https://string-db.org/network/9606/MAPT",
        "Open Targets": "https://platform.opentargets.org/search?q=MAPT",
    }  # fmt: skip
    assert of_protein("YAL003W", "P32471") == [("UniProt", "https://www.uniprot.org/uniprotkb/P32471")]
    assert of_protein("f0", "f0") == of_protein("<script>", '"><') == []
    assert of_set("Glycolysis", ["PKM", "ENO1"]) == [
        ("Reactome", "https://reactome.org/content/detail/R-HSA-70171"),
        ("STRING", "https://string-db.org/cgi/network?identifiers=PKM%0DENO1&species=9606"),
    ]
    assert of_set("mine", ["f0", "f1"]) == []


def test_pictures_have_no_text_below_twelve_and_escape_names():
    rows = [[f"<b{one}>", 1.0 * one, 10.0**-one, 0.01] for one in range(1, 9)] + [["quiet", 0.1, 0.5, 0.9]]
    members = [finding(name, f"r{name}", sign, effect=sign * 1.5) for name, sign in (("<a>", 1), ("b", -1))]
    one = Hypothesis(id="H1", statement="x", entities=["set"], direction="up", context="a-b", evidence=["x"])
    for picture in (volcano(rows, "log2 change"), tree(one, members[0], members, "log2 change")):
        assert set(re.findall(r'font-size="(\d+)"', picture)) == {"12"}
        assert 'viewBox="0 0 340' in picture
        assert "<a>" not in picture
        assert "&lt;" in picture
    assert sum(f"&lt;b{one}&gt;" in volcano(rows, "x") for one in range(1, 9)) >= 5


@pytest.mark.usefixtures("undrawn")
def test_a_run_joins_the_hits_of_a_pathway_and_keeps_single_results_apart(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(25, 0.4, (300, 40))
    values[:24, :20] += 1.0
    values[:6] += 0.5 * rng.standard_normal(40)
    genes = [f"G{one}" for one in range(300)]
    sheet = pd.DataFrame({"group": ["case"] * 20 + ["control"] * 20}, [f"s{one}" for one in range(40)])
    data = ProteomicsData(values, pd.DataFrame({"gene": genes}, pd.Index(genes, name="id")), sheet)
    sets = {f"S{one}": genes[6 * one : 6 * one + 6] for one in range(50)}
    report = Study(data, sets=sets).run(Budget(objectives=2), out=tmp_path / "run")
    joined = {one.entities[0]: one for one in report.joined}
    assert "S0" in joined
    assert {one.id[0] for one in report.joined} == {"H"}
    assert {one.id[0] for one in report.hypotheses if not one.joined} == {"R"}
    assert verify(tmp_path / "run").problems == []
    assert replay(tmp_path / "run").differences == []
    page = (tmp_path / "run" / "report.html").read_text()
    assert len(re.search(r'<div class="summary">(.*?)</div>', page, re.DOTALL)[1].split("<p>")) == 6
    assert page.index('id="hypotheses"') < page.index('id="H1"') < page.index('id="single"') < page.index('id="R1"')
    assert "Compared: case with control, over 300 features in 40 samples." in page


def test_a_profile_of_an_earlier_run_has_no_assay():
    assert DatasetProfile(kind="protein", scale="log2", features=1, samples=1).assay == "unknown"
