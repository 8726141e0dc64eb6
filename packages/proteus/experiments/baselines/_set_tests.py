"""Rival tests of gene sets: preranked GSEA takes proteins for independent; FRY is the limit of ROAST's rotations."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from proteus.data._design import make_contrast
from proteus.differential._moderated_test import TestResult
from proteus.knowledge._camera import set_table
from proteus.knowledge._sets import IndexedSets, index_sets
from proteus.statistics._linear_model import LinearFit
from proteus.statistics._moderated_t import ModeratedT, moderated_t, z_of


def preranked_gsea(
    indexed: IndexedSets, score: np.ndarray, *, weight: float = 1.0, permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Preranked gene set enrichment (Subramanian et al. 2005) against random sets of the same size.

    Args:
        indexed: S sets over P proteins.
        score: (P,) ranking score; higher is up.
        weight: exponent of |score| in the running sum.
        permutations: random sets of each size.
        seed: of the random sets.
    Returns:
        One row a set: size, es, nes, p (among random sets of its sign), q (false discovery rate over pooled
        normalised scores).
    """
    rows = np.flatnonzero(indexed.universe & np.isfinite(score))
    order = rows[np.argsort(-score[rows], kind="stable")]
    total = len(order)
    rank = np.full(len(score), -1)
    rank[order] = np.arange(total)
    force = np.abs(score[order]) ** weight
    member = indexed.member.tocsr()
    member.sort_indices()
    flat = rank[member.indices]
    owner = np.repeat(np.arange(len(indexed.names)), np.diff(member.indptr))
    flat, owner = flat[flat >= 0], owner[flat >= 0]
    by = np.lexsort((flat, owner))
    flat = flat[by]
    size = np.bincount(owner, minlength=len(indexed.names))
    es = _enrichment_scores(flat, size, force, total)
    sizes = np.unique(size)
    drawn = np.empty((permutations, len(sizes)))
    generator = np.random.default_rng(seed)
    largest = int(sizes.max())
    for turn in range(permutations):  # one shuffle serves all sizes: its first k members are a random set of k
        shuffled = generator.permutation(total)[:largest]
        nested = np.concatenate([np.sort(shuffled[:k]) for k in sizes])
        drawn[turn] = _enrichment_scores(nested, sizes, force, total)
    null = drawn[:, np.searchsorted(sizes, size)]
    up, down = drawn >= 0, drawn < 0
    mean_up = np.where(up, drawn, 0).sum(0) / np.maximum(up.sum(0), 1)
    mean_down = -np.where(down, drawn, 0).sum(0) / np.maximum(down.sum(0), 1)
    column = np.searchsorted(sizes, size)
    scale = np.where(es >= 0, mean_up[column], mean_down[column])
    nes = es / np.maximum(scale, 1e-12)
    same = np.where(es >= 0, up[:, column], down[:, column])
    p = (1 + (same & (np.abs(null) >= np.abs(es))).sum(0)) / (1 + same.sum(0))
    normal = np.where(up, drawn / np.maximum(mean_up, 1e-12), drawn / np.maximum(mean_down, 1e-12))
    table = pd.DataFrame({"size": size, "es": es, "nes": nes, "p": p}, index=pd.Index(indexed.names, name="set"))
    table["q"] = _pooled_fdr(nes, normal, np.bincount(column, minlength=len(sizes)))
    return table


