"""What we say of hypotheses that join results: they need the graph of knowledge, and are gone where it is rewired."""

from collections.abc import Mapping, Sequence

import numpy as np
from ninefold.datasets import find
from ninefold_lab import Budget, Claim, Scores, all_of, at_least, at_most
from proteus import shipped_sets
from proteus.data._data import ProteomicsData
from proteus.differential._measures import names_of_proteins
from proteus.knowledge._box import paralogs
from proteus.knowledge._network import Network, rewire
from proteus.loaders import load_network
from proteus.record._objects import Hypothesis
from proteus.study._study import Study
from proteus_experiments import published

_REWIRED = 3  # graphs
_SWEEPS = 20  # of edge swaps: in each, all memberships are paired at random
_THREE = 3


def rewired_sets(
    sets: Mapping[str, Sequence[str]], measured: set[str], generator: np.random.Generator
) -> dict[str, list[str]]:
    """Sets with as many measured genes as before, each gene in as many sets as before, by swaps between sets.

    Genes that are not measured stay where they are, so that set sizes stay as well.
    """
    names, genes = list(sets), sorted(measured)
    place = {gene: number for number, gene in enumerate(genes)}
    pairs = [(n, place[gene]) for n, name in enumerate(names) for gene in dict.fromkeys(sets[name]) if gene in place]
    owner, member = np.array(pairs, int).reshape(-1, 2).T
    present = set(zip(owner.tolist(), member.tolist(), strict=True))
    for _ in range(_SWEEPS):
        order = generator.permutation(len(owner))
        for one, other in order[: len(order) // 2 * 2].reshape(-1, 2).tolist():
            a, b = int(owner[one]), int(owner[other])
            x, y = int(member[one]), int(member[other])
            if a == b or x == y or (a, y) in present or (b, x) in present:
                continue
            present -= {(a, x), (b, y)}
            present |= {(a, y), (b, x)}
            member[one], member[other] = y, x
    made = {name: [gene for gene in dict.fromkeys(sets[name]) if gene not in place] for name in names}
    for number, gene in zip(owner.tolist(), member.tolist(), strict=True):
        made[names[number]].append(genes[gene])
    return made


def features_of(one: Hypothesis, known: set[str]) -> list[str]:
    """The measured entities that a hypothesis joins: its lead and each of its edges, names of sets left out."""
    return [name for name in dict.fromkeys([*one.entities, *(edge.entity for edge in one.joins)]) if name in known]


def _joining(data: ProteomicsData, sets: Mapping[str, Sequence[str]], network: Network, seed: int) -> list[list[str]]:
    """Of each hypothesis that joins three measured entities or more through the graph, these; a panel uses no graph."""
    report = Study(data, sets=dict(sets), network=network).run(seed=seed)
    known = set(data.genes.astype(str).str.split(";").str[0])
    kinds = {one.id: one.kind for one in report.findings}
    found = [features_of(one, known) for one in report.joined if kinds[one.evidence[0]] != "panel"]
    return [one for one in found if len(one) >= _THREE]


def _rewired(budget: Budget, seed: int) -> Scores:
    """Hypotheses on CSF that join three measured entities, on the graph of knowledge and on the same graph rewired."""
    del budget
    data = published.csf()
    measured = set(data.genes.astype(str).str.split(";").str[0])
    sets = shipped_sets(data) or {}
    network = load_network(find("proteus", "knowledge/hi_union_symbols.tsv.gz")).restrict(measured)
    found = _joining(data, sets, network, seed)
    alike = [set(group) for group in paralogs(sorted(measured), names_of_proteins(data))]
    rng = np.random.default_rng(seed)
    chance = [
        len(_joining(data, rewired_sets(sets, measured, rng), rewire(network, rng, sweeps=_SWEEPS), seed))
        for _ in range(_REWIRED)
    ]  # fmt: skip
    return {
        "hypotheses that join three": float(len(found)),
        "of paralogs only": float(sum(any(set(one) <= group for group in alike) for one in found)),
        "most on a rewired graph": float(max(chance)),
        "mean over rewired graphs": float(np.mean(chance)),
    }


JOIN_CLAIMS = [
    Claim(
        id="proteus/csf-joins-need-the-graph",
        says="on CSF at least 12 hypotheses join three measured proteins or more, none of paralogs; where the graph "
        "of sets and interactions is rewired (degrees and set sizes kept) at most 2 do, on each of three graphs",
        source="Bader 2020; Reactome and FamPlex as shipped, HI-union; memberships of measured proteins are swapped",
        run=_rewired,
        verdict=all_of(
            at_least("hypotheses that join three", 12.0),
            at_most("of paralogs only", 0.0),
            at_most("most on a rewired graph", 2.0),
        ),
        quick=Budget(seeds=1, minutes=3),
        full=Budget(seeds=1, minutes=3),
    ),
]
