"""T-Switch by the book: full sorts, in numpy, written apart from the package."""

import math

import numpy as np


def mask_of(tau, alpha):
    """Entries kept of a float32 array: of each sign the floor(n (1 - alpha)) largest with their ties, or all if 0."""
    mask = np.zeros(tau.shape, bool)
    for side in (tau, -tau):
        values = np.sort(side[side > 0])[::-1]
        keep = math.floor(values.size * (1 - alpha) + 1e-9)
        threshold = values[keep - 1] if keep else 0
        mask |= (side > 0) & (side >= threshold)
    return mask


def knob_of(tau, mask, scale="full"):
    """Norm of what is kept ("full": of all) over norm of the signs, or mean magnitude of what is kept; float32."""
    kept = tau[mask].astype(np.float64)
    if not kept.size:
        return np.float32(0)
    if scale == "mean":
        return np.float32(math.fsum(np.abs(kept)) / kept.size)
    counted = tau.astype(np.float64).reshape(-1) if scale == "full" else kept
    return np.float32(math.sqrt(math.fsum(counted * counted) / kept.size))


def random_tau(generator, size):
    """A float32 array of one of several kinds: normal, skewed, full of ties, sparse, one-sided, tiny, huge."""
    kind = generator.integers(8)
    tau = generator.standard_normal(size)
    if kind == 1:
        tau = np.exp(tau) - 1.5
    elif kind == 2:
        tau = np.round(tau * 2) / 2
    elif kind == 3:
        tau = tau * (generator.random(size) < 0.05)
    elif kind == 4:
        tau = np.abs(tau) * generator.choice([-1, 1])
    elif kind == 5:
        tau = tau * 1e-41  # subnormal
    elif kind == 6:
        tau = tau * 1e30
    elif kind == 7:
        tau = np.copysign(np.full(size, 0.25), tau)
    return tau.astype(np.float32)