def _pooled_fdr(nes: np.ndarray, null: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Share of the pooled null beyond each score, over the share of observed scores beyond it, signs apart.

    Args:
        nes: (S,) observed normalised scores.
        null: (permutations, sizes) normalised scores of random sets; column k counts `times[k]` fold.
    """
    q = np.ones(len(nes))
    weight = np.broadcast_to(times, null.shape)
    for sign in (1, -1):
        rows = np.flatnonzero(sign * nes >= 0)
        side = sign * null > 0
        pool, mass = sign * null[side], weight[side]
        if rows.size == 0 or pool.size == 0:
            continue
        order = np.argsort(-pool)
        running = np.concatenate([[0.0], np.cumsum(mass[order])]) / mass.sum()
        score = sign * nes[rows]
        beyond = running[np.searchsorted(-pool[order], -score, side="right")]
        ranked = rows[np.argsort(-score, kind="stable")]
        share = np.arange(1, len(rows) + 1) / len(rows)
        raw = beyond[np.argsort(-score, kind="stable")] / share
        q[ranked] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _enrichment_scores(flat: np.ndarray, size: np.ndarray, force: np.ndarray, total: int) -> np.ndarray:
    """Largest deviation of the running sum for sets given as concatenated ascending ranks of `size` members each.

    The sum peaks right after a member and is lowest right before one, so only members are looked at.
    """
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    gain = force[flat]
    running = np.cumsum(gain)
    base = np.repeat(running[starts] - gain[starts], size)
    whole = np.add.reduceat(gain, starts)
    whole = np.repeat(np.where(whole > 0, whole, 1.0), size)
    place = np.arange(len(flat)) - np.repeat(starts, size)
    misses = (flat - place) / np.repeat(np.maximum(total - size, 1), size)
    after = (running - base) / whole - misses
    before = after - gain / whole
    high, low = np.maximum.reduceat(after, starts), np.minimum.reduceat(before, starts)
    return np.where(high >= -low, high, low)


def roast(
    indexed: IndexedSets, tested: ModeratedT, fit: LinearFit, *, rotations: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Self-contained test by random rotations of each protein's (effect, residuals); features with all samples only.

    The statistic is the mean over the set of moderated t as normal z; p = (1 + at least as extreme) / (rotations + 1).
    """
    generator = np.random.default_rng(seed)
    full = fit.observed.all(1) & np.isfinite(tested.t) & indexed.universe
    left, _, _ = np.linalg.svd(fit.design, full_matrices=True)
    null = left[:, np.linalg.matrix_rank(fit.design) :]
    d = null.shape[1]
    prior = tested.prior
    effect = tested.t * np.sqrt(prior.posterior)  # the contrast's effect as one orthonormal coordinate
    vectors = np.concatenate([effect[:, None], fit.residuals @ null], axis=1)
    square = (vectors**2).sum(1)
    directions = generator.standard_normal((d + 1, rotations))
    directions /= np.linalg.norm(directions, axis=0)
    t = np.empty(len(indexed.names))
    p = np.empty(len(indexed.names))
    infinite = np.isinf(prior.d0)
    weight = np.where(infinite, 1.0, prior.d0)
    for place in range(len(indexed.names)):
        rows = indexed.member.indices[indexed.member.indptr[place] : indexed.member.indptr[place + 1]]
        rows = rows[full[rows]]
        if len(rows) == 0:
            t[place], p[place] = np.nan, np.nan
            continue
        turned = vectors[rows] @ directions
        own = (square[rows][:, None] - turned**2) / d
        both = (weight[rows] * prior.s0_squared[rows])[:, None] + d * own
        variance = np.where(
            infinite[rows][:, None], prior.s0_squared[rows][:, None], both / (weight[rows] + d)[:, None]
        )
        df = tested.df[rows]
        drawn = z_of(turned / np.sqrt(variance), df[:, None]).mean(0)
        observed = z_of(tested.t[rows], df).mean()
        t[place] = observed
        p[place] = (1 + (np.abs(drawn) >= abs(observed)).sum()) / (rotations + 1)
    return set_table(indexed, t, p)


def rival_sets(result: TestResult, sets: Mapping[str, Sequence[str]], method: str, *, seed: int = 0) -> pd.DataFrame:
    """Sets by `gsea` or `roast`, one row each, as `tl.enrich` has them."""
    tested = moderated_t(result.fit, make_contrast(result.made, result.contrast), result.tested.prior)  # of no change
    indexed = index_sets(sets, result.table["gene"], np.isfinite(tested.t))
    if method == "gsea":
        return preranked_gsea(indexed, np.nan_to_num(tested.t, nan=-np.inf), seed=seed)
    return roast(indexed, tested, result.fit, seed=seed)
