import json
import shutil

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import ArtifactError, InputError
from proteus.review._rubric_text import METRICS
from proteus_experiments.review._sheets import export_sheet, import_sheets

from .made_run import make_run


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    runs = [make_run(folder / "expert-run").root, make_run(folder / "llm-run", planner="llm", seed=1).root]
    items = [{"hypothesis": f"H{n}", "mean": dict.fromkeys(METRICS, 5.0 - n / 2)} for n in range(1, 6)]
    (runs[1] / "judge.json").write_text(json.dumps({"items": items}))
    assert export_sheet(runs, folder / "out", seed=3) == 10
    return folder / "out"


def filled(folder, name, scores, **changes):
    """A copy of the sheet with scores (hypotheses, metrics) in the key's order, as an expert would return it."""
    sheet = pd.read_csv(folder / "sheet.csv", dtype=str, keep_default_na=False).set_index("code")
    codes = list(json.loads((folder / "key.json").read_text())["key"])
    for code, row in zip(codes, scores, strict=True):
        sheet.loc[code, list(METRICS)] = ["" if np.isnan(one) else str(int(one)) for one in row]
    path = folder.parent / f"{name}.csv"
    sheet.reset_index().to_csv(path, index=False, **changes)
    return path


def random_scores(seed):
    return np.random.default_rng(seed).integers(1, 6, (10, len(METRICS))).astype(float)


def test_the_sheet_says_nothing_of_who_and_what_grade(exported):
    text = (exported / "sheet.csv").read_text()
    sheet = pd.read_csv(exported / "sheet.csv")
    for word in ("expert", "llm", "grade", "H1,", "rubric", "O1.S1"):
        assert word not in text
    assert not {"grade", "scores", "run", "id"} & set(sheet)
    assert sheet[list(METRICS)].isna().all().all()
    assert "by 1.5 (log2, q 6e-06)" in text  # numbers are put in
    key = json.loads((exported / "key.json").read_text())["key"]
    order = [(key[code]["run"], key[code]["hypothesis"]) for code in sheet["code"]]
    assert sorted(order) == [(run, f"H{n}") for run in (0, 1) for n in range(1, 6)]
    assert order != sorted(order)
    assert "reliability: 1 =" in (exported / "rubric.txt").read_text()


def test_equal_experts_agree_and_gaps_are_allowed(exported):
    scores = random_scores(0)
    gaps = scores.copy()
    gaps[0, 0] = np.nan
    made = import_sheets(exported, [filled(exported, "anna", scores), filled(exported, "bert", gaps, sep=";")])
    assert made.experts == ["anna", "bert"]
    assert np.array_equal(made.scores[0], scores)
    for row in made.table.to_dict()["rows"]:
        assert row["alpha"] == 1
        assert row["kappa"] == 1
    assert [row["rated"] for row in made.table.to_dict()["rows"]] == [19, 20, 20, 20, 20]


def test_unlike_experts_do_not(exported):
    made = import_sheets(exported, [filled(exported, f"e{seed}", random_scores(seed)) for seed in range(4)])
    assert all(abs(row["alpha"]) < 0.4 for row in made.table.to_dict()["rows"])


def test_rubric_and_model_are_set_beside_the_experts(exported):
    key = json.loads((exported / "key.json").read_text())["key"]
    scores = np.full((10, len(METRICS)), np.nan)
    scores[:, 0] = [
        np.floor(one["rubric"]["reliability"] + 0.5) for one in key.values()
    ]  # the expert follows the rubric
    scores[:, 1] = [np.floor(one["model"].get("coherence", 1) + 0.5) for one in key.values()]
    rows = {
        row["metric"]: row for row in import_sheets(exported, [filled(exported, "a", scores)]).table.to_dict()["rows"]
    }
    assert rows["reliability"]["rubric kappa"] == 1
    assert rows["reliability"]["rubric rho"] > 0.9
    assert np.isnan(rows["reliability"]["alpha"])  # one expert
    assert rows["coherence"]["model kappa"] == 1
    assert np.isnan(rows["coherence"]["rubric kappa"])  # the rubric did not score it
    assert rows["novelty"]["experts' mean"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.assign(novelty="6"), r"novelty in .*H.*'6'.*1 to 5"),
        (lambda one: one.assign(novelty="3,5"), r"'3,5'"),
        (lambda one: one.assign(novelty="34"), r"novelty in .*'34'.*1 to 5"),
        (lambda one: one.drop(columns="coherence"), "no coherence"),
        (lambda one: one.assign(code="Hnew"), "'Hnew', which is not in this export"),
        (lambda one: pd.concat([one, one]), "is there twice"),
        (lambda one: one.assign(**dict.fromkeys(METRICS, "")), "no score in any"),
    ],
)
def test_bad_entries_are_named(exported, tmp_path, change, message):
    sheet = pd.read_csv(filled(exported, "x", random_scores(0)), dtype=str)
    change(sheet).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InputError, match=message):
        import_sheets(exported, [tmp_path / "bad.csv"])


def test_sheets_have_names_of_their_own_and_exist(exported, tmp_path):
    sheet = filled(exported, "x", random_scores(0))
    with pytest.raises(InputError, match="different names"):
        import_sheets(exported, [sheet, sheet])
    with pytest.raises(InputError, match="a file"):
        import_sheets(exported, [tmp_path / "nothere.csv"])


def test_a_changed_key_is_refused(exported, tmp_path):
    copy = shutil.copytree(exported, tmp_path / "copy")
    file = copy / "key.json"
    for text, message in (
        (file.read_text().replace("expert-run", "other-run"), "digest"), ("{", "damaged"),
        (file.read_text().replace('"format_version": 1', '"format_version": 2'), "newer"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ArtifactError, match=rf"key\.json.*{message}"):
            import_sheets(copy, [filled(exported, "x", random_scores(0))])
        shutil.copy(exported / "key.json", file)
    file.unlink()
    with pytest.raises(ArtifactError, match="missing"):
        import_sheets(copy, [])
