"""The first screen of a page: sentences to paste, and hypotheses as sentences with their numbers apart."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proteus.record._journal import Event, event_data
from proteus.record._objects import Hypothesis, Ref
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
    """What was compared, what was found, how sure it is, and what has no answer; a line each.

    Args:
        events: of the run. hypotheses: ranked. objectives: as the page lists them. parts: words and cells of a text.
    """
    profile = event_data(events, "run").get("profile", {})
    compared = list(contrasts_of(events).items())
    names = ", ".join(name for name, _ in compared[:3]) or "no contrast"
    more = f" and {len(compared) - 3} more" if len(compared) > 3 else ""
    size = f"{profile.get('features')} features in {profile.get('samples')} samples"
    said: list[Parts] = [[f"Compared: {names}{more}, over {size}."]]
    for name, data in compared[:2]:
        found = data["result"]["metrics"]
        counts = f"{found.get('hits', 0)} of {found.get('tested', 0)} features tested change"
        said.append([f"{name}: {counts} at a false discovery rate of 5 %."])
    questions = {one["id"]: one["question"] for one in objectives}
    steps = [one.data for one in events if one.kind == "step" and one.data["result"]["status"] == "ok"]
    asked = {one["objective"]: one["result"] for one in steps if one["step"]["tool"] in ("interaction", "trend")}
    for name, result in asked.items():
        found = result["metrics"]
        said.append([f"{questions.get(name, name)} {found.get('hits', 0)} of {found.get('tested', 0)} features pass."])
    if hypotheses:
        said.append(["Strongest: ", *parts(hypotheses[0].statement, hypotheses[0].numbers), "."])
        grades = {grade: sum(one.grade == grade for one in hypotheses) for grade in "ABC"}
        firm = sum(one.firm for one in hypotheses)
        sure = f"{grades['A']} replicate in most cohorts and {grades['B']} pass error control of their family"
        sure += f"; {firm} are firm, which means that they also pass the control over the whole run and the refits"
        said.append([f"Of {len(hypotheses)} hypotheses {sure}."])
    else:
        said.append(["No hypothesis follows from these results."])
    lost = [one for one in objectives if (one["refused"] or one["failed"]) and one["id"] != "proposed:"]
    why = "; ".join(f"{one['id']} {one['question']} ({one['refused'] or one['failed']})" for one in lost[:3])
    return [*said, *[[f"Without an answer: {why}."]] * bool(lost)]


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
