"""Off-policy estimates from logged rewards with known propensities (Horvitz-Thompson and its self-normalised form)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy.special import stdtrit


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and the effective number of events behind it."""

    mean: float
    low: float
    high: float
    effective: float


def ips(reward: np.ndarray, target: np.ndarray, logged: np.ndarray) -> Estimate:
    """Inverse-propensity mean of the reward under a target policy: unbiased, of high variance.

    Args:
        reward: of each logged event, (n,).
        target: probability of the logged action under the target policy, (n,).
        logged: its probability under the logging policy, (n,), positive.
    """
    weight = _weights(reward, target, logged)
    values = weight * reward
    return _estimate(float(values.mean()), (values - values.mean()) / len(values), weight)


def snips(reward: np.ndarray, target: np.ndarray, logged: np.ndarray) -> Estimate:
    """Self-normalised form: weights divided by their sum (Swaminathan and Joachims 2015); delta-method interval."""
    weight = _weights(reward, target, logged)
    mean = float((weight * reward).sum() / weight.sum())
    return _estimate(mean, weight * (reward - mean) / weight.sum(), weight)


def _estimate(mean: float, parts: np.ndarray, weight: np.ndarray) -> Estimate:
    """Interval from the events' shares e of the error. Few great weights make the variance itself unsure: Student's t
    with (sum e^2)^2 / sum e^4 degrees of freedom (Satterthwaite 1946) allows for it."""
    squares = parts**2
    error, fourth = float(np.sqrt(squares.sum())), float((squares**2).sum())
    freedom = float(squares.sum()) ** 2 / fourth if fourth > 0 else 1.0
    reach = float(stdtrit(max(freedom, 1.0), 0.975)) * error
    return Estimate(mean, mean - reach, mean + reach, float(weight.sum() ** 2 / (weight**2).sum()))


def _weights(reward: np.ndarray, target: np.ndarray, logged: np.ndarray) -> np.ndarray:
    if not len(reward) == len(target) == len(logged) >= 2:
        raise InputError("reward, target, logged", got="other lengths, or fewer than 2", expected="equal lengths")
    for name, array in (("reward", reward), ("target", target), ("logged", logged)):
        if not np.isfinite(array).all():
            raise InputError(name, got="NaN or infinite", expected="finite values")
    if (logged <= 0).any() or (logged > 1).any() or (target < 0).any() or (target > 1).any():
        raise InputError("logged, target", got="outside (0, 1]", expected="probabilities, the logged ones positive")
    weight = target.astype(np.float64) / logged
    if weight.sum() == 0:
        raise InputError("target", got="0 for every logged event", expected="some overlap with what was logged")
    return weight
