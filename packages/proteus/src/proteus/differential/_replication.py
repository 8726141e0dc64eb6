"""Replication over cohorts: what changes the same way in most of them, and what all of them say together.

A feature replicates where r of its n cohorts show it in one direction, each by itself (partial conjunction, Benjamini &
Heller 2008): its p is n - r + 1 times the r-th smallest one-sided p (Bonferroni), the smaller of both directions, and
passes Benjamini-Hochberg. r is a majority of the cohorts that tested the feature, and two at least; with r = n that is
the largest p. The direction is not chosen before, and costs nothing: with r above n / 2, cohorts that carry one
direction are lost to the other. The pooled effect is that of random effects (DerSimonian & Laird 1986) with the
heterogeneity that goes into it (Cochran's Q, I2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._data import ProteomicsData
from proteus.data._design import compared
from proteus.differential._measures import Q
from proteus.differential._moderated_test import TestResult, moderated_test
from proteus.differential._profile import DEPTH, GAP, missing_gap
from proteus.statistics._error_control import benjamini_hochberg

_FEWEST = 2  # samples of each level that a cohort needs


@dataclass(frozen=True)
class Replication:
    """What cohorts say of a contrast.

    Attributes:
        table: a row for each feature: `gene`, `cohorts` (that tested it), `effect`, `ci_low`, `ci_high` and `p_pooled`
            of random effects, `tau2`, `i2`, `p_heterogeneity`, `same_sign`, `direction` (1, -1), `needed` (r),
            `agree` (cohorts with one-sided p <= 0.05 in that direction), `p` (of the partial conjunction), `q` (over
            features tested in two cohorts or more); of each cohort `effect_NAME`, `p_NAME`.
        cohorts: their names.
        notes: cohorts that could not be asked, and why.
    """

    table: pd.DataFrame
    cohorts: list[str]
    notes: list[str] = field(default_factory=list)

    def replicated(self, q: float = Q) -> pd.DataFrame:
        """Rows that replicate at `q`, smallest p first."""
        return self.table[self.table["q"] <= q].sort_values("p")


def replicate(
    data: ProteomicsData, design: str, contrast: str, cohort: str, *, needed: int | None = None, **options: Any
) -> Replication:
    """Test a contrast in each cohort by itself.

    Args:
        data: log2 table of all cohorts; a feature need not be in each.
        design: formula, without the cohort: it is constant inside one.
        contrast: see `make_contrast`.
        cohort: column of the sample table.
        needed: cohorts that must show a feature; None: a majority of those that tested it, two at least.
        options: of `moderated_test`.
    Raises:
        InputError: fewer than two cohorts can be asked (it says why not), or `needed` is no majority of them.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData, replicate
        >>> rng = np.random.default_rng(0)
        >>> sheet = pd.DataFrame({"group": ["a"] * 6 + ["b"] * 6, "site": ["n", "s"] * 6})
        >>> values = 20 + rng.standard_normal((30, 12))
        >>> values[0, :6] += 9
        >>> data = ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(30)]), sheet)
        >>> replicate(data, "~ group", "a-b", "site").replicated().index.tolist()
        ['P0']
    """
    names = data.factor(cohort)
    made: dict[str, TestResult] = {}
    notes: list[str] = []
    for name in sorted(names.dropna().astype(str).unique()):
        part = data.take(samples=(names.astype(str) == name).to_numpy())
        try:
            _refuse_few(part, contrast)
            seen = ~np.isnan(part.values).all(axis=1)
            made[name] = moderated_test(part.take(features=seen), without(design, cohort), contrast, **options)
        except InputError as error:
            notes.append(f"cohort {name} was not asked: {error}")
    if len(made) < 2:
        raise InputError(f"cohorts of {cohort!r}", got=f"{len(made)} that can be asked; {'; '.join(notes)[:400]}",
                         expected="two or more with both levels")  # fmt: skip
    if needed is not None and not len(made) / 2 < needed <= len(made):
        raise InputError("needed", got=needed, expected=f"a majority of {len(made)} cohorts")
    return Replication(_combined(data, made, needed), list(made), notes)


@dataclass(frozen=True)
class PredictedReplication:
    """What repeated splits of one cohort say of its hits.

    Attributes:
        table: a row for each hit: `gene`, `effect`, `q`, `replicates`: the share of halves that show it, one-sided p at
            most 0.05 with its sign.
        rate: share of what one half calls that the other half shows, over splits; NaN where halves call nothing.
        splits: number of splits.
        notes: what these figures are not.
    """

    table: pd.DataFrame
    rate: float
    splits: int
    notes: list[str]


def predict_replication(
    data: ProteomicsData, design: str, contrast: str, *, splits: int = 20, seed: int = 0, subject: str | None = None,
    **options: Any,
) -> PredictedReplication:  # fmt: skip
    """Split one cohort in halves, over and over, and ask in one half what the other calls.

    Each level of the contrast is halved, so that both halves have both. Halves have half the samples: in as many
    samples of this cohort as there are the whole would replicate more often. Another cohort differs in more than its
    samples, and would replicate less often.

    Args:
        data: log2 table of one cohort.
        design, contrast: as for `moderated_test`; a pair of levels.
        splits: number of random splits.
        seed: of the splits.
        subject: column of persons with several samples, which stay together.
        options: of `moderated_test`.
    Raises:
        InputError: a contrast that is no pair of levels, or fewer than four samples of one.

    Examples:
        >>> from proteus import predict_replication
        >>> from proteus import datasets, normalise
        >>> spiked = normalise(datasets.ups1_peptides())
        >>> found = predict_replication(spiked, "~ group", "fmol100-fmol25", splits=2, lfc=0.26)
        >>> bool(found.rate > 0.5)
        True
    """
    levels = {str(name): sorted(data.samples[name].dropna().astype(str).unique()) for name in data.samples}
    found = compared(contrast, levels)
    if found is None:
        raise InputError("contrast", got=repr(contrast), expected="two levels of one column")
    column = data.samples[found[0]].astype(str).to_numpy()
    for level in found[1:]:
        if (column == level).sum() < 2 * _FEWEST:
            raise InputError("contrast", got=f"{(column == level).sum()} samples of {level}", expected="4 or more")
    whole = moderated_test(data, design, contrast, **options).hits()
    persons = np.arange(len(column)) if subject is None else data.factor(subject).astype(str).to_numpy()
    where = pd.Series(column).groupby(persons).agg(lambda one: "|".join(sorted(set(one))))  # levels of each person
    rng = np.random.default_rng(seed)
    shown, asked, rates = np.zeros(len(whole)), np.zeros(len(whole)), []
    for _ in range(splits):
        chosen = [rng.permutation(part.index.to_numpy())[: len(part) // 2] for _, part in where.groupby(where)]
        half = np.isin(persons, np.concatenate(chosen))
        tables = []
        for one in (half, ~half):
            part = data.take(samples=one)
            part = part.take(features=~np.isnan(part.values).all(axis=1))
            tables.append(moderated_test(part, design, contrast, **options).table)
        for first, second in (tables, tables[::-1]):
            again = _one_sided(second.reindex(whole.index), np.sign(whole["t"].to_numpy()))
            shown += again <= Q
            asked += np.isfinite(again)
            called = first[first["q"] <= Q]
            again = _one_sided(second.reindex(called.index), np.sign(called["t"].to_numpy()))
            rates += [float(one <= Q) for one in again[np.isfinite(again)]]
    table = whole[["gene", "effect", "q"]].assign(replicates=np.where(asked > 0, shown / np.maximum(asked, 1), np.nan))
    notes = ["predicted from halves of this cohort: no other cohort was asked, and the highest grade stays B"]
    return PredictedReplication(table, float(np.mean(rates)) if rates else float("nan"), splits, notes)


def _one_sided(table: pd.DataFrame, sign: np.ndarray) -> np.ndarray:
    """p in the direction given."""
    p = table["p"].to_numpy(float)
    return np.where(np.sign(table["t"].to_numpy(float)) == sign, p / 2, 1 - p / 2)


def without(design: str, column: str) -> str:
    """A formula without a column: its terms and interactions go, the other part of `a * column` stays."""
    kept = []
    for term in (one.strip() for one in design.strip().removeprefix("~").split("+")):
        if "*" in term:
            kept.append(" * ".join(one.strip() for one in term.split("*") if one.strip() != column))
        elif column not in [one.strip() for one in term.split(":")]:
            kept.append(term)
    return "~ " + (" + ".join(filter(None, kept)) or "1")


def stack(tables: Sequence[tuple[str, ProteomicsData]], cohort: str = "cohort") -> ProteomicsData:
    """Several tables as one, each a cohort: features by gene where every table has genes, else by id.

    Args:
        tables: (name, table); names of samples get the cohort's in front where two tables share one.
        cohort: name of the column that is made.
    Raises:
        InputError: tables of different kinds, or with no feature in common.

    Examples:
        >>> import pandas as pd
        >>> from proteus import ProteomicsData, stack
        >>> one = ProteomicsData([[20.0]], pd.DataFrame(index=["P1"]), pd.DataFrame(index=["run1"]))
        >>> other = ProteomicsData([[21.0]], pd.DataFrame(index=["P1"]), pd.DataFrame(index=["run2"]))
        >>> stack([("north", one), ("south", other)]).samples["cohort"].tolist()
        ['north', 'south']
    """
    kinds = {(one.level, one.scale) for _, one in tables}
    if len(kinds) > 1:
        got = ", ".join(sorted(f"{level} on {scale}" for level, scale in kinds))
        raise InputError("tables", got=got, expected="one kind and one scale")
    genes = all("gene" in one.features for _, one in tables)
    keyed = [_keyed(one, genes=genes) for _, one in tables]
    common = set.intersection(*(set(one.features.index) for one in keyed))
    if not common:
        raise InputError("tables", got="no feature in common", expected="the same identifiers")
    twice = pd.Index([name for one in keyed for name in one.samples.index]).duplicated().any()
    index = pd.Index(list(dict.fromkeys(name for one in keyed for name in one.features.index)), name="id")
    values, sheets = [], []
    for (name, _), one in zip(tables, keyed, strict=True):
        place = one.features.index.get_indexer(index)
        values.append(np.where((place >= 0)[:, None], one.values[place], np.nan))
        labels = [f"{name}:{sample}" if twice else str(sample) for sample in one.samples.index]
        sheets.append(one.samples.set_axis(labels).assign(**{cohort: name}))
    features = pd.concat([one.features for one in keyed])
    features = features[~features.index.duplicated()].loc[index]
    first = keyed[0]
    notes = [f"{name}: {note}" for name, one in tables for note in one.notes]
    notes.append(f"{len(tables)} cohorts, {len(common)} of {len(index)} features in each")
    return ProteomicsData(np.concatenate(values, 1), features, pd.concat(sheets), first.level, first.scale, "cohorts",
                          notes)  # fmt: skip


def _keyed(data: ProteomicsData, *, genes: bool) -> ProteomicsData:
    """Indexed by gene: of features of one gene the one with most values."""
    if not genes:
        return data
    names = data.genes.astype(str).to_numpy()
    order = np.argsort(np.isnan(data.values).sum(1), kind="stable")
    _, first = np.unique(names[order], return_index=True)
    kept = np.sort(order[first])
    taken = data.take(features=kept)
    return ProteomicsData(taken.values.copy(), taken.features.set_axis(pd.Index(names[kept], name="id")), taken.samples,
                          data.level, data.scale, data.source, data.notes)  # fmt: skip


def _refuse_few(part: ProteomicsData, contrast: str) -> None:
    levels = {str(name): sorted(part.samples[name].dropna().astype(str).unique()) for name in part.samples}
    found = compared(contrast, levels)
    if found is None:
        raise InputError("contrast", got=f"{contrast!r}, of which a level is missing here", expected="both levels")
    counts = part.samples[found[0]].astype(str).value_counts()
    few = [level for level in found[1:] if counts.get(level, 0) < _FEWEST]
    if few:
        raise InputError("contrast", got=f"{counts.get(few[0], 0)} samples of {few[0]}", expected=f"{_FEWEST} or more")
    gap, said = missing_gap(part, found[0], found[1:])
    if gap >= GAP:
        raise InputError("missing values", got=said, expected="shares less than 0.1 apart", hint=DEPTH)


def _combined(data: ProteomicsData, made: dict[str, TestResult], needed: int | None) -> pd.DataFrame:
    index = data.features.index
    frames = [one.table.reindex(index) for one in made.values()]
    effect = np.stack([one["effect"].to_numpy(float) for one in frames], 1)  # (P, K)
    t = np.stack([one["t"].to_numpy(float) for one in frames], 1)
    p = np.stack([one["p"].to_numpy(float) for one in frames], 1)
    alone = np.stack([one["only_in"].fillna(0).to_numpy(float) for one in frames], 1)
    sign = np.where(np.isfinite(effect), np.sign(effect), alone)
    tested = np.isfinite(p)
    count = tested.sum(1)
    same = (np.abs(np.where(tested, sign, 0).sum(1)) == count) & (count >= 2)
    r = np.maximum(count // 2 + 1, 2) if needed is None else np.full(len(count), needed)
    up, down = (partial_conjunction(np.where(sign == way, p / 2, 1 - p / 2), r) for way in (1, -1))
    direction = np.where(up <= down, 1, -1)
    conjunction = np.where(count >= 2, np.where(up <= down, up, down), np.nan)
    agree = (tested & (sign == direction[:, None]) & (p / 2 <= Q)).sum(1)
    pooled, error, tau2, i2, heterogeneity = random_effects(effect, np.abs(effect / t))
    table = pd.DataFrame({
        "gene": data.genes, "cohorts": count, "effect": pooled, "ci_low": pooled - 1.96 * error,
        "ci_high": pooled + 1.96 * error, "p_pooled": 2 * stats.norm.sf(np.abs(pooled / error)), "tau2": tau2, "i2": i2,
        "p_heterogeneity": heterogeneity, "same_sign": same, "direction": direction, "needed": r, "agree": agree,
        "p": conjunction, "q": benjamini_hochberg(conjunction),
    }, index=index)  # fmt: skip
    for place, name in enumerate(made):
        table[f"effect_{name}"], table[f"p_{name}"] = effect[:, place], p[:, place]
    return table


def partial_conjunction(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """p-value of "at least r of n cohorts show it", by Bonferroni: n - r + 1 times the r-th smallest p.

    Args:
        p: (P, K) one-sided p-values, NaN where a cohort did not test a feature.
        r: (P,) cohorts that must show it.
    Returns: (P,) p-values, 1 where fewer than r cohorts tested the feature.
    """
    count = np.isfinite(p).sum(1)
    ordered = np.sort(np.where(np.isfinite(p), p, np.inf), axis=1)
    chosen = ordered[np.arange(len(p)), np.minimum(r, p.shape[1]) - 1]
    return np.where(count >= r, np.minimum((count - r + 1) * np.where(np.isfinite(chosen), chosen, 1.0), 1.0), 1.0)


def random_effects(effect: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, ...]:
    """DerSimonian and Laird's estimate over cohorts, row by row.

    Args:
        effect, error: (P, K), NaN where a cohort has none.
    Returns:
        (P,) each: pooled effect, its error, tau2, I2, p of Cochran's Q; NaN where no cohort has an effect.
    """
    known = np.isfinite(effect) & np.isfinite(error) & (error > 0)
    weight = np.where(known, 1 / np.where(known, error, 1) ** 2, 0.0)
    value = np.where(known, effect, 0.0)
    with np.errstate(all="ignore"):
        total = weight.sum(1)
        fixed = (weight * value).sum(1) / total
        q = (weight * (value - fixed[:, None]) ** 2).sum(1)
        df = known.sum(1) - 1
        tau2 = np.maximum(0.0, (q - df) / (total - (weight**2).sum(1) / total))
        tau2 = np.where(df > 0, tau2, 0.0)
        random = np.where(known, 1 / (1 / weight + tau2[:, None]), 0.0)
        pooled = (random * value).sum(1) / random.sum(1)
        error = 1 / np.sqrt(random.sum(1))
        i2 = np.where((q > 0) & (df > 0), np.maximum(0.0, (q - df) / q), 0.0)
        heterogeneity = np.where(df > 0, stats.chi2.sf(q, np.maximum(df, 1)), np.nan)
    return pooled, error, tau2, i2, heterogeneity
