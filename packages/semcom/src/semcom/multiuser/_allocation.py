"""How a fixed number of symbols is shared by users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ninefold.errors import InputError

ALLOCATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "round-robin": lambda demands, _: np.ones(len(demands)),
    "proportional": lambda demands, _: demands,
    "maxmin": lambda _, rates: 1 / np.maximum(rates, 1e-6),
}
"""Weights of users by their demands in symbols and their rates log2(1 + SNR): all equal, as demanded, or so that share
times rate is the same for all, which makes the least of them as large as it can be."""


def allocate(
    total: int, demands: Sequence[int], snrs_db: Sequence[float], policy: str = "round-robin", least: int = 1
) -> list[int]:
    """Symbols of each user; their sum is `total` exactly.

    Args:
        total: symbols that all users share.
        demands: symbols that each would take alone.
        snrs_db: Es/N0 of each.
        policy: one of `ALLOCATIONS`.
        least: symbols that each user must have.
    """
    if policy not in ALLOCATIONS:
        raise InputError("allocation", got=repr(policy), expected=f"one of {', '.join(ALLOCATIONS)}")
    users = len(demands)
    if not users or len(snrs_db) != users or min(demands) < 1:
        got = f"{users} demands, {len(snrs_db)} SNRs"
        raise InputError("users", got=got, expected="a demand from 1 and an SNR each")
    if total < users * least:
        raise InputError("symbols", got=total, expected=f"at least {users * least} for {users} users")
    finite = np.clip(np.nan_to_num(np.asarray(snrs_db, np.float64), posinf=60, neginf=-60), -60, 60)
    weights = ALLOCATIONS[policy](np.asarray(demands, np.float64), np.log2(1 + 10 ** (finite / 10)))
    exact = least + (total - users * least) * weights / weights.sum()
    shares = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - shares.sum()]] += 1
    return [int(share) for share in shares]
