"""The five metrics and their anchors, the same words for a model and for experts.

The publication names five metrics, judged by a model and by experts; their definitions were out of reach, and these
anchors are ours.
"""

from proteus.record._words import words

METRICS = tuple(words("rubric"))


def rubric_text() -> str:
    """One line a metric, from 1 to 5."""
    anchors = words("rubric").items()
    return "\n".join(f"{name}: 1 = {low}; 3 = {middle}; 5 = {high}." for name, (low, middle, high) in anchors)
