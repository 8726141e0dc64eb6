"""Tools: each takes a table and returns a table of results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.differential._moderated_test import TestResult, moderated_test
from proteus.differential._normalise import normalise
from proteus.knowledge._camera import camera, fry, roast
from proteus.knowledge._enrichment import over_representation, preranked_gsea
from proteus.knowledge._network import Connectivity, Network, communities, connectivity, random_walk
from proteus.knowledge._sets import cluster_sets, index_sets
from proteus.outcomes._cells import annotate, cluster_cells, diff_abundance, diff_state
from proteus.outcomes._coexpression import find_modules, module_traits
from proteus.outcomes._cox import cox
from proteus.outcomes._panel import biomarker_panel
from proteus.outcomes._survival import concordance
from proteus.statistics._moderated_t import moderated_t

cluster = cluster_cells

__all__ = [
    "NetworkResult", "annotate", "biomarker_panel", "cluster", "communities", "diff_abundance", "diff_state", "enrich",
    "find_modules", "moderated_test", "module_traits", "network", "normalise", "roll_up", "survival",
]  # fmt: skip

_GRADES = {"camera": "A/B", "fry": "A/B", "roast": "A/B", "camera_preranked": "C", "ora": "C", "gsea": "C"}


def enrich(
    result: TestResult,
    sets: Mapping[str, Sequence[str]],
    method: str = "camera",
    *,
    q: float = 0.05,
    smallest: int = 5,
    largest: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Test gene sets against a contrast's result.

    Args:
        result: of `moderated_test`; sets are tested on the statistic of zero effect, whatever its fold bar.
        sets: name to symbols.
        method: `camera` (competitive), `fry` or `roast` (self-contained): these may carry a finding; `ora`, `gsea`
            and `camera_preranked` take proteins for independent and are descriptive (grade C).
        q: bar of hits for `ora`, and of sets that are clustered.
        smallest, largest: measured members of a set.
        seed: of random sets and rotations.
    Returns:
        One row a set, smallest p first, with `representative` (of sets with Jaccard overlap >= 0.5) and `grade`.
    """
    if method not in _GRADES:
        raise InputError("method", got=repr(method), expected=f"one of: {', '.join(_GRADES)}")
    tested = moderated_t(result.fit, _vector(result), result.tested.prior)
    indexed = index_sets(sets, result.table["gene"], np.isfinite(tested.t), smallest=smallest, largest=largest)
    if method == "camera":
        table = camera(indexed, tested, result.fit)
    elif method == "camera_preranked":
        table = camera(indexed, tested, correlation=0.01)
    elif method == "fry":
        table = fry(indexed, tested, result.fit)
    elif method == "roast":
        table = roast(indexed, tested, result.fit, seed=seed)
    elif method == "ora":
        table = over_representation(indexed, (result.table["q"] <= q).to_numpy())
    else:
        table = preranked_gsea(indexed, np.nan_to_num(tested.t, nan=-np.inf), seed=seed)
    chosen = (table["q"] <= q).to_numpy()
    names = np.array(indexed.names, object)
    table["representative"] = (
        names[cluster_sets(indexed, table["p"].to_numpy(), chosen=chosen)] if chosen.any() else names
    )
    table["grade"] = _GRADES[method]
    return table.sort_values("p", kind="stable")


def _vector(result: TestResult) -> np.ndarray:
    from proteus.data._design import make_contrast

    return make_contrast(result.made, result.contrast)


@dataclass(frozen=True)
class NetworkResult:
    """A hit list in a network: its connectivity, and the nodes nearest to it by random walk."""

    connectivity: Connectivity
    nearest: pd.Series


def network(
    hits: Collection[str], edges: Network, measured: Collection[str], *, rewirings: int = 200, seed: int = 0
) -> NetworkResult:
    """Connectivity of hits among measured proteins against degree-preserving rewiring, and a walk from the hits."""
    part = edges.restrict(measured)
    found = connectivity(part, hits, rewirings=rewirings, seed=seed)
    return NetworkResult(found, random_walk(part, [gene for gene in hits if gene in set(part.nodes)]))


def survival(
    data: ProteomicsData, time: str = "time", event: str = "event", covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Cox regression of each feature, with Harrell's C and the proportional-hazards test; smallest p first.

    Args:
        data: log2 or score table; samples without follow-up are left out.
        time, event: columns of the sample table; event is 0 or 1.
        covariates: columns to adjust for; text columns enter as indicators of their levels but the first.
    """
    wanted = [data.factor(name) for name in (time, event, *covariates)]
    for column in wanted[:2]:
        if not pd.api.types.is_numeric_dtype(column):
            raise InputError(
                "survival", got=f"{column.name!r}, which is text", expected="follow-up in numbers, events as 0 or 1"
            )
    known = pd.concat(wanted, axis=1).notna().all(axis=1).to_numpy()
    part = data.take(samples=known)
    extra = pd.get_dummies(part.samples[list(covariates)], drop_first=True).to_numpy(float) if covariates else None
    t, e = part.samples[time].to_numpy(float), part.samples[event].to_numpy(float)
    table = cox(part.values, t, e, covariates=extra)
    table.index = part.features.index
    table.insert(0, "gene", part.genes)
    table["c_index"] = concordance(part.values, t, e)
    return table.sort_values("p", kind="stable")
