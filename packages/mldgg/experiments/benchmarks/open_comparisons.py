"""Comparisons without a verdict: intervals over three graphs, regions of two networks or six languages stay wide.

Their experiments run as claims do, and each prints a line: means of the arms, and gains with 95 % intervals. The
committed lines were computed from the scores of the runs that were claims before (30 November 2026).

    uv run python packages/mldgg/experiments/benchmarks/open_comparisons.py          # all: about an hour
    uv run python packages/mldgg/experiments/benchmarks/open_comparisons.py twitch
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.measure import emit
from ninefold_lab import Budget, Scores, at_least
from ninefold_lab.experiments import register

if __name__ == "__main__":  # in tests it is registered already
    register("mldgg", Path(__file__).parent.parent)
from mldgg_experiments.benchmarks.twitch import to_the_rest
from mldgg_experiments.claims._changed import SHARES, other_mixes
from mldgg_experiments.claims._judged import expectations, regions_and_code


@dataclass(frozen=True)
class Comparisons:
    """An experiment, the number of its seeds, and the pairs (arm, rival) of which it says the gain.

    A rival of 0.0 asks for the arm's own mean and interval.
    """

    run: Callable[[Budget, int], Scores]
    pairs: Sequence[tuple[str, str | float]]
    seeds: int = 1

    def line(self, runs: Sequence[Scores]) -> dict[str, Any]:
        """Means of all arms, and the gain of each pair with its 95 % interval."""
        gains = {f"{arm} - {rival}" if rival else arm: at_least(arm, rival)(runs)[0] for arm, rival in self.pairs}
        return {
            "seeds": len(runs),
            "arms": {arm: at_least(arm, 0.0)(runs)[0].estimate for arm in runs[0]},
            "gains": {name: [one.estimate, one.low, one.high] for name, one in gains.items()},
        }


_MIXES = [f" at {share}{kind}" for share in SHARES for kind in ("", ", balanced")]
EXPERIMENTS: Mapping[str, Comparisons] = {
    "families": Comparisons(
        regions_and_code,
        [
            ("mldgg on CS", 0.0),
            *(("mldgg on Photo", f"{one} on Photo") for one in ("gated ridge", "ungated ridge", "walked-ridge")),
            ("mldgg on functions", "walked-ridge on functions"),
        ],
    ),
    "mixes": Comparisons(
        other_mixes,
        [
            *((f"mldgg{place}", f"uncentred{place}") for place in _MIXES),
            *((f"mldgg{place}", f"largest class{place}") for place in _MIXES[::2]),
        ],
    ),
    "expectations": Comparisons(expectations, [("error of expected accuracy", 0.0), ("wrong among the sure", 0.0)]),
    "twitch": Comparisons(to_the_rest, [("mldgg", "erm"), ("mldgg", "centred-ridge")], seeds=5),
}


def main() -> None:
    for name in sys.argv[1:] or EXPERIMENTS:
        one = EXPERIMENTS[name]
        runs = [one.run(Budget(one.seeds, 60, "full"), seed) for seed in range(one.seeds)]
        emit(experiment=name, **one.line(runs))


if __name__ == "__main__":
    main()
