"""The default planner: rules and templates, deterministic, offline. It is asked and answers as any other planner."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, Literal

from ninefold.errors import InputError
from pydantic import BaseModel

from proteus.data._design import compared
from proteus.planning._cards import alternatives_of
from proteus.planning._headline import headline, joined, slots_of
from proteus.planning._question import more_of
from proteus.planning._rules import refine
from proteus.planning._templates import PLANS, Draft, bulk_drafts, cell_drafts, model_of, plan
from proteus.record._objects import DatasetProfile, Edge, Finding, Hypothesis, Objective
from proteus.record._planner import (
    Hypotheses,
    Objectives,
    Plan,
    Planner,
    PlannerError,
    PlanWorkflow,
    ProposeHypotheses,
    ProposeObjectives,
    Question,
    RefineWorkflow,
)
from proteus.tools._registry import missing_requirements

_WAYS: dict[int, Literal["up", "down", "associated"]] = {1: "up", -1: "down", 0: "associated"}
_OWN = ("changed_in", "follows", "predicts", "detected_in")  # what a feature may be joined by, change before presence
_Q, _LINK_Q = 0.05, 0.01  # of what is joined, and of a link: a sentence of three parts is false if one of them is
_LINKS, _LEAST, _MEMBERS = 5, 3, 8  # of joined hypotheses: links of a regulator, members of a set


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
        if isinstance(question, RefineWorkflow):
            return refine(question)
        if isinstance(question, ProposeHypotheses):
            return Hypotheses(hypotheses=propose(question, min(question.limit, 60)))
        raise PlannerError("refused", f"no such question: {question.role}")


def _objectives(chosen: Iterable[Draft]) -> list[Objective]:
    fields = [name for name in Objective.model_fields if name in Draft.__dataclass_fields__]
    return [
        Objective.model_validate({"id": f"O{number}", **{name: getattr(one, name) for name in fields}})
        for number, one in enumerate(chosen, 1)
    ]


def _plan(question: PlanWorkflow) -> Plan:
    objective = question.objective
    if objective.template not in PLANS:
        raise PlannerError("refused", f"no template for {objective.template!r}")
    return Plan(steps=plan(objective, _more(objective, question.profile)), reason=f"template {objective.template}")


def _more(objective: Objective, profile: DatasetProfile) -> dict[str, Any]:
    """What a template needs in addition to the objective: of the draft with the same question, in the same or in
    other words."""
    if objective.query is not None and (objective.query.kind != "subtypes"):
        return more_of(objective.query, profile)
    alike = [one for one in drafts(profile) if one.template == objective.template]
    same = [one for one in alike if one.question == objective.question or one.template == "subtype"]
    if objective.design or objective.contrast:
        same += [one for one in alike if (one.design, one.contrast) == (objective.design, objective.contrast)]
    if same:
        return same[0].more
    levels = {one.name: one.levels for one in profile.factors}
    pair = (
        compared(objective.contrast or "", levels)
        if objective.template in ("group_contrast", "pathway_activity")
        else None
    )
    return model_of(profile, pair[0])[2] if pair else {}


def summary_of(findings: Sequence[Finding]) -> str:
    """What is printed of an objective, for any planner; `findings` strongest first."""
    names = list(dict.fromkeys(one.entity for one in findings))[:5]
    if not names:
        return "Nothing passed; see the smallest detectable change where it was computed."
    return f"Foremost: {', '.join(names)}."


def propose(question: ProposeHypotheses, limit: int) -> list[Hypothesis]:
    """One hypothesis for each entity, target and sign; objectives take turns, strongest findings first."""
    findings = question.findings
    groups: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[(one.objective, one.kind, one.entity, one.target, str(one.sign))].append(one)
    queues: dict[str, list[list[Finding]]] = defaultdict(list)
    for key, group in groups.items():
        queues[key[0]].append(sorted(group, key=_strength))
    opposite = defaultdict(list)
    for one in findings:
        opposite[(one.entity, one.target, one.sign)].append(one.id)
    together = joins(findings)
    for queue in queues.values():
        queue.sort(key=lambda group: _strength(group[0]))
    told = {one.id for group in together for one in group if one.kind == "link"}  # once, where they belong
    told |= {
        one.id
        for one in findings
        if one.kind == "panel" and any(one.artifact == group[0].artifact for group in together)
    }
    turns = [group for turn in zip_longest(*queues.values()) for group in turn if group and group[0].id not in told]
    made = [_hypothesis(group, question, opposite) for group in turns[: max(limit - len(together), limit // 2)]]
    return [*made, *(_joined(one, question) for one in together[: limit - len(made)])]


def joins(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that belong together, the strongest first, then each that is joined to it.

    A regulator with its targets: of links between features whose own changes were found in the same contrast, those of
    the feature with most of them, and so on with what is left. A complex, a pathway or a module with its members: the
    set's finding, or the module's on a number or the outcome, with those of members that passed on their own, each with
    its own sign. The features of a panel.
    """
    own: dict[tuple[str, str], Finding] = {}
    features = [one for one in findings if one.kind == "feature"]
    for one in sorted(features, key=lambda item: (item.relation == "detected_in", *_strength(item))):
        if one.relation in _OWN and one.q is not None and one.q <= _Q:
            own.setdefault((one.entity, one.target), one)
    made = []
    links = [one for one in findings if one.kind == "link" and one.q is not None and one.q <= _LINK_Q]
    left = [one for one in links if all((name, one.target) in own for name in one.members)]
    left = [one for one in left if len(_apart([own[name, one.target] for name in one.members])) == len(one.members)]
    while left:
        ends = [(one.members[:1] if one.relation == "passes_on" else one.members, one.target) for one in left]
        count = Counter((name, target) for names, target in ends for name in names)  # what is passed on does not lead
        lead = min(count, key=lambda key: (-count[key], _strength(own[key])))
        held = [one for one in left if one.target == lead[1] and lead[0] in one.members]
        links = sorted(held, key=_strength)[:_LINKS]
        group = [own[lead]]
        for link in links:
            other = next(name for name in link.members if name != lead[0])
            group += [own[other, link.target], link]
        made.append(group)
        left = [one for one in left if one not in links]
    for one in findings:
        members = _apart([own[name, one.target] for name in one.members if (name, one.target) in own])
        if one.kind in ("set", "network", "module") and not one.descriptive and len(members) >= _LEAST:
            made.append([one, *members[:_MEMBERS]])
    panels: dict[str, list[Finding]] = defaultdict(list)
    for one in sorted((one for one in findings if one.kind == "panel"), key=_strength):
        panels[one.artifact].append(one)
    return made + [panel[: _MEMBERS + 1] for panel in panels.values() if len(panel) >= _LEAST]


