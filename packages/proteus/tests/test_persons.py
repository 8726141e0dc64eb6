"""Sheets as groups write them: persons under any column name are found by structure, and no name of one goes out."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, ProteomicsData, Study
from proteus.data._roles import subject_column
from proteus.knowledge._describe import describe
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.llm._veil import Veil
from proteus.planning._expert import ExpertPlanner
from proteus.record._planner import ProposeObjectives, digest_tables
from proteus.tools._context import Context
from proteus.tools._registry import tools
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._requests import text_of
from proteus_experiments.scripted._script import load_script

FIRST = ["Anna", "Bela", "Cleo", "Dora", "Emil", "Fritz", "Gerda", "Hugo", "Ines", "Jonas"]
LAST = ["Maier, A", "Huber, B", "Gruber, C", "Bauer, D", "Wagner, E", "Pichler, F", "Steiner, G", "Moser, H"]
IDS = {
    "first": FIRST, "last": LAST, "coded": [f"PT{one:03d}" for one in range(7, 17)], "short": list("ABCDEFGH"),
    "record": [f"{one}" for one in range(482113, 482123)], "initials": ["AM", "BH", "CG", "DB", "EW", "FP", "GS", "HM"],
}  # fmt: skip
COLUMNS = [
    "case", "Case ID", "case-no", "Proband", "pat", "who", "code", "kit", "ear tag", "Tier", "k", "study code",
    "blinded", "initials", "Fall", "volunteer", "horse", "dog", "member", "enrolled", "MRN", "nom", "respondent",
    "MRN no.", "tag",
]  # fmt: skip


def paired(people, rng):
    return [(one, "before" if visit == 0 else "after") for one in people for visit in range(2)]


def visits(people, rng):
    return [(one, f"day {visit}") for one in people for visit in (0, 7, 28)]


def gaps(people, rng):
    rows = paired(people, rng)
    return [row for place, row in enumerate(rows) if place not in (1, 6)]


def three_arms(people, rng):
    return [(one, arm) for one in people for arm in ("vehicle", "low", "high")]


def shuffled(people, rng):
    rows = paired(people, rng)
    return [rows[place] for place in rng.permutation(len(rows))]


DESIGNS = [paired, visits, gaps, three_arms, shuffled]


def sheet(number: int) -> tuple[pd.DataFrame, str, list[str]]:
    """(sheet, its column of persons, their names); every second sheet has more columns beside the two."""
    rng = np.random.default_rng(number)
    column = COLUMNS[number % len(COLUMNS)]
    people = list(IDS[list(IDS)[number % len(IDS)]])[: int(rng.integers(5, 9))]
    rows = DESIGNS[number % len(DESIGNS) if number < 25 else (number + 1) % len(DESIGNS)](people, rng)
    frame = pd.DataFrame(rows, columns=[column, "phase"])
    index = {one: place for place, one in enumerate(people)}
    if number % 2:
        frame["sex"] = [("f", "m")[index[one] % 2] for one in frame[column]]
        frame["age"] = [30 + 7 * index[one] for one in frame[column]]
        frame["operator"] = [f"{('Karl', 'Lisa')[place % 2]}" for place in range(len(frame))]
        frame["remark"] = [f"seen by Dr {one}" if place % 3 else "" for place, one in enumerate(frame[column])]
    if people[0].isdigit():
        frame[column] = frame[column].astype(int)
    frame.index = pd.Index([f"{one}_{place}" for place, one in enumerate(frame[column])], name="sample")
    return frame, column, [*people, "Karl", "Lisa"] if number % 2 else people


def table(frame: pd.DataFrame, features: int = 30) -> ProteomicsData:
    rng = np.random.default_rng(5)
    values = rng.normal(22, 0.4, (features, len(frame)))
    values[:6] += 2.0 * (frame["phase"] == frame["phase"].iloc[0]).to_numpy()
    ids = pd.Index([f"P{one:05d}" for one in range(features)], name="id")
    return ProteomicsData(values, pd.DataFrame(index=ids), frame)


@functools.cache
def context_of(number: int) -> Context:
    """What a study knows of a table with this sheet, made once: to describe fifty tables takes seconds."""
    return Study(table(sheet(number)[0])).context()


def test_at_least_45_of_50_pairings_are_found_whatever_the_column_is_called():
    wrong = {}
    for number in range(50):
        _, column, _ = sheet(number)
        profile = context_of(number).profile
        if profile.block is None or profile.within[:1] != ["phase"]:
            wrong[number] = (column, profile.block, profile.within)
    assert len(wrong) <= 5, wrong


@pytest.mark.parametrize("number", range(50))
def test_no_name_is_in_what_a_model_is_shown(number):
    frame, _, people = sheet(number)
    data = table(frame)
    veil = Veil("aggregate", data)
    context = context_of(number)
    quality = tools()["quality"]
    looked = quality.run(context, quality.params(), [])
    profile = veil.hide(veil.profile(context.profile.model_dump(mode="json")))
    question = ProposeObjectives(profile=context.profile, tools=[], limit=8)
    drafts = ExpertPlanner().ask(question).model_dump(mode="json")
    tables = digest_tables(looked.tables)
    shown = [profile, veil.hide(drafts), veil.hide(tables), veil.hide(looked.notes), veil.hide(frame.index.tolist())]
    assert not [name for name in people if len(name) > 2 and name in json.dumps(shown)]
    levels = {level for one in profile["factors"] for level in one["levels"]}
    assert not levels & set(people)


@pytest.mark.parametrize("number", [0, 1, 4, 13])
def test_no_request_of_a_whole_run_holds_a_name(number, tmp_path):
    frame, _, people = sheet(number)
    data = table(frame)
    with FakeLLM(load_script("good")) as fake:
        client = Client(Endpoint(fake.base_url, "fake"), Calls(tmp_path / "llm"), sleep=lambda _: None)
        report = Study(data, LLMPlanner(client, data)).run(Budget(objectives=2, hypotheses=4), out=tmp_path / "run")
    assert report.hypotheses
    assert len(fake.requests) > 5
    assert not [name for body in fake.requests for name in people if len(name) > 2 and name in text_of(body)]


NOT_PERSONS = {
    "replicate numbers": {"treatment": ["wt", "drug"] * 3, "replicate": [1, 1, 2, 2, 3, 3]},
    "replicates by name": {"treatment": ["wt", "drug"] * 3, "bio rep": list("aabbcc")},
    "each person once": {"case": FIRST[:6], "treatment": ["wt", "drug"] * 3},
    "doses by lines": {"line": ["HeLa", "A549"] * 4, "dose": [f"{one} uM" for one in (0, 0, 1, 1, 5, 5, 9, 9)]},
    "a condition of two factors": {
        "genotype": ["wt"] * 6 + ["ko"] * 6, "drug": ["dmso", "x"] * 6,
        "both": [f"{one}_{other}" for one in ("wt", "ko") for _ in range(3) for other in ("dmso", "x")],
    },
    "treatments in classes": {"bait": np.repeat(list("abcdef"), 3), "kinase": ["yes"] * 9 + ["no"] * 9},
    "plates": {"plate": np.repeat(["p1", "p2", "p3"], 8), "group": ["case", "control"] * 12},
    "ages": {"age": [61, 64, 61, 70, 55, 58, 64, 70], "group": ["case", "control"] * 4},
}  # fmt: skip


@pytest.mark.parametrize("name", list(NOT_PERSONS))
def test_replicates_doses_and_conditions_are_no_persons(name):
    assert subject_column(pd.DataFrame(NOT_PERSONS[name])) is None


@pytest.mark.parametrize("runs", [2, 3])
def test_repeated_runs_of_a_person_inside_a_group_are_found(runs):
    people = [f"Z-{one}" for one in range(8)]
    frame = pd.DataFrame({"code": np.repeat(people, runs), "diagnosis": np.repeat(["control", "AD"], 4 * runs)})
    assert subject_column(frame) == "code"
    profile = describe(ProteomicsData(np.random.default_rng(0).normal(20, 1, (20, 8 * runs)),
                                      pd.DataFrame(index=[f"P{one}" for one in range(20)]),
                                      frame.set_axis([f"S{one}" for one in range(8 * runs)])))  # fmt: skip
    assert (profile.block, profile.within) == ("code", [])


def test_a_second_name_of_the_persons_is_no_factor():
    frame, column, _ = sheet(0)
    frame["alias"] = frame[column].map({one: f"x{place}" for place, one in enumerate(FIRST)})
    profile = describe(table(frame))
    assert [one.name for one in profile.factors] == ["phase"]
