"""What of a representation causes the label (s) and what varies with the graph (v): the causal learner theta_r.

Encoder q(s, v | r) and decoder p(r | s, v) -> `_causal`; learnable Gaussian prior p(s, v) and its independent form ->
`_prior`; both variants of the ELBO -> `_elbo`.
"""

from mldgg.semantics._causal import CausalLearner, Latent
from mldgg.semantics._elbo import elbo, elbo_independent, gaussian_log_density
from mldgg.semantics._prior import CausalPrior

__all__ = ["CausalLearner", "CausalPrior", "Latent", "elbo", "elbo_independent", "gaussian_log_density"]
