"""The gate: no number and no entity of a hypothesis gets through that is not a cell of an artifact it cites."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from proteus.record._objects import Finding, Hypothesis
from proteus.record._run_folder import cell, shown
from proteus.study._grading import ALPHA

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")
_NUMBER_WORDS = re.compile(
    r"(?i)\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundreds?|thousands?|millions?|dozens?|twice|thrice|doubl(?:e[sd]?|ing)|tripl(?:e[sd]?|ing)|half|halved|"
    r"quarter|percent|\w*fold)\b"
)
_SYMBOL = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]{2,}(?:-[A-Z0-9]+)*(?![\w-])")


@dataclass(frozen=True)
class Evidence:
    """What the gate looks things up in.

    Attributes:
        findings: by id.
        frame: reads an artifact by name (KeyError if there is none).
        vocabulary: every name the run knows: features, genes, sets.
        allowed: names that any statement may use: contrasts, levels, columns.
    """

    findings: Mapping[str, Finding]
    frame: Callable[[str], pd.DataFrame]
    vocabulary: Collection[str]
    allowed: Collection[str] = ()


def check(hypothesis: Hypothesis, evidence: Evidence) -> list[str]:
    """Why a hypothesis does not pass, in words; empty if it does."""
    wrong: list[str] = []
    unknown = [one for one in [*hypothesis.evidence, *hypothesis.contrary] if one not in evidence.findings]
    if unknown:
        return [f"there is no finding {unknown[0]!r}"]
    cited = [evidence.findings[one] for one in hypothesis.evidence]
    names = {name for one in cited for name in (one.entity, one.row, *one.members)}
    wrong += [f"{one!r} is in none of the cited rows" for one in hypothesis.entities if one not in names]
    if hypothesis.context not in {one.target for one in cited}:
        wrong.append(f"context {hypothesis.context!r} is in none of the cited rows")
    sign = {"up": 1, "down": -1, "associated": 0}[hypothesis.direction]
    if sign and any(one.sign != sign for one in cited):
        wrong.append(f"direction {hypothesis.direction!r} is not the estimated sign of every cited row")
    if not sign and any(one.sign for one in cited):
        wrong.append("direction 'associated' hides the estimated sign")
    if any(one.q is not None and one.q > ALPHA for one in cited):
        wrong.append("a cited row does not pass its own family")
    wrong += _numbers(hypothesis, evidence, {(one.artifact, one.row) for one in cited})
    for text in (hypothesis.statement, hypothesis.mechanism, *hypothesis.alternatives):
        wrong += _words(text, {*names, hypothesis.context, "log2", *evidence.allowed}, evidence.vocabulary)
    if hypothesis.experiment is not None:
        wrong += _words(hypothesis.experiment.assay, {*names, *evidence.allowed}, evidence.vocabulary)
    return list(dict.fromkeys(wrong))


def _numbers(hypothesis: Hypothesis, evidence: Evidence, cited: set[tuple[str, str]]) -> list[str]:
    texts = (hypothesis.statement, hypothesis.mechanism, *hypothesis.alternatives)
    used = {name for text in texts for name in _HOLE.findall(text)}
    wrong = [f"{{{name}}} is not in numbers" for name in sorted(used - set(hypothesis.numbers))]
    for name, ref in hypothesis.numbers.items():
        if (ref.artifact, ref.row) not in cited:
            wrong.append(f"{name}: row {ref.row!r} of {ref.artifact!r} is not among the cited")
            continue
        try:
            value = cell(evidence.frame(ref.artifact), ref)
        except KeyError as error:
            wrong.append(f"{name}: {error.args[0]}")
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            wrong.append(f"{name}: the cell holds no number")
    return wrong


def _words(text: str, names: Collection[str], vocabulary: Collection[str]) -> list[str]:
    """Digits, number words, and names of things that are not cited."""
    left = _HOLE.sub(" ", text)
    for name in sorted(names, key=len, reverse=True):
        if name:
            left = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w])", " ", left)
    wrong = []
    digits = re.search(r"\S*[^\W\D]\S*|[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u218b\u2460-\u249b]", left)
    if digits or any(sign.isnumeric() for sign in left):
        wrong.append(f"a typed number: {digits[0] if digits else next(s for s in left if s.isnumeric())!r}")
    word = _NUMBER_WORDS.search(left)
    if word:
        wrong.append(f"a number in words: {word[0]!r}")
    wrong += [
        f"{token!r} is not in the cited rows"
        for token in re.findall(r"[\w-]+", left)
        if token in vocabulary and len(token) > 2 and not token.islower()
    ]
    wrong += [f"{token!r} is no name the cited rows know" for token in _SYMBOL.findall(left) if token not in vocabulary]
    return wrong


def render(text: str, hypothesis: Hypothesis, frame: Callable[[str], pd.DataFrame]) -> str:
    """The text with each `{name}` replaced by its cell, printed the one way (`shown`)."""
    return _HOLE.sub(
        lambda hole: shown(cell(frame(hypothesis.numbers[hole[1]].artifact), hypothesis.numbers[hole[1]])), text
    )
