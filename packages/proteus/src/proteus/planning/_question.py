"""The user's own question: matched to what the table has, or refused with the list of it."""

import re
from collections.abc import Collection, Iterator, Sequence

from ninefold.errors import InputError

from proteus.data._design import compared
from proteus.planning._headline import headline, levels_of, sides_of, slots_of
from proteus.planning._templates import contrast_of, main_factors, model_of
from proteus.record._objects import Asked, DatasetProfile, Factor, Finding, Objective, Ref

_OUTCOME = re.compile(r"(?i)\b(?:surviv\w*|hazard\w*|outcome|prognos\w*|mortality|death|relapse|event)\b")
_SETS = re.compile(r"(?i)\b(?:pathways?|gene sets?|sets|processes)\b")
_FIRST = 1000.0
_SHOWN = 12


def asked_objectives(asked: Asked, profile: DatasetProfile, entities: Collection[str]) -> list[Objective]:
    """The objectives that answer what the user asks, in the user's words.

    Args:
        asked: question, contrast, design.
        profile: of the table.
        entities: names of its features.
    Raises:
        InputError: nothing of the question is in the table; it lists what is.
    """
    if asked.contrast is None and asked.question is None:
        if asked.design is not None:
            raise InputError("--design", got=asked.design, expected="--contrast too: the difference that it is for")
        return []
    named = list(_named(asked.question or "", entities))
    if asked.contrast is not None:
        return [
            _contrast(asked, profile, _check_contrast(asked.contrast, asked.design, profile), asked.contrast, named)
        ]
    question = asked.question or ""
    pair = _pair(question, profile)
    if _OUTCOME.search(question) and len(profile.outcome) == 2:
        return [_made("survival", question, named, outcome=profile.outcome)]
    number = next((one for one in profile.numbers if _says(question, one)), None)
    if pair is None and number is not None:
        return [_made("trend", question, named, requires=["bulk", "numbers"], more=f"over {number}")]
    if pair is None and named and main_factors(profile):
        pair = _whole(main_factors(profile)[0])
    if pair is None:
        raise InputError("--question", got=repr(question), expected=_what_there_is(profile))
    factor, level, base = pair
    name = contrast_of(profile, factor.name, level, base)
    found = [_contrast(asked, profile, factor.name, name, named)]
    if _SETS.search(question) and "sets" in profile.knowledge:
        found.insert(
            0, found[0].model_copy(update={"template": "pathway_activity", "requires": ["bulk", "groups", "sets"]})
        )
    return found


def _made(template: str, question: str, named: list[str], *, more: str = "", **fields: object) -> Objective:
    known = {"requires": ["bulk", "outcome"]} | fields
    return Objective.model_validate({
        "id": "O1", "template": template, "question": question, "entities": named, "priority": _FIRST,
        "rationale": f"asked by the user {more}".strip(), **known,
    })  # fmt: skip


def _contrast(asked: Asked, profile: DatasetProfile, factor: str, contrast: str, named: list[str]) -> Objective:
    template, design, _ = model_of(profile, factor)
    if profile.kind == "cell":
        template = "cell_state"
    a, b = sides_of(contrast, levels_of(profile))
    return Objective(
        id="O1", template=template, question=asked.question or f"Which features differ between {a} and {b}?",
        rationale="asked by the user", design=asked.design or design, contrast=contrast, entities=named,
        requires=["cells" if profile.kind == "cell" else "bulk", "groups"], priority=_FIRST,
    )  # fmt: skip


def _check_contrast(contrast: str, design: str | None, profile: DatasetProfile) -> str:
    """The factor whose levels a contrast compares; InputError with the list of levels."""
    levels = levels_of(profile)
    found = compared(contrast, levels)
    if found is not None:
        return found[0]
    inside = [name for name, known in levels.items() if sum(_says(contrast, one) for one in known) >= 2]
    if inside and design is not None:
        return inside[0]
    expected = "; ".join(f"{name}: {', '.join(known)}" for name, known in levels.items()) or "a factor with two levels"
    raise InputError("--contrast", got=repr(contrast), expected=f"A-B, two levels of one factor. {expected}")


