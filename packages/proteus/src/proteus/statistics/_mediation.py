"""Does a change of one feature go through another? The graphs of a contrast and two linked features, compared.

With x the contrast and a, b two features: x -> a, x -> b without a link; x -> a -> b, where b is independent of x
given a; x -> b -> a; and x -> a, x -> b with a link. Models are linear and Gaussian, so that each likelihood follows
from three correlations (mediation as conditional independence: Schadt et al. 2005). That x is independent of the later
feature given the earlier is not believed for want of a small p alone: a bound of what is left has to be small, too (as
in TOST). Components that many features share stay in: with them gone a direct change looks like the other order.
"""

import numpy as np
import pandas as pd
from scipy import linalg, stats

from proteus.statistics._linear_model import LinearFit

_LEAST_DF = 5


def mediation(fit: LinearFit, contrast: np.ndarray, pairs: np.ndarray) -> pd.DataFrame:
    """Which of two linked features a contrast goes through.

    Args:
        fit: of P features.
        contrast: (K,) coefficient vector.
        pairs: (L, 2) rows.
    Returns: one row a pair: `through`, 0 for the first feature, 1 for the second; `support`, the log likelihood of that
        order over the other order or no link, whichever is likelier; `direct`, the largest share of the later feature's
        change (95 %, one-sided) that does not go through the earlier, and `p_direct`, p of there being any. Too few
        samples: -1 and NaN.

    Examples:
        >>> import numpy as np
        >>> from proteus.statistics._mediation import mediation
        >>> from proteus.statistics._linear_model import fit_linear_model
        >>> rng, x = np.random.default_rng(0), np.arange(40) % 2
        >>> a = 2 * x + rng.standard_normal(40)
        >>> fit = fit_linear_model(np.stack([a, a + 0.5 * rng.standard_normal(40)]), np.stack([np.ones(40), x], 1))
        >>> int(mediation(fit, np.array([0.0, 1.0]), np.array([[0, 1]])).loc[0, "through"])
        0
    """
    rest = fit.design @ linalg.null_space(np.asarray(contrast, float)[None, :])
    asked = fit.design @ np.asarray(contrast, float)
    rows = []
    for pair in pairs:
        both = fit.observed[pair].all(axis=0)
        df = int(both.sum()) - rest.shape[1]
        if df < _LEAST_DF:
            rows.append((-1, np.nan, np.nan, np.nan))
            continue
        basis = np.linalg.qr(rest[both])[0]
        values = fit.solution(pair) @ fit.basis[both].T + fit.residuals[pair][:, both]
        three = np.vstack([asked[both], values])
        three = three - three @ basis @ basis.T
        three /= np.maximum(np.linalg.norm(three, axis=1, keepdims=True), 1e-12)
        rows.append(_ordered(three @ three.T, df))
    return pd.DataFrame(rows, columns=["through", "support", "direct", "p_direct"])


def _ordered(r: np.ndarray, df: int) -> tuple[int, float, float, float]:
    """(through, support, bound of the direct share, its p) from correlations of contrast and both features."""
    left = np.log(np.maximum(1 - r**2, 1e-12))
    xa, xb, ab = left[0, 1], left[0, 2], left[1, 2]
    scores = np.array([xa + ab, xb + ab, xa + xb]) * df / 2
    through = int(scores[:2].argmin())
    support = float(np.delete(scores, through).min() - scores[through])
    held, other = (1, 2) if through == 0 else (2, 1)
    free = max(1 - r[0, held] ** 2, 1e-12)
    direct = (r[0, other] - r[0, held] * r[held, other]) / free
    error = np.sqrt(max(np.linalg.det(r), 0.0) / (df - 2)) / free
    largest = abs(direct) + stats.t.ppf(0.95, df - 2) * error
    p = 2 * stats.t.sf(abs(direct) / max(error, 1e-12), df - 2)
    return through, support, float(largest / max(abs(r[0, other]), 1e-12)), float(p)
