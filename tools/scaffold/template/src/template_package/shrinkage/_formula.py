"""The positive-part James-Stein estimator (James and Stein 1961; positive part: Baranchik 1964)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError


def james_stein(samples: np.ndarray) -> np.ndarray:
    """Shrink sample means towards zero by what their number and noise allow.

    Args:
        samples: (n, d), n >= 2 draws of d independent normal variables of one common, unknown variance.
    Returns: (d,) estimates (1 - (d-2) s² / |m|²)₊ m, with m the sample means and s² the variance of a mean.
    Raises: InputError if `samples` is no finite (n, d) array with n >= 2.

    Examples:
        >>> import numpy as np
        >>> from template_package import james_stein

        >>> samples = np.array([[3.0, 0.0, 1.0, -2.0], [5.0, 2.0, 1.0, 0.0]])
        >>> james_stein(samples).round(2)
        array([ 3.68,  0.92,  0.92, -0.92])
    """
    samples = checked(samples)
    means = samples.mean(axis=0)
    noise = samples.var(axis=0, ddof=1).mean() / len(samples)
    length = means @ means
    return max(0.0, 1 - (means.size - 2) * noise / length) * means if length > 0 and means.size > 2 else means


def checked(samples: np.ndarray) -> np.ndarray:
    """`samples` as float64, or an InputError that names what is wrong with them and where."""
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < 2 or samples.shape[1] == 0:
        raise InputError("samples", got=f"shape {samples.shape}", expected="(n, d) with n >= 2 and d >= 1")
    wrong = np.argwhere(~np.isfinite(samples))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            "samples", got="NaN or infinity", expected="finite values", where=f"row {row}, column {column}"
        )
    return samples


@dataclass(frozen=True)
class JamesStein:
    """The method, with the interface that the baselines share.

    Examples:
        >>> from template_package import JamesStein, datasets

        >>> samples, means = datasets.normal_means(dimension=50, samples=5, seed=0)
        >>> shrunk, plain = JamesStein().estimate(samples), samples.mean(axis=0)
        >>> [round(float(((one - means) ** 2).sum()), 1) for one in (shrunk, plain)]  # squared errors
        [5.7, 11.3]
    """

    name: ClassVar[str] = "james-stein"

    def estimate(self, samples: np.ndarray) -> np.ndarray:
        """(n, d) samples -> (d,) estimates of their means."""
        return james_stein(samples)
