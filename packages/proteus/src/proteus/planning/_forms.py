"""Forms of questions that the parser understands, in the names of a table, and those nearest to a question that it
does not understand."""

import re
from collections.abc import Collection

from proteus.planning._templates import contrasts, main_factors
from proteus.planning._vocabulary import kinds, section
from proteus.record._objects import DatasetProfile
from proteus.record._words import words

_ALWAYS = ("contrast", "trend", "samples")  # what is offered where no word of a question points to a form
_TWO = 2


def forms(profile: DatasetProfile, entities: Collection[str] = ()) -> dict[str, str]:
    """Example question by form, for the forms that a table can answer, with the table's own names.

    Args:
        profile: description of the table.
        entities: names of its features; the first two stand in the examples.
    """
    known = sorted(entities)[:_TWO]
    have: dict[str, str] = dict(zip(("protein", "other"), known, strict=False))
    first = next(iter(main_factors(profile)), None)
    if first is not None:
        have["level"], have["base"] = contrasts(first)[0]
    if profile.numbers:
        have["number"] = profile.numbers[0]
    if profile.crossed:
        have["first"], have["second"] = profile.crossed[0]
    if profile.outcome:
        have["outcome"] = "survival"
    if "sets" in profile.knowledge:
        have["sets"] = "gene sets"
    return {
        form: text.format(**have)
        for form, text in words("forms").items()
        if set(re.findall(r"{(\w+)}", text)) <= set(have)
    }


def nearest(
    question: str, profile: DatasetProfile, entities: Collection[str] = (), hint: str | None = None
) -> list[str]:
    """Two example questions of the forms that the words of a question point to.

    Args:
        question: one that was refused.
        profile, entities: see `forms`.
        hint: form that the parser was about to read.
    """
    there, low = forms(profile, entities), question.lower()
    cues = [line.split(" ", 1) for line in section("cues")]
    told = [form for form, pattern in cues if re.search(rf"(?<!\w)(?:{pattern})(?!\w)", low)]
    told += [form for form, pattern in kinds().items() if form in there and pattern.search(low)]
    order: dict[str, None] = dict.fromkeys([*([hint] if hint else []), *told, *_ALWAYS, *there])
    return [there[form] for form in order if form in there][:_TWO]
