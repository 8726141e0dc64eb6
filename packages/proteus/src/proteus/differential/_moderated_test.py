"""The default test of a contrast: moderated t, trended and robust prior, fold bar by rule, missing values in the
likelihood."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.data._design import Design, compared, make_contrast, make_design
from proteus.differential._missing import Groups, Kind, MissingModel, curve_of, with_missing
from proteus.differential._precision import weighted_levels
from proteus.statistics._blocks import consensus_correlation
from proteus.statistics._censored import SeenCurve
from proteus.statistics._ebayes import Estimator
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import LinearFit, fit_linear_model
from proteus.statistics._moderated_t import ModeratedT, fit_prior, moderated_t, z_of
from proteus.statistics._spread import spread_weights

TECHNICAL, TIGHT = 0.1, 0.25  # median residual sd (log2) under which replicates are technical, or tightly controlled
_INTENSE = 5.0  # log2; ratios lie around zero, and their mean may well be tested against it


@dataclass(frozen=True)
class TestResult:
    """Outcome of one contrast.

    Attributes:
        table: one row a feature: gene, effect, ci_low, ci_high, t, p, q, n, mean, sigma, only_in (1 where the first
            group alone has it, -1 the second: effect and interval are NaN there), exact_p (of the counts, for these),
            modelled (how many missing values enter the test through the curve).
        contrast, design: as asked.
        lfc: the log2 fold bar that was used.
        d0: prior degrees of freedom.
        residual_sd: median residual standard deviation (log2).
        curve: P(seen | level) that missing values were taken by; slope 0 where they say nothing.
        z: (P,) z-values of the test of zero effect.
        fit, made, tested: the linear fit to the seen values, its design, and the statistic's parts, for enrichment.
        notes: decisions, in words.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> result = proteus.moderated_test(data, "~ group", "AD-control")
        >>> result.contrast, list(result.hits().index)
        ('AD-control', ['P0'])
    """

    __test__ = False  # not a test class, whatever its name

    table: pd.DataFrame
    contrast: str
    design: str
    lfc: float
    d0: float
    residual_sd: float
    curve: SeenCurve
    z: np.ndarray
    fit: LinearFit
    made: Design
    tested: ModeratedT
    notes: list[str] = field(default_factory=list)

    def hits(self, q: float = 0.05) -> pd.DataFrame:
        """Rows with an adjusted p at most q, smallest p first."""
        return self.table[self.table["q"] <= q].sort_values("p")


def auto_lfc(residual_sd: float) -> tuple[float, str]:
    """(log2 fold bar, reason): technical replicates 1.5-fold, tight ones 1.2-fold, a cohort none."""
    if residual_sd < TECHNICAL:
        return float(np.log2(1.5)), (
            f"median residual sd {residual_sd:.3f} < {TECHNICAL}: technical replicates, so p-values say nothing of "
            "biological variation; tested against 1.5-fold"
        )
    if residual_sd < TIGHT:
        return float(np.log2(1.2)), f"median residual sd {residual_sd:.3f} < {TIGHT}: tested against 1.2-fold"
    return 0.0, f"median residual sd {residual_sd:.3f}: no fold bar"


def contrast_groups(design: Design, contrast: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Samples of the two levels of a plain `A-B`, (N,) bool each over the kept samples; None for other contrasts."""
    found = compared(contrast, design.levels)
    if found is None:
        return None
    name, *levels = found
    first, second = (_level_mask(design, name, level) for level in levels)
    return first, second


def contrast_labels(kept: ProteomicsData, design: Design, contrast: str) -> np.ndarray | None:
    """(N,) levels of the factor that a plain `A-B` compares, over the kept samples; None for other contrasts."""
    found = compared(contrast, design.levels)
    return None if found is None else kept.factor(found[0]).astype(str).to_numpy()


def _times(weights: np.ndarray) -> str:
    return f"{np.sqrt(weights.max() / weights.min()):.2f}-fold in standard deviation"


def _level_mask(design: Design, name: str, level: str) -> np.ndarray:
    levels = design.levels[name]
    columns = {one: design.names.index(f"{name}{one}") for one in levels if f"{name}{one}" in design.names}
    if level in columns:
        return design.matrix[:, columns[level]] == 1
    return (design.matrix[:, list(columns.values())] == 0).all(axis=1)


