"""What is claimed: of the statistics in `_statistics_claims`, of peptides in `_peptide_claims`, of speed on cells in
`_cell_claims`, of replication in `_replication_claims`, of whole studies in `_study_claims`.
"""

from ._cell_claims import CELL_CLAIMS
from ._peptide_claims import PEPTIDE_CLAIMS
from ._replication_claims import REPLICATION_CLAIMS
from ._statistics_claims import STATISTICS_CLAIMS
from ._study_claims import STUDY_CLAIMS

CLAIMS = [*STATISTICS_CLAIMS, *PEPTIDE_CLAIMS, *CELL_CLAIMS, *REPLICATION_CLAIMS, *STUDY_CLAIMS]
__all__ = ["CLAIMS"]
