"""The published method, MLDGG (KDD 2025), whole; the package's default uses none of it.

Options and the two variants -> `_settings`; structure learner theta_t -> `_pivots`; refinement over rounds ->
`_refine`; structure regulariser (eq. 4) -> `_policy`; representation learner theta_r -> `_causal`; its prior ->
`_prior`; both bounds -> `_elbo`; GNN theta_g -> `_backbones`; network and loss -> `_network`; inner trajectory and
outer gradient (algorithm 1) -> `_loop`; training over epochs -> `_train`; adaptation -> `_adapt`; all of it as a method
-> `_published`.
"""

from mldgg.paper._backbones import BACKBONES, GnnOptions, PivotGNN, Rounds
from mldgg.paper._causal import CausalLearner, Latent
from mldgg.paper._elbo import elbo, elbo_independent, gaussian_log_density
from mldgg.paper._loop import ExplodedError, episode_gradient, trajectory
from mldgg.paper._network import Network
from mldgg.paper._pivots import PivotGraph, PivotLearner, choose_pivots, pivot_pass
from mldgg.paper._policy import pivot_graph, structure_loss
from mldgg.paper._prior import CausalPrior
from mldgg.paper._published import Published
from mldgg.paper._refine import Refined, refine
from mldgg.paper._settings import VARIANTS, Settings, settings_of
from mldgg.paper._train import Trainer

__all__ = [
    "BACKBONES",
    "VARIANTS",
    "CausalLearner",
    "CausalPrior",
    "ExplodedError",
    "GnnOptions",
    "Latent",
    "Network",
    "PivotGNN",
    "PivotGraph",
    "PivotLearner",
    "Published",
    "Refined",
    "Rounds",
    "Settings",
    "Trainer",
    "choose_pivots",
    "elbo",
    "elbo_independent",
    "episode_gradient",
    "gaussian_log_density",
    "pivot_graph",
    "pivot_pass",
    "refine",
    "settings_of",
    "structure_loss",
    "trajectory",
]
