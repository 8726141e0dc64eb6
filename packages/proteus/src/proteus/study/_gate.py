"""The gate: the fields of a hypothesis say what its findings say; its words and numbers are made from them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from proteus.planning._cards import alternatives_of
from proteus.planning._expert import mechanism_of
from proteus.planning._headline import Slots, joined, slots_of
from proteus.record._objects import DatasetProfile, Finding, Hypothesis, Ref, Scores
from proteus.record._run_folder import cell, shown
from proteus.study._grading import ALPHA

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class Evidence:
    """What the gate looks things up in.

    Attributes:
        findings: by id.
        frame: reads an artifact by name (KeyError if there is none).
        profile: of the table: levels, and the scale that changes are in.
        columns: of each artifact, where known.
    """

    findings: Mapping[str, Finding]
    frame: Callable[[str], pd.DataFrame]
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
    return list(dict.fromkeys(wrong))


def derived(hypothesis: Hypothesis, evidence: Evidence) -> Hypothesis:
    """The hypothesis in words that its cells give: its statement is the headline of its findings, the rest what is
    always said of such a finding. Whatever a proposer wrote stays in the journal."""
    made, numbers = evidence.said(hypothesis)
    lead = evidence.findings[hypothesis.evidence[0]]
    mechanism, alternatives = mechanism_of(lead), alternatives_of(lead, evidence.profile.assay)
    return hypothesis.model_copy(update={
        "version": 2, "id": "", "statement": made, "numbers": numbers, "prose": "", "prose_numbers": {},
        "mechanism": mechanism, "alternatives": alternatives, "experiment": None, "notes": [], "grade": None,
        "firm": False, "replicated": None, "cohorts": [], "held": None, "scores": Scores(),
    })  # fmt: skip


def fill(text: str, numbers: Mapping[str, Ref], frame: Callable[[str], pd.DataFrame]) -> str:
    """The text with each `{name}` replaced by the cell that it stands for."""
    return _HOLE.sub(lambda hole: shown(cell(frame(numbers[hole[1]].artifact), numbers[hole[1]])), text)
