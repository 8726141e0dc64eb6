"""The experiments' side of the house: what a package claims, how it is judged, and the command `ninefold`.

Claims and their verdicts (`claims`), running claims and what came out
(`outcomes`), outcomes after a change of code (`confirmation`), the source and data of an outcome (`provenance`,
`imports`), where experiments are (`experiments`), all demos on one page (`demos`), the command (`app`).

Examples:
    >>> from ninefold_lab import HELD, INCONCLUSIVE, MISSED, NOT_REPRODUCED
    >>> from ninefold_lab import REPRODUCED, Score, Scores, Verdict, at_least

    >>> accuracy: Score = 0.41  # a number, an array of scores by item, or arrays by group
    >>> runs: list[Scores] = [{"ease": accuracy, "popular": 0.20}, {"ease": 0.43, "popular": 0.21}]  # of two seeds
    >>> bar: Verdict = at_least("ease", "popular", margin=0.1)
    >>> [one.verdict for one in bar(runs)]
    ['reproduced']
    >>> {REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED, HELD, MISSED} >= {one.verdict for one in bar(runs)}
    True
"""

from ninefold_lab.claims import (  # noqa: I001  (short, as the list below)
    HELD, INCONCLUSIVE, MISSED, NOT_REPRODUCED, REPRODUCED, Budget, Claim, Comparison, Score, Scores, Verdict,
    all_of, at_least, at_most, overall, planned_seeds,
)  # fmt: skip
from ninefold_lab.confirmation import is_older, is_uncommitted, uncommitted
from ninefold_lab.outcomes import Outcome, add_seconds, judge_places, load_scores, outcome_table, run_claim
from ninefold_lab.provenance import code_key, source_key

__all__ = [
    "HELD", "INCONCLUSIVE", "MISSED", "NOT_REPRODUCED", "REPRODUCED", "Budget", "Claim", "Comparison", "Outcome",
    "Score", "Scores", "Verdict", "add_seconds", "all_of", "at_least", "at_most", "code_key",
    "is_older", "is_uncommitted", "judge_places", "load_scores", "outcome_table",
    "overall", "planned_seeds", "run_claim", "source_key", "uncommitted",
]  # fmt: skip
