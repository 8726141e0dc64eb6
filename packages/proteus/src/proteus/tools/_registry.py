"""The tools there are: name, typed parameters, result tables. Planners can call these and nothing else.

A tool is a function of the table, its parameters and the tables of earlier steps; no parameter is code, a shell
command, a URL or a path. Other packages add tools through the entry-point group `proteus.tools`.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from ninefold.errors import InputError
from pydantic import BaseModel, ConfigDict, ValidationError
from threadpoolctl import threadpool_limits

from proteus.record._ledger import plain_metrics
from proteus.record._objects import DatasetProfile, Finding, Step, Workflow, brief
from proteus.record._planner import ToolCard

if TYPE_CHECKING:
    from proteus.tools._context import Context

GROUP = "proteus.tools"
_OWN = (
    "_tools_bulk", "_tools_crossed", "_tools_asked", "_tools_presence", "_tools_links", "_tools_outcome",
    "_tools_modules", "_tools_cells", "_tools_cell_check",
)  # fmt: skip


class Params(BaseModel):
    """Base of parameters: unknown ones refused, no conversion that would hide a mistake.

    Examples:
        >>> from proteus import Params
        >>> class Cut(Params):
        ...     at: float = 1.0
        >>> Cut(at=2.0).at
        2.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=brief)


@dataclass(frozen=True)
class Input:
    """An earlier step that a tool reads: the step, its tables, its metrics."""

    step: Step
    tables: Mapping[str, pd.DataFrame]
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Output:
    """What a tool returns.

    Attributes:
        tables: by name; the column `id` is unique text, others as the tool's card says.
        metrics: JSON values.
        findings: rows as findings, `artifact` given as the table's name (the engine puts the artifact's).
        family: (table, column) of the p-values that the objective's family is made of.
        notes: decisions, in words.

    Examples:
        >>> import pandas as pd
        >>> from proteus import Output
        >>> Output({"levels": pd.DataFrame({"id": ["A"], "mean": [25.0]})}, {"rows": 1}).metrics
        {'rows': 1}
    """

    tables: dict[str, pd.DataFrame]
    metrics: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    family: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)


ToolFunction = Callable[["Context", Any, "list[Input]"], Output]
F = TypeVar("F", bound=ToolFunction)


@dataclass(frozen=True)
class Tool:
    """A registered tool.

    Attributes:
        confirms: whether its family may carry grades A and B.
    """

    name: str
    summary: str
    params: type[Params]
    tables: Mapping[str, tuple[str, ...]]
    run: ToolFunction
    reads: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    confirms: bool = False

    def card(self) -> ToolCard:
        """As planners see it."""
        return ToolCard(
            name=self.name, summary=self.summary, params=copy.deepcopy(_schema(self.params)), reads=list(self.reads),
            tables={name: ["id", *columns] for name, columns in self.tables.items()}, requires=list(self.requires),
        )  # fmt: skip


@functools.cache
def _schema(params: type[Params]) -> dict[str, Any]:
    """JSON schema of a tool's parameters, made once: each study shows all tools to its planner."""
    return params.model_json_schema()


_TOOLS: dict[str, Tool] = {}


def register_tool(
    name: str,
    *,
    params: type[Params],
    tables: Mapping[str, tuple[str, ...]],
    reads: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
    confirms: bool = False,
) -> Callable[[F], F]:
    """Register a function as a tool; the first line of its docstring is its summary.

    Args:
        name: lower-case words joined by underscores.
        params: model of its parameters.
        tables: columns of each result table, without `id`.
        reads: names of tools one of whose steps must be among the inputs.
        requires: keys of `REQUIREMENTS`.
        confirms: whether its family of p-values may carry grades A and B.
    Raises:
        InputError: if the name is taken or malformed, a requirement unknown, or the docstring missing.

    Examples:
        >>> import pandas as pd
        >>> from proteus import Output, Params, register_tool
        >>> class Share(Params):
        ...     of: int = 2
        >>> @register_tool("share_of_rows", params=Share, tables={"rows": ("row",)})
        ... def share_of_rows(context, inputs, params):
        ...     'Every n-th row.'
        ...     return Output({"rows": pd.DataFrame({"row": range(0, context.data.shape[0], params.of)})})
        >>> share_of_rows.__name__
        'share_of_rows'
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError("tool name", got=repr(name), expected="lower-case words joined by underscores")
    unknown = set(requires) - set(REQUIREMENTS)
    if unknown:
        raise InputError(f"tool {name}", got=f"requirement {sorted(unknown)[0]!r}", expected=", ".join(REQUIREMENTS))

    def add(function: F) -> F:
        if name in _TOOLS and _TOOLS[name].run is not function:
            raise InputError("tool name", got=f"{name!r} twice", expected="a name of its own")
        summary = (function.__doc__ or "").strip().split("\n")[0]
        if not summary:
            raise InputError(f"tool {name}", got="no docstring", expected="one line that planners read")
        _TOOLS[name] = Tool(name, summary, params, tables, function, reads, requires, confirms)
        return function

    return add


@functools.cache
def _load() -> None:
    for module in _OWN:
        importlib.import_module(f"proteus.tools.{module}")
    for point in importlib.metadata.entry_points(group=GROUP):
        point.load()


def tools() -> dict[str, Tool]:
    """All tools by name, own ones first, whatever was imported before: a run's record lists them."""
    _load()
    place = {f"proteus.tools.{module}": place for place, module in enumerate(_OWN)}
    ordered = sorted(_TOOLS.values(), key=lambda one: place.get(one.run.__module__, len(_OWN)))
    return {one.name: one for one in ordered}


