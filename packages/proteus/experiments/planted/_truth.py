"""Hypotheses against planted truth: which are right, what was found, what decoy was believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proteus.record._objects import Hypothesis

_OVERLAP = 0.5


@dataclass(frozen=True)
class Score:
    """F1 of a list of hypotheses; `right` says for each whether it is; `decoys` counts those about decoys."""

    f1: float
    precision: float
    recall: float
    right: list[bool]
    decoys: list[bool]


def score(hypotheses: Sequence[Hypothesis], key: Mapping[str, Any], sets: Mapping[str, Sequence[str]]) -> Score:
    """Score against the key of `simulate`.

    Planted units: each changed protein that no set or module holds, each set, the module, the survival marker, the
    subtype. A hypothesis is right if what it says is planted: a changed protein in its direction (members of sets and
    the module too), a planted set in its direction or one that shares half its members, a neighbourhood that holds half
    the module, the marker, a split whose features are half the subtype's. A list's recall counts units, not repeats.
    """
    units = _units(key, sets)
    found: set[str] = set()
    right, decoys = [], []
    for one in hypotheses:
        good, unit = _judge(one, key, sets)
        right.append(good)
        decoys.append(one.context in ("right-left", "left-right", "yes-no", "no-yes"))
        if good and unit in units:
            found.add(unit)
    precision = sum(right) / len(right) if right else 0.0
    recall = len(found) / len(units) if units else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Score(f1, precision, recall, right, decoys)


def _units(key: Mapping[str, Any], sets: Mapping[str, Sequence[str]]) -> set[str]:
    grouped = {gene for name in key["sets"] for gene in sets[name]} | set(key["module"])
    units = {f"protein {gene}" for gene in key["changed"] if gene not in grouped}
    units |= {f"set {name}" for name in key["sets"]}
    if key["module"]:
        units.add("module")
    if key["survival"]:
        units |= {"survival", "subtype"}
    return units


def _judge(one: Hypothesis, key: Mapping[str, Any], sets: Mapping[str, Sequence[str]]) -> tuple[bool, str]:
    changed: Mapping[str, float] = key["changed"]
    lead, members = one.entities[0], set(one.entities[1:])
    sign = {"up": 1, "down": -1, "associated": 0}[one.direction]
    if one.context == "time/event":
        return lead == key["survival"] and sign == 1, "survival"
    if one.context == "samples":
        subtype = set(key["subtype"]["features"]) if key["changed"] else set()
        return len(members & subtype) >= _OVERLAP * max(len(members), 1), "subtype"
    if one.context != "case-control":
        return False, ""
    if lead in sets:
        for name in key["sets"]:
            moved = [changed.get(gene, 0.0) for gene in sets[name]]
            a, b = set(sets[name]), set(sets[lead])
            if (lead == name or len(a & b) >= _OVERLAP * len(a | b)) and sign * sum(moved) > 0:
                return True, f"set {name}"
        return False, ""
    if one.joins and not lead.startswith("neighbourhood of "):
        edges = [(lead, sign), *((edge.entity, edge.sign) for edge in one.joins if edge.entity in members)]
        return all(way * changed.get(name, 0.0) > 0 for name, way in edges), f"protein {lead}"
    if members:
        module = set(key["module"])
        return bool(module) and sign == 1 and len(members & module) >= _OVERLAP * len(module), "module"
    return sign * changed.get(lead, 0.0) > 0, f"protein {lead}"
