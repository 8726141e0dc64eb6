"""From accepted hypotheses to the list that is printed: experiments, grades, near-duplicates merged, ranked."""

import math
from collections.abc import Mapping, Sequence

from proteus.planning._cards import next_of
from proteus.record._objects import Experiment, Finding, Hypothesis
from proteus.review._rubric import Knowledge, score
from proteus.study._grading import grade
from proteus.study._replicated import Again

JACCARD = 0.5
_ORDER: dict[str | None, int] = {"A": 0, "B": 1, "C": 2, None: 3}


def samples_needed(one: Finding, *, power_factor: float = 2.8016) -> int | None:
    """2 (2.80 sd / effect)^2 samples a group, sd from interval and n, groups equal: were the effect as estimated."""
    if one.low is None or one.high is None or not one.effect or not one.n or one.n < 4:
        return None
    error = (one.high - one.low) / 3.92
    sd = error * math.sqrt(one.n / 4)
    return max(2, math.ceil(2 * (power_factor * sd / one.effect) ** 2))


def finish(
    hypothesis: Hypothesis,
    findings: Mapping[str, Finding],
    rejected: frozenset[str],
    families: frozenset[str],
    knowledge: Knowledge,
    replicated: Mapping[str, Again] | None = None,
    assay: str = "unknown",
) -> Hypothesis:
    """With grade (the best of its evidence, of a joined one the worst of its edges), experiment, scores, notes: ours,
    whatever a planner proposed.

    Grade A is for what replicates (`replicated`, by finding), with all that it joins; without cohorts there is none.
    """
    cited = [findings[one] for one in hypothesis.evidence]
    grades = {one.id: grade(one, rejected, families) for one in cited}
    lead = cited[0]  # which the statement is about: no other finding may lend it a grade
    cited = [one for one in cited if (one.entity, one.target, one.sign) == (lead.entity, lead.target, lead.sign)]
    best = min(cited, key=lambda one: (_ORDER[grades[one.id]], 1.0 if one.p is None else one.p))
    weakest = max([grades[best.id], *(grades[one.finding] for one in hypothesis.joins)], key=lambda one: _ORDER[one])
    asked = [lead.id, *(one.finding for one in hypothesis.joins)]
    known = replicated is not None and any(one in replicated for one in asked)
    told = [replicated[one] if one in replicated else Again(False) for one in asked] if known and replicated else []
    again = all(one.replicates for one in told) if told else None
    cells = [one.q for one in told if one.q is not None]
    made = hypothesis.model_copy(
        update={
            "grade": "A" if again and weakest != "C" else "B" if weakest == "A" else weakest,
            "firm": weakest == "A",
            "replicated": again,
            "cohorts": cells if len(cells) == len(told) else [],
            "notes": [],
            "experiment": Experiment(
                assay=next_of(best, assay), n_per_group=samples_needed(best) if best.kind == "feature" else None
            ),
        }
    )
    notes = []
    if best.also:
        more = f" and {len(best.also) - 8} more" if len(best.also) > 8 else ""
        said = "sets that say the same" if best.kind == "set" else "its peptides do not tell it from"
        notes.append(f"{said}: {', '.join(best.also[:8])}{more}")
    return made.model_copy(update={"scores": score(made, findings, knowledge), "notes": notes})


def rank_key(one: Hypothesis, findings: Mapping[str, Finding]) -> tuple[int, bool, float, str]:
    """Grade, then whether it is firm, then p; no score, as none is known to tell what replicates."""
    known = [p for key in one.evidence if (p := findings[key].p) is not None]
    p = (max if one.joins else min)(known, default=1.0)  # of a joined one that of its weakest edge
    return _ORDER[one.grade], not one.firm, float(p), one.statement  # pyright: ignore[reportArgumentType]


def merge(hypotheses: Sequence[Hypothesis], findings: Mapping[str, Finding]) -> list[Hypothesis]:
    """Near-duplicates as one, the best ranked; ranked and numbered: H1 ... join several results, R1 ... are single.

    Duplicates have entities with a Jaccard index of 0.5 and one direction; of single results an entity without a
    direction (it differs between any levels) repeats what has one.
    """
    kept: list[Hypothesis] = []
    order = sorted(_complete(hypotheses, findings), key=lambda item: rank_key(item, findings))
    for one in sorted(order, key=lambda item: not item.joined and item.direction == "associated"):
        place = next((number for number, other in enumerate(kept) if _same(one, other)), None)
        if place is None:
            kept.append(one)
            continue
        first = kept[place]
        extra = [key for key in one.evidence if key not in first.evidence]
        note = f"also: {one.entities[0]}, {one.context}"
        kept[place] = first.model_copy(
            update={"evidence": [*first.evidence, *extra][:20], "notes": list(dict.fromkeys([*first.notes, note]))}
        )
    numbers = {"H": 0, "R": 0}
    made = []
    for one in sorted(kept, key=lambda item: rank_key(item, findings)):
        kind = "H" if one.joined else "R"
        numbers[kind] += 1
        made.append(one.model_copy(update={"id": f"{kind}{numbers[kind]}"}))
    return made


def _complete(hypotheses: Sequence[Hypothesis], findings: Mapping[str, Finding]) -> list[Hypothesis]:
    """Of a set alone and with its members the one with the better grade, of equal grades that with its members."""
    best: dict[str, Hypothesis] = {}
    sets = [one for one in hypotheses if findings[one.evidence[0]].kind in ("set", "network", "module")]
    for one in sorted(sets, key=lambda item: (_ORDER[item.grade], not item.firm, not item.joins)):
        best.setdefault(one.evidence[0], one)
    return [one for one in hypotheses if best.get(one.evidence[0], one) is one]


def _same(one: Hypothesis, other: Hypothesis) -> bool:
    a, b = set(one.entities), set(other.entities)
    if not (one.joined or other.joined):
        repeats = "associated" in (one.direction, other.direction) or one.direction == other.direction
        return one.entities[0] == other.entities[0] and repeats
    alike = one.direction == other.direction and one.joined == other.joined
    return alike and len(a & b) >= JACCARD * len(a | b)
