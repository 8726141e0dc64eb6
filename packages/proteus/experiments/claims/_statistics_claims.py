"""What we say of the statistics, as experiments: parity with limma, spike-ins of known truth, permutations."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from ninefold_lab import Budget, Claim, Scores, Verdict, all_of, at_least, at_most
from proteus import datasets, roll_up
from proteus.data._data import ProteomicsData
from proteus.data._design import make_contrast, make_design
from proteus.datasets import SpikeIn
from proteus.differential._moderated_test import moderated_test
from proteus.differential._normalise import normalise
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t
from proteus_experiments import published
from proteus_experiments.baselines import BASELINES, Deqms, PlainModerated, Welch
from proteus_experiments.baselines._peptides import RobustSummary
from proteus_experiments.benchmarks import _r

_Q = 0.05
_BAR = float(np.log2(1.2))
_MODERATED = (PlainModerated.name, Deqms.name, RobustSummary.name)  # rivals that have a prior of variances


def _outcomes(spike: SpikeIn, data: ProteomicsData, seed: int) -> dict[str, np.ndarray]:
    """q-values of the default test, and of every rival on the same table at the same fold bar."""
    group = data.samples["group"].to_numpy()
    first, second = (group == level for level in spike.contrast.split("-"))
    counts = data.features["n_peptides"].to_numpy(float) if "n_peptides" in data.features else None
    result = moderated_test(data, spike.design, spike.contrast)
    found = {
        name: one(lfc=result.lfc).test(data.values, first, second, seed=seed, n_peptides=counts).q
        for name, one in BASELINES.items()
    }
    return {"proteus": result.table["q"].to_numpy(), **found}


def _hits(q: np.ndarray) -> np.ndarray:
    return np.nan_to_num(q, nan=1.0) <= _Q


def false_share(q: np.ndarray, truth: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """For each hit 1.0 if it is false; one 0.0 where nothing is hit."""
    hit = _hits(q) & (True if rows is None else rows)
    return (truth[hit] == 0).astype(float) if hit.any() else np.zeros(1)


def _parity(budget: Budget, seed: int) -> Scores:
    """Largest relative difference from limma (log10) over real tables, random designs, weights and fold bars."""
    del budget
    rng = np.random.default_rng(seed)
    cases = []
    ubi, csf = normalise(published.ubi_length()), normalise(published.csf())
    for data, formula, contrast in ((ubi, "~ 0 + condition", "Ubi6-Ctrl"), (csf, "~ 0 + group", "AD-control")):
        made = make_design(data.samples, formula)
        vector = make_contrast(made, contrast)
        values = data.values[:, made.kept]
        enough = (~np.isnan(values)).sum(1) > made.matrix.shape[1]
        # limma takes an overall covariance for contrasts of unbalanced missing designs; group means are exact in both
        cases.append((values[enough], made.matrix, vector, None))
    for share in (0.0, 0.2):
        design = np.concatenate([np.ones((14, 1)), rng.standard_normal((14, 3))], axis=1)
        values = rng.standard_normal((500, 14)) * np.sqrt(5 / rng.chisquare(5, (500, 1))) + rng.uniform(
            18, 30, (500, 1)
        )
        values[rng.random(values.shape) < share] = np.nan
        values = values[(~np.isnan(values)).sum(1) > 5]
        weights = (None, rng.uniform(0.3, 3.0, 14), rng.uniform(0.3, 3.0, values.shape))
        cases += [(values, design, np.array([0.0, 1.0, 0.0, 0.0]), one) for one in weights]
    worst = {"exact arms": 1e-16, "trend or robust with missing values": 1e-16}
    for (values, design, vector, weights), lfc in itertools.product(cases, (0.0, _BAR)):
        missing = bool(np.isnan(values).any())
        fit = fit_linear_model(values, design, weights=weights)
        estimators = (False, True) if weights is None and lfc == 0 else (False,)  # by likelihood, and by moments
        for trend, robust, legacy in itertools.product((False, True), (False, True), estimators):
            prior = fit_prior(fit, trend=trend, robust=robust, prior="moment" if legacy else "auto")
            ours = moderated_t(fit, vector, prior, lfc=lfc)
            theirs = _r.limma(
                values, design, vector, trend=trend, robust=robust, legacy=legacy, weights=weights, lfc=lfc
            )
            arm = "trend or robust with missing values" if missing and (trend or robust) else "exact arms"
            pairs = ((ours.t, theirs["t"]), (ours.p, theirs["p"]), (prior.d0, theirs["d0"]))
            pairs += ((np.sqrt(prior.s0_squared), np.sqrt(theirs["s0_squared"])),)
            for a, b in pairs:
                known = np.isfinite(a) & np.isfinite(b) & (np.abs(b) > 1e-290)
                worst[arm] = max(worst[arm], float(np.max(np.abs(a[known] / b[known] - 1), initial=0.0)))
    return {name: float(np.log10(value)) for name, value in worst.items()}


def _hye124(budget: Budget, seed: int) -> Scores:
    del budget
    spike = published.hye124()
    data = normalise(spike.data)
    q = _outcomes(spike, data, seed)
    group = data.samples["group"].to_numpy()
    precursors = published.hye124_precursors()
    peptides = normalise(precursors)
    codes, _ = pd.factorize(peptides.features["protein"])  # in the order of the proteins
    bar = moderated_test(data, spike.design, spike.contrast).lfc
    q["proteus, median polish"] = q["proteus"]
    made = moderated_test(normalise(roll_up(precursors)), spike.design, spike.contrast).table["q"]
    q["proteus"] = made.reindex(data.features.index).to_numpy()
    q[RobustSummary.name] = RobustSummary(lfc=bar).test(peptides.values, codes, group == "A", group == "B").q
    seen = ~np.isnan(data.values)
    rows = (seen[:, group == "A"].sum(1) >= 2) & (seen[:, group == "B"].sum(1) >= 2)
    scores: dict[str, np.ndarray] = {}
    for species, mask in spike.truth_groups.items():
        for name, values in q.items():
            scores[f"{name} {species}"] = _hits(values)[mask & rows].astype(float)
        for share, name in ((1.2, Welch.name), *((0.95, one) for one in _MODERATED)):
            scores[f"{share} x {name} {species}"] = share * scores[f"{name} {species}"]
    for name, values in q.items():
        scores[f"{name} FDP"] = false_share(values, spike.truth, rows)
    return scores


def _ups_yeast(budget: Budget, seed: int) -> Scores:
    del budget
    found: dict[str, list[np.ndarray]] = {}
    false: dict[str, list[np.ndarray]] = {}
    for comparison in published.UPS1_YEAST:
        spike = published.ups1_yeast(comparison)
        for name, q in _outcomes(spike, normalise(spike.data), seed).items():
            found.setdefault(name, []).append(_hits(q)[spike.truth != 0].astype(float))
            false.setdefault(name, []).append(false_share(q, spike.truth))
    scores: dict[str, np.ndarray] = {f"{name} TPR": np.concatenate(parts) for name, parts in found.items()}
    for name, parts in false.items():
        for comparison, part in zip(published.UPS1_YEAST, parts, strict=True):
            scores[f"{name} FDP {comparison}"] = part
    return scores


def _chlamydomonas(budget: Budget, seed: int) -> Scores:
    """Without a bar and with it; each rival with it."""
    del budget
    spike = datasets.ups1_spike_in(100, 25)
    data = normalise(spike.data)
    scores: dict[str, np.ndarray] = {}
    for name, lfc in (("no bar", 0.0), ("1.2-fold", _BAR)):
        q = moderated_test(data, spike.design, spike.contrast, lfc=lfc).table["q"].to_numpy()
        scores[f"{name} TPR"] = _hits(q)[spike.truth != 0].astype(float)
        scores[f"{name} FDP"] = false_share(q, spike.truth)
    first, second = (data.samples["group"].to_numpy() == level for level in spike.contrast.split("-"))
    for name, rival in BASELINES.items():
        q = rival(lfc=_BAR).test(data.values, first, second, seed=seed, n_peptides=None).q
        scores[f"{name} 1.2-fold TPR"] = _hits(q)[spike.truth != 0].astype(float)
        scores[f"{name} 1.2-fold FDP"] = false_share(q, spike.truth)
    return scores


def _permutations(budget: Budget, seed: int) -> Scores:
    """Hits of CSF, and what share of them labels permuted within sites give at the same p."""
    draws = 20 if budget.minutes < _LONG else 500
    csf = normalise(published.csf())
    csf = csf.take(samples=csf.samples["site"].notna().to_numpy())

    def p_and_q(sheet: pd.DataFrame) -> pd.DataFrame:
        table = ProteomicsData(csf.values, csf.features, sheet)
        return moderated_test(table, "~ site + group", "AD-control").table[["p", "q"]]

    found = p_and_q(csf.samples)
    hits = found[found["q"] <= _Q]
    rng = np.random.default_rng(seed)
    false, loud = np.zeros(draws), np.zeros(draws)
    for turn in range(draws):
        sheet = csf.samples.copy()
        sheet["group"] = sheet.groupby("site")["group"].transform(lambda one: rng.permutation(one.to_numpy()))
        drawn = p_and_q(sheet)
        false[turn] = float((drawn["p"] <= hits["p"].max()).sum()) / len(hits)
        loud[turn] = float((drawn["q"] <= _Q).any())
    return {"hits": np.array([float(len(hits))]), "permutation FDR": false, "permuted tables with a hit": loud}


_LONG = 5  # minutes from which permutations are many
_SPECIES = ("yeast", "E. coli")


def _claim(
    name: str, says: str, source: str, run: Callable[[Budget, int], Scores], *bars: Verdict, seeds: int = 1,
    minutes: float = 2,
) -> Claim:  # fmt: skip
    """A claim whose bars all have to be passed; minutes are those of a seed."""
    return Claim(id=f"proteus/{name}", says=says, source=source, run=run, verdict=all_of(*bars),
                 quick=Budget(seeds=1, minutes=2), full=Budget(seeds=seeds, minutes=minutes))  # fmt: skip


STATISTICS_CLAIMS = [
    _claim(
        "equals-limma",
        "t, p, d0 and s0 equal limma's to 1e-6 relative (1e-3 for trend or robust with missing values), also with "
        "weights and TREAT",
        "limma >= 3.62 run beside it; Smyth 2004, Phipson 2016", _parity,
        at_most("exact arms", -6.0), at_most("trend or robust with missing values", -3.0), seeds=3,
    ),
    _claim(
        "hye124-finds-more-than-welch",
        "on HYE124 the default finds 1.2 times what Welch finds at the same fold bar, and more than Student and "
        "impute + t at it, at FDP <= 0.02",
        "LFQbench, Navarro 2016, PXD002952", _hye124,
        *(at_least(f"proteus {species}", f"{rival} {species}") for species in _SPECIES
          for rival in ("1.2 x Welch", "Student", "impute + t")),
        at_most("proteus FDP", 0.02),
    ),
    _claim(
        "hye124-keeps-up-with-moderated-rivals",
        "on HYE124 the default finds at least 0.95 of what TREAT, DEqMS and TREAT on robust summaries of peptides "
        "find at the same fold bar",
        "LFQbench, Navarro 2016, PXD002952; McCarthy 2009, Zhu 2020, Sticker 2020", _hye124,
        *(at_least(f"proteus {species}", f"0.95 x {rival} {species}") for species in _SPECIES for rival in _MODERATED),
    ),
    _claim(
        "ups-yeast-beats-usable-rivals",
        "over three ratios the default finds more UPS proteins than each rival at the same fold bar, at FDP <= "
        "0.15 on each",
        "Ramus 2016, PXD001819", _ups_yeast,
        *(at_least("proteus TPR", f"{name} TPR") for name in BASELINES),
        *(at_most(f"proteus FDP {one}", 0.15) for one in published.UPS1_YEAST),
    ),
    _claim(
        "fold-bar-cleans-chlamydomonas",
        "without a fold bar, 100 v 25 fmol has FDP >= 0.6; a bar of 1.2-fold brings it to <= 0.20 at TPR >= 0.9",
        "UPS1 in Chlamydomonas, Berg (baldur)", _chlamydomonas,
        at_least("no bar FDP", 0.6), at_most("1.2-fold FDP", 0.20), at_least("1.2-fold TPR", 0.9),
    ),
    _claim(
        "csf-hits-hold-under-permutation",
        "CSF has 300 hits or more at a permutation FDR <= 0.06 (500 permutations within sites), permuted tables "
        "have any in <= 9 of 100",
        "Bader 2020; ours", _permutations,
        at_least("hits", 300.0), at_most("permutation FDR", 0.06), at_most("permuted tables with a hit", 0.09),
        minutes=_LONG,
    ),
]  # fmt: skip
