"""What is claimed, as experiments."""

from __future__ import annotations

from bnn_fsg._packed_claims import PACKED_CLAIMS
from bnn_fsg._train_claims import TRAIN_CLAIMS

CLAIMS = [*TRAIN_CLAIMS, *PACKED_CLAIMS]
