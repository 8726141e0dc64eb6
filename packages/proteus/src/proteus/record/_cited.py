"""The evidence of a run as a reader sees it: statements with their numbers put in, findings in words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from ninefold.errors import ArtifactError

from proteus.record._documents import read_documents
from proteus.record._objects import Finding, Hypothesis, Ref
from proteus.record._run_folder import Folder, cell, read_frame, shown

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
COLUMNS = {"effect": "effect", "low": "ci_low", "high": "ci_high", "p": "p", "q": "q", "n": "n"}


class Artifacts:
    """The tables of a run, read when first asked for."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._frames: dict[str, pd.DataFrame] = {}

    def frame(self, name: str) -> pd.DataFrame:
        """A table; ArtifactError if it is missing or damaged."""
        if name not in self._frames:
            self._frames[name] = read_frame(self.folder.artifact(name))
        return self._frames[name]

    def text(self, ref: Ref) -> str:
        """A cell as it is printed.

        Raises:
            ArtifactError: naming the file, if it holds no such row or column.
        """
        try:
            return shown(cell(self.frame(ref.artifact), ref))
        except KeyError as error:
            raise ArtifactError(self.folder.artifact(ref.artifact), str(error.args[0])) from None


@dataclass(frozen=True)
class Number:
    """A printed number and the cell it is from."""

    text: str
    ref: Ref


def pieces(text: str, numbers: Mapping[str, Ref], artifacts: Artifacts) -> Iterator[str | Number]:
    """A statement as words and numbers. A place without a reference stays as it is written."""
    at = 0
    for found in _PLACE.finditer(text):
        ref = numbers.get(found[1])
        if ref is not None:
            yield text[at : found.start()]
            yield Number(artifacts.text(ref), ref)
            at = found.end()
    yield text[at:]


def rendered(text: str, numbers: Mapping[str, Ref], artifacts: Artifacts) -> str:
    """A statement with its numbers."""
    return "".join(one if isinstance(one, str) else one.text for one in pieces(text, numbers, artifacts))


@dataclass(frozen=True)
class Evidence:
    """What a run found: hypotheses, ranked, and all findings by id."""

    folder: Folder
    hypotheses: list[Hypothesis]
    findings: dict[str, Finding]
    artifacts: Artifacts


def read_evidence(folder: Folder) -> Evidence:
    """The outcome of a finished run.

    Raises:
        ArtifactError: naming what is missing or damaged.
    """
    hypotheses = read_documents(folder.hypotheses, "hypotheses", Hypothesis)
    findings = {one.id: one for one in read_documents(folder.graph, "graph", Finding)}
    for hypothesis in hypotheses:
        for name in (*hypothesis.evidence, *hypothesis.contrary, *(one.finding for one in hypothesis.joins)):
            if name not in findings:
                raise ArtifactError(folder.hypotheses, f"{hypothesis.id} cites {name!r}, which is not in graph.json")
    return Evidence(folder, hypotheses, findings, Artifacts(folder))


def case(hypothesis: Hypothesis, evidence: Evidence) -> dict[str, Any]:
    """A hypothesis as a judge sees it: nothing of who made it, its grade, its scores or its rank."""

    def line(name: str) -> dict[str, Any]:
        one = evidence.findings[name]
        shown_as = {key: shown(value) for key in COLUMNS if (value := getattr(one, key)) is not None}
        sign = {1: "up", -1: "down", 0: "none"}[one.sign]
        about = {"entity": one.entity, "kind": one.kind, "relation": one.relation, "target": one.target, "sign": sign}
        about |= {"members": one.members[:10]} if one.members else {}
        return about | shown_as | ({"stable": one.stable} if one.stable is not None else {})

    experiment = hypothesis.experiment
    return {
        "statement": rendered(hypothesis.statement, hypothesis.numbers, evidence.artifacts),
        "entities": hypothesis.entities,
        "direction": hypothesis.direction,
        "context": hypothesis.context,
        "mechanism": rendered(hypothesis.mechanism, hypothesis.own_numbers, evidence.artifacts),
        "evidence": [line(one) for one in hypothesis.evidence],
        "contrary": [line(one) for one in hypothesis.contrary],
        "alternatives": hypothesis.alternatives,
        "experiment": {"assay": experiment.assay} if experiment else None,
    }
