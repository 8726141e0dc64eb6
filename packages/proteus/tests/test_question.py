"""The user's own question: matched to the table or refused with a list, answered first, in its words."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.cli import app
from proteus.knowledge._describe import describe
from proteus.planning._question import asked_objectives
from proteus.planning._text import Names
from proteus.record._journal import read_journal
from proteus.record._objects import Asked
from proteus.record._run_folder import Folder
from proteus.tools import _prepare
from proteus.tools._context import Context
from proteus.verification._replay import replay
from proteus.verification._report import _objectives, render_report, write_report
from proteus.verification._verify import verify
from proteus_experiments import published
from typer.testing import CliRunner

from .helpers import needs_data, noise
from .helpers import undrawn as undrawn


def four():
    """Four doses; G0 to G9 rise from low to high, G10 differs between mid and low alone."""
    values = noise(200, 16, sd=0.2)
    values[:10, 12:] += 2.0
    values[10, 4:8] += 2.0
    dose = np.repeat(["none", "low", "mid", "high"], 4)
    sheet = pd.DataFrame(
        {"arm": pd.Categorical(dose, ["none", "low", "mid", "high"]), "age": np.arange(40.0, 56)},
        pd.Index([f"s{place}" for place in range(16)], name="sample"),
    )
    features = pd.DataFrame(
        {"gene": [f"GENE{place}" for place in range(200)]}, pd.Index([f"P{one}" for one in range(200)], name="id")
    )
    return ProteomicsData(values, features, sheet)


def asked(question, data=None):
    data = four() if data is None else data
    genes = data.features.get("gene", data.features.index.to_series()).astype(str)
    return asked_objectives(Asked(question=question), describe(data), Names(set(genes), list(data.samples.index)))


@pytest.mark.parametrize(
    ("question", "contrast", "entities"),
    [
        ("Which proteins differ between high and low?", "high-low", []),
        ("Is GENE3 higher in MID than in none?", "mid-none", ["GENE3"]),
        ("What does low do?", "low-none", []),
        ("gene7, please", "high-none", ["GENE7"]),
    ],
)
def test_a_question_is_matched_to_levels_factors_and_entities(question, contrast, entities):
    (found,) = asked(question)
    assert (found.contrast, found.entities, found.question) == (contrast, entities, question)


def test_a_question_about_a_number_is_a_trend():
    (found,) = asked("Who follows age?")
    assert (found.template, found.contrast, found.query.over) == ("trend", None, "age")


def test_a_question_about_nothing_of_the_table_lists_what_there_is():
    listed = r"words that are not understood: why.*arm \(none, high, low, mid\).*the number age.*name of a feature"
    with pytest.raises(InputError, match=listed):
        asked("why?")
    with pytest.raises(InputError, match=r"'high-purple'.*arm: none, high, low, mid"):
        asked_objectives(Asked(contrast="high-purple"), describe(four()), Names())
    with pytest.raises(InputError, match=r"--design.*--contrast too"):
        asked_objectives(Asked(design="~ arm"), describe(four()), Names())


def test_what_the_table_does_not_have_is_said():
    values = four()
    seen = values.values.copy()
    seen[20, :4] = np.nan
    question = "Is BRCA1 or GENE20 changed in low against none?"
    report = Study(values.with_values(seen)).run(asked=Asked(question=question, only=True))
    first = "GENE20: nothing tells how values are missed, so no test between low and none (seen in 4 of 4 in low, "
    assert report.replies[0][1] == [
        "Understood as: features that differ in low against none for GENE20",
        first + "not seen in 4 of 4 in none)", "BRCA1 is not in the table",
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_a_question_is_answered_first_in_its_words_from_cells(tmp_path):
    question = "Is GENE10 or GENE50 changed in mid against low?"
    report = Study(four()).run(Budget(objectives=2), out=tmp_path / "run", asked=Asked(question=question))
    assert report.answers[0].objective.question == question
    ((words, lines),) = report.replies
    assert words == question
    assert lines[1].startswith("GENE10 is lower in mid than in low (log2 change -2.")
    assert lines[2].startswith("GENE50: no difference is shown between mid and low (log2 change ")
    write_report(tmp_path / "run")
    page = render_report(Folder(tmp_path / "run"))
    assert page.index(f'<h2 class="reply">{question}</h2>') < page.index('id="hypotheses"')
    assert verify(tmp_path / "run").problems == []
    assert replay(tmp_path / "run").differences == []


def test_a_question_about_a_gene_of_two_proteins_is_answered_for_both_and_kept_beside_what_repeats_it(tmp_path):
    values = four()
    values.features["gene"] = values.features["gene"].replace("GENE100", "GENE3").to_numpy()
    question = "Is GENE3 higher in mid than in none?"
    report = Study(values).run(Budget(objectives=2), out=tmp_path / "run", asked=Asked(question=question))
    _, *lines = report.replies[0][1]
    assert len(lines) == 2
    assert all(one.startswith("GENE3: no difference is shown between mid and none (log2 change") for one in lines)
    assert lines[0] != lines[1]
    asked, *others = _objectives(read_journal(Folder(tmp_path / "run").events))
    assert (asked["id"], asked["question"], asked["refused"]) == ("O1", question, "")
    assert [one for one in others if one["id"] == "proposed:"] == []  # the expert's own wish for it is no refusal


def own_table(report, data):
    """The table of the contrast as the run's last workflow has it, by itself."""
    params = _prepare.Tested.model_validate(report.answers[0].workflows[-1].step("S2").params)
    return _prepare.tested(Context(data, describe(data)), params).table


