"""What a report may say: of missing values, of nothing, of units, of power, of sets."""

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, ProteomicsData, Steps, Study, moderated_test
from proteus.planning._expert import propose
from proteus.record._documents import write_documents
from proteus.record._journal import Journal, read_journal
from proteus.record._objects import DatasetProfile, Finding
from proteus.record._planner import ProposeHypotheses
from proteus.record._run_folder import Folder, read_frame
from proteus.verification._report import render_report, write_report
from proteus.verification._verify import verify

from .helpers import noise, stub, table
from .made_run import make_run


def gaps(features=600, seed=1):
    """Weak features are often missing; f0 is complete in AD and never seen in control."""
    values = noise(features, 12, seed, sd=0.2)
    draw = np.random.default_rng(seed)
    weak = values < np.quantile(values, 0.35)
    values[weak & (draw.random(values.shape) < 0.5)] = np.nan
    values[:5, :6] = 26 + 0.1 * draw.standard_normal((5, 6))
    values[:5, 6:] = np.nan
    values[5:20, :6] = 27.5 + 0.1 * draw.standard_normal((15, 6))
    values[5:20, 6:] = 25 + 0.1 * draw.standard_normal((15, 6))
    values[5:8, 6:8] = np.nan
    return table(values, group=["AD"] * 6 + ["control"] * 6)


def test_a_hit_of_one_group_alone_carries_no_fold_change():
    found = moderated_test(gaps(), "~ group", "AD-control").table
    alone = found[found["only_in"] != 0]
    assert len(alone) >= 5
    assert (alone.loc[["f0", "f1"], "q"] <= 0.05).all()
    assert alone[["effect", "ci_low", "ci_high"]].isna().all(axis=None)
    assert found.loc[found["only_in"] == 0, "effect"].notna().any()


