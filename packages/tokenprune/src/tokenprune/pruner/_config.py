"""What a user decides about a pruner."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ninefold.errors import InputError

from tokenprune.routers._schedule import checked_target

ROUTERS, GATES, DECODES = ("dynamic", "static", "one_pass"), ("topk", "argmax"), ("off", "threshold", "strict")
SKIPPED_KV, STARTS = ("drop", "project"), ("static", "random")


@dataclass(frozen=True, kw_only=True)
class FTPConfig:
    """Settings of a `TokenPruner`.

    Attributes:
        target_sparsity: share of (token, block) pairs to skip, in [0, 0.95].
        router: "dynamic" (four factors, one net for all blocks), "static" (first and most recent tokens), "one_pass".
        gate: "topk" meets the budget exactly; "argmax" is the net's own choice.
        decode: "off": new tokens run in all blocks; "threshold": they skip blocks sparser than a half; "strict": so
            does each token of the prompt.
        skipped_kv: "drop": a skipped token gives a block nothing; "project": it still gives a key and a value, which
            kept and new tokens attend to, and which are cached, all of them (of use after dense early blocks).
        protect: how many last tokens of a prompt no block skips (their logits are read).
        score_window: how many last queries score the keys.
        hidden: width of the router's middle layer.
        read: "one_pass": the block after which it looks at the tokens, from 0.
        router_start: what a learnt router is before training: "static", an imitation of the static rule that ranks
            tokens exactly as it does; "random", weights drawn by chance.
        seed: random seed.
    """

    target_sparsity: float = 0.3
    router: str = "dynamic"
    gate: str = "topk"
    decode: str = "off"
    skipped_kv: str = "drop"
    protect: int = 1
    score_window: int = 1
    hidden: int = 64
    read: int = 1
    router_start: str = "static"
    seed: int = 0

    def __post_init__(self) -> None:
        checked_target(self.target_sparsity)
        allowed = {
            "router": ROUTERS, "gate": GATES, "decode": DECODES, "skipped_kv": SKIPPED_KV, "router_start": STARTS,
        }  # fmt: skip
        for name, known in allowed.items():
            if getattr(self, name) not in known:
                raise InputError(name, got=repr(getattr(self, name)), expected=f"one of {', '.join(known)}")
        for name in ("protect", "score_window", "hidden"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), expected="a whole number from 1")
        if type(self.read) is not int or self.read < 0:
            raise InputError("read", got=self.read, expected="the number of a block, from 0")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
