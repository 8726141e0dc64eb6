"""HAG-Meta: pseudo-incremental meta-training with attention over a class's nodes and over tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._frozen import Episode, FrozenLearner, Pool, projection, squared_distances


class HagMeta(FrozenLearner):
    """New prototypes weigh their nodes by degree and a learnt score; classes of distances to prototypes.

    Attributes:
        way: classes that act as new in an episode.
    """

    name = "HAG-Meta"
    source = "Tan et al. 2022, arXiv 2112.12819"
    limits = "on the frozen encoder with a projection; an episode has two tasks: base classes and those that act as new"
    grid = tuple({"lr": lr, "episodes": count} for lr in (1e-3, 5e-3) for count in (100, 400))
    way: int = 2

    def fit_pool(self, pool: Pool) -> None:
        """Meta-train projection, node scorer and task attention."""
        width = pool.z.shape[1]
        self.project, self.scorer, self.tasks = projection(width), nn.Linear(width, 1), nn.Linear(width, 1)
        nn.init.zeros_(self.tasks.weight)
        parameters = [one for module in (self.project, self.scorer, self.tasks) for one in module.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=self.lr, weight_decay=5e-4)
        for _ in range(int(self.episodes)):
            episode = Episode.draw(pool, self.rng, way=int(self.way))
            optimiser.zero_grad()
            z, acting = self.project(pool.z), set(episode.new.tolist())
            prototypes = torch.stack(
                [
                    self.prototype(pool.z[rows], z[rows], pool.degree[rows]) if column in acting else z[rows].mean(0)
                    for column, rows in enumerate(episode.support)
                ]
            )
            new = torch.zeros(len(prototypes), dtype=torch.bool)
            new[episode.new] = True
            output = F.log_softmax(-squared_distances(z[episode.query], prototypes), 1)
            each = F.nll_loss(output, episode.target, reduction="none")
            weights = task_weights(prototypes, new, self.tasks)[episode.target]
            ((weights * each).sum() / weights.sum() + each.mean()).backward()
            optimiser.step()
        for module in self.modules():
            module.requires_grad_(False)
        self.prototypes = Pool(self.project(pool.z), pool.degree, pool.rows).means()

    def prototype(self, z: Tensor, projected: Tensor, degree: Tensor) -> Tensor:
        """(h,) sum of gamma_i z_i, gamma_i = sigmoid(log degree_i * score_i), scaled to sum 1."""
        gamma = torch.sigmoid(degree.log() * self.scorer(z)[:, 0])
        return (gamma / gamma.sum()) @ projected

    def add_pool(self, pool: Pool) -> None:
        """Weighted means."""
        z = self.project(pool.z)
        new = [self.prototype(pool.z[rows], z[rows], pool.degree[rows]) for rows in pool.rows]
        self.prototypes = torch.cat([self.prototypes, torch.stack(new)])

    def score_rows(self, z: Tensor) -> Tensor:
        """Minus squared distances."""
        return -squared_distances(self.project(z), self.prototypes)

    def modules(self) -> list[nn.Module]:
        """What meta-training made."""
        return [self.project, self.scorer, self.tasks]


def task_weights(prototypes: Tensor, new: Tensor, scorer: nn.Linear) -> Tensor:
    """(C,) weights of classes in the loss: a softmax over the tasks' scores, shared out among a task's classes."""
    groups = [group for group in (~new, new) if group.any()]
    shares = torch.cat([scorer(prototypes[group].mean(0)) for group in groups]).softmax(0)
    weights = torch.zeros(len(prototypes))
    for share, group in zip(shares, groups, strict=True):
        weights = torch.where(group, share / group.sum(), weights)
    return weights
