"""Numbers that R limma 3.62 printed (limma_reference.R), and R itself where it is installed."""

import gzip
import shutil
import subprocess

import numpy as np
import pytest
from proteus.statistics._blocks import consensus_correlation
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_f, moderated_t
from proteus_experiments import published
from proteus_experiments.benchmarks import _r

from .helpers import FIXTURES, needs_data, reference

EXACT, SMOOTH = 1e-6, 1e-3  # relative; the fixture holds 12 digits

CASES = {
    "plain": ("random", {}, {}),
    "trend": ("random", {}, {"trend": True}),
    "robust": ("random", {}, {"robust": True}),
    "trend+robust": ("random", {}, {"trend": True, "robust": True}),
    "weights": ("random", {"weights": "weights"}, {}),
    "matrix weights": ("random", {"weights": "matrix weights"}, {}),
    "missing": ("missing", {}, {}),
    "missing moment": ("missing", {}, {"prior": "moment"}),
    "missing moment trend": ("missing", {}, {"prior": "moment", "trend": True}),
    "missing moment robust": ("missing", {}, {"prior": "moment", "robust": True}),
    "missing trend": ("missing", {}, {"trend": True}),
    "missing robust": ("missing", {}, {"robust": True}),
    "missing trend+robust": ("missing", {}, {"trend": True, "robust": True}),
    "missing weights": ("missing", {"weights": "weights"}, {}),
    "infinite prior": ("infinite prior", {}, {}),
}


def check(case, fit, prior, tolerance=EXACT):
    tested = moderated_t(fit, np.eye(fit.design.shape[1])[1], prior)
    ours = {
        "coef": tested.effect, "t": tested.t, "p": tested.p, "d0": prior.d0, "s0": np.sqrt(prior.s0_squared),
        "s_post": np.sqrt(prior.posterior), "df": tested.df,
    }  # fmt: skip
    for quantity, values in ours.items():
        expected = np.atleast_1d(reference(case, quantity))
        expected = np.broadcast_to(expected, values.shape) if expected.size == 1 else expected
        np.testing.assert_allclose(values, expected, rtol=tolerance, atol=1e-9, err_msg=f"{case}: {quantity}")


@pytest.mark.parametrize("case", CASES)
def test_moderated_t_equals_limma(case):
    source, fitted, options = CASES[case]
    weights = {"weights": reference(fitted["weights"], "w")} if fitted else {}
    fit = fit_linear_model(reference(source, "y"), reference("random", "X"), **weights)
    smooth = source == "missing" and options.get("trend") and options.get("prior") != "moment"
    check(case, fit, fit_prior(fit, **options), SMOOTH if smooth else EXACT)


def test_robust_cases_have_outliers_of_their_own_d0():
    for case in ("robust", "missing robust"):
        assert len(np.unique(reference(case, "d0"))) > 3


@pytest.mark.parametrize("trend", [False, True])
def test_treat_equals_limma(trend):
    fit = fit_linear_model(reference("random", "y"), reference("random", "X"))
    tested = moderated_t(fit, np.array([0, 1, 0]), fit_prior(fit, trend=trend), lfc=0.3)
    case = "treat+trend" if trend else "treat"
    np.testing.assert_allclose(tested.t, reference(case, "t"), rtol=EXACT, atol=1e-9)
    np.testing.assert_allclose(tested.p, reference(case, "p"), rtol=EXACT)


def test_contrast_f_equals_limma():
    fit = fit_linear_model(reference("random", "y"), reference("F", "X"))
    contrasts = np.array([[1, -1, 0], [0, 1, -1], [1, 0, -1]]).T
    f, p, rank = moderated_f(fit, contrasts, fit_prior(fit))
    assert rank == 2  # the third contrast is the sum of the others
    np.testing.assert_allclose(f, reference("F", "F"), rtol=EXACT)
    np.testing.assert_allclose(p, reference("F", "p"), rtol=EXACT)


def test_contrasts_with_missing_values_equal_limma():
    fit = fit_linear_model(reference("missing", "y"), reference("F", "X"))
    contrasts = np.array([[1, -1, 0], [0, 1, -1], [1, 0, -1]]).T
    ours = np.stack([moderated_t(fit, one, fit_prior(fit)).t for one in contrasts.T], 1)
    np.testing.assert_allclose(ours, reference("F missing", "t"), rtol=EXACT)


def test_blocks_equal_limma():
    y, design, block = reference("block", "y"), reference("block", "X"), reference("block", "block")
    rho = consensus_correlation(y, design, block)
    np.testing.assert_allclose(rho, reference("block", "rho")[0], rtol=1e-5)
    for case, values, given, weights in (
        ("block", y, reference("block", "rho")[0], None),
        ("block missing", reference("block missing", "y"), 0.4, None),
        ("block weights", y, 0.4, reference("block weights", "w")),
    ):
        fit = fit_linear_model(values, design, block=block, correlation=given, weights=weights)
        check(case, fit, fit_prior(fit))


def needs_r(*packages):
    """Skip without R and these packages; asked in the test, as each question starts R."""
    if not _r.has_r(*packages):
        pytest.skip(f"needs R with {', '.join(packages)}")


@pytest.mark.r
def test_reference_is_what_r_prints(tmp_path):
    out = tmp_path / "limma.csv"
    words = ["Rscript", str(FIXTURES.parent / "limma_reference.R"), str(out)]
    if shutil.which("Rscript") is None:
        pytest.skip("needs R")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        needs_r("limma", "statmod", "survival")
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == gzip.decompress((FIXTURES / "limma.csv.gz").read_bytes())


@needs_data
@pytest.mark.data
@pytest.mark.r
@pytest.mark.parametrize(("trend", "robust"), [(False, False), (True, True)])
def test_real_tables_equal_limma(trend, robust):
    needs_r("limma")
    from proteus import normalise
    from proteus.data._design import make_contrast, make_design

    for data, formula, contrast in (
        (normalise(published.ubi_length()), "~ 0 + condition", "Ubi6-Ctrl"),
        (normalise(published.csf()), "~ 0 + group", "AD-control"),
    ):
        made = make_design(data.samples, formula)
        values = data.values[(~np.isnan(data.values)).sum(1) > made.matrix.shape[1]]
        vector = make_contrast(made, contrast)
        fit = fit_linear_model(values, made.matrix)
        prior = fit_prior(fit, trend=trend, robust=robust)
        tested = moderated_t(fit, vector, prior)
        theirs = _r.limma(values, made.matrix, vector, trend=trend, robust=robust)
        tolerance = SMOOTH if trend else EXACT
        for ours, key in ((tested.t, "t"), (prior.d0, "d0"), (prior.s0_squared, "s0_squared")):
            known = np.isfinite(theirs[key]) & np.isfinite(ours)
            assert known.sum() > 1000
            np.testing.assert_allclose(ours[known], theirs[key][known], rtol=tolerance, err_msg=key)
