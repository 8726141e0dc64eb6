"""A model's answers without its prose: what is printed of them is made from their typed fields."""

import re
from typing import TypeVar

from pydantic import BaseModel

from proteus.planning._expert import drafts
from proteus.planning._headline import levels_of
from proteus.planning._templates import PLANS
from proteus.record._objects import DatasetProfile, Objective
from proteus.record._planner import Objectives, Plan, Question, Refinement

A = TypeVar("A", bound=BaseModel)
_MODELS = "a model's choice"


def typed(question: Question, answer: A) -> A:
    """The answer with sentences made from its fields; what a model wrote stays in the journal.

    Args:
        question: as it was asked, with the profile and, for refinements, the digest of the step.
        answer: of a planner that is not the expert.
    """
    profile = getattr(question, "profile", None)
    changes: dict[str, object] = {}
    if isinstance(answer, Objectives) and profile is not None:
        changes["objectives"] = [_objective(one, profile) for one in answer.objectives]
    elif isinstance(answer, Plan):
        changes = {"reason": _MODELS, "steps": [one.model_copy(update={"purpose": ""}) for one in answer.steps]}
    elif isinstance(answer, Refinement):
        digest = getattr(question, "digest", None)
        measured = {} if digest is None else digest.metrics
        changes = {
            "reason": _MODELS, "trigger": {name: measured[name] for name in answer.trigger if name in measured},
            "steps": [one.model_copy(update={"purpose": ""}) for one in answer.steps],
        }  # fmt: skip
        if answer.objective is not None and profile is not None:
            changes["objective"] = _objective(answer.objective, profile)
    return answer.model_copy(update=changes)


def untyped(one: Objective, profile: DatasetProfile) -> str:
    """What of an objective's fields the table does not know, in words; empty if nothing."""
    if one.contrast and not _over_levels(one.contrast, profile):
        return f"{one.id}: contrast {one.contrast[:80]!r} is no arithmetic over levels, such as A-B"
    strange = [name for name in one.outcome if name not in profile.outcome]
    return f"{one.id}: {strange[0][:80]!r} is no column of the outcome" if strange else ""


def _over_levels(contrast: str, profile: DatasetProfile) -> bool:
    levels = levels_of(profile)
    names = {name for factor, known in levels.items() for one in known for name in (one, f"{factor}[{one}]")}
    for name in sorted(names, key=len, reverse=True):
        contrast = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", contrast)
    return re.fullmatch(r"[-+*/().\d\s]*", contrast) is not None


def _objective(one: Objective, profile: DatasetProfile) -> Objective:
    alike = [draft for draft in drafts(profile) if draft.template == one.template]
    same = [draft for draft in alike if draft.question == one.question]
    same += [draft for draft in alike if (draft.contrast, list(draft.outcome)) == (one.contrast, one.outcome)]
    kind = one.template.replace("_", " ") if one.template in PLANS else "A question of a model's own"
    about = (
        one.contrast
        if one.contrast and not untyped(one, profile)
        else ", ".join(profile.outcome if one.outcome else [])
    )
    question = same[0].question if same else f"{kind.capitalize()}{f': {about}' if about else ''}"
    return one.model_copy(update={"question": question, "rationale": _MODELS})
