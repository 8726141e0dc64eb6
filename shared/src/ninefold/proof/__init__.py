"""What a package says of itself and how it is judged; nothing that a user of a package has to load.

Claims and their verdicts (`claims`), the interval these come from (`interval`), running them and what came out
(`outcomes`), the source and data of an outcome (`provenance`, `imports`), and honest timing (`bench`).
"""

from ninefold.proof.claims import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    REPRODUCED,
    Budget,
    Claim,
    Comparison,
    Score,
    Scores,
    Verdict,
    all_of,
    at_least,
    at_most,
    overall,
)
from ninefold.proof.outcomes import Outcome, add_seconds, judge_places, load_scores, outcome_table, run_claim
from ninefold.proof.provenance import code_key, source_key

__all__ = [
    "INCONCLUSIVE",
    "NOT_REPRODUCED",
    "REPRODUCED",
    "Budget",
    "Claim",
    "Comparison",
    "Outcome",
    "Score",
    "Scores",
    "Verdict",
    "add_seconds",
    "all_of",
    "at_least",
    "at_most",
    "code_key",
    "judge_places",
    "load_scores",
    "outcome_table",
    "overall",
    "run_claim",
    "source_key",
]
