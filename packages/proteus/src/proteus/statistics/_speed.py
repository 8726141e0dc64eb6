"""How long the moderated test takes."""

from __future__ import annotations

import time

import numpy as np

from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t


def time_moderated_test(features: int, samples: int, seed: int = 0) -> float:
    """Seconds of a two-group moderated test of a random (features, samples) table."""
    rng = np.random.default_rng(seed)
    values, design = rng.standard_normal((features, samples)), np.stack([np.ones(samples), np.arange(samples) % 2], 1)
    start = time.perf_counter()
    fit = fit_linear_model(values, design)
    moderated_t(fit, np.array([0.0, 1.0]), fit_prior(fit))
    return time.perf_counter() - start
