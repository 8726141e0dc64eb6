"""Open Bandit Dataset: clicks on what a shop's page showed, each with the probability with which it was shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from recsys.data._frame import as_table, numbers, rows_text

_NEEDED = ["item_id", "position", "click", "propensity_score"]


@dataclass(frozen=True, eq=False)
class Logged:
    """Rounds of a logged policy, (n,) each.

    Attributes:
        item: shown, int64.
        position: where it stood on the page, int64.
        click: 0 or 1, float64.
        propensity: probability with which the policy showed this item at this position, float64, in (0, 1].
    """

    item: np.ndarray
    position: np.ndarray
    click: np.ndarray
    propensity: np.ndarray

    def __len__(self) -> int:
        return len(self.item)


def open_bandit(path: str | Path) -> Logged:
    r"""A campaign's log (e.g. bts/all/all.csv) as Saito et al. (2021, arXiv 2008.07146) published it.

    The package obp carries a sample of 10,000 rounds of each campaign and policy. What another policy would have earned
    is `snips(log.click, probability of log.item under it, log.propensity)`.

    Raises:
        InputError: for a missing column, or clicks and probabilities that are none, with their rows.

    Examples:
        >>> import recsys
        >>> from pathlib import Path

        >>> rows = ["item_id,position,click,propensity_score", "12,1,0,0.05", "7,2,1,0.20", "12,3,1,0.05"]
        >>> written = Path("all.csv").write_text("\n".join(rows))
        >>> log = recsys.loaders.open_bandit("all.csv")
        >>> always_12 = (log.item == 12).astype(float)  # a policy that shows nothing but item 12
        >>> recsys.evaluation.snips(log.click, always_12, log.propensity).mean
        0.5
    """
    table = as_table(path, columns=_NEEDED)
    found = [numbers(table.column(name), name).astype(np.float64) for name in _NEEDED]
    click, propensity = found[2:]
    for name, bad, expected in (
        ("click", ~np.isin(click, (0, 1)), "0 or 1"),
        ("propensity_score", (propensity <= 0) | (propensity > 1), "probabilities above 0"),
    ):
        if bad.any():
            raise InputError(f"column {name!r}", where=path, got=f"others in {rows_text(bad)}", expected=expected)
    return Logged(found[0].astype(np.int64), found[1].astype(np.int64), click, propensity)
