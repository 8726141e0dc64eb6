"""Descriptive enrichment, grade C only: over-representation and preranked GSEA take proteins for independent."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.knowledge._sets import IndexedSets
from proteus.statistics._error_control import benjamini_hochberg


def over_representation(indexed: IndexedSets, side: np.ndarray) -> pd.DataFrame:
    """Hypergeometric test of each set among what is higher and among what is lower; the background is the tested
    proteins, never the genome.

    Args:
        indexed: S sets over P proteins.
        side: (P,) 1 or -1 for a hit that is higher or lower, 0 for no hit.
    Returns:
        One row a set: size, direction (of the smaller p), hits and expected on that side, p (twice the smaller), q.
    """
    if not (side[indexed.universe] != 0).any():
        raise InputError("over-representation", got="no hit", expected="at least one changed protein")
    total, size = int(indexed.universe.sum()), indexed.sizes.astype(int)
    found, expected, p = [], [], []
    for way in (1, -1):
        chosen = (side == way) & indexed.universe
        found.append(np.asarray(indexed.member @ chosen.astype(float)).astype(int))
        expected.append(size * int(chosen.sum()) / total)
        p.append(stats.hypergeom.sf(found[-1] - 1, total, size, int(chosen.sum())))
    best, rows = np.argmin(p, axis=0), np.arange(len(size))
    table = pd.DataFrame(
        {"size": size, "direction": np.where(best == 0, "up", "down"), "hits": np.array(found)[best, rows],
         "expected": np.array(expected)[best, rows], "p": np.minimum(2 * np.array(p)[best, rows], 1.0)},
        index=pd.Index(indexed.names, name="set"),
    )  # fmt: skip
    table["q"] = benjamini_hochberg(table["p"].to_numpy())
    return table


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
