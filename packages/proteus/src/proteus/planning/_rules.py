"""Refinement rules: each has a measured trigger, and changes the workflow or says why it does not.

A rule gets the question `RefineWorkflow` and returns a `Refinement`, or None where its trigger is not met. The first
rule that fires decides; the engine runs the changed step again and logs how the hit list changed.
"""

import re
from collections.abc import Callable
from typing import Any

from proteus.data._design import compared
from proteus.planning._templates import contrast_of
from proteus.record._objects import DatasetProfile, Step, StepResult
from proteus.record._planner import Refinement, RefineWorkflow

ETA2, MODE, NEAR, PH, SPREAD = 0.5, 0.5, 0.7, 0.05, 1.5
_ALIASED = 0.999

Rule = Callable[[RefineWorkflow, Step, StepResult], Refinement | None]


def design_factors(design: str) -> list[str]:
    """Names in a formula, in order."""
    return [name for name in (part.strip() for part in re.split(r"[~+*:]", design)) if name and name not in ("0", "1")]


def _metrics(question: RefineWorkflow, tool: str) -> dict[str, Any]:
    """Metrics of the last finished step of a tool."""
    names = {one.id for one in question.workflow.steps if one.tool == tool}
    found = [one for one in question.results if one.step in names and one.status == "ok"]
    return dict(found[-1].metrics) if found else {}


def _main_factor(question: RefineWorkflow) -> str | None:
    names = design_factors(question.objective.design or "")
    return names[-1] if names else None


def _aliased_with(profile: DatasetProfile, name: str, other: str) -> float:
    return profile.aliasing.get(name, {}).get(other, 0.0)


def _told_apart(question: RefineWorkflow, step: Step) -> dict[str, str]:
    """The contrast with its factor named, where what enters the design may have levels of the same names."""
    main = question.profile.factor(_main_factor(question) or "")
    found = compared(step.params.get("contrast") or "", {main.name: main.levels}) if main else None
    if found is None:
        return {}
    contrast = contrast_of(question.profile, *found)
    return {"contrast": contrast} if "[" in contrast else {}


def _set(step: Step, params: dict[str, Any], reason: str, **trigger: Any) -> Refinement:
    return Refinement(action="set_params", step=step.id, params=params, reason=reason, trigger=trigger)


