"""Simulated normal variables, the embedded default, and a reader of CSV files.

Examples:
    >>> from template_package import datasets

    >>> samples, means = datasets.normal_means(dimension=3, samples=5, seed=0)
    >>> samples.shape, means.round(2)
    ((5, 3), array([ 0.06, -0.07,  0.32]))
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError


def normal_means(dimension: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate normal variables of unit variance around true means that are drawn from N(0, 0.25).

    Returns: (samples, dimension) draws and the (dimension,) true means.
    """
    generator = np.random.default_rng(seed)
    means = generator.normal(0, 0.5, dimension)
    return means + generator.normal(size=(samples, dimension)), means


def read_csv(path: Path) -> np.ndarray:
    """A CSV file of numbers without a header as (rows, columns); InputError names the file if it is none."""
    try:
        return np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError("CSV file", got=str(error), expected="rows of numbers", where=path) from None
