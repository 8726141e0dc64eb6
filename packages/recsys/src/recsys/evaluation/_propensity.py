"""Estimates of a policy from logged rewards with known propensities, and how many users an online test needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and the effective number of events behind it."""

    mean: float
    low: float
    high: float
    effective: float


def ips(reward: ArrayLike, target: ArrayLike, logged: ArrayLike) -> Estimate:
    """Inverse-propensity mean of the reward under a target policy: unbiased, of high variance.

    Args:
        reward: of each logged event, (n,): an array, a list, or a column of a frame.
        target: probability of the logged action under the target policy, (n,).
        logged: its probability under the logging policy, (n,), positive.
    Raises:
        InputError: for lengths that differ, no probabilities, or what is no finite number.

    Examples:
        >>> import numpy as np
        >>> import recsys

        >>> n, draw = 2_000, np.random.default_rng(0)
        >>> action = draw.integers(0, 2, n)  # the log chose one of two offers at random
        >>> reward = (draw.random(n) < np.where(action == 1, 0.8, 0.2)).astype(float)
        >>> logged = np.full(n, 0.5)
        >>> target = np.where(action == 1, 0.9, 0.1)  # a new policy prefers the second

        >>> found = recsys.evaluation.ips(reward, target, logged)
        >>> round(found.mean, 2), round(found.low, 2), round(found.high, 2)
        (0.77, 0.74, 0.81)
    """
    reward, weight = _weighted(reward, target, logged)
    values = weight * reward
    return estimate(float(values.mean()), (values - values.mean()) / len(values), weight)


def snips(reward: ArrayLike, target: ArrayLike, logged: ArrayLike) -> Estimate:
    """Self-normalised form: weights divided by their sum (Swaminathan and Joachims 2015); delta-method interval.

    Examples:
        >>> import numpy as np
        >>> import recsys

        >>> n, draw = 2_000, np.random.default_rng(0)
        >>> action = draw.integers(0, 2, n)  # the log chose one of two offers at random
        >>> reward = (draw.random(n) < np.where(action == 1, 0.8, 0.2)).astype(float)
        >>> logged = np.full(n, 0.5)
        >>> target = np.where(action == 1, 0.9, 0.1)  # a new policy prefers the second

        >>> found = recsys.evaluation.snips(reward, target, logged)
        >>> round(found.mean, 2), round(found.effective)
        (0.75, 1252)
    """
    reward, weight = _weighted(reward, target, logged)
    mean = float((weight * reward).sum() / weight.sum())
    return estimate(mean, weight * (reward - mean) / weight.sum(), weight)


def doubly_robust(
    reward: ArrayLike, target: ArrayLike, logged: ArrayLike, predicted: ArrayLike, expected: ArrayLike
) -> Estimate:
    """A model's expectation, corrected by the weighted errors it makes on the log (Dudik et al. 2011): sound where the
    propensities are right or the model is, and of less variance than `ips` where the model is of use.

    Args:
        reward, target, logged: see `ips`.
        predicted: reward of the logged action by a model that was not fitted on these events, (n,).
        expected: mean of its predictions over the target policy's actions in the event's context, (n,).

    Examples:
        >>> import numpy as np
        >>> import recsys

        >>> n, draw = 2_000, np.random.default_rng(0)
        >>> action = draw.integers(0, 2, n)  # the log chose one of two offers at random
        >>> reward = (draw.random(n) < np.where(action == 1, 0.8, 0.2)).astype(float)
        >>> logged = np.full(n, 0.5)
        >>> target = np.where(action == 1, 0.9, 0.1)  # a new policy prefers the second

        >>> predicted = np.where(action == 1, 0.7, 0.3)  # a model's guess of the reward of the logged action
        >>> expected = np.full(n, 0.9 * 0.7 + 0.1 * 0.3)  # and of what the new policy would show
        >>> found = recsys.evaluation.doubly_robust(reward, target, logged, predicted, expected)
        >>> round(found.mean, 2), round(found.low, 2), round(found.high, 2)  # narrower than by `ips`
        (0.75, 0.73, 0.77)
    """
    reward, weight = _weighted(reward, target, logged)
    predicted, expected = as_numbers("predicted", predicted), as_numbers("expected", expected)
    if not len(predicted) == len(expected) == len(reward):
        got = f"{len(predicted)} and {len(expected)} values"
        raise InputError("predicted, expected", got=got, expected=f"one for each of {len(reward)} events")
    values = expected + weight * (reward - predicted)
    return estimate(float(values.mean()), (values - values.mean()) / len(values), weight)