def _apart(members: Sequence[Finding]) -> list[Finding]:
    """Findings of which none rests on peptides that fit an earlier one's gene, too."""
    kept: list[Finding] = []
    for one in members:
        if not any(one.entity in other.also or other.entity in one.also for other in kept):
            kept.append(one)
    return kept


def _joined(group: list[Finding], question: ProposeHypotheses) -> Hypothesis:
    lead, rest = group[0], group[1:]
    text, numbers = joined([slots_of(one, question.profile, question.columns.get(one.artifact, [])) for one in group])
    names = [lead.entity, *lead.members, *(one.entity for one in rest if one.kind != "link")]
    return Hypothesis(
        statement=text, entities=list(dict.fromkeys(names)), direction=_WAYS[lead.sign], context=lead.target,
        numbers=numbers, evidence=[one.id for one in group], mechanism=mechanism_of(lead),
        alternatives=alternatives_of(lead, question.profile.assay),
        joins=[Edge(entity=one.entity, sign=one.sign, finding=one.id) for one in rest],
    )  # fmt: skip


def _strength(one: Finding) -> tuple[bool, float, str]:
    return one.descriptive, 1.0 if one.p is None else one.p, one.id


def _hypothesis(group: list[Finding], question: ProposeHypotheses, opposite: dict[tuple, list[str]]) -> Hypothesis:
    best = group[0]
    slots = slots_of(best, question.profile, question.columns.get(best.artifact, []))
    members = best.members if best.kind in ("set", "network", "module") else []
    return Hypothesis(
        statement=headline(slots), entities=[best.entity, *members],
        direction=_WAYS[best.sign], context=best.target,
        mechanism=mechanism_of(best), numbers=dict(slots.numbers), evidence=[one.id for one in group[:10]],
        contrary=opposite.get((best.entity, best.target, -best.sign), [])[:5] if best.sign else [],
        alternatives=alternatives_of(best, question.profile.assay),
    )  # fmt: skip


def mechanism_of(one: Finding) -> str:
    """What is said of every finding of its kind: which members a set's change is shared by."""
    told = one.kind in ("set", "network") and one.members
    return f"shared regulation of {', '.join(one.members[:5])}" if told else ""
