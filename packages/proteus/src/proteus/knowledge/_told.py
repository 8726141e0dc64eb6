"""Which of the sets that pass are reported: each signal once, under the name that fits it best.

The set whose members shift together most, by likelihood, is reported first; its members leave all others, these are
tested
again, and those that still pass continue. A parent is reported instead of its child only where its further members
moved too.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse, stats

from proteus.knowledge._camera import camera
from proteus.knowledge._coupling import shared_components
from proteus.knowledge._sets import IndexedSets
from proteus.statistics._linear_model import LinearFit
from proteus.statistics._moderated_t import ModeratedT

_LEAST = 3  # members that a set must keep to be told beside another
_WIDE = 1.4826  # standard deviations of a normal variable in a median absolute deviation
_OWN = 0.05  # of a feature's variance, at least, that no component shares


def tell_once(
    indexed: IndexedSets,
    tested: ModeratedT,
    fit: LinearFit,
    p: np.ndarray,
    passed: np.ndarray,
    first: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The set under whose name each set is reported, and the order in which sets are reported.

    Args:
        indexed: S sets over P features.
        tested, fit: the contrast, without a fold bar.
        p: (S,) p-values of CAMERA.
        passed: (S,) bool, sets that pass; the others stand for themselves.
        first: (S,) bool, sets (complexes) that are reported before the others; None: none.
    Returns: (S,) positions; (S,) 1 for the set told first and so on, 0 for those that are not.
    """
    told, order = np.arange(len(p)), np.zeros(len(p), int)
    pool = np.flatnonzero(passed)
    bar = float(p[pool].max(initial=0.0))
    gain = _Gain(tested, fit, indexed.universe)
    left = indexed
    while len(pool):
        ahead = pool if first is None or not first[pool].any() else pool[first[pool]]
        part = _rows(left, ahead)
        lead = ahead[np.lexsort((-indexed.covered[ahead], p[ahead], -gain(part.member, left.universe)))[0]]
        told[pool], order[lead] = lead, order.max() + 1  # until they are told by themselves
        left = _without(left, indexed.member[lead].indices)
        pool = pool[(left.sizes[pool] >= _LEAST) & (pool != lead)]
        if len(pool):
            again = camera(_rows(left, pool), tested, fit)["p"].to_numpy()
            pool = pool[again <= bar]
    return told, order


def _rows(indexed: IndexedSets, rows: np.ndarray) -> IndexedSets:
    names = [indexed.names[one] for one in rows]
    return replace(indexed, names=names, member=indexed.member[rows], covered=indexed.covered[rows])


def _without(indexed: IndexedSets, gone: np.ndarray) -> IndexedSets:
    """Without some features, in sets and in the background."""
    kept = np.ones(len(indexed.universe))
    kept[gone] = 0
    member = sparse.csr_matrix(indexed.member.multiply(kept[None, :]))
    member.eliminate_zeros()
    return replace(indexed, member=member, universe=indexed.universe & (kept > 0))


class _Gain:
    """Twice the log likelihood that a common shift of a set's members adds, in addition to a common level of all
    features.

    Effects are normal with their standard errors, and the spread that most of the table has in addition to these,
    correlated through the components that residuals share.
    """

    def __init__(self, tested: ModeratedT, fit: LinearFit, universe: np.ndarray) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.abs(tested.effect / tested.t)
        self.known = universe & np.isfinite(error) & (error > 0)
        self.effect, error = tested.effect[self.known], error[self.known]
        spread = (_WIDE * stats.median_abs_deviation(self.effect)) ** 2 - np.median(error**2)
        components = shared_components(fit, 0)
        residuals = fit.residuals[self.known]
        length = np.linalg.norm(residuals, axis=1, keepdims=True)
        load = np.divide(
            residuals @ components, length, out=np.zeros((len(error), components.shape[1])), where=length > 0
        )
        variance = error**2 + max(0.0, float(spread))
        self.load = load * np.sqrt(variance)[:, None]
        self.own = variance * np.maximum(1 - (load**2).sum(1), _OWN)

    def __call__(self, member: sparse.csr_matrix, universe: np.ndarray) -> np.ndarray:
        """(S,) gains over the features of `universe`."""
        inside = universe[self.known]
        effect, load, own = self.effect[inside], self.load[inside], self.own[inside]
        sets = member[:, self.known][:, inside].toarray().T
        weighted = load / own[:, None]
        core = np.eye(load.shape[1]) + weighted.T @ load

        def whiten(columns: np.ndarray) -> np.ndarray:
            return columns / own[:, None] - weighted @ np.linalg.solve(core, weighted.T @ columns)

        both = whiten(np.stack([np.ones_like(effect), effect], 1))
        level, size = both[:, 0].sum(), (sets * whiten(sets)).sum(0)
        beside = sets.T @ both[:, 0]
        shift = sets.T @ both[:, 1] - beside * both[:, 1].sum() / level
        room = size - beside**2 / level
        return np.divide(shift**2, room, out=np.zeros(len(size)), where=room > 1e-9 * np.maximum(size, 1e-300))
