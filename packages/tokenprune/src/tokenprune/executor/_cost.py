"""What a forward pass costs: floating-point operations and bytes of the KV cache, from how many tokens each block kept.

A block with n kept tokens takes 2 n P_block + 2 n^2 heads head_dim operations (causal attention: half of the square);
scoring by w queries takes 2 w n heads head_dim, the dynamic router 768 per token, the head 2 d V per logit position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenprune.models._layout import Layout

ROUTER_FLOPS = 768  # a token: 2 (4 x 64 + 64 x 2)


@dataclass(frozen=True)
class Cost:
    """Of one forward pass.

    Attributes:
        flops: operations of the blocks, of scoring and routing, and of the head.
        kv_bytes: bytes of keys and values cached.
        routing_flops: the part of `flops` that routing takes.

    Examples:
        >>> import torch
        >>> from tokenprune import FTPConfig, TokenPruner, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> pruner = TokenPruner(model, FTPConfig(target_sparsity=0.5))
        >>> one = pruner.cost([40])  # a prompt of 40 tokens
        >>> both = one.plus(pruner.cost([80]))
        >>> both.kv_bytes, one.times(10).kv_bytes
        (62208, 209920)
        >>> round(one.routing_flops / one.flops, 3)
        0.049
    """

    flops: float
    kv_bytes: int
    routing_flops: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Of both passes."""
        return Cost(self.flops + other.flops, self.kv_bytes + other.kv_bytes, self.routing_flops + other.routing_flops)

    def times(self, count: int) -> Cost:
        """Of so many passes like this one."""
        return Cost(self.flops * count, self.kv_bytes * count, self.routing_flops * count)


@dataclass(frozen=True)
class CostModel:
    """Sizes that the formulas need.

    Attributes:
        weights: of each block: those that a token meets.
        heads, kv_heads, head_dim: of attention.
        head: weights of the language-model head.
        bytes_each: bytes of one cached number.
        hidden: d.

    Examples:
        >>> import torch
        >>> from tokenprune import CostModel, Layout, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> costs = CostModel.of(Layout.of(model))
        >>> costs.blocks, costs.heads, costs.kv_heads
        (4, 4, 2)
        >>> costs.dense([40]).kv_bytes
        40960
        >>> costs.of_kept([[20]] * 4).kv_bytes  # half of the tokens in each block
        20480
    """

    weights: tuple[int, ...]
    heads: int
    kv_heads: int
    head_dim: int
    head: int
    bytes_each: int
    hidden: int = 0

    @classmethod
    def of(cls, layout: Layout) -> CostModel:
        """The sizes of a model."""

        config: Any = layout.config
        chosen = getattr(config, "num_experts_per_tok", None) or getattr(config, "moe_k", None) or 1

        def weights(module: object) -> int:
            """Of matrices that a token meets; of experts, lists or stacked, those that are chosen for it."""
            found = 0
            for name, one in module.named_parameters():  # type: ignore[attr-defined]
                size = one.numel()
                if "experts." in name and "shared" not in name and one.dim() == 3:
                    size = size * min(chosen, one.shape[0]) // one.shape[0]
                found += size * (one.dim() >= 2)
            return found

        return cls(
            weights=tuple(weights(block) for block in layout.blocks), heads=layout.heads, kv_heads=layout.kv_heads,
            head_dim=layout.head_dim, head=weights(layout.model.get_output_embeddings()),
            bytes_each=layout.decoder.embed_tokens.weight.element_size(), hidden=layout.config.hidden_size,
        )  # fmt: skip

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.weights)

    def block_flops(self, block: int, kept: float) -> float:
        """Of one block with `kept` tokens."""
        return 2 * kept * self.weights[block] + 2 * kept**2 * self.heads * self.head_dim

    def looking(self, lengths: Sequence[int], window: int, heads: Mapping[int, Sequence[int]]) -> int:
        """Operations of heads that look ahead: their blocks' queries, keys and values, and their scores."""
        made = self.hidden * (self.heads + 2 * self.kv_heads) * self.head_dim * len(heads)
        return 2 * sum(lengths) * (made + window * self.head_dim * sum(map(len, heads.values())))

    def of_kept(
        self, kept: Sequence[Sequence[int]], *, logits: int = 0,
        scored: Sequence[int] = (), routed: Sequence[int] = (),
        cached: Mapping[int, Sequence[int]] | None = None,
    ) -> Cost:  # fmt: skip
        """Cost of a pass.

        Args:
            kept: for each block, tokens kept in each row.
            logits: positions whose logits are computed.
            scored: for each block, last queries by which its keys are scored.
            routed: for each block, operations of its router.
            cached: by block, tokens of each row that its cache holds, where these are fewer than gave keys.
        """
        flops, held, routing = 2.0 * logits * self.head, 0, 0.0
        for block, counts in enumerate(kept):
            flops += sum(self.block_flops(block, one) for one in counts)
            keys = sum(counts)
            held += sum(cached[block]) if cached and block in cached else keys
            routing += 2.0 * (scored[block] if scored else 0) * keys * self.heads * self.head_dim
        routing += float(sum(routed))
        return Cost(flops + routing, held * 2 * self.kv_heads * self.head_dim * self.bytes_each, routing)

    def of_new(self, cached: Sequence[Sequence[int]], new: Sequence[int], *, logits: int = 0) -> Cost:
        """Cost of new tokens over a cache.

        Args:
            cached: for each block that they run through, tokens of each row that its cache holds before them; empty for
                a block that they skip.
            new: tokens of each row.
            logits: positions whose logits are computed.
        """
        flops, bytes_ = 2.0 * logits * self.head, 2 * self.kv_heads * self.head_dim * self.bytes_each
        for block, lengths in enumerate(cached):
            if not lengths:
                continue
            flops += sum(new) * 2.0 * self.weights[block]
            seen = sum(count * length + count**2 / 2 for count, length in zip(new, lengths, strict=True))
            flops += 4.0 * seen * self.heads * self.head_dim
        return Cost(flops, sum(new) * bytes_ * sum(map(bool, cached)))

    def dense(self, lengths: Sequence[int], logits: int = 0) -> Cost:
        """Cost of the model as it is, for rows of these lengths."""
        return self.of_kept([lengths] * self.blocks, logits=logits)