def _says(text: str, name: str) -> bool:
    return re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _named(question: str, entities: Collection[str]) -> Iterator[str]:
    """Features that a question names, as the table writes them."""
    words = dict.fromkeys(re.findall(r"[\w.;|-]+", question))
    known = {one.lower(): one for one in entities if len(one) > 1}
    yield from dict.fromkeys(known[one.strip(".;").lower()] for one in words if one.strip(".;").lower() in known)


def _pair(question: str, profile: DatasetProfile) -> tuple[Factor, str, str] | None:
    """(factor, level, base) that a question compares: two levels in its order, else one against the base."""
    best: tuple[int, tuple[Factor, str, str]] | None = None
    for factor in profile.factors:
        places = {
            level: found.start()
            for level in factor.levels
            if len(level) > 1 and (found := re.search(rf"(?i)(?<!\w){re.escape(level)}(?!\w)", question))
        }
        said = sorted(places, key=lambda one: places[one])
        if len(said) >= 2:
            pair, rank = (factor, said[0], said[1]), 2
        elif len(said) == 1:
            others = [one for one in factor.levels if one != said[0]]
            pair, rank = ((factor, said[0], others[0]) if others else None), 1
        elif _says(question, factor.name) and len(factor.levels) >= 2:
            pair, rank = _whole(factor), 1
        else:
            continue
        if pair is not None and (best is None or rank > best[0]):
            best = rank, pair
    return None if best is None else best[1]


def _whole(factor: Factor) -> tuple[Factor, str, str]:
    levels = list(factor.levels)
    return factor, levels[-1], levels[0]


def _what_there_is(profile: DatasetProfile) -> str:
    parts = [f"{one.name} ({', '.join(list(one.levels)[:_SHOWN])})" for one in profile.factors]
    parts += [f"the number {one}" for one in profile.numbers[:_SHOWN]]
    parts += ["the outcome"] if profile.outcome else []
    return f"words that the table has: {'; '.join(parts) or 'nothing describes its samples'}; or the name of a feature"


def symbols_unknown(question: str, known: Collection[str]) -> list[str]:
    """What a question writes as a gene's symbol, and the table does not have."""
    found = dict.fromkeys(re.findall(r"(?<![\w-])[A-Z][A-Z0-9]*\d[A-Z0-9]*(?![\w-])", question))
    low = {one.lower() for one in known}
    return [one for one in found if one.lower() not in low]


def reply(
    objective: Objective, findings: list[Finding], rows: list[Finding], profile: DatasetProfile,
    columns: dict[str, list[str]], unknown: Sequence[str] = (),
) -> list[tuple[str, dict[str, Ref]]]:  # fmt: skip
    """What is answered to a question, as sentences with the cells of their numbers.

    Args:
        findings: of the objective, strongest first; these answer a question that names no feature.
        rows: of the features that the question names, whatever their q.
        columns: of each artifact.
        unknown: symbols that the question names and the table does not have.
    """
    lines: list[tuple[str, dict[str, Ref]]] = []
    for one in rows:
        slots = slots_of(one, profile, columns[one.artifact])
        if one.q is not None and one.q <= 0.05:
            lines.append((headline(slots), dict(slots.numbers)))
            continue
        a, b = slots.sides
        have = slots.numbers
        if one.p is None and not slots.only_in:
            lines.append((f"{one.entity} could not be tested", {}))
            continue
        said = [f"{slots.unit} {{effect}}, interval {{low}} to {{high}}"] * ({"effect", "high"} <= set(have))
        if slots.only_in:
            said = [
                f"seen in {{seen}} of {{of}} in {slots.here}, not seen in {{missing}} of {{others}} in {slots.there}"
            ]
        said += ["q {q}"] * ("q" in have and one.q is not None)
        tail = f" ({'; '.join(said)})" if said and (one.effect is not None or slots.only_in) else ""
        known = "no difference is shown" if one.p is not None else "nothing tells how values are missed, so no test"
        lines.append((f"{one.entity}: {known} between {a} and {b}{tail}", dict(have) if tail else {}))
    lines += [(f"{name} is not in the table", {}) for name in unknown]
    absent = [name for name in objective.entities if name not in {one.entity for one in rows}]
    lines += [(f"{name} could not be tested", {}) for name in absent]
    if not objective.entities and not unknown:
        for one in findings[:5]:
            slots = slots_of(one, profile, columns[one.artifact])
            lines.append((headline(slots), dict(slots.numbers)))
    return lines or [("Nothing passes.", {})]
