"""The published method, MLDGG (KDD 2025), whole; the package's default uses none of it.

Options -> `_settings`; structure learner theta_t, its regulariser (eq. 4), refinement over rounds -> `_pivots`;
representation learner theta_r, its prior, both bounds -> `_causal`; GNN theta_g, network and loss -> `_network`; what
it sees of a graph -> `_tensors`; inner trajectory, outer gradient (algorithm 1), epochs -> `_train`; adaptation, and
all of it as a method -> `_published`.
"""

from mldgg.paper._published import Published
from mldgg.paper._settings import Settings

__all__ = ["Published", "Settings"]
