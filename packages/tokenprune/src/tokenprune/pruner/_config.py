"""What a user decides about a pruner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ninefold.errors import InputError

from tokenprune.routers._observation_router import Observation
from tokenprune.routers._schedule import checked_target


@dataclass(frozen=True, kw_only=True)
class FTPConfig:
    """Settings of a `TokenPruner`.

    Attributes:
        target_sparsity: share of (token, block) pairs to skip, in [0, 0.95].
        router: "observation" (the last tokens and those that the last queries attend to), or "static" (the first and
            the most recent tokens, the control).
        cache_tokens: how many tokens of a prompt each block's cache holds at most, whatever prefill computes: the
            first, the observation window and those that it attends to (SnapKV); left out, all that the block kept. Of
            the observation router.
        protect: how many last tokens of a prompt no block skips (their logits are read).
        observation: the observation window, of the observation router.

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

    routers: ClassVar = ("observation", "static")

    target_sparsity: float = 0.3
    router: str = "observation"
    cache_tokens: int | None = None
    protect: int = 1
    observation: Observation = field(default_factory=Observation)

    def __post_init__(self) -> None:
        checked_target(self.target_sparsity)
        if not isinstance(self.router, str) or self.router not in self.routers:
            raise InputError("router", got=repr(self.router), expected=f"one of {', '.join(self.routers)}")
        self._count("protect")
        if isinstance(self.observation, Mapping):  # read from JSON
            object.__setattr__(self, "observation", Observation(**self.observation))
        if not isinstance(self.observation, Observation):
            raise InputError("observation", got=f"{self.observation!r:.40}", expected="an Observation")
        if self.cache_tokens is not None:
            self._count("cache_tokens")
        if self.router != "observation" and (self.cache_tokens is not None or self.observation != Observation()):
            name = "observation" if self.cache_tokens is None else "cache_tokens"
            raise InputError(name, got=f"router={self.router!r}", expected="router='observation' beside it")

    def _count(self, name: str, most: int = 2**31) -> None:
        value = getattr(self, name)
        if type(value) is not int or not 1 <= value <= most:
            raise InputError(name, got=f"{value!r:.40}", expected=f"a whole number from 1 to {most}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
