"""The offline rubric: five metrics from 1 to 5, each from what the evidence graph and curated knowledge say.

The five are the paper's; their anchors are ours. `None` is unknown, never a middle mark.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from proteus.knowledge._network import Network
from proteus.record._objects import Finding, Hypothesis, Scores

_RELIABILITY = {"A": 4.0, "B": 2.5, "C": 1.5, None: 1.0}
_MOST_SAMPLES = 200
_BAR = 0.05


@dataclass
class Knowledge:
    """Curated sets and a network, for alignment."""

    sets: Mapping[str, Sequence[str]] | None = None
    network: Network | None = None
    _of: dict[str, set[str]] = field(default_factory=dict, repr=False)

    def sets_of(self, gene: str) -> set[str]:
        """Names of the sets that hold a gene."""
        if not self._of and self.sets:
            for name, members in self.sets.items():
                for one in members:
                    self._of.setdefault(one, set()).add(name)
        return self._of.get(gene, set())


def supporting(hypothesis: Hypothesis, findings: Mapping[str, Finding]) -> list[Finding]:
    """Cited findings that say what the hypothesis says: an entity of it, its sign and its context."""
    sign = {"up": 1, "down": -1, "associated": 0}[hypothesis.direction]
    cited = [findings[one] for one in hypothesis.evidence if one in findings]
    return [
        one
        for one in cited
        if one.sign == sign
        and one.target == hypothesis.context
        and (one.entity in hypothesis.entities[:1] or hypothesis.entities[0] in one.members)
    ]


def reliability(hypothesis: Hypothesis, support: Sequence[Finding]) -> float:
    """Grade, distance of the interval from zero, q against its bar, stability; 1 where no cited finding says it."""
    if not support:
        return 1.0
    best = support[0]
    mark = _RELIABILITY["A" if hypothesis.firm else hypothesis.grade]
    if best.low is not None and best.high is not None and best.effect:
        half = (best.high - best.low) / 2
        mark += 0.5 * (min(abs(best.low), abs(best.high)) > half) if best.low * best.high > 0 else -0.5
    if best.q is not None and best.q > 0:
        mark += 0.5 * max(-1.0, min(1.0, math.log10(_BAR / best.q) / 2))
    if best.stable is not None:
        mark += 0.5 if best.stable else -0.5
    return _clip(mark)


def coherence(hypothesis: Hypothesis, support: Sequence[Finding], findings: Mapping[str, Finding]) -> float:
    """Independent kinds of evidence that agree, minus what is contrary."""
    if not support:
        return 1.0
    lead = hypothesis.entities[0]
    sign = support[0].sign
    kinds = {
        one.kind
        for one in findings.values()
        if one.target == hypothesis.context and one.sign == sign and (one.entity == lead or lead in one.members)
    }
    against = len(hypothesis.contrary) + len(hypothesis.evidence) - len(support) - len(hypothesis.joins)
    return _clip(2.0 + len(kinds) - 1.5 * against)


def alignment(hypothesis: Hypothesis, findings: Mapping[str, Finding], knowledge: Knowledge) -> float | None:
    """Does the lead entity share curated sets, or a link, with others that moved? None without any knowledge of it."""
    lead = hypothesis.entities[0]
    if hypothesis.evidence and findings.get(hypothesis.evidence[0]) is not None:
        kind = findings[hypothesis.evidence[0]].kind
        if kind in ("set", "network"):
            return 4.0
    own = knowledge.sets_of(lead)
    near = _neighbours(knowledge.network, lead)
    if not own and not near:
        return None
    others = {one.entity for one in findings.values() if one.target == hypothesis.context and one.kind == "feature"}
    others -= {lead}
    if not others:
        return None
    shared = np.mean([bool(own & knowledge.sets_of(one)) or one in near for one in others])
    return _clip(1 + 4 * math.sqrt(float(shared)))


def _neighbours(network: Network | None, gene: str) -> set[str]:
    if network is None or gene not in network.nodes:
        return set()
    place = network.nodes.index(gene)
    rows = network.edges[(network.edges == place).any(axis=1)]
    return {network.nodes[int(one)] for one in rows.ravel()} - {gene}


def evaluability(hypothesis: Hypothesis) -> float:
    """Is there an assay, and can it be done with at most 200 samples a group?"""
    plan = hypothesis.experiment
    if plan is None:
        return 1.0
    if plan.n_per_group is None:
        return 2.0
    if plan.n_per_group > _MOST_SAMPLES:
        return 1.0
    return _clip(5.5 - math.log2(max(plan.n_per_group, 4) / 4) * 0.7)


def score(hypothesis: Hypothesis, findings: Mapping[str, Finding], knowledge: Knowledge) -> Scores:
    """All five but novelty, which is unknown: what no curated set says may be known all the same."""
    support = supporting(hypothesis, findings)
    return Scores(
        reliability=reliability(hypothesis, support), coherence=coherence(hypothesis, support, findings),
        alignment=alignment(hypothesis, findings, knowledge), evaluability=round(evaluability(hypothesis), 2),
    )  # fmt: skip


def total(scores: Scores) -> float:
    """Mean of the known metrics."""
    values = [one for one in scores.model_dump().values() if one is not None]
    return float(np.mean(values)) if values else 0.0


def _clip(value: float) -> float:
    return round(min(5.0, max(1.0, value)), 2)