def aliased_batch(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """The factor asked about cannot be separated from a batch: the objective is refused, with the counts."""
    factor = _main_factor(question)
    if step.tool != "quality" or factor is None or factor in question.profile.batch:
        return None
    for batch in question.profile.batch:
        v = _aliased_with(question.profile, factor, batch)
        if v > _ALIASED:
            pair = (f"{factor} and {batch} cannot be told apart", f"{batch} and {factor} cannot be told apart")
            counts = next((one for one in question.profile.warnings if one.startswith(pair)), pair[0])
            trigger = {"factor": factor, "batch": batch, "cramers_v": v, "eta2": result.metrics["eta2"].get(batch)}
            return Refinement(action="refuse", reason=counts, trigger=trigger)
    return None


def batch_into_design(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """A batch explains at least half of one of the first components and is not aliased: it enters the design."""
    if step.tool not in ("contrast", "groups") or "design" not in step.params or result.status != "ok":
        return None
    known = design_factors(step.params["design"])
    explained = _metrics(question, "quality").get("batch_eta2", {})
    wanted = [name for name, eta2 in explained.items() if eta2 >= ETA2 and name not in known]
    wanted = [name for name in wanted if all(_aliased_with(question.profile, name, one) <= _ALIASED for one in known)]
    if not wanted:
        return None
    params = {"design": f"~ {' + '.join([*wanted, *known])}"} | _told_apart(question, step)
    reason = f"{', '.join(wanted)} explains half or more of a leading component: adjust for it"
    return _set(step, params, reason, **{name: explained[name] for name in wanted}, bar=ETA2)


def unequal_spread(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """A group scatters much more than another over all features: samples are weighed by the spread of their group."""
    del question
    ratio = result.metrics.get("spread", 1.0)
    if step.tool != "contrast" or ratio < SPREAD or step.params.get("spread", "equal") != "equal":
        return None
    reason = "one group scatters more than the other over all features: weigh samples by the spread of their group"
    return _set(step, {"spread": "groups"}, reason, spread=ratio, bar=SPREAD)


def off_centre(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """The bulk of z lies off zero, and is most of the table: normalise again on it."""
    values = result.metrics
    mode, near = values.get("z_mode", 0.0), values.get("near_mode", 0.0)
    wanted = step.tool == "contrast" and question.profile.scale == "log2" and not step.params.get("recentre")
    if not wanted or values.get("tested", 0) < 50 or abs(mode) <= MODE or near < NEAR:
        return None  # where less than NEAR lies around the mode, nothing says what unchanged is
    reason = "the bulk of the table is off centre: normalise again on the features around it"
    return _set(step, {"recentre": True}, reason, z_mode=mode, mode_bar=MODE, near_mode=near, near_bar=NEAR)


def omitted_covariate(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """p-values neither flat nor falling: look for a pairing or covariate that the design lacks."""
    if step.tool != "contrast" or result.metrics.get("p_shape") != "odd":
        return None
    profile, known = question.profile, design_factors(step.params["design"])
    explained = {name: max(values, default=0.0) for name, values in profile.variance_explained.items()}
    candidates = [profile.block] if profile.block and step.params.get("block") is None else []
    candidates += [name for name in sorted(explained, key=lambda one: -explained[one]) if explained[name] >= 0.2]
    for name in candidates:
        aliased = any(_aliased_with(profile, name, one) > _ALIASED for one in known)
        if name in known or aliased:
            continue
        params = {"block": name}
        if name != profile.block:
            params = {"design": f"~ {' + '.join([name, *known])}"} | _told_apart(question, step)
        reason = f"p-values are neither flat nor falling, and {name} is not in the model"
        return _set(step, params, reason, p_shape="odd", p_right=result.metrics["p_right"])
    return None


def no_hit(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """Nothing found: ask sets, which need less per protein, and say what could have been found."""
    have = {one.tool for one in question.workflow.steps}
    wanted = step.tool == "contrast" and question.objective.template in ("group_contrast", "paired_change")
    if not wanted or result.metrics.get("hits") != 0 or "detectable_effect" in have:
        return None
    number = max(int(one.id[1:]) for one in question.workflow.steps) + 1
    steps = [Step(id=f"S{number}", tool="detectable_effect", inputs=[step.id], purpose="what could have been found")]
    if "sets" in question.profile.knowledge and "enrichment" not in have:
        more = Step(id=f"S{number + 1}", tool="enrichment", inputs=[step.id], purpose="changes spread over a set")
        steps.append(more)
    reason = "no feature passes: test sets of them, and give the smallest detectable change"
    trigger = {"hits": 0, "detectable": result.metrics.get("detectable")}
    return Refinement(action="insert", step=step.id, steps=steps, reason=reason, trigger=trigger)


def outlying_run(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """A run far from the others: hits must survive without it."""
    del result
    outliers = _metrics(question, "quality").get("outliers", [])
    check = next((one for one in question.workflow.steps if one.tool == "sensitivity"), None)
    if step.tool != "contrast" or not outliers or check is None or check.params.get("drop"):
        return None
    reason = "there are outlying runs: hits must hold with each of them left out"
    return _set(check, {"drop": list(outliers)[:5]}, reason, outliers=len(outliers))


def hazards_not_proportional(question: RefineWorkflow, step: Step, result: StepResult) -> Refinement | None:
    """The proportional-hazards test fails for hits: they must also differ in restricted mean survival."""
    violated = result.metrics.get("ph_violated", 0)
    check = next((one for one in question.workflow.steps if one.tool == "survival_check"), None)
    if step.tool != "survival" or not violated or check is None or check.params.get("rmst"):
        return None
    reason = "hazards are not proportional for some hits: these must differ in restricted mean survival too"
    return _set(check, {"rmst": True}, reason, ph_violated=violated, bar=PH)


RULES: tuple[Rule, ...] = (
    aliased_batch, batch_into_design, unequal_spread, off_centre, omitted_covariate, no_hit, outlying_run,
    hazards_not_proportional,
)  # fmt: skip


def refine(question: RefineWorkflow) -> Refinement:
    """The first rule that fires on the step just finished, else `continue`."""
    result = question.results[-1]
    step = question.workflow.step(result.step)
    for rule in RULES:
        found = rule(question, step, result)
        if found is not None and (question.left > 0 or found.action == "refuse"):
            return found
    return Refinement(action="continue", reason="no rule's trigger is met")
