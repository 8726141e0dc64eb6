"""How hypotheses are scored by an offline rubric: `_rubric` scores the five metrics named in the abstract (reliability,
coherence, alignment, novelty, evaluability), whose anchors in `_rubric_text` are ours.
"""
