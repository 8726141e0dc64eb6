"""The network of one graph and its loss, with all parameters given from outside (`torch.func.functional_call`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid, mse_loss

from mldgg.paper._causal import CausalLearner, Latent
from mldgg.paper._gnn import PivotGNN
from mldgg.paper._pivots import PivotLearner, choose_pivots, refine, structure_loss
from mldgg.paper._settings import Settings
from mldgg.paper._tensors import GraphTensors, Masks

OWN = ("gnn.", "head.")  # belong to one graph unless they are shared; the others are theta_t and theta_r
HEAD = 100


@dataclass(frozen=True)
class Output:
    """What a forward pass gives.

    Attributes:
        log_proba: (N, C) log class probabilities.
        r: (N, hidden).
        latent: s and v; None without theta_r.
        structure: the last B (N, P); None without theta_t.
        pivots: (P,) node indices.
    """

    log_proba: Tensor
    r: Tensor
    latent: Latent | None
    structure: Tensor | None
    pivots: Tensor


class Network(nn.Module):
    """GNN theta_g, structure learner theta_t, causal learner theta_r and head f_c (256 -> 100 -> C, linear)."""

    def __init__(self, width: int, classes: int, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        hidden = settings.hidden_channels
        self.gnn = PivotGNN(width, hidden, settings.skip, settings.refine_share)
        heads, epsilon, independent = settings.num_heads, settings.epsilon, settings.elbo == "ind"
        self.structure = PivotLearner(hidden, heads, epsilon) if settings.structure else None
        self.represent = CausalLearner(hidden, independent=independent) if settings.semantics else None
        inner = self.represent.to_s.out_features if self.represent is not None else hidden
        self.head = nn.Sequential(nn.Linear(inner, HEAD), nn.Linear(HEAD, 1 if classes == 2 else classes))

    def forward(self, graph: GraphTensors, nodes: Tensor | None = None, seed: int = 0, train: bool = False) -> object:
        """The loss over `nodes` (a scalar), or without them the `Output` for the whole graph.

        Args:
            graph: tensors of the graph.
            nodes: (n,) indices of labelled nodes.
            seed: of pivots, dropout masks and draws: all are the same for the same seed.
            train: drop entries.
        """
        masks = Masks(seed if train else None, self.settings.dropout)
        pivots = choose_pivots(len(graph), self.settings.num_pivots, seed)
        structures, embeddings = self._embed(graph, masks, pivots)
        latents = [self.represent.encode(r) if self.represent is not None else None for r in embeddings]
        scores = [self.head(r if latent is None else latent.s) for r, latent in zip(embeddings, latents, strict=True)]
        if nodes is None:
            last = structures[-1] if structures else None
            return Output(log_chances(scores[-1]), embeddings[-1], latents[-1], last, pivots)
        y = graph.y[nodes]
        loss = torch.stack([cross_entropy(log_chances(one[nodes]), y) for one in scores]).mean()
        if self.represent is not None and latents[-1] is not None:
            loss = loss + self._semantic_loss(self.represent, embeddings[-1], latents[-1], nodes, y, seed)
        if structures and (self.settings.smooth or self.settings.sparse):
            weights = {name: getattr(self.settings, name) for name in ("smooth", "sparse", "draws")}
            pairs = zip(structures, embeddings, strict=True)
            parts = [structure_loss(b, r[pivots], **weights, seed=seed) for b, r in pairs]
            loss = loss + torch.stack(parts).mean()
        return loss

    def _embed(self, graph: GraphTensors, masks: Masks, pivots: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        begun = self.gnn.begin(graph, masks)
        if self.structure is None:
            return [], [self.gnn(graph, masks, begun, None, None)]
        structure = self.structure
        return refine(
            torch.relu(begun[1]), lambda z: structure(z, pivots),
            lambda b, start: self.gnn(graph, masks, begun, b, start), self.settings.rounds,
        )  # fmt: skip

    def _semantic_loss(
        self, represent: CausalLearner, r: Tensor, latent: Latent, nodes: Tensor, y: Tensor, seed: int
    ) -> Tensor:
        loss = self.settings.reconstruction * mse_loss(represent.decode(latent.s, latent.v), r)
        if not self.settings.elbo_weight:
            return loss
        some = Latent(latent.s[nodes], latent.v[nodes], latent.u[nodes])

        def log_label(s: Tensor) -> Tensor:
            chances = log_chances(self.head(s))
            return chances.gather(-1, y.expand(s.shape[0], -1)[..., None])[..., 0]

        bound = represent.bound(r[nodes], some, log_label, samples=self.settings.samples, seed=seed)
        return loss - self.settings.elbo_weight * bound.mean()


def log_chances(scores: Tensor) -> Tensor:
    """(..., C) scores, or (..., 1) of a binary task -> (..., C) log probabilities."""
    if scores.shape[-1] == 1:
        return torch.cat([logsigmoid(-scores), logsigmoid(scores)], dim=-1)
    return torch.log_softmax(scores, dim=-1)


def is_own(name: str) -> bool:
    """Whether a parameter belongs to one graph (theta_g, f_c) when they are not shared."""
    return name.startswith(OWN)
