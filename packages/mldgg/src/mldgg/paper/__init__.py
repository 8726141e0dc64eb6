"""The published method, MLDGG (KDD 2025), whole; the package's default uses none of it.

Options -> `_settings`; structure learner theta_t -> `_pivots`; refinement over rounds -> `_refine`; structure
regulariser (eq. 4) -> `_policy`; representation learner theta_r -> `_causal`; its prior -> `_prior`; both bounds ->
`_elbo`; GNN theta_g -> `_gnn`; what it sees of a graph -> `_tensors`; network and loss -> `_network`; inner trajectory
and outer gradient (algorithm 1) -> `_loop`; training over epochs -> `_train`; adaptation -> `_adapt`; all of it as a
method -> `_published`.
"""

from mldgg.paper._published import Published
from mldgg.paper._settings import Settings

__all__ = ["Published", "Settings"]
