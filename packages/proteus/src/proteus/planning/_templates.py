"""Objective templates: which questions a table with this profile can be asked, and the workflow that answers each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proteus.record._objects import DatasetProfile, Factor, Objective, Step
from proteus.record._words import named, words
from proteus.tools._registry import tools

_MAIN = named("main")
_LONGITUDINAL = named("longitudinal")
_FACTORS, _CONTRASTS, _REST = 4, 3, 3.5  # of a factor: contrasts asked early; priority of the others
_CROSSED = 3  # pairs of crossed columns that are asked about
_FIRST, _NEXT = 10.4, 9.4  # priority of the first, before all else; of the others, after the first contrast's own
_EVEN = 0.15  # Cramer's V up to which two factors cross evenly
_VALIDATED = 20  # samples of each level from which a panel is worth a fit
_WITH_IT = {"pathway_activity": 9.5, "network_neighbourhood": 9, "co_regulation": 2.2, "ptm_versus_protein": 8.8}
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
    """(template, design, more): factors that it crosses are terms; subjects are a term where the factor varies within
    them, else a block of the test."""
    known = {one.name for one in profile.factors}
    pairs = [
        pair for pair in profile.crossed if factor in pair and known.issuperset(pair) and by_design(profile, *pair)
    ]
    beside = [name for pair in pairs for name in pair if name != factor]
    if not profile.block:
        return "group_contrast", _formula(*beside, factor), {}
    if factor in profile.within:
        inside = [name for name in beside if name in profile.within]
        return "paired_change", _formula(profile.block, *inside, factor), {}
    return "group_contrast", _formula(*beside, factor), {"block": profile.block}


def by_design(profile: DatasetProfile, first: str, second: str) -> bool:
    """Whether two columns cross as an experiment makes them cross, evenly, and not as a covariate happens to."""
    return second in profile.repeated or profile.aliasing.get(first, {}).get(second, 1.0) <= _EVEN


def _formula(*names: str) -> str:
    return f"~ {' + '.join(dict.fromkeys(names))}"


def _draft(
    kind: str, priority: float, names: Mapping[str, str], *, design: str | None = None, contrast: str | None = None,
    outcome: Sequence[str] = (), **more: Any,
) -> Draft:  # fmt: skip
    """The draft of a kind in `words.json`, with names of the table in its words."""
    template, question, needs, why = words("drafts")[kind]
    return Draft(template, question.format(**names), priority, tuple(needs.split()), design, contrast,
                 why.format(**names), tuple(outcome), more=more)  # fmt: skip


def _beside(one: Factor, names: Mapping[str, str], design: str, contrast: str, block: dict[str, Any]) -> list[Draft]:
    """What is asked in addition to the features of the first contrast."""
    pair = {"factor": one.name, "positive": names["level"], "negative": names["base"]}
    fewest = min(one.levels[names["level"]], one.levels[names["base"]])
    drafts = [
        _draft(kind, priority, names, design=design, contrast=contrast, **block) for kind, priority in _WITH_IT.items()
    ]
    if fewest >= _VALIDATED:
        drafts.append(_draft("biomarker_panel", 2.0, names, design=design, contrast=contrast, **pair))
    if fewest >= _DETECTABLE:
        drafts.append(_draft("on_off", 1.2, names, contrast=contrast, **pair))
    return drafts


def _crossed(profile: DatasetProfile) -> list[Draft]:
    """What a crossed design asks first: whether effects depend on each other, by levels and as slopes."""
    subjects = {"block": profile.block} if profile.block else {}
    order = {one.name: list(one.levels) for one in profile.factors}
    made = []
    for place, (first, second) in enumerate(profile.crossed[:_CROSSED]):
        names, slope = {"first": first, "second": second}, second in profile.numbers
        asked = {**names, "first_order": order[first], **subjects}
        over_time = slope and bool(_LONGITUDINAL.match(second))
        early = 7.2 if over_time else 1.4  # whether age matters in one group alone is asked last
        if by_design(profile, first, second):  # in a cohort with follow-up, nobody made columns cross
            early = _FIRST if place == 0 and not profile.outcome else _NEXT - 0.1 * place
        if second in order:
            made.append(_draft("interaction", early, names, **asked, second_order=order[second]))
            continue
        if second in profile.repeated:
            made.append(_draft("interaction", early, names, **asked))
        made.append(_draft("slopes", min(early, _NEXT) - 0.05, names, **asked, linear=True))
    return made


def bulk_drafts(profile: DatasetProfile) -> list[Draft]:
    """Questions to features by samples."""
    drafts = _crossed(profile)
    subjects = {"block": profile.block} if profile.block else {}  # whose runs count once, whatever is asked
    for place, one in enumerate(main_factors(profile)):
        aliased = any(profile.aliasing.get(one.name, {}).get(batch, 0.0) > 0.999 for batch in profile.batch)
        first = 1.5 if aliased else 10 - 3 * place  # what will be refused is asked last
        template, design, block = model_of(profile, one.name)
        about, alone = {"name": one.name}, model_of(profile, one.name)[1]
        for number, (level, base) in enumerate(contrasts(one)):
            contrast, names = contrast_of(profile, one.name, level, base), {**about, "level": level, "base": base}
            priority = first - number if number < _CONTRASTS else min(_REST, first) - 0.01 * number
            drafts.append(_draft(template, priority, names, design=design, contrast=contrast, **block))
            if number == 0 and place == 0:
                drafts += _beside(one, names, design, contrast, block)
        order = _ordered(one)
        if order:
            over = {"over": one.name, "order": order, **subjects}
            drafts.append(_draft("trend of levels", 7.5 - 3 * place, about, design=alone, **over))
        if len(one.levels) >= 3:
            drafts.append(_draft("multi_group", 4 - place, about, design=alone, factor=one.name, **subjects))
    for name in profile.numbers[:2]:
        told = bool(_LONGITUDINAL.match(name)) or name in profile.repeated
        crossing = [pair[0] for pair in profile.crossed if pair[1] == name and name in profile.repeated]
        asked = {"over": name, "adjust": crossing[:1], **subjects}
        priority = 9.5 if not main_factors(profile) else 5 if told else 1.0
        drafts.append(_draft("trend", priority, {"name": name}, **asked))
        if name in profile.repeated:
            formula = _formula(*crossing[:1], name)
            drafts.append(_draft("levels", 4.5, {"name": name}, design=formula, factor=name, **subjects))
    drafts += [_draft("module_trait", 0.9, {"name": name}, trait=name, **subjects) for name in profile.numbers[:1]]
    if profile.outcome:
        drafts.append(_draft("survival", 10.5, {}, outcome=profile.outcome))
        drafts.append(_draft("module_outcome", 0.95, {}, outcome=profile.outcome))
    drafts.append(_draft("subtype", 3.0, {}))
    if profile.batch and main_factors(profile):
        pair = {"first": profile.batch[0], "second": main_factors(profile)[0].name}
        drafts.append(_draft("batch_audit", 2.5, pair, **pair))
    return drafts


def cell_drafts(profile: DatasetProfile) -> list[Draft]:
    """Questions to tables of cells."""
    drafts = [_draft("cell_markers", 1.0, {})]
    for place, one in enumerate(main_factors(profile)[:2]):
        level, base = contrasts(one)[0]
        asked = {"design": model_of(profile, one.name)[1], "contrast": contrast_of(profile, one.name, level, base)}
        names = {"level": level, "base": base}
        drafts.append(_draft("cell_state", 10 - 3 * place, names, **asked))
        drafts.append(_draft("cell_abundance", 9 - 3 * place, names, **asked))
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
        known_by = [one for one in made if one.tool in tool.reads or not tools()[one.tool].confirms]
        inputs = [one.id for one in known_by if one.tool != "quality"] if tool.reads else []
        made.append(Step(id=f"S{number}", tool=name, params=params, inputs=inputs, checks=checks,
                         purpose=purpose or objective.question))  # fmt: skip
    return made


PLANS: dict[str, list[str]] = words("plans")
