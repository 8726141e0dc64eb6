"""What is claimed: of the statistics in `_statistics_claims`, of peptides in `_peptide_claims`, of cells in
`_cell_claims`, of replication in `_replication_claims`, of joined hypotheses in `_join_claims`, of gene sets in
`_pathway_claims`, of whole studies in `_study_claims`, of runs with a language model behind a scripted server in
`_wire_claims`.
"""

from ._cell_claims import CELL_CLAIMS
from ._join_claims import JOIN_CLAIMS
from ._pathway_claims import PATHWAY_CLAIMS
from ._peptide_claims import PEPTIDE_CLAIMS
from ._replication_claims import REPLICATION_CLAIMS
from ._statistics_claims import STATISTICS_CLAIMS
from ._study_claims import STUDY_CLAIMS
from ._wire_claims import WIRE_CLAIMS

CLAIMS = [
    *STATISTICS_CLAIMS, *PEPTIDE_CLAIMS, *CELL_CLAIMS, *REPLICATION_CLAIMS, *JOIN_CLAIMS, *PATHWAY_CLAIMS,
    *STUDY_CLAIMS, *WIRE_CLAIMS,
]  # fmt: skip
__all__ = ["CLAIMS"]
