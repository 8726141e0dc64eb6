import numpy as np
import pytest
from ninefold.errors import InputError
from proteus.llm._judge import judge
from proteus.record._cited import case, read_evidence
from proteus.record._planner import PlannerError
from proteus.review._rubric_text import METRICS
from proteus_experiments.scripted._requests import payload_of, text_of
from proteus_experiments.scripted._script import Turn

from .llm_helpers import serving
from .made_run import make_run

# A judge that looks: more evidence with a smaller effect is worth less; every fourth answer is one point off.
TEMPLATE = """
{"verdicts": [{% for one in payload.cases %}{% set effect = one.evidence[0].effect | float | abs %}
 {"case": {{ one.case | tojson }}, "reason": "the effect of {{ one.entities[0] }}",
  "reliability": {{ 5 if effect > 1 else 2 }}, "coherence": 3, "alignment": {{ 1 + (call % 3) }}, "novelty": 2,
  "evaluability": 4}{{ "," if not loop.last }}{% endfor %}]}
"""
TURNS = [Turn(task="judge_hypotheses", template=TEMPLATE)]


@pytest.fixture
def cases(tmp_path):
    evidence = read_evidence(make_run(tmp_path / "secret-run"))
    return {one.id: case(one, evidence) for one in evidence.hypotheses}


def test_a_judge_is_blind_and_sees_each_case_in_each_round(tmp_path, cases):
    with serving(tmp_path / "llm", turns=TURNS) as (fake, client):
        found = judge(client, cases, samples=3)
    asked = [one for one in fake.requests if "judge_hypotheses" in text_of(one)]
    assert len(asked) == 6  # two batches a round
    for body in asked:
        assert not any(word in text_of(body) for word in ("grade", "secret", "expert", '"H1"', "O1.S1", '"scores"'))
    shown = [[one["entities"][0] for one in payload_of(body)["cases"]] for body in asked]
    rounds = [shown[at] + shown[at + 1] for at in (0, 2, 4)]
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)
    assert len({tuple(one) for one in rounds}) == 3  # three orders
    codes = [one["case"] for body in asked for one in payload_of(body)["cases"]]
    assert len(set(codes)) == 15  # and new names each time
    assert found["H1"].scores.shape == (3, len(METRICS))
    assert found["H1"].mean()["reliability"] == 5  # effect 1.5
    assert found["H3"].mean()["reliability"] == 2  # effect 0.9
    assert np.unique(found["H1"].scores[:, METRICS.index("alignment")]).size > 1
    assert found["H1"].reasons == ["the effect of MAPT"] * 3


def test_the_reason_comes_before_the_numbers(tmp_path, cases):
    with serving(tmp_path / "llm", turns=TURNS) as (fake, client):
        judge(client, cases)
    schema = fake.requests[-1]["response_format"]["json_schema"]["schema"]["$defs"]["Verdict"]["properties"]
    assert list(schema) == ["case", "reason", *METRICS]


def test_judging_again_pays_nothing(tmp_path, cases):
    with serving(tmp_path / "llm", turns=TURNS) as (fake, client):
        first = judge(client, cases)
        asked = len(fake.requests)
        again = judge(client, cases)
        assert len(fake.requests) == asked
    assert all(np.array_equal(first[name].scores, again[name].scores) for name in cases)


def test_a_judge_who_forgets_a_case_or_overdoes_it_is_refused(tmp_path, cases):
    short = TEMPLATE.replace("payload.cases", "payload.cases[1:]")
    high = TEMPLATE.replace('"novelty": 2', '"novelty": 9')
    for number, (bad, why) in enumerate([(short, "it judges"), (high, "novelty")]):
        turns = [Turn(template=bad)]
        with serving(tmp_path / str(number), turns=turns) as (_, client), pytest.raises(PlannerError, match=why):
            judge(client, cases)
        turns = [Turn(template=bad, times=1), *TURNS]
        with serving(tmp_path / f"{number}-mended", turns=turns) as (_, client):
            assert judge(client, cases)["H1"].mean()["reliability"] == 5


def test_one_sample_is_an_anecdote(tmp_path, cases):
    with serving(tmp_path / "llm", turns=TURNS) as (_, client), pytest.raises(InputError, match="3 or more"):
        judge(client, cases, samples=1)
