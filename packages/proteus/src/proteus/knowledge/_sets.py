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
