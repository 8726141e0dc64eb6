"""Sets of genes laid over the features of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import sparse

_LEAST_MAPPED = 0.2


@dataclass(frozen=True)
class IndexedSets:
    """S sets over P features, one feature a gene.

    Attributes:
        names: (S,) set names.
        member: (S, P) sparse 0/1 matrix; features that do not represent their gene are in no set.
        universe: (P,) bool, features that represent a gene: the background of every test.
        mapped: share of the universe that is in any set.
        covered: (S,) share of each set's members that are there.
    """

    names: list[str]
    member: sparse.csr_matrix
    universe: np.ndarray
    mapped: float
    covered: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(S,) members present."""
        return np.asarray(self.member.sum(axis=1)).ravel()


def index_sets(
    sets: Mapping[str, Sequence[str]], genes: pd.Series, usable: np.ndarray, *, smallest: int = 5, largest: int = 500
) -> IndexedSets:
    """Lay sets over features.

    Args:
        sets: set name to gene symbols.
        genes: (P,) symbol of each feature; `A;B` counts as its first.
        usable: (P,) bool, features with a test result.
        smallest, largest: sets with fewer or more members present are left out.
    Raises:
        InputError: if less than 20 % of the features map to any set, or no set is left.
    """
    symbol = genes.astype(str).str.split(";").str[0].str.strip().to_numpy()
    universe = usable & ~pd.Series(symbol).where(usable).duplicated().to_numpy()
    place = {str(symbol[row]): int(row) for row in np.flatnonzero(universe)}
    in_any = {gene for members in sets.values() for gene in members}
    mapped = sum(gene in in_any for gene in place) / max(len(place), 1)
    if mapped < _LEAST_MAPPED:
        example = ", ".join(list(place)[:3])
        raise InputError(
            "gene sets",
            got=f"{mapped:.0%} of {len(place)} features in any set (features look like: {example})",
            expected="at least 20 %",
            hint="identifiers of another kind or organism? map them to symbols first",
        )
    names, rows, columns, covered = [], [], [], []
    for name, members in sets.items():
        found = sorted({place[gene] for gene in members if gene in place})
        if smallest <= len(found) <= largest and len(found) < len(place):
            rows += [len(names)] * len(found)
            columns += found
            names.append(name)
            covered.append(len(found) / len(set(members)))
    if not names:
        raise InputError("gene sets", got="no set", expected=f"sets with {smallest} to {largest} members present")
    member = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(genes)))
    return IndexedSets(names, member, universe, mapped, np.array(covered))


def cluster_sets(
    indexed: IndexedSets, p: np.ndarray, *, chosen: np.ndarray, jaccard: float = 0.5, contained: float = 0.8
) -> np.ndarray:
    """Representative of each set: of those that hold each other's members, or have most in common, the best covered.

    In order of p sets join the first that they overlap with, not each other, so that a chain does not make one of all.
    A cluster is named by the set with the largest share of its members measured (of equal shares by the smallest p):
    what a few of its proteins say of a pathway is better said of the complex that they are.

    Args:
        p: (S,) p-values.
        chosen: (S,) bool, sets to cluster; the others represent themselves.
        jaccard: overlap from which two sets are one finding.
        contained: share of the smaller set's members from which they are one as well.
    Returns:
        (S,) position of the representative.
    """
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(p[rows], kind="stable")]
    part = indexed.member[rows]
    shared, size = (part @ part.T).toarray(), indexed.sizes[rows]
    both = size[:, None] + size[None, :] - shared
    alike = (shared >= jaccard * both) | (shared >= contained * np.minimum(size[:, None], size[None, :]))
    clusters: dict[int, list[int]] = {}
    for place in range(len(rows)):
        leader = next((one for one in clusters if alike[place, one]), place)
        clusters.setdefault(leader, []).append(place)
    result = np.arange(len(p))
    for members in (rows[one] for one in clusters.values()):
        result[members] = members[np.argmax(indexed.covered[members])]
    return result
