"""What is claimed, as experiments."""

from __future__ import annotations

from bnn_fsg._packed_claims import PACKED_CLAIMS

CLAIMS = [*PACKED_CLAIMS]
