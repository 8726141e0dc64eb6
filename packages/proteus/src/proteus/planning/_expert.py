"""The default planner: rules and templates, deterministic, offline. It is asked and answers as any other planner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import zip_longest
from typing import Any, ClassVar

from ninefold.errors import InputError
from pydantic import BaseModel

from proteus.data._design import compared
from proteus.planning._rules import refine
from proteus.planning._templates import PLANS, Draft, bulk_drafts, cell_drafts
from proteus.record._objects import DatasetProfile, Finding, Hypothesis, Objective, Ref
from proteus.record._planner import (
    Hypotheses,
    Interpretation,
    InterpretStep,
    Objectives,
    Plan,
    Planner,
    PlannerError,
    PlanWorkflow,
    ProposeHypotheses,
    ProposeObjectives,
    Question,
    RefineWorkflow,
    SummariseObjective,
    Summary,
)
from proteus.tools._registry import missing_requirements


def drafts(profile: DatasetProfile) -> list[Draft]:
    """Questions whose preconditions the profile meets, most promising first."""
    found = cell_drafts(profile) if profile.kind == "cell" else bulk_drafts(profile)
    met = [one for one in found if not missing_requirements(list(one.requires), profile)]
    return sorted(met, key=lambda one: -one.priority)


class ExpertPlanner(Planner):
    """Answers by templates (`_templates`) and rules (`_rules`)."""

    name: ClassVar[str] = "expert"

    def ask(self, question: Question) -> BaseModel:
        """See `Planner.ask`; raises PlannerError for a question that no template covers."""
        self.spent.calls += 1
        if isinstance(question, ProposeObjectives):
            found = drafts(question.profile)
            if not found:
                described = question.profile.factors or question.profile.numbers or question.profile.outcome
                raise InputError(
                    "objectives", got="none that this table can answer",
                    expected="a factor with two levels of two samples or more, follow-up, or twelve samples",
                    hint=None if described else "nothing says what the samples are: -s SHEET, in Python samples=SHEET",
                )  # fmt: skip
            return Objectives(objectives=_objectives(found[: question.limit]))
        if isinstance(question, PlanWorkflow):
            return _plan(question)
        if isinstance(question, InterpretStep):
            return Interpretation(summary=_interpretation(question))
        if isinstance(question, RefineWorkflow):
            return refine(question)
        if isinstance(question, SummariseObjective):
            return _summary(question)
        if isinstance(question, ProposeHypotheses):
            return Hypotheses(hypotheses=propose(question, min(question.limit, 60)))
        raise PlannerError("refused", f"no such question: {question.role}")


def _objectives(chosen: Iterable[Draft]) -> list[Objective]:
    return [
        Objective(
            id=f"O{number}",
            template=one.template,
            question=one.question,
            rationale=one.rationale,
            design=one.design,
            contrast=one.contrast,
            outcome=list(one.outcome),
            entities=list(one.entities),
            requires=list(one.requires),
            priority=one.priority,
        )
        for number, one in enumerate(chosen, 1)
    ]


def _plan(question: PlanWorkflow) -> Plan:
    objective = question.objective
    make = PLANS.get(objective.template)
    if make is None:
        raise PlannerError("refused", f"no template for {objective.template!r}")
    return Plan(steps=make(objective, _more(objective, question.profile)), reason=f"template {objective.template}")


def _more(objective: Objective, profile: DatasetProfile) -> dict[str, Any]:
    """What a template needs beside the objective: of the draft that asks the same, in the same or in other words."""
    alike = [one for one in drafts(profile) if one.template == objective.template]
    same = [one for one in alike if one.question == objective.question]
    if objective.design or objective.contrast:
        same += [one for one in alike if (one.design, one.contrast) == (objective.design, objective.contrast)]
    return same[0].more if same else {}


def _interpretation(question: InterpretStep) -> str:
    digest = question.digest
    if digest.status == "failed":
        return f"{digest.tool} could not run: {digest.error}"
    hits, tested = digest.metrics.get("hits"), digest.metrics.get("tested")
    if hits is None:
        return f"{digest.tool}: {question.step.purpose or 'done'}"
    words = "nothing passes" if not hits else "some pass" if tested and hits < tested / 5 else "much passes"
    return f"{digest.tool}: {words}"


def _summary(question: SummariseObjective) -> Summary:
    names = list(dict.fromkeys(one.entity for one in question.findings))[:5]
    if not names:
        return Summary(
            answer="Nothing passed; see the smallest detectable change where it was computed.", supported=False
        )
    return Summary(answer=f"Foremost: {', '.join(names)}.", supported=True)


_WORDS = {
    "changed_in": ("is higher in {a} than in {b}", "is lower in {a} than in {b}", "differs with {target}"),
    "changed_beyond_protein_in": (
        "rises beyond its protein in {a} against {b}", "falls beyond its protein in {a} against {b}",
        "differs from its protein with {target}",
    ),
    "follows": ("rises with {target}", "falls with {target}", "follows {target}"),
    "differs_between": ("differs between levels of {target}",) * 3,
    "enriched_in": (
        "members are higher in {a} than in {b}, as a set", "members are lower in {a} than in {b}, as a set",
        "members change with {target}",
    ),
    "moves_with": ("rises with {target}", "falls with {target}", "goes with {target}"),
    "predicts": (
        "goes with a higher hazard as it rises", "goes with a lower hazard as it rises", "goes with the outcome",
    ),
    "splits": ("splits the samples into two groups that the design does not name",) * 3,
    "classifies": (
        "helps a panel tell {a} from {b}, being higher", "helps a panel tell {a} from {b}, being lower",
        "helps a panel tell {a} from {b}",
    ),
    "abundance_changed_in": (
        "are more abundant in {a} than in {b}", "are less abundant in {a} than in {b}", "change in abundance",
    ),
    "detected_in": (
        "is detected in {a} more often than in {b}", "is detected in {a} less often than in {b}",
        "is detected with {target}",
    ),
    "state_changed_in": ("is higher in {target}", "is lower in {target}", "changes in {target}"),
}  # fmt: skip
_EFFECT = {
    "abundance_changed_in": "change of the share's log2 odds",
    "state_changed_in": "change in arcsinh units",
    "moves_with": "correlation",
    "predicts": "log hazard ratio",
    "splits": "share of variance between them",
    "enriched_in": "mean log2 change",
    "detected_in": "difference in detection rate",
}
_ASSAY = {
    "set": ("pathway", "activity readout of the pathway"), "network": ("complex", "co-immunoprecipitation"),
    "cluster": ("cells", "flow cytometry of an independent cohort"),
}  # fmt: skip


def propose(question: ProposeHypotheses, limit: int) -> list[Hypothesis]:
    """One hypothesis for each entity, target and sign; objectives take turns, strongest findings first."""
    findings = question.findings
    levels = {one.name: one.levels for one in question.profile.factors}
    groups: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[(one.objective, one.kind, one.entity, one.target, str(one.sign))].append(one)
    queues: dict[str, list[list[Finding]]] = defaultdict(list)
    for key, group in groups.items():
        queues[key[0]].append(sorted(group, key=_strength))
    for queue in queues.values():
        queue.sort(key=lambda group: _strength(group[0]))
    turns = [group for turn in zip_longest(*queues.values()) for group in turn if group is not None]
    opposite = defaultdict(list)
    for one in findings:
        opposite[(one.entity, one.target, one.sign)].append(one.id)
    change = "log2 change" if question.profile.scale in ("log2", "counts") else "change in the table's own units"
    return [_hypothesis(group, question.columns, opposite, levels, change) for group in turns[:limit]]


def _strength(one: Finding) -> tuple[bool, float, str]:
    return one.descriptive, 1.0 if one.p is None else one.p, one.id


def _hypothesis(
    group: list[Finding],
    columns: dict[str, list[str]],
    opposite: dict[tuple, list[str]],
    levels: Mapping[str, Collection[str]],
    change: str,
) -> Hypothesis:
    best = group[0]
    up, down, other = _WORDS.get(best.relation, ("rises with {target}", "falls with {target}", "goes with {target}"))
    words = up if best.sign > 0 else down if best.sign < 0 else other
    a, b = _sides(best.target, levels)
    statement = f"{best.entity} " + words.replace("{a}", a).replace("{b}", b).replace("{target}", best.target)
    have = columns.get(best.artifact, [])
    numbers = {}
    if best.relation == "changed_in" and best.effect is None and "seen_first" in have:  # filled: no number of a change
        on, off = ("first", "second") if best.sign > 0 else ("second", "first")
        for name, column in (("seen", f"seen_{on}"), ("of", f"of_{on}"), ("missing", f"missing_{off}"),
                             ("others", f"of_{off}")):  # fmt: skip
            numbers[name] = Ref(artifact=best.artifact, row=best.row, column=column)
        here, there = (a, b) if best.sign > 0 else (b, a)
        statement = (
            f"{best.entity} is seen in {{seen}} of {{of}} in {here}, not seen in {{missing}} of {{others}} in {there}"
        )
    elif "effect" in have:
        numbers["effect"] = Ref(artifact=best.artifact, row=best.row, column="effect")
        statement += f" ({_EFFECT.get(best.relation, change)} {{effect}}"
        for name, column in (("low", "ci_low"), ("high", "ci_high")):
            if column in have:
                numbers[name] = Ref(artifact=best.artifact, row=best.row, column=column)
        statement += ", interval {low} to {high}" if "high" in numbers else ""
    if "q" in have and "seen" not in numbers:
        numbers["q"] = Ref(artifact=best.artifact, row=best.row, column="q")
        statement += "; q {q})" if "effect" in numbers else " (q {q})"
    elif "effect" in numbers:
        statement += ")"
    members = best.members if best.kind in ("set", "network", "module") else []
    return Hypothesis(
        statement=statement, entities=[best.entity, *members],
        direction="up" if best.sign > 0 else "down" if best.sign < 0 else "associated", context=best.target,
        mechanism=_mechanism(best), numbers=numbers, evidence=[one.id for one in group[:10]],
        contrary=opposite.get((best.entity, best.target, -best.sign), [])[:5] if best.sign else [],
        alternatives=_alternatives(best),
    )  # fmt: skip


def _sides(target: str, levels: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """What a contrast compares: two levels of a factor, else what is left and right of its last hyphen."""
    found = compared(target, levels)
    if found is not None:
        return found[1:]
    a, _, b = target.rpartition("-")
    return (a, b) if a else (target, "the others")


def _mechanism(one: Finding) -> str:
    if one.kind in ("set", "network"):
        return f"shared regulation of {', '.join(one.members[:5])}" if one.members else ""
    return ""


def _alternatives(one: Finding) -> list[str]:
    ideas = {
        "feature": ["a shift in cell or tissue composition", "a difference in sample handling between the groups"],
        "set": ["a few strong members alone", "a shift in cell or tissue composition"],
        "network": ["one hub that its partners follow", "co-purification"],
        "module": ["an unnamed batch", "contamination that varies between samples"],
        "cluster": ["a shift in another population, as shares add up to one"],
        "panel": ["a batch that goes with the groups"],
    }
    return ideas.get(one.kind, [])
