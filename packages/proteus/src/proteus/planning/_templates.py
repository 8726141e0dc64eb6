"""Objective templates: which questions a table with this profile can be asked, and the workflow that answers each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proteus.record._objects import DatasetProfile, Factor, Objective, Step
from proteus.record._words import words
from proteus.tools._registry import tools

_MAIN = re.compile(r"(?i)^(?:group|condition|treatment|diagnosis|disease|status|genotype|arm|class|type|phenotype)$")
_LONGITUDINAL = re.compile(r"(?i)^(?:time|timepoint|visit|day|week|dose)$")
_FACTORS, _CONTRASTS, _REST = 4, 3, 3.5  # of a factor: contrasts asked early; priority of the others
_VALIDATED = 20  # samples of each level from which a panel is worth a fit
_DETECTABLE = 5  # runs a level from which Fisher's test of detection can pass many tests; below, `contrast` fills gaps


@dataclass(frozen=True)
class Draft:
    """An objective without its number."""

    template: str
    question: str
    priority: float
    requires: tuple[str, ...]
    design: str | None = None
    contrast: str | None = None
    rationale: str = ""
    outcome: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


def main_factors(profile: DatasetProfile) -> list[Factor]:
    """Factors to ask about: not batches, with two levels of two samples or more; those named as groups are first."""
    usable = [
        one
        for one in profile.factors
        if one.name not in profile.batch and sum(n >= 2 for n in one.levels.values()) >= 2
    ]
    return sorted(usable, key=lambda one: not _MAIN.match(one.name))[:_FACTORS]


def contrasts(one: Factor) -> list[tuple[str, str]]:
    """All (level, base) pairs of a factor: each level against the first, the last, most different by order, before the
    others; then neighbours, then the rest."""
    solid = [name for name, n in one.levels.items() if n >= 3]
    levels = solid if len(solid) >= 2 else [name for name, n in one.levels.items() if n >= 2]
    pairs = [(level, levels[0]) for level in reversed(levels[1:])]
    pairs += [(levels[place + 1], levels[place]) for place in range(1, len(levels) - 1)]
    rest = [(levels[late], levels[early]) for late in range(2, len(levels)) for early in range(1, late - 1)]
    return pairs + rest


def contrast_of(profile: DatasetProfile, factor: str, level: str, base: str) -> str:
    """`level-base`, or `factor[level]-factor[base]` where another column has one of these levels too."""
    if {level, base} & set(profile.shared_levels):
        return f"{factor}[{level}]-{factor}[{base}]"
    return f"{level}-{base}"


def _ordered(one: Factor) -> list[str] | None:
    """Levels in order, if at least three carry a number."""
    numbered = [name for name in one.levels if re.search(r"\d", name)]
    return list(one.levels) if len(one.levels) >= 3 and len(numbered) == len(one.levels) else None


def model_of(profile: DatasetProfile, factor: str) -> tuple[str, str, dict[str, Any]]:
    """(template, design, more): subjects are a term where a factor varies within them, else a block of the test."""
    if not profile.block:
        return "group_contrast", f"~ {factor}", {}
    if factor in profile.within:
        return "paired_change", f"~ {profile.block} + {factor}", {}
    return "group_contrast", f"~ {factor}", {"block": profile.block}


def _beside(one: Factor, level: str, base: str, design: str, name: str, block: dict[str, Any]) -> list[Draft]:
    """What is asked beside the features of the first contrast."""
    pair = {"factor": one.name, "positive": level, "negative": base}
    fewest = min(one.levels[level], one.levels[base])
    drafts = [
        Draft(template, f"{question} between {level} and {base}?", priority, ("bulk", "groups", need), design, name,
              why, more=block)
        for template, question, priority, need, why in (
            ("pathway_activity", "Which gene sets move", 9.5, "sets", "small changes may be shared by a pathway"),
            ("network_neighbourhood", "Which parts of the network move", 9, "network", "partners may change together"),
            ("co_regulation", "Which linked features change together", 2.2, "network", "one may regulate the other"),
            ("ptm_versus_protein", "Which sites change beyond their protein", 8.8, "sites",
             "a site's change may be its protein's"),
        )
    ]  # fmt: skip
    if fewest >= _VALIDATED:
        drafts.append(Draft(
            "biomarker_panel", f"Which panel tells {level} from {base}?", 2.0, ("bulk", "groups", "many_samples"),
            design, name, "there are enough samples to validate one", more=pair,
        ))  # fmt: skip
    if fewest >= _DETECTABLE:
        drafts.append(Draft(
            "on_off", f"Which features are detected in one of {level} and {base} alone, or far more often?",
            1.2, ("bulk", "groups", "gaps"), None, name, "absence may be the change", more=pair,
        ))  # fmt: skip
    return drafts


def bulk_drafts(profile: DatasetProfile) -> list[Draft]:
    """Questions to features by samples."""
    drafts: list[Draft] = []
    subjects = {"block": profile.block} if profile.block else {}  # whose runs count once, whatever is asked

    def add(template: str, question: str, priority: float, needs: str, why: str, *, design: str | None = None,
            contrast: str | None = None, outcome: Sequence[str] = (), **more: Any) -> None:  # fmt: skip
        drafts.append(Draft(template, question, priority, tuple(needs.split()), design, contrast, why, tuple(outcome),
                            more=more))  # fmt: skip

    for place, one in enumerate(main_factors(profile)):
        aliased = any(profile.aliasing.get(one.name, {}).get(batch, 0.0) > 0.999 for batch in profile.batch)
        first = 1.5 if aliased else 10 - 3 * place  # what will be refused is asked last
        template, design, block = model_of(profile, one.name)
        for number, (level, base) in enumerate(contrasts(one)):
            name = contrast_of(profile, one.name, level, base)
            priority = first - number if number < _CONTRASTS else min(_REST, first) - 0.01 * number
            add(template, f"Which features differ between {level} and {base}?", priority, "bulk groups",
                f"{one.name} is a factor of the design", design=design, contrast=name, **block)  # fmt: skip
            if number == 0 and place == 0:
                drafts += _beside(one, level, base, design, name, block)
        order = _ordered(one)
        if order:
            add("trend", f"Which features follow the order of {one.name}?", 7.5 - 3 * place, "bulk groups",
                "the levels are ordered", design=f"~ {one.name}", over=one.name, order=order, **subjects)  # fmt: skip
        if len(one.levels) >= 3:
            add("multi_group", f"Which features differ between any levels of {one.name}?", 4 - place, "bulk groups",
                "several levels", design=f"~ {one.name}", factor=one.name, **subjects)  # fmt: skip
    for name in profile.numbers[:2]:
        add("trend", f"Which features follow {name}?", 5 if _LONGITUDINAL.match(name) else 1.0, "bulk numbers",
            f"{name} is a number", over=name, **subjects)  # fmt: skip
    for name in profile.numbers[:1]:
        add("module_trait", f"Which modules of co-expressed features follow {name}?", 0.9, "bulk numbers many_samples",
            f"many small changes may go with {name} together", trait=name, **subjects)  # fmt: skip
    if profile.outcome:
        add("survival", "Which features predict the outcome?", 10.5, "bulk outcome", "there is follow-up",
            outcome=profile.outcome)  # fmt: skip
        add("module_outcome", "Which modules of co-expressed features predict the outcome?", 0.95,
            "bulk many_samples outcome", "many small changes may go with the outcome together",
            outcome=profile.outcome)  # fmt: skip
    remove = [*(one.name for one in main_factors(profile)[:1]), *profile.batch[:1]]
    aliased = len(remove) == 2 and profile.aliasing.get(remove[0], {}).get(remove[1], 0.0) > 0.999
    add("subtype", "Are there groups of samples that the design does not name?", 3.0, "bulk many_samples",
        "co-expressed features may split the samples",
        remove=f"~ {' + '.join(remove[:1] if aliased else remove)}" if remove else "~ 1")  # fmt: skip
    if profile.batch and main_factors(profile):
        batch, factor = profile.batch[0], main_factors(profile)[0].name
        add("batch_audit", f"Can {factor} be told from {batch}?", 2.5, "bulk", "a batch may pass for biology",
            first=batch, second=factor)  # fmt: skip
    return drafts


def cell_drafts(profile: DatasetProfile) -> list[Draft]:
    """Questions to tables of cells."""
    drafts = [Draft("cell_markers", "Which cell types are there?", 1.0, ("cells",))]
    for place, one in enumerate(main_factors(profile)[:2]):
        level, base = contrasts(one)[0]
        design, name = model_of(profile, one.name)[1], contrast_of(profile, one.name, level, base)
        drafts += [
            Draft("cell_state", f"Which markers change within cell types between {level} and {base}?", 10 - 3 * place,
                  ("cells", "groups"), design, name, "signalling differs by cell type"),
            Draft("cell_abundance", f"Which cell types are more or less abundant in {level} than in {base}?",
                  9 - 3 * place, ("cells", "groups"), design, name, "composition may shift"),
        ]  # fmt: skip
    return drafts


def plan(objective: Objective, more: Mapping[str, Any]) -> list[Step]:
    """The steps of the objective's template; each tool takes the parameters it has of what the objective says.

    Args:
        objective: with design, contrast and outcome as its template needs them.
        more: parameters that the objective has no place for.
    Raises:
        KeyError: for an unknown template.
    """
    known = {"design": objective.design, "contrast": objective.contrast} | dict(more)
    known |= dict(zip(("time", "event"), objective.outcome, strict=False))
    made: list[Step] = []
    for number, name in enumerate(PLANS[objective.template], 1):
        (purpose, checks), tool = words("steps")[name], tools()[name]
        fields = tool.params.model_fields
        params = {
            key: known[key]
            for key, one in fields.items()
            if key in known and (known[key] is not None or one.is_required())
        }
        inputs = [one.id for one in made if one.tool != "quality"] if tool.reads else []
        made.append(Step(id=f"S{number}", tool=name, params=params, inputs=inputs, checks=checks,
                         purpose=purpose or objective.question))  # fmt: skip
    return made


PLANS: dict[str, list[str]] = words("plans")
