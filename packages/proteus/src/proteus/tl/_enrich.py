"""Gene sets against the result of a moderated test."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._design import make_contrast
from proteus.differential._moderated_test import TestResult
from proteus.knowledge._camera import camera, fry
from proteus.knowledge._sets import index_sets
from proteus.knowledge._told import tell_once
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._moderated_t import moderated_t

METHODS = {"camera": camera, "fry": fry}


def enrich(
    result: TestResult,
    sets: Mapping[str, Sequence[str]],
    method: str = "camera",
    *,
    q: float = 0.05,
    smallest: int = 5,
    largest: int = 500,
    tier: Collection[str] = (),
) -> pd.DataFrame:
    """Test gene sets against a contrast's result.

    Args:
        result: of `moderated_test`; sets are tested on the statistic of zero effect, whatever its fold bar.
        sets: name to symbols.
        method: `camera` (competitive) or `fry` (self-contained).
        q: bar of sets that pass.
        smallest, largest: measured members of a set.
        tier: names of sets whose q is over themselves alone (complexes).
    Returns:
        One row a set, smallest p first, with `representative`: of `camera` the set under whose name it is
        reported (each signal once, under its best name; see `tell_once`), else itself; `told`, the order of
        those that are reported.

    Examples:
        >>> import proteus
        >>> data = proteus.datasets.ups1_peptides()
        >>> genes = data.features["protein"].astype(str)
        >>> data = data.with_values(data.values, "symbols", features=data.features.assign(gene=genes))
        >>> result = proteus.moderated_test(data, "~ group", "fmol100-fmol25")
        >>> sets = {f"part {k}": genes.unique()[k::9].tolist() for k in range(9)}
        >>> list(proteus.tl.enrich(result, sets, largest=2000).columns)
        ['size', 'direction', 'correlation', 't', 'p', 'q', 'representative', 'told']
    """
    if method not in METHODS:
        raise InputError("method", got=repr(method), expected=f"one of: {', '.join(METHODS)}")
    tested = moderated_t(result.fit, make_contrast(result.made, result.contrast), result.tested.prior)
    indexed = index_sets(sets, result.table["gene"], np.isfinite(tested.t), smallest=smallest, largest=largest)
    table = METHODS[method](indexed, tested, result.fit)
    inside = np.array([name in tier for name in indexed.names], bool)
    for part in (inside, ~inside) if inside.any() else ():
        table.loc[part, "q"] = benjamini_hochberg(table["p"].to_numpy()[part])
    names, passed = np.array(indexed.names, object), (table["q"] <= q).to_numpy()
    table["representative"], table["told"] = names, 0
    if method == "camera" and passed.any():
        told, table["told"] = tell_once(indexed, tested, result.fit, table["p"].to_numpy(), passed, inside)
        table["representative"] = names[told]
    return table.sort_values("p", kind="stable")
