# ruff: noqa: RUF012  (pydantic copies defaults)
"""What a planner is asked, and what it may answer: five roles, each with one question and one answer schema.

A planner sees the profile, tool cards and bounded digests, never the matrix. Its answers are validated here and by the
registry; what is refused comes back with the reason (`refused`), at most twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pandas as pd
from ninefold.errors import NinefoldError
from pydantic import BaseModel, Field

from proteus.record._ledger import plain_metrics
from proteus.record._objects import (
    DatasetProfile,
    Finding,
    Hypothesis,
    Objective,
    Query,
    Record,
    Step,
    StepResult,
    Workflow,
)

_TOP = 20  # rows of a table that a planner sees


class ToolCard(Record):
    """A tool as planners see it.

    Attributes:
        params: JSON schema of its parameters.
        reads: tools one of whose steps must be among a step's inputs; empty: needs none.
        tables: result tables and their columns; the first is `id`.
    """

    name: str
    summary: str
    params: dict[str, Any]
    reads: list[str] = []
    tables: dict[str, list[str]] = {}
    requires: list[str] = []


class Digest(Record):
    """A bounded look at a step's result: shapes, first rows, checks.

    Attributes:
        tables: by table: `rows` (count), `columns`, `top` (at most 20 rows, by p where there is one).
    """

    tool: str
    purpose: str = ""
    status: str
    metrics: dict[str, Any]
    tables: dict[str, dict[str, Any]]
    notes: list[str] = []
    error: str = ""


def digest_tables(frames: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Of each result table its size, its columns, and its first rows, by p where there is one."""
    tables = {}
    for name, frame in frames.items():
        top = frame.sort_values("p", kind="stable") if "p" in frame else frame
        rows = plain_metrics({"rows": top.head(_TOP).to_dict("records")})["rows"]
        tables[name] = {"rows": len(frame), "columns": list(frame.columns), "top": rows}
    return tables


class Question(Record):
    """Base of questions; instructions for a model is in `words.json`, section `prompts`, by role.

    Attributes:
        refused: why earlier answers to this question were refused.
    """

    role: ClassVar[str]
    answer: ClassVar[type[BaseModel]]
    refused: list[str] = []


class Objectives(Record):
    """Answer to `ProposeObjectives`."""

    objectives: list[Objective] = Field(min_length=1, max_length=12)


class ProposeObjectives(Question):
    """Which questions should be asked of this table?"""

    role = "propose_objectives"
    answer = Objectives
    profile: DatasetProfile
    tools: list[ToolCard]
    limit: int


class Plan(Record):
    """Answer to `PlanWorkflow`: two to eight steps."""

    steps: list[Step] = Field(min_length=1, max_length=8)
    reason: str = ""


class PlanWorkflow(Question):
    """Which steps answer the objective?"""

    role = "plan_workflow"
    answer = Plan
    profile: DatasetProfile
    objective: Objective
    tools: list[ToolCard]


class Refinement(Record):
    """Answer to `RefineWorkflow`.

    Attributes:
        trigger: the metrics that called for it, name to measured value.
        step: the step that `set_params` and `drop` mean, or after which `insert` puts `steps`.
        params: for `set_params`: parameters that change; the step and what reads it run again.
        objective: for `branch`: a sub-objective whose parent is this one.
    """

    action: Literal["continue", "set_params", "insert", "drop", "branch", "refuse", "stop"]
    reason: str = Field(min_length=1)
    trigger: dict[str, Any] = {}
    step: str | None = None
    params: dict[str, Any] = {}
    steps: list[Step] = []
    objective: Objective | None = None


class RefineWorkflow(Question):
    """Does what came out change the workflow?

    Attributes:
        results: of all finished steps, without findings; the last is new.
        left: refinements that may still be made for this objective.
    """

    role = "refine_workflow"
    answer = Refinement
    profile: DatasetProfile
    objective: Objective
    workflow: Workflow
    results: list[StepResult]
    digest: Digest
    tools: list[ToolCard]
    left: int


class Hypotheses(Record):
    """Answer to `ProposeHypotheses`."""

    hypotheses: list[Hypothesis] = Field(max_length=60)


class ProposeHypotheses(Question):
    """Which hypotheses does the evidence graph carry?

    Attributes:
        columns: columns of each artifact that the findings come from.
    """

    role = "propose_hypotheses"
    answer = Hypotheses
    profile: DatasetProfile
    objectives: list[Objective]
    findings: list[Finding]
    columns: dict[str, list[str]] = {}
    limit: int


class TypeQuestion(Question):
    """What does the user's question ask?"""

    role = "type_question"
    answer = Query
    profile: DatasetProfile
    question: str


_ROLES = (ProposeObjectives, PlanWorkflow, RefineWorkflow, ProposeHypotheses, TypeQuestion)
QUESTIONS: dict[str, type[Question]] = {one.role: one for one in _ROLES}


class Spent(BaseModel):
    """What a planner has used up so far; all zero offline."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    estimated: bool = False


class PlannerError(NinefoldError):
    """A planner that cannot answer. The engine continues with `ExpertPlanner` and says so.

    Args:
        kind: `down` (unreachable, gave up), `budget` (tokens or money used up), `refused` (no valid answer).
        reason: in words.
    """

    def __init__(self, kind: Literal["down", "budget", "refused"], reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"planner {kind}: {reason}")


class Planner(ABC):
    """Answers questions. `answer.__class__` is `question.answer`."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.spent = Spent()

    def records(self) -> dict[str, str]:
        """Digests of the calls that it has recorded, by file name: `verify` finds one that is gone or altered."""
        return {}

    @abstractmethod
    def ask(self, question: Question) -> BaseModel:
        """Answer `question` by an instance of `question.answer`.

        Raises:
            PlannerError: if it cannot.
        """
