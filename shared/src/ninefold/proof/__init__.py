"""What a package says of itself and how it is judged: claims, their cache and verdicts (`claims`), timing (`bench`).

Nothing that a user of a package has to load.
"""

from ninefold.proof.claims import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    REPRODUCED,
    Budget,
    Claim,
    Comparison,
    Outcome,
    Score,
    Scores,
    Verdict,
    all_of,
    at_least,
    at_most,
    outcome_table,
    overall,
    run_claim,
    source_key,
)

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
    "all_of",
    "at_least",
    "at_most",
    "outcome_table",
    "overall",
    "run_claim",
    "source_key",
]