def check_workflow(
    workflow: Workflow, known: Mapping[str, Tool] | None = None, profile: DatasetProfile | None = None
) -> list[str]:
    """What is wrong with a workflow, in words; empty if nothing is. A profile says whether the table fits the tools."""
    known = tools() if known is None else known
    wrong = []
    for step in workflow.steps:
        tool = known.get(step.tool)
        if tool is None:
            wrong.append(f"{step.id}: there is no tool {step.tool!r}; there are: {', '.join(known)}")
            continue
        try:
            tool.params.model_validate(step.params)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "params"
            wrong.append(f"{step.id}: {step.tool}.{place}: {first['msg']}")
        read = {workflow.step(one).tool for one in step.inputs}
        if tool.reads and not read & set(tool.reads):
            wrong.append(f"{step.id}: {step.tool} needs a step of {' or '.join(tool.reads)} among its inputs")
        lacking = missing_requirements(list(tool.requires), profile) if profile is not None else []
        if lacking:
            wrong.append(f"{step.id}: {step.tool} needs {', '.join(lacking)}")
    return wrong


def run_alone(
    context: Context, step: Step, read: Sequence[Input], known: Mapping[str, Tool] | None = None
) -> tuple[Input, Output]:
    """A step outside any workflow: what later steps read of it, and all that the tool gave.

    Raises:
        InputError: for an unknown tool or parameter, an input that is absent, or a table that does not fit.
    """
    known = tools() if known is None else known
    step = step.model_copy(update={"inputs": [one.step.id for one in read]})
    before = [one.step.model_copy(update={"inputs": []}) for one in read]
    flow = Workflow.model_construct(objective="O1", steps=[*before, step])
    wrong = [one for one in check_workflow(flow, known, context.profile) if one.startswith(f"{step.id}: ")]
    if wrong:
        raise InputError("step", got=step.tool, expected=wrong[0].partition(": ")[2])
    tool = known[step.tool]
    with threadpool_limits(limits=1, user_api="blas"):
        output = tool.run(context, tool.params.model_validate(step.params), list(read))
    return Input(step, output.tables, plain_metrics(output.metrics)), output


def _has_factor(profile: DatasetProfile) -> bool:
    return any(sum(n >= 2 for n in one.levels.values()) >= 2 for one in profile.factors)


REQUIREMENTS: dict[str, tuple[str, Callable[[DatasetProfile], bool]]] = {
    "groups": ("a factor with two levels of two samples or more", _has_factor),
    "bulk": ("features by samples, not cells", lambda one: one.kind != "cell"),
    "cells": ("a table of cells", lambda one: one.kind == "cell"),
    "crossed": ("two columns that cross, with two samples in each combination", lambda one: bool(one.crossed)),
    "outcome": ("follow-up time and events", lambda one: len(one.outcome) == 2),
    "numbers": ("a numeric column of the sample sheet", lambda one: bool(one.numbers)),
    "sets": ("gene sets", lambda one: "sets" in one.knowledge),
    "network": ("an interaction network", lambda one: "network" in one.knowledge),
    "sites": ("modified peptides beside their proteins", lambda one: "sites" in one.knowledge),
    "gaps": ("missing values", lambda one: one.missing > 0),
    "many_samples": ("12 samples or more", lambda one: one.samples >= 12),
    "block": ("subjects measured more than once", lambda one: one.block is not None),
}


def missing_requirements(names: list[str], profile: DatasetProfile) -> list[str]:
    """Those of `names` that the profile does not meet, in words."""
    return [
        REQUIREMENTS[name][0] if name in REQUIREMENTS else f"unknown requirement {name!r}"
        for name in names
        if name not in REQUIREMENTS or not REQUIREMENTS[name][1](profile)
    ]
