import math

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study, load_literature
from proteus.knowledge._literature import Literature, company, marks, tokens
from proteus.study._study import open_study

TEXTS = {
    "a": "MAPT rises in Alzheimer disease, and so does YWHAZ.",
    "b": "MAPT and microtubules. MAPT again, and again MAPT.",
    "c": "Glycolysis in yeast is fed by glucose.",
    "d": "HLA-DR marks cells in Alzheimer disease.",
}


def test_bm25_is_the_formula():
    found = Literature(TEXTS).scores(["MAPT", "Alzheimer"])
    lengths = {name: len(tokens(text)) for name, text in TEXTS.items()}
    mean = sum(lengths.values()) / 4

    def term(tf, length, n):
        idf = math.log(1 + (4 - n + 0.5) / (n + 0.5))
        return idf * tf * 2.5 / (tf + 1.5 * (0.25 + 0.75 * length / mean))

    expected = {
        "a": term(1, lengths["a"], 2) + term(1, lengths["a"], 2),
        "b": term(3, lengths["b"], 2),
        "d": term(1, lengths["d"], 2),
    }
    assert found == pytest.approx(expected)
    assert list(found) == sorted(expected, key=lambda name: -expected[name])


def test_a_name_is_found_whole_and_words_of_a_phrase_in_order():
    literature = Literature(TEXTS)
    assert literature.naming("HLA-DR") == {"d"}
    assert literature.naming("HLA") == set()
    assert literature.naming("Alzheimer disease") == {"a", "d"}
    assert literature.naming("disease Alzheimer") == set()
    assert literature.hits("MAPT", ["Alzheimer"]) == (["a"], True)
    assert literature.hits("MAPT", ["cancer"]) == ([], True)
    assert literature.hits("TFRC", ["Alzheimer"]) == ([], False)
    assert literature.naming("") == set()
    assert literature.hits("MAPT", []) == ([], True)


def test_base_levels_are_no_company():
    assert company("Alzheimer-control", ["YWHAZ"]) == ["Alzheimer", "YWHAZ"]
    assert marks(0, False) == (3.0, 5.0)
    assert marks(2, True) == (4.0, 2.0)


def test_a_folder_is_read_and_one_without_abstracts_is_named(tmp_path):
    (tmp_path / "one.txt").write_text("MAPT")
    (tmp_path / "other.pdf").write_text("no")
    assert load_literature(tmp_path) == {"one": "MAPT"}
    with pytest.raises(InputError, match=r"literature: got .*nowhere, no folder"):
        load_literature(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"literature: got no .txt file"):
        load_literature(tmp_path / "empty")


def test_abstracts_decide_alignment_and_novelty_and_are_named(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.uniform(23, 27, (120, 1)) + 0.3 * rng.standard_normal((120, 12))
    values[:2, :6] += 3
    sheet = pd.DataFrame({"group": ["Alzheimer"] * 6 + ["control"] * 6}, index=[f"s{k}" for k in range(12)])
    features = pd.DataFrame({"gene": ["MAPT", "TFRC", *[f"G{k}" for k in range(118)]]}, [f"P{k}" for k in range(120)])
    study = Study(ProteomicsData(values, features, sheet), literature=TEXTS)
    report = study.run(Budget(objectives=1), out=tmp_path / "run")
    of = {one.entities[0]: one for one in report.hypotheses}
    assert (of["MAPT"].scores.alignment, of["MAPT"].scores.novelty) == (3.5, 2.5)
    assert of["MAPT"].notes == ["abstracts: a"]
    assert (of["TFRC"].scores.alignment, of["TFRC"].scores.novelty) == (3.0, 5.0)
    assert open_study(tmp_path / "run").literature == TEXTS
    plain = Study(study.data).run(Budget(objectives=1))
    assert {one.scores.novelty for one in plain.hypotheses} == {None}  # unknown without any