def events_needed(baseline: float, lift: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """Users in each of two arms that show a relative lift of a conversion rate (two-sided z test of two shares).

    Args:
        baseline: rate of the first arm, in (0, 1).
        lift: relative change to be found, e.g. 0.05 for 5 %.
        power: chance of finding it.
        level: chance of finding one where there is none.

    Examples:
        >>> import recsys

        >>> recsys.evaluation.events_needed(baseline=0.04, lift=0.05)  # to see 4 % become 4.2 %
        154304
        >>> recsys.evaluation.events_needed(baseline=0.04, lift=0.20)
        10317
    """
    rates = as_numbers("baseline, lift, power, level", [baseline, lift, power, level])
    baseline, lift, power, level = rates.tolist()
    other = baseline * (1 + lift)
    if not (0 < baseline < 1 and 0 < other < 1 and lift != 0 and 0 < power < 1 and 0 < level < 1):
        got = (baseline, lift, power, level)
        raise InputError(
            "baseline, lift, power, level", got=got, expected="rates between 0 and 1, a lift that is not 0"
        )
    middle = (baseline + other) / 2
    reach = ndtri(1 - level / 2) * np.sqrt(2 * middle * (1 - middle))
    reach += ndtri(power) * np.sqrt(baseline * (1 - baseline) + other * (1 - other))
    return int(np.ceil((reach / (other - baseline)) ** 2))


def estimate(mean: float, parts: np.ndarray, weight: np.ndarray) -> Estimate:
    """Interval from the events' shares e of the error. Few great weights make the variance itself unsure: Student's t
    with (sum e^2)^2 / sum e^4 degrees of freedom (Satterthwaite 1946) allows for it."""
    squares = parts**2
    error, fourth = float(np.sqrt(squares.sum())), float((squares**2).sum())
    freedom = float(squares.sum()) ** 2 / fourth if fourth > 0 else 1.0
    reach = float(stdtrit(max(freedom, 1.0), 0.975)) * error
    return Estimate(mean, mean - reach, mean + reach, float(weight.sum() ** 2 / (weight**2).sum()))


def as_numbers(name: str, values: Any, dimensions: int = 1) -> np.ndarray:
    """Finite numbers, float64, of so many dimensions from an array, a list or a column; InputError for all else."""
    expected = f"finite numbers in {dimensions} dimension{'s' * (dimensions > 1)}: an array, a list or a column"
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise InputError(name, got=f"values of type {array.dtype}", expected=expected)
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(name, got=str(error).splitlines()[0], expected=expected) from None
    if array.ndim != dimensions:
        raise InputError(name, got=f"shape {array.shape}", expected=expected)
    if not np.isfinite(array).all():
        raise InputError(name, got="NaN or infinite", expected=expected)
    return array


def need_probabilities(target: np.ndarray, logged: np.ndarray) -> None:
    """InputError unless both are probabilities, the logged ones positive."""
    if (logged <= 0).any() or (logged > 1).any() or (target < 0).any() or (target > 1).any():
        raise InputError("logged, target", got="outside (0, 1]", expected="probabilities, the logged ones positive")


def _weighted(reward: Any, target: Any, logged: Any) -> tuple[np.ndarray, np.ndarray]:
    """(rewards, target / logged), float64 (n,)."""
    reward, target, logged = (
        as_numbers(name, values) for name, values in (("reward", reward), ("target", target), ("logged", logged))
    )
    if not len(reward) == len(target) == len(logged) >= 2:
        raise InputError("reward, target, logged", got="other lengths, or fewer than 2", expected="equal lengths")
    need_probabilities(target, logged)
    weight = target / logged
    if weight.sum() == 0:
        raise InputError("target", got="0 for every logged event", expected="some overlap with what was logged")
    return reward, weight
