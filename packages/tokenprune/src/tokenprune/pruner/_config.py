"""What a user decides about a pruner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ninefold.errors import InputError

from tokenprune.routers._observation_router import Observation
from tokenprune.routers._schedule import checked_target

ROUTERS = ("observation", "dynamic", "static", "one_pass")
GATES, DECODES = ("topk", "argmax"), ("off", "threshold", "strict")
WIDEST = 4096  # of a router's middle layer; the publication's has 64
STARTS, SCORES = ("static", "observation", "random"), ("last", "observation")


@dataclass(frozen=True, kw_only=True)
class FTPConfig:
    """Settings of a `TokenPruner`.

    Attributes:
        target_sparsity: share of (token, block) pairs to skip, in [0, 0.95].
        router: "observation" (the last tokens and those that the last queries attend to, no training), "dynamic" (four
            factors, one net for all blocks), "static" (first and most recent tokens), "one_pass".
        gate: "topk" meets the budget exactly; "argmax" is the net's own choice.
        decode: "off": new tokens run in all blocks; "threshold": they skip blocks sparser than a half; "strict": so
            does each token of the prompt.
        cache_tokens: how many tokens of a prompt each block's cache holds at most, whatever prefill computes: the
            first, the observation window and those that it attends to (SnapKV); left out, all that the block kept. Of
            routers that read an observation window.
        protect: how many last tokens of a prompt no block skips (their logits are read).
        score_window: how many last queries score the keys, of a learnt router with `scores="last"`.
        scores: what a dynamic router's score and rank are: "last", those of the last queries, as published;
            "observation", those of the observation window.
        observation: the observation window, for `router="observation"` and `scores="observation"`.
        hidden: width of the router's middle layer.
        read: "one_pass": the block after which it looks at the tokens, from 0.
        router_start: what a learnt router is before training: "static", an imitation of the static rule that ranks
            tokens exactly as it does; "observation", the same of the observation router (`scores="observation"`);
            "random", weights drawn by chance.
        seed: random seed.

    Examples:
        >>> import torch
        >>> from tokenprune import FTPConfig, TokenPruner, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> config = FTPConfig(target_sparsity=0.5, router="static")  # keep the first and the latest tokens
        >>> TokenPruner(model, config).schedule
        (0.5, 0.5, 0.5, 0.5)
        >>> FTPConfig().router, FTPConfig().target_sparsity
        ('observation', 0.3)
    """

    target_sparsity: float = 0.3
    router: str = "observation"
    gate: str = "topk"
    decode: str = "off"
    cache_tokens: int | None = None
    protect: int = 1
    score_window: int = 1
    scores: str = "last"
    observation: Observation = field(default_factory=Observation)
    hidden: int = 64
    read: int = 1
    router_start: str = "static"
    seed: int = 0

    def __post_init__(self) -> None:
        checked_target(self.target_sparsity)
        allowed = {
            "router": ROUTERS, "gate": GATES, "decode": DECODES, "router_start": STARTS,
            "scores": SCORES,
        }  # fmt: skip
        for name, known in allowed.items():
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                raise InputError(name, got=repr(getattr(self, name)), expected=f"one of {', '.join(known)}")
        for name in ("protect", "score_window", "hidden"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise InputError(name, got=f"{getattr(self, name)!r:.40}", expected="a whole number from 1")
        if self.hidden > WIDEST:
            raise InputError("hidden", got=self.hidden, expected=f"at most {WIDEST}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError("seed", got=f"{self.seed!r:.40}", expected="a whole number from 0, below 2^63")
        if isinstance(self.observation, Mapping):  # read from JSON
            object.__setattr__(self, "observation", Observation(**self.observation))
        if not isinstance(self.observation, Observation):
            raise InputError("observation", got=f"{self.observation!r:.40}", expected="an Observation")
        if self.scores == "observation" and self.router != "dynamic":
            raise InputError("scores", got=repr(self.scores), expected="last, unless router='dynamic' reads them")
        if self.router_start == "observation" and self.scores != "observation":
            raise InputError("router_start", got="'observation'", expected="scores='observation' beside it")
        if self.cache_tokens is not None:
            if type(self.cache_tokens) is not int or self.cache_tokens < 1:
                raise InputError("cache_tokens", got=repr(self.cache_tokens), expected="a whole number from 1")
            if "observation" not in (self.router, self.scores):
                raise InputError("cache_tokens", got=f"router={self.router!r}", expected="an observation window")
        if type(self.read) is not int or self.read < 0:
            raise InputError("read", got=self.read, expected="the number of a block, from 0")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
