"""Risks that should be alike in all sources: IRM, V-REx and GroupDRO."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mldgg.baselines._trained import SPACE, Trained, risk
from mldgg.encoders import Masks


class Irm(Trained):
    """Mean risk + weight * mean |d R_e(w f) / d w|^2 at w = 1."""

    name = "irm"
    source = "arXiv 1907.02893"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "weight": (1.0, 10.0)}

    def loss(self, masks: Masks) -> Tensor:
        """Mean risk and penalty."""
        risks, penalties = [], []
        for graph in self.graphs:
            scale = torch.ones(1, requires_grad=True)
            one = risk(self.model(graph, masks) * scale, graph)
            (gradient,) = torch.autograd.grad(one, scale, create_graph=True)
            risks.append(one)
            penalties.append(gradient.square().sum())
        return torch.stack(risks).mean() + self.options["weight"] * torch.stack(penalties).mean()


class VRex(Trained):
    """Mean risk + weight * variance of the risks."""

    name = "v-rex"
    source = "ICML 2021, arXiv 2003.00688"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "weight": (1.0, 10.0)}

    def loss(self, masks: Masks) -> Tensor:
        """Mean and variance."""
        risks = torch.stack(self.risks(masks))
        return risks.mean() + self.options["weight"] * risks.var(correction=0)


class GroupDro(Trained):
    """Sources weighted by q_e, which grows with exp(eta R_e)."""

    name = "group-dro"
    source = "ICLR 2020, arXiv 1911.08731"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "eta": (0.01, 0.1)}

    def prepare(self) -> None:
        """All sources count alike at first."""
        self.q = torch.full((len(self.graphs),), 1 / len(self.graphs))

    def loss(self, masks: Masks) -> Tensor:
        """Weighted risk."""
        risks = torch.stack(self.risks(masks))
        self.q = self.q * torch.exp(self.options["eta"] * risks.detach())
        self.q = self.q / self.q.sum()
        return (self.q * risks).sum()