def moderated_test(
    data: ProteomicsData,
    design: str,
    contrast: str,
    *,
    lfc: float | Literal["auto"] = "auto",
    trend: bool = True,
    robust: bool = True,
    prior: Estimator = "auto",
    block: str | None = None,
    weights: np.ndarray | None = None,
    spread: Literal["equal", "groups"] = "equal",
    missing: MissingModel | Kind = "modelled",
) -> TestResult:
    """Test a contrast for each feature of a log2 table.

    Args:
        data: log2 (or score) values.
        design: formula over the sample table, `~ site + group`.
        contrast: `AD-control`; see `make_contrast`.
        lfc: log2 fold bar (TREAT), 0 or more; `auto`: by the median residual sd, see `auto_lfc`.
        trend: prior variance follows abundance.
        robust: protect the prior from outlying variances.
        prior: estimator of the prior degrees of freedom.
        block: column of the sample table whose levels share a subject (consensus correlation).
        weights: (N,) or (P, N) weights over all samples of `data`.
        spread: `groups` weighs samples by how far their level of the contrast's factor scatters over all proteins.
        missing: what missing values say, see `MissingModel`; `modelled`, the default, concerns intensities alone: of
            ratios and scores nothing says that low ones are missed.
    Returns:
        The table and how it came about. A table that `roll_up` made by the peptide model is weighed by its errors
        unless `weights` are given, and `missing` does not concern it.
    Raises:
        InputError: by name, on designs, contrasts and data that cannot be tested.

    Examples:
        >>> from proteus import moderated_test
        >>> from proteus import datasets, normalise
        >>> result = moderated_test(normalise(datasets.ups1_peptides()), "~ group", "fmol100-fmol25")
        >>> bool(result.table.loc[result.hits().index[:20], "effect"].min() > 0)
        True
    """
    if lfc != "auto" and not (isinstance(lfc, (int, float, np.number)) and 0 <= lfc < np.inf):
        raise InputError("lfc", got=repr(lfc), expected="`auto` or a log2 fold bar, a number from 0")
    model = missing if isinstance(missing, MissingModel) else MissingModel(kind=missing)
    made = blocked_design(data.samples, design, block)
    kept = data.take(samples=made.kept)
    if weights is not None and not made.kept.all():
        weights = weights[..., made.kept]
    _refuse_untestable(kept)
    notes = list(made.notes)
    vector = make_contrast(made, contrast)
    _refuse_level(kept.values, made, vector, contrast)
    values, pair, plain_sigma = kept.values, contrast_groups(made, contrast), None
    if kept.precision is not None and weights is None:
        values, weights, plain_sigma = weighted_levels(kept, made.matrix, pair)
        model = replace(model, kind="seen")
        notes.append(
            "values are weighed by the errors of the peptide model, which has a curve of P(seen | level) for each run"
        )
    if spread == "groups":
        labels = contrast_labels(kept, made, contrast)
        if labels is None:
            raise InputError("spread", got="groups", expected="equal, as the contrast is no pair of levels")
        each = spread_weights(values, made.matrix, labels)
        weights = each if weights is None else weights * each
        notes.append(f"samples are weighed by the spread of their group, which differs {_times(each)}")
    fit, correlation = fit_design(values, made, kept, block, weights)
    if correlation is not None:
        notes.append(f"consensus correlation within {block}: {correlation:.3f}")
    shrunk = fit_prior(fit, trend=trend, robust=robust, prior=prior)
    sigma = fit.sigma if plain_sigma is None else plain_sigma
    residual_sd = float(np.nanmedian(sigma))
    if lfc == "auto":
        lfc, why = auto_lfc(residual_sd)
        notes.append(why)
    groups = None if pair is None else Groups.of(values, *pair)
    if kept.scale != "log2" and model.kind == "modelled":
        model = replace(model, kind="seen")
    curve = curve_of(values, made.matrix, groups, model)
    shares = None if block is None else _shares(kept.factor(block).astype(str).to_numpy(), made.matrix)

    def test(bar: float) -> tuple[ModeratedT, np.ndarray]:
        plain = moderated_t(fit, vector, shrunk, lfc=bar)
        return with_missing(plain, fit, vector, values, groups, model, curve, shares=shares, weights=weights)

    plain, entering = test(0.0)
    tested = plain if lfc == 0 else test(lfc)[0]
    only = np.zeros(len(values), int) if groups is None else groups.only
    exact = np.where(only != 0, groups.exact_p, np.nan) if groups is not None else np.full(len(values), np.nan)
    if entering.any():
        notes.append(_said(model, curve, entering, only))
    low, high = tested.interval()
    table = pd.DataFrame(
        {
            "gene": kept.genes,
            "effect": tested.effect,
            "ci_low": low,
            "ci_high": high,
            "t": tested.t,
            "p": tested.p,
            "q": benjamini_hochberg(tested.p),
            "n": (~np.isnan(kept.values)).sum(1),
            "mean": fit.mean,
            "sigma": sigma,
            "only_in": only,
            "exact_p": exact,
            "modelled": entering,
        },
        index=kept.features.index,
    )
    z = z_of(plain.t, plain.df)
    return TestResult(
        table, contrast, design, float(lfc), shrunk.d0_bulk, residual_sd, curve, z, fit, made, tested, notes
    )


