"""The gate: what a hypothesis says is what its findings say, in its fields and in its words; numbers are cells."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from proteus.planning._expert import fixed_words
from proteus.planning._headline import Slots, joined, levels_of, slots_of
from proteus.planning._prose import wrong_words
from proteus.record._objects import DatasetProfile, Finding, Hypothesis, Ref
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
        profile: of the table: levels, and the scale that changes are in.
        columns: of each artifact, where known.
    """

    findings: Mapping[str, Finding]
    frame: Callable[[str], pd.DataFrame]
    vocabulary: Collection[str]
    allowed: Collection[str] = ()
    profile: DatasetProfile = field(default_factory=lambda: DatasetProfile(kind="", scale="", features=0, samples=0))
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def said(self, hypothesis: Hypothesis) -> tuple[str, dict[str, Ref]]:
        """The sentence that a hypothesis makes, over its first finding and what it joins, with its cells."""
        names = [hypothesis.evidence[0], *(one.finding for one in hypothesis.joins)]
        return joined([self.slots(self.findings[name]) for name in names])

    def slots(self, finding: Finding) -> Slots:
        """Of a finding's headline."""
        columns = self.columns.get(finding.artifact)
        return slots_of(
            finding, self.profile, list(map(str, self.frame(finding.artifact))) if columns is None else columns
        )


def check(hypothesis: Hypothesis, evidence: Evidence) -> list[str]:
    """Why a hypothesis does not pass, in words; empty if it does."""
    wrong: list[str] = []
    edges = {one.finding: one for one in hypothesis.joins}
    named = [*hypothesis.evidence, *hypothesis.contrary, *edges]
    unknown = [one for one in named if one not in evidence.findings]
    if unknown:
        return [f"there is no finding {unknown[0]!r}"]
    cited = [evidence.findings[one] for one in hypothesis.evidence]
    names = {name for one in cited for name in (one.entity, one.row, *one.members)}
    wrong += [f"{one!r} is in none of the cited rows" for one in hypothesis.entities if one not in names]
    if hypothesis.entities[0] != cited[0].entity:
        wrong.append(f"{hypothesis.entities[0]!r} comes first, and the first cited row is of {cited[0].entity!r}")
    wrong += [
        f"context {hypothesis.context!r} is not that of {one.id!r}, {one.target!r}"
        for one in cited if one.target != hypothesis.context
    ]  # fmt: skip
    sign = {"up": 1, "down": -1, "associated": 0}[hypothesis.direction]
    wrong += [f"{one!r} is joined, and not among the evidence" for one in edges if one not in hypothesis.evidence]
    for one in cited:
        edge = edges.get(one.id)
        if edge is not None and (edge.entity, edge.sign) != (one.entity, one.sign):
            wrong.append(f"{edge.entity!r} with sign {edge.sign} is not what {one.id!r} says")
    alone = [one for one in cited if one.id not in edges]
    if cited[0].id in edges:
        wrong.append(f"{cited[0].id!r} leads, and is joined to itself")
    if sign and any(one.sign != sign for one in alone):
        wrong.append(f"direction {hypothesis.direction!r} is not the estimated sign of every cited row")
    if not sign and any(one.sign for one in alone):
        wrong.append("direction 'associated' hides the estimated sign")
    if any(one.q is not None and one.q > ALPHA for one in cited):
        wrong.append("a cited row does not pass its own family")
    wrong += _numbers(hypothesis, evidence, {(one.artifact, one.row) for one in cited})
    for text in (hypothesis.statement, hypothesis.mechanism, *hypothesis.alternatives):
        wrong += _words(
            text,
            {*names, hypothesis.context, "log2", *_where(cited[0], evidence), *evidence.allowed},
            evidence.vocabulary,
        )
    if hypothesis.experiment is not None:
        wrong += _words(hypothesis.experiment.assay, {*names, *evidence.allowed}, evidence.vocabulary)
    return list(dict.fromkeys(wrong + _meaning(hypothesis, cited[0], names, evidence)))


def _where(lead: Finding, evidence: Evidence) -> list[str]:
    """The cells that a state was seen in, whose name may hold digits."""
    try:
        return [evidence.slots(lead).where]
    except KeyError:
        return []


def _meaning(hypothesis: Hypothesis, lead: Finding, names: Collection[str], evidence: Evidence) -> list[str]:
    """What the words say beyond the slots of the first finding; the expert's own are fixed, and need no look."""
    try:
        slots = evidence.slots(lead)
    except KeyError as error:
        return [str(error.args[0])]
    assay = hypothesis.experiment.assay if hypothesis.experiment else ""
    texts = [text for text in (hypothesis.mechanism, *hypothesis.alternatives, assay) if text not in fixed_words(lead)]
    if (hypothesis.statement, hypothesis.numbers) != evidence.said(hypothesis):
        texts.append(hypothesis.statement)
    levels = levels_of(evidence.profile)
    return [one for text in texts for one in wrong_words(text, slots, names, levels, hypothesis.numbers)]


def derived(hypothesis: Hypothesis, evidence: Evidence) -> Hypothesis:
    """The hypothesis with our headline for its statement; its proposer's words, where they are others, as prose."""
    made, numbers = evidence.said(hypothesis)
    own = hypothesis.statement if (hypothesis.statement, hypothesis.numbers) != (made, numbers) else ""
    return hypothesis.model_copy(update={
        "version": 2, "statement": made, "numbers": numbers, "prose": own,
        "prose_numbers": hypothesis.numbers if own or hypothesis.mechanism else {},
    })  # fmt: skip


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
    return fill(text, hypothesis.numbers, frame)


def fill(text: str, numbers: Mapping[str, Ref], frame: Callable[[str], pd.DataFrame]) -> str:
    """The text with each `{name}` replaced by the cell that it stands for."""
    return _HOLE.sub(lambda hole: shown(cell(frame(numbers[hole[1]].artifact), numbers[hole[1]])), text)
