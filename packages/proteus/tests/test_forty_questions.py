"""40 questions of proteomics users: each is understood as it is meant, or refused with the nearest form."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Asked, ProteomicsData, Steps, Study
from proteus.planning._forms import forms, nearest
from proteus.planning._query import typed_query
from proteus.verification._replay import replay
from proteus.verification._report import write_report
from proteus.verification._verify import verify

from .helpers import noise
from .helpers import undrawn as undrawn
from .test_written_questions import TABLES, made, said, same

CROSSED = made([f"GENE{one}" for one in range(8)], None, described=False,
               genotype=np.repeat(["wt", "mut"], 12), time=np.tile(["0h", "6h", "24h"], 8))  # fmt: skip
KNOWN = {**TABLES, "crossed": CROSSED}
_FORM = {"changed": "contrast", "detected": "seen"}  # form of a kind of query, where its name is another


def lines():
    text = (Path(__file__).parent / "fixtures/forty_questions.txt").read_text(encoding="utf-8")
    return [[part.strip() for part in line.split("|")] for line in text.splitlines() if not line.startswith("#")]


def outcome(table, question):
    try:
        return said(typed_query(question, *KNOWN[table]))
    except InputError as error:
        return f"refused {error}"


@pytest.mark.parametrize(("table", "question", "expected"), lines())
def test_a_question_is_understood_as_it_is_meant_or_refused_with_the_nearest_form(table, question, expected):
    found, (profile, names) = outcome(table, question), KNOWN[table]
    meant, _, near = expected.partition(" ")
    form = near if meant == "refused" else _FORM.get(meant, meant)
    if not found.startswith("refused"):
        assert same(found, expected), found
    else:
        assert "nearest forms: " in found
        offered = forms(profile, names.entities)  # of a table with one column of groups no interaction can be asked
        assert offered.get(_FORM.get(form, form), "nearest forms: ") in found


def test_of_forty_questions_most_that_have_an_answer_get_it():
    answerable = [line for line in lines() if not line[2].startswith("refused")]
    understood = [line for line in answerable if not outcome(*line[:2]).startswith("refused")]
    assert len(lines()) == 40
    assert len(understood) >= 0.9 * len(answerable)


@pytest.mark.parametrize("table", list(KNOWN))
def test_each_form_is_understood_as_it_is_offered(table):
    profile, names = KNOWN[table]
    offered = forms(profile, names.entities)
    assert "trend" in offered or not profile.numbers
    for form, question in offered.items():
        assert not outcome(table, question).startswith("refused"), (form, question, outcome(table, question))


def test_each_form_keeps_its_kind():
    kinds = {"contrast": "changed", "one": "changed", "count": "changed", "seen": "detected"}
    profile, names = TABLES["ubi"]
    for form, question in forms(profile, names.entities).items():
        assert typed_query(question, profile, names).kind == kinds.get(form, form), question


@pytest.mark.parametrize("word", ["activated", "fraction", "phosphorylated", "how"])
def test_a_word_that_asks_something_is_not_dropped(word):
    profile, names = TABLES["ubi"]
    question = f"Which {word} proteins differ between Ubi6 and Ctrl?"
    with pytest.raises(InputError, match=f"not understood: {word}.*nearest forms: .*Which proteins are higher"):
        typed_query(question, profile, names)


def test_the_nearest_forms_are_two_of_those_that_the_table_can_answer():
    profile, names = TABLES["dose"]
    found = nearest("Is it reproducible?", profile, names.entities)
    assert found[0] == "Which proteins have the highest CV in mid?"
    assert len(found) == 2
    assert set(found) <= set(forms(profile, names.entities).values())


@pytest.mark.usefixtures("undrawn")
def test_an_interaction_is_answered_with_the_cell_that_stands_out(tmp_path):
    sheet = pd.DataFrame({"genotype": np.repeat(["wt", "mut"], 12), "time": np.tile(["0h", "6h", "24h"], 8)},
                         pd.Index([f"s{one}" for one in range(24)], name="sample"))  # fmt: skip
    values = noise(200, 24, sd=0.2)
    values[:5, (sheet["genotype"] == "mut") & (sheet["time"] == "24h")] += 2.0
    features = pd.DataFrame(index=pd.Index([f"P{one}" for one in range(200)], name="id"))
    question = "Is there an interaction between genotype and time?"
    report = Study(ProteomicsData(values, features, sheet)).run(
        out=tmp_path / "run", asked=Asked(question=question, only=True)
    )
    _, counts, *rows = report.replies[0][1]
    assert counts in ("5 of 200 tested pass", "6 of 200 tested pass")
    assert {one.split()[0] for one in rows} == {f"P{one}" for one in range(5)}
    assert all("is higher in genotype mut and time 24h than the separate effects" in one for one in rows)
    write_report(tmp_path / "run")
    assert verify(tmp_path / "run").problems == []
    assert replay(tmp_path / "run").differences == []


def test_correlations_are_those_of_pandas_and_of_a_subject_count_once():
    values = noise(30, 12)
    values[3, :3] = np.nan
    sheet = pd.DataFrame({"donor": np.repeat([f"d{one}" for one in range(6)], 2), "arm": ["a", "b"] * 6},
                         pd.Index([f"s{one}" for one in range(12)], name="sample"))  # fmt: skip
    data = ProteomicsData(values, pd.DataFrame(index=pd.Index([f"P{one}" for one in range(30)], name="id")), sheet)
    steps = Steps(Study(data))
    frame = pd.DataFrame(values.T, columns=list(data.features.index))
    for subject, of in ((None, frame), ("donor", frame.groupby(sheet["donor"].to_numpy()).mean())):
        found = steps("correlation", normalise="none", entity="P0", subject=subject).tables["features"].set_index("id")
        expected = of.corr()["P0"].drop("P0")
        assert np.allclose(found["effect"], expected.loc[found.index])
        assert found["n"].max() == len(of)
