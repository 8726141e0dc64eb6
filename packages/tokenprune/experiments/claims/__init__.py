"""What is claimed, as experiments.

_claims     the claims and their bars
_long       early facts, on templates that no choice was made on
_published  whether the published search and training pay

The models, texts and routers that they share are in `models`.
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
