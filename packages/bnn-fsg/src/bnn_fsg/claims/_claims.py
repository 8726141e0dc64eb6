"""What is claimed, as experiments."""

from __future__ import annotations

from bnn_fsg.claims._packed import PACKED_CLAIMS
from bnn_fsg.claims._train import TRAIN_CLAIMS

CLAIMS = [*TRAIN_CLAIMS, *PACKED_CLAIMS]
