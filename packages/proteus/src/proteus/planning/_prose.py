"""A proposer's own words against the slots of the headline: direction, sides, relation, unit, counts, causes, numbers.

Words cannot be proved true; what is looked at is each place where a sentence about a comparison can be false. One that
says less than it might passes; one that says anything that the slots do not hold is refused with the reason. What
passes is printed beside the headline, marked as the proposer's words.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from proteus.planning import _lexicon as lexicon
from proteus.planning._headline import Slots
from proteus.record._objects import Ref

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")
_A, _B, _OTHER, _TARGET, _ENTITY = "\u00a7A", "\u00a7B", "\u00a7X", "\u00a7T", "\u00a7E"  # what names become
_DIRECTION = re.compile(
    rf"\b(?:(?P<up>{lexicon.pattern(lexicon.UP)})|(?P<down>{lexicon.pattern(lexicon.DOWN)}))\b", re.IGNORECASE
)
_ACTS = re.compile(
    rf"\w+ed\s+by\s+\u00a7|\braised\s+by\s+\u00a7|"
    rf"\u00a7[ABTX]\w*\s+(?:{lexicon.pattern(lexicon.ACTIVE)})\s+(?:the\s+)?\u00a7E|"
    rf"\u00a7E\s+(?:{lexicon.pattern(lexicon.ACTIVE)})\s+(?!in\b|with\b|from\b|to\b|among\b|by\b|beyond\b|between\b)\w",
    re.IGNORECASE,
)
_SIGNS = re.compile("[<>=\u2190-\u21ff\u2260-\u226b\u25b2\u25bc~]")
_SMALL_WORDS = frozenset({"a", "i", "no", "an", "as", "at", "on", "or", "so", "up", "to", "is", "it"})
_BEFORE_A_SIDE = ("in", "than", "from", "to", "and", "versus", "vs", "against", "with")
_PRINTED = frozenset({"effect", "ci_low", "ci_high", "q", "p", "n", "exact_p"})
_CLAUSES = re.compile(
    r"[.;:!?()]|,\s+(?=(?:but|while|whereas|and|not)\b)|\b(?:while|whereas|but|although)\b", re.IGNORECASE
)


def wrong_words(
    text: str, slots: Slots, names: Collection[str], levels: Mapping[str, Collection[str]], numbers: Mapping[str, Ref]
) -> list[str]:
    """What a text says that the slots do not hold, in words; empty if nothing.

    Args:
        text: of the proposer, `{name}` for numbers.
        names: of what is cited: entities, rows, members.
        levels: of all factors of the sheet; those that the contrast does not compare may not be named.
        numbers: the cells that the proposer's `{name}` stand for.
    """
    masked = _masked(text, slots, names, levels)
    wrong = [f"{one!r} is no side of {slots.target}" for one in _strangers(masked)]
    wrong += [f"{one!r} says what causes what; the evidence is a difference" for one in _all(lexicon.CAUSES, masked)]
    wrong += ["one thing acts on another; the evidence is a difference"] * bool(_ACTS.search(masked))
    wrong += [f"{one!r} claims more than a difference" for one in _all(lexicon.CERTAIN, masked)]
    wrong += [f"{one!r} counts or ranks; numbers are cells" for one in _all(lexicon.COUNTS, masked)]
    wrong += [*_relation(masked, slots), *_units(masked, slots), *_holes(text, slots, numbers)]
    for clause in _CLAUSES.split(masked):
        wrong += _clause(clause, slots)
    return list(dict.fromkeys(wrong))


def _masked(text: str, slots: Slots, names: Collection[str], levels: Mapping[str, Collection[str]]) -> str:
    """The text with names as signs, the longest first: the target, the entity, both sides, other levels and factors."""
    marks: dict[str, str] = {}
    for factor, known in levels.items():
        marks |= dict.fromkeys((factor, *known), _OTHER)
        if {*slots.sides} <= set(known):
            marks[factor] = "group"
    marks |= dict(zip(slots.sides, (_A, _B), strict=True))
    marks |= {name: _ENTITY for name in names if name} | {slots.entity: _ENTITY, slots.target: _TARGET}
    marks |= {slots.where: "cells"} if slots.where else {}
    for name in sorted(marks, key=len, reverse=True):
        found = rf"(?<![\w.\u00a7]){re.escape(name)}(?:s\b)?(?!\w)"
        if name.lower() in _SMALL_WORDS:  # a level, or a word of the sentence
            found = "|".join(rf"(?<=\b{word} ){re.escape(name)}(?!\w)" for word in _BEFORE_A_SIDE)
        text = re.sub(found, marks[name], text)
    return _HOLE.sub("{}", text)


def _all(words: re.Pattern[str], text: str) -> Iterator[str]:
    return (found[0].strip() for found in words.finditer(text))


def _strangers(masked: str) -> Iterator[str]:
    """Other levels, and what stands where a side should and is none."""
    if _OTHER in masked:
        yield "another level or factor"
    for found in _SIGNS.finditer(masked):
        yield found[0]
    for found in lexicon.WHERE.finditer(masked):
        if not found[1].startswith("\u00a7") and found[1].lower() not in lexicon.PLAIN:
            yield found[0]


def _presence(slots: Slots) -> bool:
    return slots.only_in != 0 or slots.relation == "detected_in"


def _relation(masked: str, slots: Slots) -> Iterator[str]:
    for words, relations in lexicon.RELATIONS:
        found = words.search(masked)
        if found and slots.relation not in relations:
            yield f"{found[0]!r} is of another kind of result than {slots.relation.replace('_', ' ')}"
    found = lexicon.LACKS.search(masked) or lexicon.HAS.search(masked)
    if found and not _presence(slots):
        yield f"{found[0]!r}: both sides have values"


def _units(masked: str, slots: Slots) -> Iterator[str]:
    for found in _all(lexicon.WRONG_UNITS, masked):
        yield f"unit {found!r}; the change is in {slots.unit}"
    for word, unit in lexicon.UNITS.items():
        if re.search(rf"\b{word}\b", masked, re.IGNORECASE) and unit not in slots.unit:
            yield f"unit {word!r}; the change is in {slots.unit}"
    if slots.only_in and lexicon.CHANGE.search(masked):
        yield "a change, where one side has no value"


def _holes(text: str, slots: Slots, numbers: Mapping[str, Ref]) -> Iterator[str]:
    rows = {(one.artifact, one.row) for one in slots.numbers.values()}
    for found in _HOLE.finditer(text):
        name, ref = found[1], numbers.get(found[1])
        if ref is None:
            continue  # the gate has named it
        if (ref.artifact, ref.row) not in rows:
            yield f"{{{name}}} is of another row than the sentence"
        elif ref.column not in _PRINTED:
            yield f"{{{name}}} is {ref.column}, which the headline gives where it matters"
        else:
            before = text[: found.start()]
            means = next((columns for label, columns in lexicon.LABELS if label.search(before)), None)
            called = {"low": "ci_low", "high": "ci_high", "exact": "exact_p"}.get(name, name)
            if means is not None and ref.column not in means:
                yield f"{{{name}}} is called {' or '.join(sorted(means))} and is {ref.column}"
            elif called in _PRINTED and ref.column != called:
                yield f"{{{name}}} is {ref.column}"
            elif means is None and called not in _PRINTED:
                yield f"{{{name}}}: nothing says what this number is"


def _clause(clause: str, slots: Slots) -> Iterator[str]:
    """Directions, and who is seen where, each with the side that it speaks of."""
    text = clause
    if _presence(slots):
        text = lexicon.LACKS.sub(lambda one: " " * len(one[0]), clause)
        yield from _seen(clause, text, slots)
    turned = lexicon.NEGATION.search(text) if not lexicon.LACKS.search(text) else None
    if turned:
        yield f"{turned[0]!r} turns a sentence around"
        return
    found = list(_DIRECTION.finditer(text))
    if not found:
        return
    beside, own = set(), set()
    for side in re.finditer("\u00a7[AB]", text):
        (beside if lexicon.BESIDE.search(text[: side.start()]) else own).add(side[0])
    if len(own) > 1 or len(beside) > 1 or own & beside:
        yield "which side the direction speaks of is not clear"
        return
    side = next(iter(own), None) or ({_A: _B, _B: _A}[next(iter(beside))] if beside else _A)
    for one in found:
        if slots.sign == 0:
            yield f"{one[0]!r} gives a direction, and there is none"
        elif (1 if one["up"] else -1) * (1 if side == _A else -1) != slots.sign:
            yield f"{one[0]!r} is not the estimated direction"


def _seen(clause: str, text: str, slots: Slots) -> Iterator[str]:
    marks = [(found.start(), found.end(), -1) for found in lexicon.LACKS.finditer(clause)]
    marks = sorted(marks + [(found.start(), found.end(), 1) for found in lexicon.HAS.finditer(text)])
    for place, (start, end, sign) in enumerate(marks):
        after = marks[place + 1][0] if place + 1 < len(marks) else len(clause)
        if any(start <= found.start() < after for found in _DIRECTION.finditer(text)):
            continue  # "is detected more often in": the direction decides
        side = next(iter(re.findall("\u00a7[AB]", clause[end:after])), None)
        side = side or next(iter(re.findall("\u00a7[AB]", clause[:start])[-1:]), None)
        if side is not None and sign * (1 if side == _A else -1) != (slots.only_in or slots.sign):
            yield f"{clause[start:end]!r} on the wrong side"
