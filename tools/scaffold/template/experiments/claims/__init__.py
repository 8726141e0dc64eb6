"""What the publication claims: each entry is a statement, its bar and its experiment (`_risk`)."""

from ._risk import BEATS_THE_SAMPLE_MEAN

CLAIMS = [BEATS_THE_SAMPLE_MEAN]
__all__ = ["CLAIMS"]
