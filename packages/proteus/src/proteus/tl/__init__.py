"""Tools: each takes a table and returns a table of results.

`enrich` stands in `_enrich`, `network` in `_hits_in_network`, `survival` in `_survival_table`, files of results in
`_result_files`; the others are those of the rooms below.

Examples:
    >>> from proteus import datasets, tl
    >>> tl.normalise(datasets.ups1_peptides()).scale
    'log2'
"""

from proteus.data._rollup import roll_up
from proteus.differential._moderated_test import moderated_test
from proteus.differential._normalise import normalise
from proteus.differential._replication import predict_replication, replicate
from proteus.knowledge._network import communities
from proteus.outcomes._cells import annotate, arcsinh, cluster_cells, diff_abundance, diff_state
from proteus.outcomes._coexpression import find_modules, module_traits
from proteus.outcomes._neighbourhoods import neighbourhoods
from proteus.outcomes._panel import biomarker_panel
from proteus.outcomes._pseudobulk import diff_expression, pseudobulk
from proteus.tl._enrich import enrich
from proteus.tl._hits_in_network import network
from proteus.tl._survival_table import survival

cluster = cluster_cells

__all__ = [
    "annotate", "arcsinh", "biomarker_panel", "cluster", "communities", "diff_abundance",
    "diff_expression", "diff_state", "enrich", "find_modules", "moderated_test", "module_traits", "neighbourhoods",
    "network", "normalise", "predict_replication", "pseudobulk", "replicate", "roll_up", "survival",
]  # fmt: skip
