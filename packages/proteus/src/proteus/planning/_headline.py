"""The sentence of a hypothesis, made from typed slots: relation, direction, both sides, unit, contrast, entity, cells.

Whether a planner or a model proposes a hypothesis, expert or model, its headline is this sentence about its first
finding and nothing else; `verify` makes it again. Numbers stand in it as `{name}`, each a cell of the finding's row.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from proteus.data._crossed import cell_of
from proteus.data._design import compared
from proteus.record._objects import DatasetProfile, Finding, Ref
from proteus.record._words import words

_ONE_SIDED = "is seen in {{seen}} of {{of}} in {here}, not seen in {{missing}} of {{others}} in {there}"


@dataclass(frozen=True)
class Slots:
    """What a headline says, in parts.

    Attributes:
        entity, relation, sign, target: of the finding.
        sides: the two levels compared; the first is the one that `sign` speaks of.
        where: cells that it was seen in, for states of them.
        unit: of the effect, in words.
        only_in: 1, -1 where one side alone has the entity: then nothing is said of a change.
        modelled: values that were missing and are modelled.
        numbers: the cells, by the name that stands for each.
    """

    entity: str
    relation: str
    sign: int
    target: str
    sides: tuple[str, str]
    where: str
    unit: str
    only_in: int
    modelled: int
    numbers: Mapping[str, Ref]

    @property
    def here(self) -> str:
        """The side that has more of the entity, or has it alone."""
        return self.sides[0] if self.sign >= 0 else self.sides[1]

    @property
    def there(self) -> str:
        """The other side."""
        return self.sides[1] if self.sign >= 0 else self.sides[0]


def sides_of(target: str, levels: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """What a contrast compares: two levels of a factor, else what is left and right of its last hyphen."""
    found = compared(target, levels)
    if found is not None:
        return found[1:]
    a, _, b = target.rpartition("-")
    return (a, b) if a else (target, "the others")


def slots_of(one: Finding, profile: DatasetProfile, columns: Sequence[str]) -> Slots:
    """The slots of a finding; `columns` are those of its artifact."""
    lone = one.only_in if one.effect is None and "seen_first" in columns else 0
    names: dict[str, str] = {}
    if lone:
        on, off = ("first", "second") if lone > 0 else ("second", "first")
        names = {"seen": f"seen_{on}", "of": f"of_{on}", "missing": f"missing_{off}", "others": f"of_{off}",
                 "exact": "exact_p"}  # fmt: skip
    elif "effect" in columns:
        names = {"effect": "effect", "low": "ci_low", "high": "ci_high"}
        names |= {"modelled": "modelled"} if one.modelled else {}
    names |= {"q": "q"} | ({"margin": "margin"} if one.relation == "unchanged_in" else {})
    numbers = {
        name: Ref(artifact=one.artifact, row=one.row, column=column)
        for name, column in names.items() if column in columns
    }  # fmt: skip
    contrast, where = one.target, ""
    if one.relation in ("departs_in", "slope_differs_in"):
        cell = cell_of(one.target, levels_of(profile))
        contrast = " and ".join(name for name, _ in cell if one.relation == "departs_in" or name == cell[-1][0])
        where = " and ".join(f"{name} {level}" for name, level in cell if level)
    if one.relation == "state_changed_in":
        contrast, where = _place(one.target, levels_of(profile))
    return Slots(one.entity, one.relation, one.sign, contrast, sides_of(contrast, levels_of(profile)), where,
                 unit_of(one.relation, one.target, profile), lone, one.modelled, numbers)  # fmt: skip


def unit_of(relation: str, target: str, profile: DatasetProfile) -> str:
    """What an effect is measured in, in words; a slope's is for each unit of a number, or step of ordered levels."""
    change = "log2 change" if profile.scale in ("log2", "counts") else "change in the table's own units"
    if relation == "follows":
        change += f" for each {'step' if target in levels_of(profile) else 'unit'} of {target}"
    return words("units").get(relation, change)


