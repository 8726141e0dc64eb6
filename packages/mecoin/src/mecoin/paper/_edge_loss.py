"""Edge loss: keys keep the pairwise geometry of the encoder's output.

The publication names it; the formula is inferred from a disabled line of its code.
"""

from __future__ import annotations

from torch import Tensor


def distances(x: Tensor) -> Tensor:
    """(n, d) -> (n, n) Euclidean distances, scaled so that their mean is 1; differentiable, also on the diagonal."""
    lengths = x.square().sum(1)
    squares = lengths[:, None] + lengths[None] - 2 * (x @ x.T)
    apart = squares > 1e-6 * lengths.max()  # nearer is rounding, whose root has no gradient worth having
    made = squares.where(apart, squares.new_ones(())).sqrt() * apart
    return made / made.mean().clamp(min=1e-12)


def edge_loss(keys: Tensor, z: Tensor) -> Tensor:
    """||D(keys) - D(z)||_F / n over n nodes; keys (n, k), z (n, m)."""
    return (distances(keys) - distances(z)).norm() / len(z)
