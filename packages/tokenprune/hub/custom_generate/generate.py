"""`generate` with a share of the prompt skipped in each block; needs the package tokenprune."""

from typing import Any


def generate(model: Any, sparsity: float = 0.3, **arguments: Any) -> Any:
    """As the model's own `generate`, under the training-free pruner.

    Args:
        model: a causal language model.
        sparsity: share of (token, block) pairs of the prompt to skip.
        arguments: of `generate`.
    """
    from tokenprune import FTPConfig, TokenPruner

    with TokenPruner(model, FTPConfig(target_sparsity=sparsity)):
        return model.generate(**arguments)