def levels_of(profile: DatasetProfile) -> dict[str, list[str]]:
    """Levels by factor."""
    return {factor.name: list(factor.levels) for factor in profile.factors}


def _place(target: str, levels: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """(contrast, cells) of `contrast in cells`."""
    parts = target.split(" in ")
    cuts = [(" in ".join(parts[:place]), " in ".join(parts[place:])) for place in range(1, len(parts))]
    return next((one for one in cuts if compared(one[0], levels)), cuts[0] if cuts else (target, "these cells"))


def headline(slots: Slots) -> str:
    """The sentence, with `{name}` for each number."""
    have = slots.numbers
    if slots.only_in:
        text = _ONE_SIDED.format(here=slots.here, there=slots.there)
        more = ["exact p {exact}"] * ("exact" in have) + ["q {q} by the curve of what is seen"] * ("q" in have)
        return f"{slots.entity} {text}" + (f" ({'; '.join(more)})" if more else "")
    known = words("relations")
    up, down, other = known.get(slots.relation, known[""])
    said_as = up if slots.sign > 0 else down if slots.sign < 0 else other
    a, b = slots.sides
    for hole, value in (("{a}", a), ("{b}", b), ("{where}", slots.where), ("{target}", slots.target)):
        said_as = said_as.replace(hole, value)
    text = f"{slots.entity} {said_as}"
    said = []
    if "effect" in have:
        said.append(f"{slots.unit} {{effect}}" + (", interval {low} to {high}" if "high" in have else ""))
    said += ["margin {margin}"] * ("margin" in have) + ["q {q}"] * ("q" in have)
    values = "value" if slots.modelled == 1 else "values"
    said += [f"{{modelled}} missing {values} modelled"] * ("modelled" in have)
    return text + (f" ({'; '.join(said)})" if said else "")


def joined(parts: Sequence[Slots]) -> tuple[str, dict[str, Ref]]:
    """The sentence over several findings, and its cells; of one, its headline.

    The first finding is said with its numbers; of the others the names, by direction. Their numbers stand with each
    edge.
    """
    lead, rest = parts[0], parts[1:]
    text, numbers = headline(lead), dict(lead.numbers)
    if lead.relation == "classifies":
        return f"{text}; so do{_listed(rest, ('being higher', 'being lower', ''))}" if rest else text, numbers
    links = [one for one in rest if one.relation in _LINKED]
    features = [one for one in rest if one.relation not in _LINKED]
    if not links:
        ways = _WAYS.get(features[0].relation, _WAYS[""]) if features else ("", "", "")
        return f"{text};{_listed(features, ways)}" if features else text, numbers
    for feature, link in zip(features, links, strict=True):
        way = words("relations")[link.relation][0 if link.sign > 0 else 1 if link.sign < 0 else 2]
        side = "higher" if feature.sign > 0 else "lower" if feature.sign < 0 else "changed"
        text += f"; {feature.entity} is {side}, and {link.entity} {way}"
    return text, numbers


_LINKED = ("coupled_with", "passes_on")
_WAYS = {
    "": ("{are} higher", "{are} lower", "change{s}"), "follows": ("rise{s}", "fall{s}", "follow{s}"),
    "predicts": ("go{es} with a higher hazard", "go{es} with a lower hazard", "go{es} with the outcome"),
}  # fmt: skip


def _listed(parts: Sequence[Slots], ways: tuple[str, str, str]) -> str:
    """` PKM and ENO1 are each higher, GAPDH is lower`."""
    said = []
    for sign, way in zip((1, -1, 0), ways, strict=True):
        names = [one.entity for one in parts if one.sign == sign]
        if names:
            words = {"are": "is", "s": "s", "es": "es"} if len(names) == 1 else {"are": "are each", "s": "", "es": ""}
            listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
            said.append(f" {listed} {way.format(**words)}".rstrip())
    return ",".join(said)
