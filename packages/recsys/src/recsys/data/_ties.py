"""Ties between users, e.g. friends, households, followers: a table of pairs becomes a matrix by the users' codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._frame import as_table, need, numbers, rows_text
from recsys.data._ids import IdMap, id_array
from recsys.data._untyped import Csr, pc


def read_ties(source: Any, known: IdMap, columns: tuple[str, ...] | None, directed: bool) -> tuple[IdMap, Csr, int]:
    """(the known ids and, after them, those in ties alone; weights float32 CSR (users, users); ties of a user with
    himself, which are left out).

    Args:
        source: frame or file, a row a tie.
        known: ids of the users with events.
        columns: names of user, user and, optionally, weight; the first two, and the third if there is one, if None.
        directed: a tie is one-way: the first user follows the second.
    Raises:
        InputError: for missing columns, null ids, ids of another type than the events', weights that are not positive.
    """
    named = columns
    if named is None:
        named = tuple(as_table(source).column_names[:3])
    if len(named) not in (2, 3):
        raise InputError("ties", got=f"{len(named)} columns", expected="user, user and, optionally, weight")
    table = as_table(source, ids=named[:2])
    need(table.column_names, named, where="the table ties")
    sides = [id_array(table.column(name), f"ties table's {name}") for name in named[:2]]
    for ids in sides:
        known.codes(ids, " of the ties")  # refuses those of another type
    weight = np.ones(table.num_rows, np.float32) if len(named) == 2 else numbers(table.column(named[2]), named[2])
    if (weight <= 0).any():
        got = f"weights of 0 or less in {rows_text(weight <= 0)}"
        raise InputError(f"column {named[-1]!r} of the ties", got=got, expected="positive weights")
    both = known.extended(pc.unique(sides[0])).extended(pc.unique(sides[1]))
    source_code, target = (both.codes(ids) for ids in sides)
    own = source_code == target
    ties = sp.csr_matrix((weight[~own], (source_code[~own], target[~own])), shape=(len(both), len(both)))
    ties.sum_duplicates()
    ties = ties if directed else sp.csr_matrix(ties.maximum(ties.T))
    if not ties.nnz:
        raise InputError("ties", got="no tie between two users", expected="at least one")
    return both, ties, int(own.sum())


def count_ties(ties: Csr) -> int:
    """Pairs with a tie, either way."""
    upper = sp.triu(ties.maximum(ties.T), 1)
    return int(upper.nnz)


def shuffled(ties: Csr, seed: int) -> Csr:
    """The same ties between users drawn anew: each user takes the place of another, so that degrees stay as they are
    but no tie says anything of its two users."""
    place = np.random.default_rng(seed).permutation(ties.shape[0])
    return sp.csr_matrix(ties[place][:, place])


def resized(ties: Csr, codes: np.ndarray, users: int) -> Csr:
    """The ties among other codes, CSR (users, users): user u becomes codes[u]."""
    found = ties.tocoo()
    shape = (users, users)
    return sp.csr_matrix((found.data, (codes[found.row], codes[found.col])), shape=shape, dtype=np.float32)
