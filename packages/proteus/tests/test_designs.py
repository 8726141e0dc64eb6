"""Crossed, time and dose designs are asked their own questions; nothing that the sheet names is called unnamed."""

import functools
import gzip
import io
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, ProteomicsData, Study, normalise
from proteus.data._crossed import as_levels
from proteus.data._design import make_design
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_f
from proteus_experiments.benchmarks import _r

from .helpers import FIXTURES, noise, table

FOUND, SCRIPT = FIXTURES / "limma_designs.csv.gz", FIXTURES.parent / "limma_designs.R"

KINDS = ["two by two", "two by three", "three by two", "numbers", "time course", "dose", "trend alone"]
NAMES = [
    ("group", "day"),
    ("genotype", "treatment"),
    ("condition", "timepoint"),
    ("arm", "visit"),
    ("line", "drug"),
    ("treatment", "Tag"),
    ("tissue", "stimulus"),
    ("diet", "sex"),
    ("strain", "temperature"),
    ("cells", "week"),
]
LEVELS = {"group": ["control", "AD", "MCI"], "day": ["d1", "d7", "d14"], "plain": ["x", "y", "z"]}
FEATURES, CHANGED = 400, 40
ALONE = ("dose", "trend alone")
TRUE = {f"f{k}" for k in range(CHANGED)}
SECOND = {f"f{k}" for k in range(CHANGED, 90)}  # follow the second column, which is true where it is the only one


def design(number: int) -> tuple[str, pd.DataFrame, tuple[str, str], np.ndarray, str]:
    """(kind, sheet, columns, effect of each sample in changed features, words that name the changed cell)."""
    rng = np.random.default_rng(number)
    kind = KINDS[number % len(KINDS)]
    first, second = NAMES[number % len(NAMES)]
    a = LEVELS["group" if number % 2 else "plain"][: 3 if kind == "three by two" else 2]
    b: list = LEVELS["day"][: 3 if kind == "two by three" else 2]
    each = 4
    if kind == "numbers":
        b = [[0, 10], [1, 7]][number % 2]
    if kind == "time course":
        b, each = [0, 2, 6, 24], 3
    if kind in ALONE:
        a, b, each = a[:1], [0, 1, 5, 25] if kind == "dose" else list(range(16)), 4 if kind == "dose" else 1
    rows = [(one, other) for one in a for other in b for _ in range(each + (number % 3 == 0 and kind == "two by two"))]
    rows = [rows[k] for k in rng.permutation(len(rows))]
    sheet = pd.DataFrame(rows, columns=[first, second])
    cell = a[int(rng.integers(len(a)))], b[int(rng.integers(len(b)))]
    effect = ((sheet[first] == cell[0]) & (sheet[second] == cell[1])).to_numpy(float)
    words = f"{first} {cell[0]} and {second} {cell[1]}"
    if kind == "dose":
        effect, words = sheet[second].to_numpy(float) / 25, second
    elif kind == "trend alone":
        effect, words = sheet[second].to_numpy(float) / 8, second
    if len(a) == 1:
        sheet = sheet.drop(columns=first)
    return kind, sheet, (first, second), effect, words


def drawn(number: int, change: float = 1.2) -> ProteomicsData:
    _, sheet, (_, second), effect, _ = design(number)
    values = noise(FEATURES, len(sheet), seed=number, sd=0.35)
    values[:CHANGED] += change * np.where(np.arange(CHANGED) % 2, 1, -1)[:, None] * effect
    where = pd.factorize(sheet[second])[0]
    values[30:90] += 0.5 * where  # the second column has an effect of its own
    values[90:130] += 0.4 * np.random.default_rng(number + 1).standard_normal(len(sheet))[None, :]
    if number % 4 == 3:
        values[np.random.default_rng(number).random(values.shape) < 0.05] = np.nan
    return table(values, **{name: sheet[name].tolist() for name in sheet})


@functools.cache
def report_of(number: int):
    return Study(drawn(number)).run(Budget(objectives=4, hypotheses=60), seed=1)


