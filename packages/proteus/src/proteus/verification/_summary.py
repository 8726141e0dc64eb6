"""The first screen of a page: sentences to paste, and hypotheses as sentences with their numbers apart."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proteus.planning._headline import sides_of
from proteus.record._journal import Event, event_data
from proteus.record._objects import Finding, Hypothesis, Ref
from proteus.verification._export import contrasts_of

Parts = list[Any]  # words, and cells of numbers


def title_of(events: Sequence[Event]) -> str:
    """The first question of a run."""
    asked = next((one.data["objective"]["question"] for one in events if one.kind == "objective"), "")
    return asked or "Hypotheses and where they come from"


def summary_of(
    events: Sequence[Event], hypotheses: Sequence[Hypothesis], objectives: Sequence[Mapping[str, Any]],
    parts: Callable[[str, Mapping[str, Ref]], Parts],
) -> list[Parts]:  # fmt: skip
    """Five sentences to paste: what was compared, what changes, what joins it, how sure it is, what does not hold.

    Args:
        events: of the run. hypotheses: ranked. objectives: as the page lists them. parts: words and cells of a text.
    """
    profile = event_data(events, "run").get("profile", {})
    compared = list(contrasts_of(events).items())
    said = [[_compared(profile, compared)], [_changed(compared, objectives, events)]]
    joined = [one for one in hypotheses if one.joined]
    if joined:
        count = f"{len(joined)} {'hypotheses join' if len(joined) > 1 else 'hypothesis joins'} several results"
        said.append([f"{count}; the strongest: ", *_sentence(joined[0], parts), "."])
    elif hypotheses:
        said.append(["No hypothesis joins several results; the strongest single one: ",
                     *_sentence(hypotheses[0], parts), "."])  # fmt: skip
    else:
        said.append(["No hypothesis follows from these results."])
    return [*said, [_sure(hypotheses, events)], [_not(hypotheses, objectives)]]


def _compared(profile: Mapping[str, Any], compared: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    known = {one["name"]: list(one["levels"]) for one in profile.get("factors", [])}
    names = ", ".join(" with ".join(sides_of(name, known)) for name, _ in compared[:3])
    more = f" and {len(compared) - 3} more contrasts" if len(compared) > 3 else ""
    size = f"{profile.get('features')} features in {profile.get('samples')} samples"
    terms = [
        term.strip() for _, data in compared[:1] for term in str(data["step"]["params"].get("design", "")).split("+")
    ]
    beside = [term.removeprefix("~").strip() for term in terms[:-1]]
    model = f", with {' and '.join(beside)} in the model" if beside else ""
    return f"Compared: {names}{more}, over {size}{model}." if names else f"Looked at: {size}; no groups were compared."


def _changed(
    compared: Sequence[tuple[str, Mapping[str, Any]]], objectives: Sequence[Mapping[str, Any]], events: Sequence[Event]
) -> str:
    said = []
    for name, data in compared[:3]:
        found = data["result"]["metrics"]
        said.append(f"{found.get('hits', 0)} of {found.get('tested', 0)} in {name}")
    text = f"Features that change at a false discovery rate of 5 %: {'; '.join(said)}" if said else ""
    questions = {one["id"]: one["question"] for one in objectives}
    steps = [one.data for one in events if one.kind == "step" and one.data["result"]["status"] == "ok"]
    tools = ("interaction", "trend")
    asked = {one["objective"]: one["result"]["metrics"] for one in steps if one["step"]["tool"] in tools}
    more = [
        f"{questions.get(name, name)} {one.get('hits', 0)} of {one.get('tested', 0)} features pass"
        for name, one in list(asked.items())[:2]
    ]
    return f"{'; '.join([*([text] if text else []), *more]) or 'No single features were tested'}."


def _sentence(one: Hypothesis, parts: Callable[[str, Mapping[str, Ref]], Parts]) -> Parts:
    return without_numbers(parts(one.statement, one.numbers))["statement"]


def _sure(hypotheses: Sequence[Hypothesis], events: Sequence[Event]) -> str:
    grades = {grade: sum(one.grade == grade for one in hypotheses) for grade in "ABC"}
    cohorts = [one.data["cohorts"] for one in events if one.kind == "replication" and one.data["cohorts"]]
    again = f"{grades['A']} replicate in most of the cohorts {', '.join(cohorts[0])}" if cohorts else (
        "none was tested in another cohort"
    )  # fmt: skip
    firm = sum(one.firm for one in hypotheses)
    return (
        f"How sure: of {len(hypotheses)} results and hypotheses {again}, {grades['B']} pass error control of their "
        f"family ({firm} that over the whole run and all refits), and {grades['C']} describe."
    )


def _not(hypotheses: Sequence[Hypothesis], objectives: Sequence[Mapping[str, Any]]) -> str:
    """What has no answer, what nothing was found for, and what refits do not bear out."""
    asked = [one for one in objectives if one["id"] != "proposed:"]
    lost = [one for one in asked if one["refused"] or one["failed"]]
    tested = [one for one in asked if one not in lost and one["template"] != "batch_audit"]  # which asks for counts
    empty = [one for one in tested if one["summary"].startswith("Nothing passed")]
    shaky = sum(not one.firm and one.grade == "B" for one in hypotheses)
    said = [f"without an answer: {one['question'].rstrip('?')} ({one['refused'] or one['failed']})" for one in lost[:3]]
    said += [f"nothing passes for: {'; '.join(one['question'].rstrip('?') for one in empty[:3])}"] * bool(empty)
    said += [f"{shaky} of grade B do not pass the control over the whole run or a refit"] * bool(shaky)
    return f"What does not hold: {'; '.join(said) or 'every objective has a result that the refits bear out'}."


def without_numbers(parts: Sequence[Any]) -> dict[str, Parts]:
    """A sentence without its brackets of numbers, `statement`, and what is in these, `numbers`.

    Args:
        parts: words as text, numbers as anything else; a bracket without a number is part of a name.
    """
    plain: Parts = []
    inside: list[Parts] = []
    opened: Parts | None = None
    for one in (
        piece for part in parts for piece in (re.split(r"( \(|\))", part) if isinstance(part, str) else [part])
    ):
        if opened is None and one == " (":
            opened = [one]
        elif opened is None:
            plain += [one] * (one != "")
        elif one == ")":
            if any(not isinstance(each, str) for each in opened):
                inside.append(opened[1:])
            else:
                plain += [*opened, one]
            opened = None
        else:
            opened.append(one)
    numbers: Parts = []
    for bracket in inside:
        numbers += ["; "] * bool(numbers) + bracket
    return {"statement": [*plain, *(opened or [])], "numbers": numbers}


def shared_alternatives(hypotheses: Sequence[Mapping[str, Any]]) -> list[list[Parts]]:
    """Alternatives that more than half of the hypotheses share, which are printed once."""
    known: list[list[Parts]] = []
    for one in hypotheses:
        known += [one["alternatives"]] * (bool(one["alternatives"]) and one["alternatives"] not in known)
    counts = [sum(one["alternatives"] == each for one in hypotheses) for each in known]
    return [each for each, count in zip(known, counts, strict=True) if count > max(len(hypotheses) / 2, 1)]


def rests_on(lead: Finding, edge: Finding) -> str:
    """What joins an edge to the first finding of its hypothesis."""
    if edge.kind == "link":
        return "interaction of the given network, and correlation within groups"
    if edge.kind == "panel":
        return "chosen by the panel"
    if lead.kind == "feature":
        return "its link to the first, below"
    kind = {"module": "module of co-expressed features", "network": "part of the network"}.get(lead.kind, "gene set")
    how = ", and correlation within groups" if lead.relation == "moves_together_in" else ""
    return f"member of the {kind} {lead.entity}{how}; own {'detection' if edge.relation == 'detected_in' else 'change'}"
