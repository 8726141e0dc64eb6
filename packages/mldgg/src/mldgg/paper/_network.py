"""The network of one graph, with the GNN in it, and its loss, all parameters given from outside (`functional_call`).

Each layer of the GNN: Z <- (1 - alpha) PivotMP(Z W; B) + alpha A Z W. The sparse product equals PyG's GCNConv, and is
faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, mse_loss, nll_loss

from mldgg.paper._causal import CausalLearner, Latent, S
from mldgg.paper._pivots import PivotLearner, choose_pivots, pivot_pass, refine, structure_loss
from mldgg.paper._settings import Settings
from mldgg.paper._tensors import GraphTensors, Masks


class PivotGNN(nn.Module):
    """Theta_g: from a graph's features to r (N, hidden), after ReLU, and to classes. W are Xavier, without bias.

    Args:
        width, hidden: number of features, and width of both layers.
        outputs: number of class scores.
        skip: alpha, share of the message over the graph's own edges.
        refine_share: eta, share of B_t against B_0 in the first layer's message.
    """

    def __init__(
        self, width: int, hidden: int, outputs: int, skip: float = 0.3, refine_share: float = 0.25
    ) -> None:  # fmt: skip
        super().__init__()
        self.skip, self.refine_share = skip, refine_share
        self.first, self.second = nn.Parameter(torch.empty(width, hidden)), nn.Parameter(torch.empty(hidden, hidden))
        nn.init.xavier_uniform_(self.first)
        nn.init.xavier_uniform_(self.second)
        self.classify = nn.Linear(hidden, outputs)

    def begin(self, graph: GraphTensors, masks: Masks) -> tuple[Tensor, Tensor]:
        """(N, hidden) message X W of the first layer, and A X W, both the same in all rounds."""
        if graph.x.layout == torch.sparse_csr:  # dropping stored entries would change the matrix: drop its columns
            message = graph.x @ (masks(torch.ones_like(self.first[:, :1]), 0) * self.first)
        else:
            message = masks(graph.x, 0) @ self.first
        return message, graph.hop @ message

    def forward(
        self, graph: GraphTensors, masks: Masks, begun: tuple[Tensor, Tensor], b: Tensor | None, b_start: Tensor | None
    ) -> Tensor:
        """(N, hidden) r, given the structures B_t and B_0 (None: the graph's own edges alone)."""
        message, own = begun
        z = own
        if b is not None and b_start is not None:
            z = self._mixed(b_start, message, own)
            if b_start is not b:
                z = self.refine_share * self._mixed(b, message, own) + (1 - self.refine_share) * z
        message = masks(torch.relu(z), 1) @ self.second
        own = graph.hop @ message
        return torch.relu(own if b is None else self._mixed(b, message, own))

    def _mixed(self, b: Tensor, message: Tensor, own: Tensor) -> Tensor:
        return (1 - self.skip) * pivot_pass(b, message, own) + self.skip * own


OWN = ("gnn.", "head.")  # belong to one graph unless they are shared; the others are theta_t and theta_r
HEAD = 100


@dataclass(frozen=True)
class Output:
    """What a forward pass gives.

    Attributes:
        log_proba: (N, C) log class probabilities of the head f_c, from s; the GNN's without theta_r.
        own: (N, C) log class probabilities of the GNN's own output.
        r: (N, hidden).
        latent: s and v; None without theta_r.
        structure: the last B (N, P); None without theta_t.
        pivots: (P,) node indices.
    """

    log_proba: Tensor
    own: Tensor
    r: Tensor
    latent: Latent | None
    structure: Tensor | None
    pivots: Tensor


class Network(nn.Module):
    """GNN theta_g with its class output, structure learner theta_t, causal learner theta_r, head f_c (256 -> 100 -> C).

    Labels reach theta_g and theta_t through the GNN's own class output, at each refinement. Reconstruction, bound and
    the answers from s act on theta_r and f_c alone: r is detached there, since r = 0 is the optimum of a reconstruction
    that may change r.
    """

    def __init__(self, width: int, classes: int, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        hidden = settings.hidden_channels
        outputs = 1 if classes == 2 else classes
        self.gnn = PivotGNN(width, hidden, outputs, settings.skip, settings.refine_share)
        heads, epsilon, independent = settings.num_heads, settings.epsilon, settings.elbo == "ind"
        self.structure = PivotLearner(hidden, heads, epsilon) if settings.structure else None
        self.represent = CausalLearner(hidden, independent=independent) if settings.semantics else None
        self.head = nn.Sequential(nn.Linear(S, HEAD), nn.Linear(HEAD, outputs)) if settings.semantics else None

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
        if nodes is None:
            r, latent = embeddings[-1], None
            chances = own = log_chances(self.gnn.classify(r))
            if self.represent is not None and self.head is not None:
                latent = self.represent.encode(r)
                chances = log_chances(self.head(latent.s))
            return Output(chances, own, r, latent, structures[-1] if structures else None, pivots)
        y = graph.y[nodes]
        scores = [self.gnn.classify(masks(r[nodes], 2)) for r in embeddings]
        loss = torch.stack([nll_loss(log_chances(one), y) for one in scores]).mean()
        if self.represent is not None and self.head is not None:
            loss = loss + self._semantic_loss(self.represent, self.head, embeddings[-1].detach(), nodes, y, seed)
        if structures and (self.settings.smooth or self.settings.sparse):
            weights = {name: getattr(self.settings, name) for name in ("smooth", "sparse", "draws")}
            pairs = zip(structures, embeddings, strict=True)
            parts = [structure_loss(b, r[pivots].detach(), **weights, seed=seed) for b, r in pairs]
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
        self, represent: CausalLearner, head: nn.Module, r: Tensor, nodes: Tensor, y: Tensor, seed: int
    ) -> Tensor:
        """Answers from s, reconstruction of all nodes' r and bound; (N, hidden) r without a gradient."""
        latent = represent.encode(r)
        some = Latent(latent.s[nodes], latent.v[nodes], latent.u[nodes])
        loss = nll_loss(log_chances(head(some.s)), y)
        loss = loss + self.settings.reconstruction * mse_loss(represent.decode(latent.s, latent.v), r)
        if not self.settings.elbo_weight:
            return loss

        def log_label(s: Tensor) -> Tensor:
            chances = log_chances(head(s))
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
