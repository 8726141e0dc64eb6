"""What is claimed, as experiments."""

from __future__ import annotations

from ._frontier import FRONTIER_CLAIMS
from ._packed import PACKED_CLAIMS
from ._train import TRAIN_CLAIMS

CLAIMS = [*FRONTIER_CLAIMS, *PACKED_CLAIMS, *TRAIN_CLAIMS]
