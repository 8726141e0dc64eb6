"""What is claimed, as experiments."""

from __future__ import annotations

from ._packed import PACKED_CLAIMS
from ._train import TRAIN_CLAIMS

CLAIMS = [*TRAIN_CLAIMS, *PACKED_CLAIMS]
