"""What replicates across sites of CSF: found in two of three, asked in the third; and what other rules would call."""

import numpy as np
import pandas as pd
from ninefold_lab import Budget, Claim, Scores, all_of, at_least
from proteus import benjamini_hochberg
from proteus.data._data import ProteomicsData
from proteus.differential._moderated_test import moderated_test
from proteus.differential._normalise import normalise
from proteus.differential._replication import replicate
from proteus_experiments import published

_Q = 0.05
_SITES = ("Berlin", "Magdeburg", "Sweden")
_DRAWS = 20
_RULES = {
    "largest p over cohorts": lambda table: table["q"],
    "random effects": lambda table: benjamini_hochberg(table["p_pooled"].to_numpy()),
}


def _part(data: ProteomicsData, sites: tuple[str, ...]) -> ProteomicsData:
    return data.take(samples=data.samples["site"].isin(sites).to_numpy())


def _third(data: ProteomicsData, called: pd.DataFrame, site: str) -> tuple[np.ndarray, np.ndarray]:
    """(one-sided p at most 0.05, sign agrees) of called features in the site that they were not found in."""
    table = moderated_test(_part(data, (site,)), "~ group", "AD-control", lfc=0.0).table.reindex(called.index)
    agrees = np.sign(table["effect"].to_numpy()) == np.sign(called["effect"].to_numpy())
    p = np.where(agrees, table["p"] / 2, 1 - table["p"] / 2)
    tested = np.isfinite(p)
    return (p <= _Q)[tested].astype(float), agrees[tested].astype(float)


def _leave_one_site_out(budget: Budget, seed: int) -> Scores:
    del budget
    csf = normalise(published.csf())
    scores: dict[str, list[float]] = {}
    for site in _SITES:
        others = _part(csf, tuple(one for one in _SITES if one != site))
        found = replicate(others, "~ group", "AD-control", "site")
        pooled = moderated_test(others, "~ site + group", "AD-control").table
        called = {name: found.table[np.nan_to_num(rule(found.table), nan=1.0) <= _Q] for name, rule in _RULES.items()}
        called["one test over both sites"] = pooled[pooled["q"] <= _Q]
        for name, rows in called.items():
            again, agrees = _third(csf, rows, site)
            scores.setdefault(f"{name}, replicate", []).extend(again)
            scores.setdefault(f"{name}, same sign", []).extend(agrees)
    made = {name: np.array(values) for name, values in scores.items()}
    for name in [*_RULES, "one test over both sites"]:
        made[f"{name}, called"] = np.array([float(len(made[f"{name}, replicate"]))])
    rng, quiet = np.random.default_rng(seed), np.zeros(_DRAWS)
    for turn in range(_DRAWS):
        sheet = csf.samples.copy()
        sheet["group"] = sheet.groupby("site")["group"].transform(lambda one: rng.permutation(one.to_numpy()))
        drawn = _part(ProteomicsData(csf.values, csf.features, sheet), _SITES)
        quiet[turn] = float(len(replicate(drawn, "~ group", "AD-control", "site").replicated()) == 0)
    return {**made, "shuffled tables without a call": quiet}


REPLICATION_CLAIMS = [
    Claim(
        id="proteus/what-replicates-in-two-sites-does-in-the-third",
        says="on CSF, of what two of three sites call by the largest p, at least 0.8 replicate in the third and 0.97 "
        "have its sign, 15 or more are called, and shuffled tables call nothing",
        source="Bader 2020; ours; one-sided p <= 0.05 in the site left out",
        run=_leave_one_site_out,
        verdict=all_of(
            at_least("largest p over cohorts, replicate", 0.8),
            at_least("largest p over cohorts, same sign", 0.97),
            at_least("largest p over cohorts, called", 15.0),
            at_least("shuffled tables without a call", 1.0),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=1, minutes=5),
    ),
]
