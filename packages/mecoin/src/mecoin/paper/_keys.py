"""Keys of nodes by MeCs and GraphInfo, learnt in the base session with the edge loss, then fixed.

Keys query the *base* prototypes in every session: would they query prototypes that come later, then the keys of old
classes' nodes would move away from the prototypes that were made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from ninefold_graphs import under, whitening
from torch import Tensor, nn
from torch.nn import functional as F


def graphinfo_projection(width: int, dim: int = 13, seed: int = 0) -> np.ndarray:
    """R of G = Z R: (width, dim) float32, Gaussian, columns of unit length; never trained (paper; 13 in its code)."""
    projection = np.random.default_rng(seed).normal(size=(width, dim))
    return (projection / np.linalg.norm(projection, axis=0)).astype(np.float32)


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


class MeCs(nn.Module):
    """H = softmax((Z W_Q)(M W_K)^T / sqrt(m)) M W_V, and H', a small learned read-out of H.

    In the published code a hard choice of keys keeps gradients from these projections; here they get them through
    `soft` matching and the edge loss.

    Args:
        width: m, the encoder's dimension.
        key: dimension of a prototype.
        readout: dimension of H'.
    """

    def __init__(self, width: int, key: int, readout: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query = _matrix(width, width, generator)
        self.key = _matrix(key, width, generator)
        self.value = _matrix(key, width, generator)
        self.readout = _matrix(width, readout, generator)

    def attend(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """z (n, m), prototypes (P, key) -> H (n, m)."""
        scores = (z @ self.query) @ (prototypes @ self.key).T / math.sqrt(z.shape[1])
        return scores.softmax(dim=1) @ (prototypes @ self.value)

    def forward(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """z (n, m), prototypes (P, key) -> H' (n, readout)."""
        return self.attend(z, prototypes) @ self.readout


def _matrix(rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns, generator=generator) / math.sqrt(rows))


@dataclass(frozen=True)
class Published:
    """Settings of `Constructed`; switches are for ablations.

    Attributes:
        readout: dimensions of H'.
        graphinfo: dimensions of G.
        edge: weight of the edge loss.
        mecs: have H' in the key.
        info: have G in the key.
        tau: temperature of soft matching, by which gradients reach W_Q, W_K and W_V.
        shrinkage: of the covariances by which the encoder's output and H' are whitened.
        weight: of squared distances in H', next to those in G.
        absent: share of the base prototypes that a step of training leaves out: later classes query prototypes that
            do not have their own among them.
    """

    readout: int = 64
    graphinfo: int = 128
    edge: float = 0.1
    mecs: bool = True
    info: bool = True
    tau: float = 0.1
    shrinkage: float = 0.1
    weight: float = 0.1
    absent: float = 0.4
    steps: int = 150
    lr: float = 5e-3
    batch: int = 256


class Constructed:
    """kappa = [H' ; G]: MeCs' read-out next to GraphInfo (paper), each whitened.

    Nearly all variance of the encoder's output lies in as many dimensions as there are base classes: unwhitened, a
    projection of it keeps little else. Whitened means in the space where base classes are round. (ours)

    In the base session there are no old prototypes to query: MeCs queries the base classes' prototypes of GraphInfo.
    """

    def __init__(self, settings: Published) -> None:
        self.settings = settings

    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:
        """Train MeCs by soft matching of base nodes to base prototypes, and by the edge loss.

        z: (n, m) encoder output; support: its rows by base class.
        """
        settings, generator = self.settings, torch.Generator().manual_seed(seed)
        width = z.shape[1]
        self.whiten = whitening(z, support, settings.shrinkage) / np.float32(np.sqrt(width))
        self.projection = graphinfo_projection(width, settings.graphinfo, seed)
        self.mecs = MeCs(width, settings.graphinfo, settings.readout, generator)
        self.level = np.eye(settings.readout, dtype=np.float32)
        x = torch.from_numpy(self.features(z[np.concatenate(list(support.values()))]))
        y = torch.from_numpy(np.repeat(np.arange(len(support)), [len(rows) for rows in support.values()]))
        self.attended = _means(x @ torch.from_numpy(self.projection), y, len(support))
        if not settings.mecs:
            return
        optimiser = torch.optim.Adam(self.mecs.parameters(), lr=settings.lr)
        for _ in range(settings.steps):
            some = torch.randint(len(x), (min(settings.batch, len(x)),), generator=generator)
            optimiser.zero_grad()
            queried = self.attended
            if settings.absent:
                there = torch.rand(len(queried), generator=generator) >= settings.absent
                queried = queried[there] if there.any() else queried
            self._loss(x[some], y[some], queried).backward()
            optimiser.step()
        self.mecs.requires_grad_(False)
        rows = {code: np.flatnonzero(y.numpy() == code) for code in range(len(support))}
        level = whitening(self.mecs(x, self.attended).numpy(), rows, settings.shrinkage)
        self.level = level * np.float32(np.sqrt(settings.weight / settings.readout))

    def _loss(self, x: torch.Tensor, y: torch.Tensor, queried: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of soft matching to the means of the batch's classes, and the edge loss."""
        keys, (present, target) = self._keys(x, queried), torch.unique(y, return_inverse=True)
        squares = (keys[:, None] - _means(keys, target, len(present))[None]).square().sum(2)
        loss = F.cross_entropy(-squares / self.settings.tau, target)
        return loss + self.settings.edge * edge_loss(keys, x) if self.settings.edge else loss

    def _keys(self, x: torch.Tensor, queried: torch.Tensor) -> torch.Tensor:
        attended = self.mecs(x, queried) @ torch.from_numpy(self.level)
        info = x @ torch.from_numpy(self.projection)
        mecs, kept = float(self.settings.mecs), float(self.settings.info)  # a part that is left out is zeros
        return torch.cat([mecs * attended, kept * info], dim=1)

    def features(self, z: np.ndarray) -> np.ndarray:
        """z whitened, of about unit length."""
        return z @ self.whiten

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, readout + graphinfo)."""
        with torch.no_grad():
            return self._keys(torch.from_numpy(self.features(z)), self.attended).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Whitening, projections of MeCs and GraphInfo, and the base prototypes that are queried."""
        named = {f"mecs.{key}": value.numpy() for key, value in self.mecs.state_dict().items()}
        whitened = {"whiten": self.whiten, "level": self.level}
        return named | whitened | {"projection": self.projection, "attended": self.attended.numpy()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.projection, self.attended = arrays["projection"], torch.from_numpy(arrays["attended"])
        self.whiten, self.level = arrays["whiten"], arrays["level"]
        width, readout = arrays["mecs.readout"].shape
        self.mecs = MeCs(width, self.attended.shape[1], readout, torch.Generator())
        self.mecs.load_state_dict({key: torch.from_numpy(one) for key, one in under(arrays, "mecs.").items()})
        self.mecs.requires_grad_(False)


def _means(x: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    """(classes, k) mean of the rows of x in each class."""
    sums = x.new_zeros(classes, x.shape[1]).index_add(0, y, x)
    return sums / torch.bincount(y, minlength=classes)[:, None]