def test_a_fold_bar_of_the_user_is_that_of_each_contrast():
    report = Study(four()).run(Budget(objectives=2), asked=Asked(contrast="high-low", only=True, fold=3.0))
    (answer,) = report.answers
    assert answer.workflows[-1].step("S2").params["lfc"] == pytest.approx(np.log2(3.0))
    assert {one.row for one in answer.findings()} == set(own_table(report, four()).query("q <= 0.05").index)


@pytest.mark.parametrize("contrast", ["high-low", "mid-low", "high-mid", "low-none", "none-high"])
def test_any_contrast_by_name_gives_the_tables_own_top_row(contrast):
    report = Study(four()).run(Budget(objectives=1), asked=Asked(contrast=contrast, only=True))
    table = own_table(report, four()).sort_values("p", kind="stable")
    best = min(report.answers[0].findings(), key=lambda one: one.p, default=None)
    assert (best.row if best else None) == (table.index[0] if table["q"].iloc[0] <= 0.05 else None)


def test_contrasts_beyond_the_budget_are_listed_as_not_asked(tmp_path):
    report = Study(four()).run(Budget(objectives=2), out=tmp_path / "run")
    names = {one.objective.contrast for one in report.answers if one.objective.contrast}
    assert names
    assert len(names | set(report.not_asked)) == 6
    assert not names & set(report.not_asked)
    assert [
        one.data["contrasts"] for one in read_journal(Folder(tmp_path / "run").events) if one.kind == "not_asked"
    ] == [report.not_asked]
    whole = Study(four()).run(Budget(objectives=12))
    assert whole.not_asked == []


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_line_asks(tmp_path):
    four().save(tmp_path / "table")
    words = ["run", tmp_path / "table", "--question", "Is GENE3 changed between high and none?", "--only", "--quiet"]
    done = call(*words, "--json")
    assert done.exit_code == 0, done.exception
    first, objectives, *_ = json.loads(done.stdout)
    assert first["title"] == "Is GENE3 changed between high and none?"
    assert first["rows"][1]["answer"].startswith("GENE3 is higher in high than in none (log2 change ")
    assert [row["question"] for row in objectives["rows"]] == ["Is GENE3 changed between high and none?"]
    wrong = call("run", tmp_path / "table", "--question", "purple?")
    assert "expected words that the table has: arm (none, high, low, mid)" in str(wrong.exception)
    assert "--only" in str(call("run", tmp_path / "table", "--only").exception)


@needs_data
@pytest.mark.parametrize("contrast", ["Ubi4-Ubi1", "Ubi6-Ubi1", "Ubi1-Ctrl"])
def test_ubi_contrasts_by_name_give_the_tables_own_top_row(contrast):
    report = Study(published.ubi_length()).run(Budget(objectives=1), asked=Asked(contrast=contrast, only=True))
    table = own_table(report, published.ubi_length())
    best = table.sort_values("p", kind="stable").index[0]
    if table.loc[best, "q"] <= 0.05:
        assert report.hypotheses[0].evidence[0].endswith(f"#{best}")
    else:
        assert report.replies[0][1] == ["Nothing passes."]