def _shares(subject: np.ndarray, design: np.ndarray) -> np.ndarray:
    """(N,) what a missing value counts for: the runs of one subject under one condition count once together."""
    _, condition = np.unique(design, axis=0, return_inverse=True)
    _, code, size = np.unique(
        np.char.add(np.char.add(subject.astype(str), "|"), condition.ravel().astype(str)), return_inverse=True,
        return_counts=True,
    )  # fmt: skip
    return 1.0 / size[code.ravel()]


def _said(model: MissingModel, curve: SeenCurve, entering: np.ndarray, only: np.ndarray) -> str:
    rows, alone = int((entering > 0).sum()), int(((entering > 0) & (only != 0)).sum())
    how = f"at each run's {model.floor:.1%} quantile"
    if model.kind == "modelled":
        how = f"by one curve for the table, half of the values being seen at log2 {curve.middle:.1f}"
    return (
        f"missing values of {rows} features enter the test {how}; {alone} of these are in one group only and carry no "
        "fold change"
    )


def blocked_design(samples: pd.DataFrame, formula: str, block: str | None) -> Design:
    """`make_design` without the samples that have no value in `block`: as one level, strangers would be kin."""
    if block is None or block not in samples or samples[block].notna().all():
        return make_design(samples, formula)
    known = samples[block].notna().to_numpy()
    made = make_design(samples[known], formula)
    missing = ", ".join(map(str, samples.index[~known][:5]))
    kept = known.copy()
    kept[known] = made.kept
    note = f"{(~known).sum()} samples have no {block} and are left out: {missing}"
    return replace(made, kept=kept, notes=[note, *made.notes])


def fit_design(
    values: np.ndarray, made: Design, kept: ProteomicsData, block: str | None, weights: np.ndarray | None
) -> tuple[LinearFit, float | None]:
    """(fit, consensus correlation within `block`, None without one) of the kept samples."""
    if block is None:
        return fit_linear_model(values, made.matrix, weights=weights), None
    labels = kept.factor(block).astype(str).to_numpy()
    rho = consensus_correlation(values, made.matrix, labels)
    return fit_linear_model(values, made.matrix, weights=weights, block=labels, correlation=rho), rho


def _refuse_level(values: np.ndarray, made: Design, vector: np.ndarray, contrast: str) -> None:
    """`AD` for `AD-control` would test intensities against zero, and call every feature."""
    ones = np.ones(len(made.matrix))
    constant = np.linalg.lstsq(made.matrix, ones, rcond=None)[0]
    difference = abs(float(vector @ constant)) < 1e-8 or not np.allclose(made.matrix @ constant, ones)
    if not difference and abs(float(np.nanmedian(values))) > _INTENSE:
        raise InputError("contrast", got=f"{contrast!r}, a level itself", expected="a difference, e.g. 'AD-control'")


def _refuse_untestable(data: ProteomicsData) -> None:
    if data.shape[0] == 0:
        raise InputError("table", got="no feature", expected="at least one row")
    if data.scale not in ("log2", "score", "log10"):
        raise InputError("table", got=f"the {data.scale} scale", expected="log2 intensities")
    if np.isnan(data.values).all():
        raise InputError("table", got="only missing values", expected="intensities")
