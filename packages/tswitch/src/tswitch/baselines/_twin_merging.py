"""Twin-Merging: one shared model, what each task needs beyond it in compressed form, and a router that mixes these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Method, Packed, share
from tswitch.baselines._lora import factors
from tswitch.baselines._select import kth_largest, pack_bits, part, unpack_bits
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class TwinMerging(Method):
    """theta* + sum of w_i(x) nu_i: theta* by Task Arithmetic, nu_i = theta_i - theta* compressed, w by `SoftmaxRouter`.

    `Fitted.mixture(w)` gives the model for router weights w, `task_model(i)` that of a router sure of task i.

    Attributes:
        scale: lambda of Task Arithmetic.
        compress: "svd" keeps the largest singular values of each matrix (vectors stay dense), "magnitude" the largest
            entries.
        keep: share of singular values or entries that is kept.
    """

    name = "twin_merging"
    source = "arXiv 2406.15479"
    limits = "the router needs labels of the task; each mixture is a model of its own to run"
    whole = True
    scale: float = 0.3
    compress: Literal["svd", "magnitude"] = "svd"
    keep: float = 0.1

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)
        if self.compress not in ("svd", "magnitude"):
            raise InputError("compress", got=self.compress, expected="svd or magnitude")

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """theta* - theta_0 in the base's place, and each task's nu_i compressed."""
        shared = self.scale * piece.deltas.sum(0)
        packed = {"merged": shared}
        for i, delta in enumerate(piece.deltas):
            own = delta - shared
            if self.compress == "magnitude":
                rank = max(part(own.numel(), self.keep), 1)
                largest = own.abs()
                kept = largest >= (
                    kth_largest(lambda held=largest: [held], [rank], own.numel())[0] if own.numel() else 0
                )
                packed |= {f"task{i}.bits": pack_bits(kept), f"task{i}.values": own[kept]}
            elif len(piece.shape) >= 2 and own.numel():
                matrix = own.reshape(piece.shape[0], -1)
                rank = max(part(min(matrix.shape), self.keep), 1)
                packed[f"task{i}.left"], packed[f"task{i}.right"] = factors(matrix, rank)
            else:
                packed[f"task{i}.delta"] = own
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """theta* - theta_0 + nu_i."""
        if f"task{task}.bits" in packed:
            own = torch.zeros(size)
            own[unpack_bits(packed[f"task{task}.bits"], size)] = packed[f"task{task}.values"]
        elif f"task{task}.left" in packed:
            own = (packed[f"task{task}.left"] @ packed[f"task{task}.right"]).reshape(-1)
        else:
            own = packed[f"task{task}.delta"]
        return packed["merged"] + own


@dataclass(frozen=True)
class SoftmaxRouter:
    """Task probabilities from mean-pooled features of the shared model: softmax(x W + b).

    Attributes:
        weight: (d, K).
        bias: (K,).
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, features: Tensor, tasks: Tensor, *, steps: int = 200, decay: float = 1e-3) -> SoftmaxRouter:
        """Minimise cross-entropy with L-BFGS on standardised features.

        Args:
            features: (n, d) float, mean over the tokens of theta*'s last layer.
            tasks: (n,) int, the task of each row.
            steps: most iterations.
            decay: weight of the squared norm of W.
        """
        if len(features) != len(tasks) or not len(features):
            raise InputError("features", got=f"{len(features)} rows for {len(tasks)} labels", expected="as many, some")
        if not torch.isfinite(features).all():
            raise InputError("features", got="NaN or infinite values", expected="finite values")
        mean, spread = features.mean(0), features.std(0, unbiased=False).clamp(min=1e-6)
        x = (features - mean) / spread
        weight = torch.zeros(x.shape[1], int(tasks.max()) + 1, requires_grad=True)
        bias = torch.zeros(weight.shape[1], requires_grad=True)
        solver = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            value = torch.nn.functional.cross_entropy(x @ weight + bias, tasks) + decay * weight.square().sum()
            value.backward()
            return value

        solver.step(loss)  # pyright: ignore[reportArgumentType]
        scaled = weight.detach() / spread[:, None]
        return cls(scaled, bias.detach() - mean @ scaled)

    def weights(self, features: Tensor) -> Tensor:
        """(n, K): w(x), rows sum to one."""
        return (features @ self.weight + self.bias).softmax(-1)

    @property
    def nbytes(self) -> int:
        """Bytes to store; add them to those of the fitted method."""
        return self.weight.nbytes + self.bias.nbytes
