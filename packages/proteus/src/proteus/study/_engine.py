"""The loop over objectives, workflows and steps; what comes out refines the workflow."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from ninefold.errors import InputError
from pydantic import ValidationError

from proteus.planning._asking import Asking
from proteus.planning._expert import ExpertPlanner, summary_of
from proteus.planning._query import typed_query
from proteus.planning._question import asked_objectives, names_of, wrong_query
from proteus.planning._templates import contrast_of, contrasts, main_factors
from proteus.planning._text import Names
from proteus.planning._typed import untyped
from proteus.record._ledger import Ledger, as_result, plain_metrics, step_key
from proteus.record._objects import Budget, DatasetProfile, Objective, Query, Settings, Step, StepResult, Workflow
from proteus.record._planner import (
    Digest,
    Objectives,
    Plan,
    PlannerError,
    PlanWorkflow,
    ProposeObjectives,
    Refinement,
    RefineWorkflow,
    TypeQuestion,
    digest_tables,
)
from proteus.record._store import Store
from proteus.study._answer import Answer, apply_refinement, dependents
from proteus.study._grading import ALPHA
from proteus.tools._context import Context
from proteus.tools._registry import Input, check_workflow, missing_requirements, tools
from proteus.tools._tools_bulk import MOST

_BY_CONTRAST = ("group_contrast", "paired_change", "pathway_activity", "network_neighbourhood", "co_regulation")
_ASKS_SETS = ("pathway_activity", "network_neighbourhood", "co_regulation")  # their contrast is another objective's


class Engine:
    """Runs one study.

    Args:
        context: table, knowledge, seed.
        asking: of the planner.
        store: of artifacts.
        ledger: of events.
        budget: limits.
        settings: `refine` is off in rival systems only (what cannot be separated from a batch is refused all the same);
            `objective` is the one to pursue, with its branches; `asked` comes first.
    """

    def __init__(
        self, context: Context, asking: Asking, store: Store, ledger: Ledger, budget: Budget, settings: Settings, *,
        advance: Callable[[str], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.context, self.asking, self.store, self.ledger, self.budget = context, asking, store, ledger, budget
        self.refine, self.asked, self.advance = settings.refine, settings.asked, advance
        self.tools = tools()
        self.cards = [one.card() for one in self.tools.values()]
        self.answers: list[Answer] = []
        self.stopped: str | None = None
        self._start = time.monotonic()

    def run(self) -> None:
        """All objectives, in order of priority; branches after their parents."""
        queue = deque(self.propose())
        while queue and self.stopped is None:
            objective = queue.popleft()
            answer = self._pursue(objective, queue)
            self.answers.append(answer)
            self.advance(objective.id)
        if self.asking.exhausted is not None:
            self.stopped = self.stopped or self.asking.exhausted
        if self.stopped:
            self.ledger.note("budget", reason=self.stopped)

    def propose(self) -> list[Objective]:
        """The objectives that are accepted, in order of priority."""
        profile = self.context.profile
        question = ProposeObjectives(profile=profile, tools=self.cards, limit=self.budget.objectives)

        def unmet(found: Objectives) -> list[str]:
            lacking = [
                f"{one.id}: this table lacks {', '.join(missing_requirements(one.requires, profile))}"
                for one in found.objectives
                if missing_requirements(one.requires, profile)
            ]
            return lacking + [said for one in found.objectives if (said := untyped(one, profile))]

        first = asked_objectives(self.asked, profile, names_of(self.context), self._read)
        lacking = [name for one in first for name in missing_requirements(one.requires, profile)]
        if lacking:
            got = f"this table lacks {', '.join(dict.fromkeys(lacking))}"
            raise InputError("question", got=got, expected="a table that can answer it")
        proposed = list(first)
        if not (first and self.asked.only):
            proposed += self.asking.ask(question, Objectives, unmet).objectives
        accepted: list[Objective] = []
        seen: set[tuple[Any, ...]] = set()
        own = {_same_key(one) for one in first}
        for one in sorted(proposed, key=lambda item: -item.priority):
            key = _same_key(one)
            if key in own and key in seen:
                continue  # the user has asked it, and it is answered
            reason = "" if key not in seen else "the same as one before"
            reason = reason or ("" if len(accepted) < self.budget.objectives else "over the budget of objectives")
            seen.add(key)
            if not reason:
                accepted.append(one.model_copy(update={"id": f"O{len(accepted) + 1}", "parent": None}))
            shown = (one if reason else accepted[-1]).model_dump(mode="json")
            self.ledger.note("objective", objective=shown, accepted=not reason, reason=reason)
        if self.not_asked(accepted):
            self.ledger.note("not_asked", contrasts=self.not_asked(accepted))
        return accepted

    def _read(self, text: str, profile: DatasetProfile, names: Names) -> Query:
        """The query of a question: by the vocabulary, where that does not understand it by the planner's model."""
        try:
            return typed_query(text, profile, names)
        except InputError as error:
            if isinstance(self.asking.planner, ExpertPlanner):
                raise
            question = TypeQuestion(profile=profile, question=text)
            try:
                return self.asking.ask(question, Query, lambda found: wrong_query(found, profile, names))
            except PlannerError:
                raise error from None

    def not_asked(self, accepted: Sequence[Objective]) -> list[str]:
        """Contrasts of the factors asked about that no objective is about."""
        profile, named = self.context.profile, {one.contrast for one in accepted}
        known = [
            [contrast_of(profile, one.name, *pair) for pair in contrasts(one)] for one in main_factors(profile)
        ]  # fmt: skip
        return [name for pairs in known if named & set(pairs) for name in pairs if name not in named]

    def _pursue(self, objective: Objective, queue: deque[Objective]) -> Answer:
        question = PlanWorkflow(profile=self.context.profile, objective=objective, tools=self.cards)

        def wrong(plan: Plan) -> list[str]:
            try:
                return self._wrong(Workflow(objective=objective.id, steps=plan.steps))
            except ValidationError as error:
                return [one["msg"] for one in error.errors()]

        try:
            plan = self._barred(self._plan(question, wrong), objective)
        except PlannerError as error:  # no planner has a workflow for it
            return self._refuse(objective, f"no workflow: {error.reason}")
        workflow = Workflow(objective=objective.id, steps=plan.steps)
        self.ledger.note("workflow", workflow=workflow.model_dump(mode="json"), reason=plan.reason)
        answer = Answer(objective, [workflow], {}, means=self._means(objective, workflow))
        before: dict[str, list[str]] = {}
        taken = 0
        while self.stopped is None:
            step = next((one for one in answer.workflows[-1].steps if one.id not in answer.results), None)
            if step is None:
                break
            if taken >= self.budget.steps:
                self.ledger.note("budget", reason=f"{self.budget.steps} steps for {objective.id}")
                break
            if self.budget.seconds is not None and time.monotonic() - self._start > self.budget.seconds:
                self.stopped = f"{self.budget.seconds:g} seconds"
                break
            taken += 1
            result = self._step(answer, step)
            answer.results[step.id] = result
            if step.id in before:
                self._changed(answer, step, before.pop(step.id), self._hits(result))
            if not self._refine(answer, step, self._digest(step, result), before, queue):
                break
        self._stabilise(answer)
        if not answer.refused:
            self._summarise(answer)
        return answer

    def _plan(self, question: PlanWorkflow, wrong: Callable[[Plan], list[str]]) -> Plan:
        """What the user asked is answered by the steps of its kind, for any planner of the rest."""
        if question.objective.query is not None:
            return self.asking.by_rule(question, Plan)
        return self.asking.ask(question, Plan, wrong)

    def _barred(self, plan: Plan, objective: Objective) -> Plan:
        """The plan with the fold bar that the user stated, in each contrast."""
        query = objective.query
        fold = query.fold if query is not None and query.fold and query.kind == "changed" else self.asked.fold
        if fold is None:
            return plan
        bar = {"lfc": math.log2(fold)}
        steps = [
            one.model_copy(update={"params": {**one.params, **bar}}) if one.tool == "contrast" else one
            for one in plan.steps
        ]
        return plan.model_copy(update={"steps": steps})

    def _wrong(self, workflow: Workflow) -> list[str]:
        return check_workflow(workflow, self.tools, self.context.profile)

    def _refuse(self, objective: Objective, reason: str) -> Answer:
        self.ledger.note("objective", objective=objective.model_dump(mode="json"), accepted=False, reason=reason)
        return Answer(objective, [], {}, refused=reason)

    def _means(self, objective: Objective, workflow: Workflow) -> frozenset[str]:
        if objective.template not in _ASKS_SETS:
            return frozenset()
        confirming = {one.id for one in workflow.steps if self.tools[one.tool].confirms}
        read = {name for one in workflow.steps if one.id in confirming for name in one.inputs}
        return frozenset(confirming & read)

    def _step(self, answer: Answer, step: Step) -> StepResult:
        version = answer.workflows[-1].version
        key = step_key(answer.objective.id, step, version)
        known = self.ledger.recall("step", **key)
        if known is not None:
            return as_result(known)
        made: dict[str, Any] = {"objective": answer.objective.id, "step": step.id, "workflow_version": version}
        missing = [one for one in step.inputs if answer.results[one].status == "failed"]
        files: dict[str, str] = {}
        if missing:
            result = StepResult(**made, status="failed", error=f"{', '.join(missing)} failed, which it reads")
        else:
            inputs = [self._input(answer, one) for one in step.inputs]
            tool = self.tools[step.tool]
            try:
                output = tool.run(self.context, tool.params.model_validate(step.params), inputs)
            except InputError as error:
                result = StepResult(**made, status="failed", error=str(error))
            else:
                names = {}
                for table, frame in output.tables.items():
                    names[table] = f"{answer.objective.id}.{step.id}.v{version}.{table}"
                    files |= self.store.save(names[table], frame)
                more = []
                if output.family is not None and "q" in output.tables[output.family[0]]:
                    frame = output.tables[output.family[0]]
                    passing = int((frame["q"] <= ALPHA).sum())
                    said = f"{passing} rows pass; the first {MOST} are findings, all are in the table"
                    more = [said] * (passing > MOST)
                findings = [
                    one.model_copy(update={
                        "id": f"{names[one.artifact]}#{one.row}", "objective": answer.objective.id,
                        "artifact": names[one.artifact],
                    })
                    for one in output.findings
                ]  # fmt: skip
                result = StepResult(
                    **made, artifacts=names, metrics=plain_metrics(output.metrics), findings=findings,
                    status="ok" if any(len(one) for one in output.tables.values()) else "empty",
                    notes=[*output.notes, *more],
                    p_values=f"{names[output.family[0]]}:{output.family[1]}" if output.family else None,
                )  # fmt: skip
        self.ledger.note(
            "step", **key, step=step.model_dump(mode="json"), result=result.model_dump(mode="json"), files=files
        )
        return result

    def _input(self, answer: Answer, name: str) -> Input:
        result = answer.results[name]
        tables = {table: self.store.load(artifact) for table, artifact in result.artifacts.items()}
        return Input(answer.workflows[-1].step(name), tables, result.metrics)

    def _digest(self, step: Step, result: StepResult) -> Digest:
        tables = digest_tables({name: self.store.load(artifact) for name, artifact in result.artifacts.items()})
        return Digest(
            tool=step.tool, purpose=step.purpose, status=result.status, metrics=result.metrics, tables=tables,
            notes=result.notes, error=result.error,
        )  # fmt: skip

    def _refine(
        self, answer: Answer, step: Step, digest: Digest, before: dict[str, list[str]], queue: deque[Objective]
    ) -> bool:
        """Ask, and do as told; False ends the workflow."""
        workflow = answer.workflows[-1]
        order = [one.model_copy(update={"findings": []}) for key, one in answer.results.items() if key != step.id]
        order.append(answer.results[step.id].model_copy(update={"findings": []}))
        question = RefineWorkflow(
            profile=self.context.profile, objective=answer.objective, workflow=workflow, results=order, digest=digest,
            tools=self.cards,
            left=max(self.budget.refinements - len(answer.refinements), 0) if self.refine else 0,
        )  # fmt: skip
        changed: list[Workflow] = []

        def wrong(found: Refinement) -> list[str]:
            changed.clear()
            if found.action in ("continue", "stop", "refuse"):
                return []
            if question.left == 0:
                return ["no refinement is left: continue or stop"]
            if found.action == "branch":
                return [] if found.objective is not None else ["branch needs an objective"]
            try:
                changed.append(apply_refinement(workflow, found))
                return self._wrong(changed[0])
            except (ValidationError, ValueError) as error:
                return [str(error).splitlines()[0]]

        try:
            fixed = answer.objective.query is not None or step.tool == "quality"  # rules alone: nothing to choose
            found = self.asking.by_rule(question, Refinement) if fixed else None
            found = found or self.asking.ask(question, Refinement, wrong)
            if fixed and wrong(found):
                return True
        except PlannerError:  # the expert's rules do not fit a workflow that a model planned
            return True
        if found.action == "continue":
            return True
        about = {
            "objective": answer.objective.id, "step": step.id, "action": found.action, "reason": found.reason,
            "trigger": plain_metrics(found.trigger), "params": plain_metrics(found.params), "target": found.step,
        }  # fmt: skip
        self.ledger.note("refinement", **about)
        if found.action in ("stop", "refuse"):
            if found.action == "refuse":
                answer.refused = found.reason
                self.ledger.note(
                    "objective", objective=answer.objective.model_dump(mode="json"), accepted=False, reason=found.reason
                )
                answer.results.clear()
            return False
        answer.refinements.append(about)
        if found.action == "branch" and found.objective is not None:
            number = sum(one.parent == answer.objective.id for one in queue) + 1
            child = found.objective.model_copy(
                update={"id": f"{answer.objective.id}.{number}", "parent": answer.objective.id}
            )
            self.ledger.note("objective", objective=child.model_dump(mode="json"), accepted=True, reason=found.reason)
            queue.append(child)
            return True
        for name in dependents(workflow, found):
            if name in answer.results:
                before[name] = self._hits(answer.results.pop(name))
        answer.workflows.append(changed[0])
        self.ledger.note("workflow", workflow=changed[0].model_dump(mode="json"), reason=found.reason)
        return True

    def _hits(self, result: StepResult) -> list[str]:
        """Rows of the step's findings; where these may be cut short, of its family at q <= 0.05."""
        if result.p_values is None or len(result.findings) < MOST:
            return [one.row for one in result.findings]
        frame = self.store.load(result.p_values.rpartition(":")[0])
        return frame.loc[frame["q"] <= ALPHA, "id"].tolist()

    def _changed(self, answer: Answer, step: Step, before: list[str], after: list[str]) -> None:
        gained, lost = sorted(set(after) - set(before)), sorted(set(before) - set(after))
        change = {
            "step": step.id, "before": len(before), "after": len(after), "gains": len(gained), "losses": len(lost),
            "gained": gained[:50], "lost": lost[:50],
        }  # fmt: skip
        answer.refinements[-1]["changed"] = change
        self.ledger.note("changed", objective=answer.objective.id, **change)

    def _stabilise(self, answer: Answer) -> None:
        """Write what the sensitivity steps say onto the findings of the steps they read."""
        steps = {one.id: one for one in answer.workflows[-1].steps}
        for key in list(answer.results):
            step, result = steps.get(key), answer.results[key]
            if step is None or "refits" not in result.artifacts:
                continue
            frame = self.store.load(result.artifacts["refits"])
            stable = dict(zip(frame["id"], frame["stable"].astype(bool), strict=True))
            for name in step.inputs:
                source = answer.results[name]
                one_peptide = self._one_peptide(source)
                answer.results[name] = source.model_copy(update={"findings": [
                    one.model_copy(update={"stable": stable.get(one.row, False) and one.row not in one_peptide})
                    for one in source.findings
                ]})  # fmt: skip

    def _one_peptide(self, result: StepResult) -> set[str]:
        """Rows that rest on one peptide: demoted, as refits cannot tell whether the peptide is the protein's."""
        artifact = result.artifacts.get("features")
        frame = self.store.load(artifact) if artifact else pd.DataFrame()
        return set(frame.loc[frame["n_peptides"] == 1, "id"]) if "n_peptides" in frame else set()

    def _summarise(self, answer: Answer) -> None:
        found = sorted(answer.findings(), key=lambda one: (1.0 if one.p is None else one.p, one.id))
        failed = answer.failures()
        answer.summary, answer.supported = summary_of(found), bool(found)
        if failed and not found:
            answer.summary = f"No answer, because a step failed: {failed[0]}"
        self.ledger.note("summary", objective=answer.objective.id, answer=answer.summary, supported=answer.supported)


def _same_key(one: Objective) -> tuple[Any, ...]:
    """Equal for objectives that ask the same, in whatever words."""
    alike = one.contrast and one.template in _BY_CONTRAST
    words = "" if alike else one.question.strip().lower()
    return one.template, one.design, one.contrast, tuple(one.outcome), words
