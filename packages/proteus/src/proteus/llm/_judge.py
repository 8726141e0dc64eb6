"""A model as judge: blind to who made a hypothesis, in shuffled order, several times, reason before score."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import write_text
from pydantic import BaseModel, ConfigDict, Field, create_model

from proteus.data._data import ProteomicsData
from proteus.knowledge._private import without_names
from proteus.llm._client import Client
from proteus.llm._prompt import prompt
from proteus.llm._veil import Veil
from proteus.record._cited import case, read_evidence
from proteus.record._run_folder import Folder
from proteus.record._words import words
from proteus.review._rubric_text import METRICS, rubric_text

_BATCH = 4


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


Verdict = create_model(
    "Verdict",
    __base__=_Strict,
    case=(str, ...),
    reason=(str, Field(min_length=1, max_length=2000)),
    **{name: (int, Field(ge=1, le=5)) for name in METRICS},  # type: ignore[call-overload]
)


class Verdicts(_Strict):
    """Answer of a judge: one for each case."""

    verdicts: list[Verdict] = Field(min_length=1, max_length=_BATCH)  # type: ignore[valid-type]


@dataclass(frozen=True)
class Judged:
    """Scores of one hypothesis.

    Attributes:
        scores: (samples, metrics), in the order of `METRICS`.
        reasons: of each sample.
    """

    scores: np.ndarray
    reasons: list[str]

    def mean(self) -> dict[str, float]:
        """By metric."""
        return dict(zip(METRICS, map(float, self.scores.mean(0)), strict=True))


def judge(
    client: Client,
    cases: Mapping[str, dict[str, Any]],
    *,
    samples: int = 3,
    seed: int = 0,
    hide: Callable[[Any], Any] = lambda value: value,
) -> dict[str, Judged]:
    """Have a model score cases.

    Args:
        client: see `Client`.
        cases: by id, see `_cited.case`; ids are not shown.
        samples: independent rounds, at least 3; each shuffles the cases anew and names them anew.
        seed: of the shuffling.
        hide: what the data policy does to a case.
    Returns: by id.
    Raises:
        PlannerError: see `Client.ask`.
    """
    if samples < 3:
        raise InputError("samples", got=samples, expected="3 or more: one answer of a model is an anecdote")
    found: dict[str, list[Any]] = {name: [] for name in cases}
    shuffler = random.Random(seed)
    for sample in range(samples):
        order = list(cases)
        shuffler.shuffle(order)
        for start in range(0, len(order), _BATCH):
            codes = {f"case {shuffler.randrange(16**6):06x}": name for name in order[start : start + _BATCH]}
            for code, verdict in _round(client, codes, cases, sample, hide).items():
                found[codes[code]].append(verdict)
    return {
        name: Judged(np.array([[getattr(one, key) for key in METRICS] for one in made]), [one.reason for one in made])
        for name, made in found.items()
    }


def judge_run(folder: Folder, client: Client, data: ProteomicsData, *, seed: int = 0) -> dict[str, Judged]:
    """Have a model score a finished run's hypotheses, three times each, and keep that in the run's `judge.json`.

    Args:
        folder: the run; `client` records its calls there.
        data: the run's table, whose names are kept back as the data policy says.
        seed: of the shuffling.
    Raises:
        InputError: under the policy `schema-only`, or if the run has no hypothesis.
        PlannerError: see `Client.ask`.
    """
    policy = client.endpoint.policy
    if policy == "schema-only":
        raise InputError("--data-policy", got=policy, expected="aggregate or full: a judge reads results")
    evidence = read_evidence(folder)
    if not evidence.hypotheses:
        raise InputError(f"run {folder.root}", got="no hypothesis", expected="something to judge")
    cases = {one.id: case(one, evidence) for one in evidence.hypotheses}
    found = judge(client, cases, seed=seed, hide=Veil(policy, without_names(data), data).hide)
    items = [
        {"hypothesis": name, "mean": one.mean(), "scores": one.scores.tolist(), "reasons": one.reasons}
        for name, one in found.items()
    ]
    about = {"format": "proteus.judge", "format_version": 1, "model": client.endpoint.model, "metrics": METRICS}
    write_text(folder.judge, json.dumps({**about, "items": items}, indent=1) + "\n")
    return found


def _round(
    client: Client, codes: dict[str, str], cases: Mapping[str, Any], sample: int, hide: Callable[[Any], Any]
) -> dict[str, Any]:
    """Verdicts by code."""
    shown = [{"case": code, **hide(cases[name])} for code, name in codes.items()]
    messages = prompt("judge_hypotheses", words("prompts")["judge"] + rubric_text(), {"cases": shown})

    def read(value: Any) -> Any:
        made = value.get("verdicts") if isinstance(value, dict) else None
        given = [str(one.get("case")) for one in made if isinstance(one, dict)] if isinstance(made, list) else []
        if sorted(given) != sorted(codes):
            raise ValueError(f"it judges {', '.join(given) or 'nothing'}; to be judged are {', '.join(codes)}")
        return value

    answer = client.ask("judge_hypotheses", messages, Verdicts, sample=sample, read=read)
    return {one.case: one for one in answer.verdicts}
