"""Do the hits of a set move together within groups? Compared with as many hits under other labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import LinearFit

_FEWEST, _LARGEST = 3, 150  # hits of a set; genes of a set, as larger ones name no mechanism
_COMMON = 8  # samples that two features need in common, or they count as uncorrelated
_SHARED, _ENOUGH = 2, 20  # components that are taken out of the hits, given this many residual degrees of freedom
_DRAWS = 4000
_OVERLAP = 0.5  # share of a set's hits in a set that is reported before, from which it is not reported
_COLUMNS = ["members", "hits", "higher", "effect", "chance", "p", "q", "told"]


def together(
    fit: LinearFit, rows: np.ndarray, sign: np.ndarray, genes: Sequence[str], sets: Mapping[str, Sequence[str]],
    alike: Sequence[Sequence[str]] = (), *, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Sets whose hits correlate more, within groups, than hits of other sets do.

    The measure is the mean correlation of a set's hits in what the design leaves of them, and beyond the two leading
    components of all hits (what persons or runs differ in as a whole is no link). A hit that falls is turned over, so
    that opposite changes may belong together. It is compared with as many hits drawn at random, which are the same
    correlations under other labels. Of paralogs the strongest counts, and of sets with the same hits the smallest is
    tested.

    Args:
        fit: of all features, on the design of the contrast.
        rows: (H,) features that are hits, strongest first.
        sign: (H,) 1 or -1, direction of each change.
        genes: (H,) symbols; of several features of a gene the first counts.
        sets: genes by name.
        alike: groups of paralogs.
        seed: random seed of the draws.
    Returns: by set name, smallest p first: `members` (hits, `;` between them), `hits` (their number), `higher` (of
        these), `effect` (mean correlation), `chance` (mean over draws), `p`, `q`, `told` (the set that tells of it).
    """
    first = np.sort(np.unique(np.asarray(genes, str), return_index=True)[1])
    names = [str(genes[one]) for one in first]
    sign = np.asarray(sign)[first]
    r = _correlations(fit, np.asarray(rows)[first]) * np.outer(sign, sign)
    rng, drawn, tested = np.random.default_rng(seed), {}, []
    for name, chosen in _hits_of(sets, names, alike).items():
        size = len(chosen)
        if size not in drawn:
            draws = rng.permuted(np.tile(np.arange(len(names)), (_DRAWS, 1)), axis=1)[:, :size]
            drawn[size] = np.array([_mean(r, one) for one in draws])
        effect = _mean(r, np.array(chosen))
        p = (1 + (drawn[size] >= effect).sum()) / (1 + _DRAWS)
        members = ";".join(names[one] for one in chosen)
        tested.append((name, members, size, int((sign[chosen] > 0).sum()), effect, float(drawn[size].mean()), p))
    frame = pd.DataFrame(tested, columns=["name", *_COLUMNS[:6]]).set_index("name")
    frame["q"] = benjamini_hochberg(frame["p"].to_numpy(float))
    frame = frame.sort_values(["p", "effect"], ascending=[True, False], kind="stable")
    frame["told"] = _told(frame["members"])
    return frame[_COLUMNS]


def one_each(genes: Sequence[str], alike: Sequence[Sequence[str]]) -> list[str]:
    """Genes in order, of each group of paralogs the first."""
    group = {gene: number for number, members in enumerate(alike) for gene in members}
    kept: dict[object, str] = {}
    for gene in genes:
        kept.setdefault(group.get(gene, gene), gene)
    return list(kept.values())


def _correlations(fit: LinearFit, rows: np.ndarray) -> np.ndarray:
    """(H, H) correlations of residuals over common samples, 0 on the diagonal and where too few are common."""
    seen = fit.observed[rows]
    left = np.where(seen, fit.residuals[rows], 0.0)
    n, k = fit.design.shape
    if n - k >= _ENOUGH and len(rows) > _SHARED:
        length = np.linalg.norm(left, axis=1, keepdims=True)
        scaled = np.divide(left, length, out=np.zeros_like(left), where=length > 0)
        shared = np.linalg.svd(scaled, full_matrices=False)[2][:_SHARED].T
        left = np.where(seen, left - left @ shared @ shared.T, 0.0)
    squares = (left**2) @ seen.T.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip((left @ left.T) / np.sqrt(squares * squares.T), -1, 1)
    common = seen.astype(float) @ seen.T.astype(float)
    return np.where((common >= _COMMON) & np.isfinite(r) & ~np.eye(len(rows), dtype=bool), r, 0.0)


def _mean(r: np.ndarray, chosen: np.ndarray) -> float:
    return float(r[np.ix_(chosen, chosen)].sum() / (len(chosen) * (len(chosen) - 1)))


def _hits_of(
    sets: Mapping[str, Sequence[str]], names: Sequence[str], alike: Sequence[Sequence[str]]
) -> dict[str, list[int]]:
    """Places of the hits of each set, one of each group of paralogs; of sets with the same hits the smallest."""
    place = {name: number for number, name in enumerate(names)}
    found: dict[tuple[int, ...], str] = {}
    for name, members in sets.items():
        if len(members) > _LARGEST:
            continue
        hits = sorted(place[one] for one in set(members) if one in place)
        hits = tuple(place[one] for one in one_each([names[one] for one in hits], alike))
        if len(hits) >= _FEWEST:
            other = found.get(hits)
            if other is None or (len(members), name) < (len(sets[other]), other):
                found[hits] = name
    return {name: list(hits) for hits, name in sorted(found.items(), key=lambda one: one[1])}


def _told(members: pd.Series) -> list[str]:
    """By set, in order, the first set that shares most of the smaller one's hits; itself where none does."""
    before: list[tuple[str, set[str]]] = []
    told = []
    for name, text in members.items():
        own = set(str(text).split(";"))
        lead = next((other for other, known in before if len(own & known) >= _OVERLAP * min(len(own), len(known))), "")
        told.append(lead or str(name))
        if not lead:
            before.append((str(name), own))
    return told