@pytest.fixture(scope="module")
def gappy_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("gappy") / "run"
    report = Study(gaps()).run(Budget(objectives=1), out=out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proteus.verification._plots._save", stub)
        write_report(out)
    return report, out


def test_a_hypothesis_on_one_group_alone_says_where_it_was_seen(gappy_run):
    report, out = gappy_run
    said = [(one, text) for one, text in zip(report.hypotheses, report.statements, strict=True) if "not seen" in text]
    assert said
    for one, text in said:
        assert text.startswith(
            f"{one.entities[0]} is seen in 6 of 6 in AD, not seen in 6 of 6 in control (exact p 0.002"
        )
        assert text.endswith(" by the curve of what is seen)")
        assert not {"effect", "low", "high"} & set(one.numbers)
    finding = next(one for one in report.findings if one.entity == said[0][0].entities[0])
    assert (finding.effect, finding.low, finding.high, finding.sign, finding.only_in) == (None, None, None, 1, 1)
    assert verify(out).problems == []


def test_a_modelled_value_is_marked_in_the_sentence_the_table_the_caption_and_the_plot(gappy_run):
    report, out = gappy_run
    frame = read_frame(Folder(out).artifact("O1.S2.v1.features")).set_index("id")
    marked = [(one, text) for one, text in zip(report.hypotheses, report.statements, strict=True) if "modelled" in text]
    assert len(marked) >= 3
    for one, text in marked:
        count = frame.loc[one.evidence[0].split("#")[1], "modelled"]
        assert text.endswith(f"; {count} missing {'value' if count == 1 else 'values'} modelled)")
    hits = frame.index[(frame["q"] <= 0.05) & (frame["modelled"] > 0) & (frame["only_in"] == 0)]
    assert set(hits) == {one.evidence[0].split("#")[1] for one, _ in marked}
    page = render_report(Folder(out))
    assert "ringed where missing values are modelled" in page


def with_findings(relation, scale="log2", kind="protein"):
    profile = DatasetProfile(kind=kind, scale=scale, features=3, samples=4)
    one = Finding(id="a#x", objective="O1", entity="x", relation=relation, target="AD-control", sign=1, effect=1.0,
                  q=0.01, artifact="a", row="x")  # fmt: skip
    question = ProposeHypotheses(
        profile=profile, objectives=[], findings=[one], columns={"a": ["effect", "q"]}, limit=5
    )
    return propose(question, 5)[0].statement


@pytest.mark.parametrize(
    ("relation", "scale", "unit"),
    [
        ("changed_in", "log2", "log2 change"), ("changed_in", "score", "change in the table's own units"),
        ("state_changed_in", "counts", "change in arcsinh units"),
        ("abundance_changed_in", "counts", "change of the share's log2 odds"),
    ],
)  # fmt: skip
def test_a_difference_carries_its_unit(relation, scale, unit):
    assert f"({unit} {{effect}}" in with_findings(relation, scale)


def test_nothing_passed_never_stands_beside_findings(tmp_path):
    folder = make_run(tmp_path / "run")
    write_documents(folder.hypotheses, "hypotheses", [])
    assert "no finding passed" not in render_report(folder)
    assert "None, though 5 findings passed: no proposal about them was accepted." in render_report(folder)
    write_documents(folder.graph, "graph", [])
    assert "None: no finding passed. That is a result." in render_report(folder)


def test_refused_proposals_are_counted_and_named(tmp_path):
    folder = make_run(tmp_path / "run")
    for turn in (1, 2):
        Journal(folder.events).append("gate", statement="MYC is up by {effect}", accepted=False, turn=turn,
                                      reasons=["MYC is in no cited row"])  # fmt: skip
    page = render_report(folder)
    lines = len(read_journal(folder.events))
    said = f"2 proposals refused, as the cells do not say what they say: events.jsonl, lines {lines - 1}, {lines}."
    assert said in " ".join(page.split())
    assert "MYC" not in page  # made up


@pytest.mark.parametrize("lfc", [0.0, 0.3])
@pytest.mark.parametrize("size", [3, 8])
def test_the_change_that_is_said_to_have_80_percent_power_is_found_in_so_many(size, lfc):
    def tested(shift):
        values = np.random.default_rng(7).normal(25, 0.4, (2000, 2 * size))
        values[:1000, :size] += shift
        context = Steps(Study(table(values, group=["b"] * size + ["a"] * size)))
        found = context("contrast", design="~ group", contrast="b-a", normalise="none", lfc=lfc)
        return context("detectable_effect", found).tables["effects"]["effect"], found.tables["features"]["p"][:1000]

    change = tested(0.0)[0][2]  # of the median feature
    power = (tested(change)[1] <= 0.05).mean()
    assert 0.8 - 2 * 0.013 <= power <= 0.97  # nominal, within two standard errors of 1,000 draws


def test_a_report_promises_no_power(tmp_path):
    assert "power" not in render_report(make_run(tmp_path / "run"))


def test_a_signal_is_told_under_one_set_that_lists_the_others():
    values = noise(200, 12, sd=0.2)
    values[:12, :6] += 1.0
    features = pd.DataFrame(
        {"gene": [f"G{place}" for place in range(200)]}, pd.Index([f"P{p}" for p in range(200)], name="id")
    )
    sheet = pd.DataFrame(
        {"group": ["AD"] * 6 + ["control"] * 6}, pd.Index([f"s{place}" for place in range(12)], name="sample")
    )
    sets = {f"S{place}": [f"G{one}" for one in range(place, place + 10)] for place in range(20, 190, 10)}
    sets |= {"LARGE": [f"G{place}" for place in range(14)], "SMALL": [f"G{place}" for place in range(11)]}
    report = Study(ProteomicsData(values, features, sheet), sets=sets).run()
    found = [one for one in report.findings if one.kind == "set" and one.also]
    assert found
    for one in found:
        assert {one.entity, *one.also} == {"LARGE", "SMALL"}
        assert not [other for other in report.findings if other.entity in one.also]
    lead = next(one for one in report.hypotheses if one.entities[0] == found[0].entity)
    assert f"sets that say the same: {', '.join(found[0].also)}" in lead.notes


def test_a_hit_whose_peptides_fit_another_gene_names_it():
    values = noise(200, 12, sd=0.2)
    values[:4, :6] += 2
    data = table(values, group=["AD"] * 6 + ["control"] * 6)
    genes = [f"G{one}" for one in range(200)]
    genes[0], genes[1] = "YWHAB;YWHAZ;YWHAB", "MAPT;MAPT"
    data = data.with_values(data.values, features=data.features.assign(gene=genes))
    notes = {one.entities[0]: one.notes for one in Study(data).run(Budget(objectives=1)).hypotheses}
    assert notes["YWHAB"] == ["its peptides do not tell it from: YWHAZ"]
    assert notes["MAPT"] == []
