"""The default test of a group contrast: moderated t with trend and robust prior, fold bar by rule, on/off proteins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.data._design import Design, compared, make_contrast, make_design
from proteus.differential._normalise import normalise
from proteus.statistics._blocks import consensus_correlation
from proteus.statistics._ebayes import Estimator
from proteus.statistics._empirical_null import EmpiricalNull, empirical_null, z_of
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._laws import t_sf
from proteus.statistics._linear_model import LinearFit, fit_linear_model
from proteus.statistics._moderated_t import ModeratedT, fit_prior, moderated_t
from proteus.statistics._on_off import missing_falls_with_intensity, on_off

TECHNICAL, TIGHT = 0.1, 0.25  # median residual sd (log2) under which replicates are technical, or tightly controlled
_FALLS = -0.2
_INTENSE = 5.0  # log2; ratios lie around zero, and their mean may well be tested against it


@dataclass(frozen=True)
class TestResult:
    """Outcome of one contrast.

    Attributes:
        table: one row a feature: gene, effect, ci_low, ci_high, t, p, q, n, mean, sigma, on_off (1 where only the first
            group has it, -1 the second: effect, interval and t are NaN there, p is that of filled values).
        contrast, design: as asked.
        lfc: the log2 fold bar that was used.
        d0: prior degrees of freedom.
        residual_sd: median residual standard deviation (log2).
        null: the empirical null that was applied, or None.
        z: (P,) z-values of the test of zero effect, before any empirical null.
        fit, made, tested: the linear fit, its design, and the statistic's parts, for enrichment.
        notes: decisions, in words.
    """

    __test__ = False  # not a test class, whatever its name

    table: pd.DataFrame
    contrast: str
    design: str
    lfc: float
    d0: float
    residual_sd: float
    null: EmpiricalNull | None
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
    fill_on_off: bool | Literal["auto"] = "auto",
    refine: bool = False,
    seed: int = 0,
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
        fill_on_off: fill proteins that only one group has; `auto`: if missingness falls with intensity.
        refine: renormalise on the stable set and apply the empirical null.
        seed: of the fills.
    Returns:
        The table and how it came about.
    Raises:
        InputError: by name, on designs, contrasts and data that cannot be tested.
    """
    if lfc != "auto" and not (isinstance(lfc, (int, float, np.number)) and 0 <= lfc < np.inf):
        raise InputError("lfc", got=repr(lfc), expected="`auto` or a log2 fold bar, a number from 0")
    made = blocked_design(data.samples, design, block)
    kept = data.take(samples=made.kept)
    if weights is not None and not made.kept.all():
        weights = weights[..., made.kept]
    _refuse_untestable(kept)
    notes = list(made.notes)
    vector = make_contrast(made, contrast)
    _refuse_level(kept.values, made, vector, contrast)
    values, flag = kept.values, np.zeros(len(kept.values), int)
    groups = contrast_groups(made, contrast)
    falls = missing_falls_with_intensity(values)
    if groups is not None and (fill_on_off is True or (fill_on_off == "auto" and falls < _FALLS)):
        values, flag = on_off(values, *groups, np.random.default_rng(seed))
        if flag.any():
            notes.append(
                f"{int((flag != 0).sum())} proteins are in one group only: filled at the detection limit to be tested, "
                f"they carry no fold change (missingness falls with intensity: correlation {falls:.2f})"
            )
    fit, correlation = fit_design(values, made, kept, block, weights)
    if correlation is not None:
        notes.append(f"consensus correlation within {block}: {correlation:.3f}")
    shrunk = fit_prior(fit, trend=trend, robust=robust, prior=prior)
    plain = moderated_t(fit, vector, shrunk)
    z = z_of(plain.t, plain.df)
    null = None
    if refine:
        values, fit, plain, null, said = _refine(
            values, kept, made, vector, plain, z, block, weights, trend, robust, prior
        )
        notes += said
        shrunk = plain.prior
    residual_sd = float(np.nanmedian(fit.sigma))
    if lfc == "auto":
        lfc, why = auto_lfc(residual_sd)
        notes.append(why)
    tested = plain if lfc == 0 else moderated_t(fit, vector, shrunk, lfc=lfc)
    if null is not None:
        tested = _widen(tested, null)
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
            "sigma": fit.sigma,
            "on_off": flag,
        },
        index=kept.features.index,
    )
    table.loc[flag != 0, ["effect", "ci_low", "ci_high", "t"]] = np.nan  # they would be those of the fills
    return TestResult(
        table, contrast, design, float(lfc), shrunk.d0_bulk, residual_sd, null, z, fit, made, tested, notes
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


def _refine(
    values: np.ndarray,
    kept: ProteomicsData,
    made: Design,
    vector: np.ndarray,
    plain: ModeratedT,
    z: np.ndarray,
    block: str | None,
    weights: np.ndarray | None,
    trend: bool,
    robust: bool,
    prior: Estimator,
) -> tuple[np.ndarray, LinearFit, ModeratedT, EmpiricalNull, list[str]]:
    """Median-normalise on features near the centre of z, refit, and fit the empirical null to what comes out."""
    first = empirical_null(z)
    stable = np.abs(z - first.centre) < first.width
    values = normalise(kept.with_values(values), "median", stable=stable).values
    fit, _ = fit_design(values, made, kept, block, weights)
    shrunk = fit_prior(fit, trend=trend, robust=robust, prior=prior)
    plain = moderated_t(fit, vector, shrunk)
    null = empirical_null(z_of(plain.t, plain.df))
    said = [
        f"renormalised on {int(stable.sum())} stable features",
        f"empirical null: centre {null.centre:.2f}, width {null.width:.2f}, {null.changed:.0%} changed",
    ]
    return values, fit, plain, null, said


def _widen(tested: ModeratedT, null: EmpiricalNull) -> ModeratedT:
    """The test with effects moved by the null's centre and errors scaled by its width, the fold bar kept."""
    width = max(null.width, 1.0)  # a null narrower than theory is never used to make results stronger
    moved = tested.effect - null.centre * tested.error
    error = tested.error * width
    above = (np.abs(moved) - tested.lfc) / error
    p = t_sf(above, tested.df) + t_sf((np.abs(moved) + tested.lfc) / error, tested.df)
    p = np.minimum(p, 1.0)
    return ModeratedT(moved, error, np.sign(moved) * np.maximum(above, 0), p, tested.df, tested.lfc, tested.prior)


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
