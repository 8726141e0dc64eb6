"""What is claimed: of the statistics in `_statistics_claims`, of whole studies in `_study_claims`, of runs with a
language model behind a scripted server in `_wire_claims`.
"""

from proteus.claims._statistics_claims import STATISTICS_CLAIMS
from proteus.claims._study_claims import STUDY_CLAIMS
from proteus.claims._wire_claims import WIRE_CLAIMS

CLAIMS = [*STATISTICS_CLAIMS, *STUDY_CLAIMS, *WIRE_CLAIMS]
__all__ = ["CLAIMS"]