@functools.cache
def limma() -> dict[int, set[str]]:
    """By table, what R limma 3.62 finds at BH 5 %: moderated F over the interaction, or t of the slope
    (limma_designs.R)."""
    table = pd.read_csv(io.BytesIO(gzip.decompress(FOUND.read_bytes())))
    return {number: set(part) for number, part in table.groupby("table")["feature"]}


def plain(number: int) -> tuple[set[str], np.ndarray]:
    """What our own test with a plain prior finds at BH 5 % in the same model as limma's, and its p."""
    data, (kind, sheet, (first, second), _, _) = drawn(number), design(number)
    if kind in ALONE:
        made = make_design(pd.DataFrame({"b": sheet[second].astype(float)}), "~ b")
        asked = np.array([name == "b" for name in made.names])
    else:
        made = make_design(pd.DataFrame({"a": as_levels(sheet[first]), "b": as_levels(sheet[second])}), "~ a * b")
        asked = np.array([":" in name for name in made.names])
    fit = fit_linear_model(normalise(data).values, made.matrix)
    _, p, _ = moderated_f(fit, np.eye(len(asked))[:, asked], fit_prior(fit))
    return set(data.features.index[benjamini_hochberg(p) <= 0.05]), p


@pytest.mark.r
def test_what_limma_finds_is_what_r_prints(tmp_path):
    for number in range(60):
        _, sheet, (first, second), _, _ = design(number)
        named = (("a", first), ("b", second))
        columns = {name: sheet[column].astype(str) for name, column in named if column in sheet}
        pd.DataFrame(columns).to_csv(tmp_path / f"{number:02d}_sheet.csv", index=False)
        values = normalise(drawn(number))
        pd.DataFrame(values.values, values.features.index).to_csv(tmp_path / f"{number:02d}_values.csv")
    out = tmp_path / "found.csv"
    if not _r.has_r("limma"):
        pytest.skip("needs R with limma")
    done = subprocess.run(
        ["Rscript", str(SCRIPT), str(tmp_path), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == gzip.decompress(FOUND.read_bytes())


def test_our_plain_test_equals_limma_where_nothing_is_missing():
    table = pd.read_csv(io.BytesIO(gzip.decompress(FOUND.read_bytes()))).set_index(["table", "feature"])["p"]
    for number in (one for one in range(60) if one % 4 != 3):
        found, p = plain(number)
        assert found == limma().get(number, set())
        ours = pd.Series(p, drawn(number).features.index)[sorted(found)]
        np.testing.assert_allclose(ours, table[number][ours.index], rtol=1e-4)


def test_sixty_designs_are_drawn_and_forty_cross():
    kinds = [design(number)[0] for number in range(60)]
    assert set(kinds) == set(KINDS)
    assert sum(kind not in ALONE for kind in kinds) >= 40


@pytest.mark.parametrize("number", range(60))
def test_a_design_is_asked_its_own_question_first_and_the_answer_names_the_cell(number):
    kind, _, (first, second), _, words = design(number)
    report = report_of(number)
    opened = report.answers[0].objective
    assert second in opened.question
    if kind in ALONE:
        assert opened.template == "trend"
        return
    assert opened.template == "interaction"
    assert first in opened.question
    said = [text for text in report.statements if "separate effects" in text and text.split()[0] in TRUE]
    right = [text for text in said if re.search(rf"is (higher|lower) in {re.escape(words)} than", text)]
    assert said
    assert len(right) >= 0.7 * len(said), (words, said[:5])


def test_as_much_is_found_as_by_limma_at_an_equal_share_of_false_ones():
    counts = np.zeros((2, 2))
    cells = []
    for number in range(60):
        report, (kind, _, _, _, words) = report_of(number), design(number)
        ours = {one.entity for one in report.answers[0].findings()}
        for row, found in enumerate((ours, limma().get(number, set()))):
            counts[row] += len(found & TRUE), len(found - TRUE - (SECOND if kind in ALONE else set()))
        if kind not in ALONE:
            said = [one for one in report.statements if "separate effects" in one and one.split()[0] in TRUE]
            cells += [words in one for one in said]
    (found, false), (theirs, their_false) = counts
    assert found >= 0.9 * theirs, counts
    assert false / (found + false) <= max(their_false / (theirs + their_false), 0.05) + 0.01, counts
    assert np.mean(cells) >= 0.9, np.mean(cells)


def test_nothing_that_the_sheet_names_is_called_unnamed():
    """Of what is said to be unnamed at most one in twenty tables is of features that follow the sheet."""
    named, wrong = {f"f{k}" for k in range(90)}, []
    for number in range(60):
        data = drawn(number)
        report = Study(data).run(Budget(objectives=12, hypotheses=60), seed=1) if number % 6 == 0 else report_of(number)
        assert not [one for one in report.statements if "does not name" in one]
        said = [one for one in report.hypotheses if "no column" in one.statement]
        wrong += [number for one in said if len(named & set(one.entities)) > len(one.entities) / 2]
    assert len(wrong) <= 3, wrong


@pytest.mark.parametrize("low_high", [(0, 10), (1, 7), (0.5, 2.5)])
def test_two_numbers_are_two_groups_of_a_study(low_high):
    values = noise(100, 8)
    values[:10, ::2] += 3
    low, high = low_high
    data = table(values, day=[high, low] * 4)
    report = Study(data).run(Budget(objectives=1))
    assert report.answers[0].objective.contrast == f"{high:g}-{low:g}"
    assert len(report.hypotheses) >= 9
    assert any("holds the two numbers" in one for one in report.profile.warnings)


def test_a_day_that_goes_with_the_group_is_a_batch_and_one_that_crosses_it_is_not():
    values = noise(60, 8)
    alone = Study(table(values, group=["a"] * 4 + ["b"] * 4, day=["d1"] * 4 + ["d2"] * 4)).context().profile
    assert (alone.batch, alone.crossed) == (["day"], [])
    crossed = Study(table(values, group=["a"] * 4 + ["b"] * 4, day=["d1", "d2"] * 4)).context().profile
    assert (crossed.batch, crossed.crossed) == ([], [["group", "day"]])


def test_a_cohort_with_follow_up_is_asked_its_contrast_before_what_crosses_it():
    rng = np.random.default_rng(0)
    data = table(noise(60, 16), group=["case", "control"] * 8, smoker=["yes", "yes", "no", "no"] * 4,
                 time=rng.integers(30, 900, 16).tolist(), event=rng.integers(0, 2, 16).tolist())  # fmt: skip
    asked = [one.objective.template for one in Study(data).run(Budget(objectives=4)).answers]
    assert asked[0] == "survival"
    assert asked.index("group_contrast") < asked.index("interaction")


def test_a_hidden_split_is_told_and_one_that_a_column_explains_is_not():
    rng = np.random.default_rng(3)
    hidden = np.array([0, 1] * 10)
    values = noise(200, 20, seed=4)
    values[:60] += 2.5 * hidden
    group = ["a"] * 10 + ["b"] * 10
    told = Study(table(values, group=group)).run(Budget(objectives=12, hypotheses=60))
    assert any("no column of the sample sheet explains" in one for one in told.statements)
    age = np.where(hidden, 60, 40) + rng.integers(0, 8, 20)
    named = Study(table(values, group=group, age=age.tolist())).run(Budget(objectives=12, hypotheses=60))
    assert not [one for one in named.statements if "no column of the sample sheet explains" in one]


def test_cells_of_an_interaction_are_contrasts():
    from proteus import moderated_test

    values = noise(50, 16, seed=2)
    values[0, 12:] += 4
    data = table(values, group=["a"] * 8 + ["b"] * 8, day=(["d1"] * 4 + ["d7"] * 4) * 2)
    text = "(group[b]:day[d7] - group[a]:day[d7]) - (group[b]:day[d1] - group[a]:day[d1])"
    found = moderated_test(data, "~ group * day", text, lfc=0.0)
    same = moderated_test(data, "~ group * day", "groupb:dayd7", lfc=0.0)
    np.testing.assert_allclose(found.table["p"], same.table["p"], rtol=1e-9)
    assert found.hits().index.tolist() == ["f0"]
