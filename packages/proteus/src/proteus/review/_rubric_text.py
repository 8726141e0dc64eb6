"""The five metrics and their anchors, the same words for a model and for experts.

The publication names five metrics, judged by a model and by experts; their definitions were out of reach, and these
anchors are ours.
"""

ANCHORS = {
    "reliability": (
        "no finding supports it, or what supports it contradicts it",
        "one finding under the bar, with a wide interval or few samples",
        "several independent findings under the bar, narrow intervals, same sign, stable",
    ),
    "coherence": (
        "statement, direction and evidence speak of different things",
        "the evidence fits, the mechanism is a leap",
        "statement, mechanism and evidence follow from each other; contrary findings are dealt with",
    ),
    "alignment": ("against what is established", "not known, and plausible", "what is established says the same"),
    "novelty": ("textbook knowledge", "known elsewhere, new in this context", "not described, and not obvious"),
    "evaluability": (
        "no experiment could refute it",
        "an experiment could, at great cost",
        "a standard assay with a feasible number of samples decides it",
    ),
}
METRICS = tuple(ANCHORS)


def rubric_text() -> str:
    """One line a metric, from 1 to 5."""
    return "\n".join(f"{name}: 1 = {low}; 3 = {middle}; 5 = {high}." for name, (low, middle, high) in ANCHORS.items())