_SAME = r"GENE\d+ changes by less than the margin between mid and low \(log2 change .*; margin 0.585; q "
_COUNT = r"of 200 tested pass"
ANSWERS = {
    "Which genes are unchanged between mid and low?": [r"differ by less than a margin", _COUNT, _SAME],
    "Is GENE3 unchanged between high and none?": [
        "for GENE3",
        "GENE3: it is not shown to be the same in high and none",
    ],
    "How many genes are up in high?": [r"upwards", r"^1[0-2] of 200 tested pass$"],
    "top 3 genes up in high vs none": [r"upwards", _COUNT, *[r"GENE\d is higher in high than in none"] * 3],
    "Is s3 an outlier?": [r"for s3", r"s3 is not far from the others \(share missing 0, first components"],
    "what is the level of GENE3 in s3?": [r"for GENE3, s3", r"^GENE3 in s3: 2\d\.\d"],
    "Is GENE3 detected in low?": [r"for GENE3", r"GENE3 is seen in 4 of 4 samples in low"],
    "How many genes are detected in low?": [
        r"seen in low",
        r"^200 of 200 features are seen .* of 4 samples in low, 200 in",
    ],
    "What is the CV of GENE3 in low?": [
        r"CV|coefficients of variation in low for GENE3",
        r"GENE3 in low: CV \d+\.\d+ % over 4",
    ],
    "Which genes have the highest CV in low?": [
        r"in low",
        r"Median CV in low: \d+.* over 200 features",
        r"GENE\d+ in low: CV",
    ],
    "Which genes correlate with GENE3?": [r"correlate", r"\d+ of 199 tested pass", r"GENE\d rises where GENE3 rises"],
    "Do GENE3 and GENE50 correlate?": [r"for GENE3, GENE50", r"GENE50: it is not shown to correlate with GENE3"],
    "Which genes follow age?": [r"follow age", r"\d+ of 200 tested pass: \d+ up, \d+ down"],
    "Which genes increase with the arm?": [r"follow arm upwards", _COUNT, r"GENE\d rises with arm"],
    "Do the arms differ at all?": [r"any levels of arm", _COUNT, r"GENE\d+ differs between levels of arm"],
}


@pytest.mark.parametrize(("question", "answers"), list(ANSWERS.items()))
@pytest.mark.usefixtures("undrawn")
def test_each_kind_of_question_is_answered_by_cells_of_its_own_kind(question, answers, tmp_path):
    report = Study(four()).run(out=tmp_path / "run", asked=Asked(question=question, only=True))
    ((_, lines),) = report.replies
    assert lines[0].startswith("Understood as: ")
    for pattern, line in zip(answers, lines, strict=False):
        assert re.search(pattern, line), (pattern, lines)
    write_report(tmp_path / "run")
    assert verify(tmp_path / "run").problems == []


def test_a_class_of_proteins_is_asked_by_their_names():
    data = four()
    named = [
        "Tyrosine kinase" if place in (2, 50) else "Kinase inhibitor" if place == 3 else "" for place in range(200)
    ]
    data.features["description"] = named
    report = Study(data).run(asked=Asked(question="Which kinases rise in high compared with none?", only=True))
    _, counts, *rows = report.replies[0][1]
    assert counts == "1 of 2 tested pass"
    assert [one.split()[0] for one in rows] == ["GENE2"]


def test_unchanged_needs_the_margin_and_not_only_a_large_p():
    """Of two samples a level few genes can be shown to be alike, though nearly none of them differs by a test."""
    data, shown = four(), []
    for chosen in (np.arange(16), np.array([0, 1, 12, 13])):
        some = data.take(samples=chosen)
        some = ProteomicsData(some.values, some.features, some.samples.assign(arm=some.samples["arm"].astype(str)))
        asked = [f"Which genes {how} between none and high?" for how in ("are unchanged", "differ")]
        reports = [Study(some).run(asked=Asked(question=one, only=True)) for one in asked]
        shown.append([int(one.replies[0][1][1].split(" of ")[0]) for one in reports])
    (many, _), (few, differ) = shown
    assert few < many / 4
    assert 200 - differ > 4 * few
