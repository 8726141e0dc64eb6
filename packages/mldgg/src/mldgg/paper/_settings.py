"""All options of the published method, and its two forms: as described, and made to train."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from ninefold.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of the published method.

    Attributes:
        variant: `paper` (as described) or `repaired` (the same parts, made to train).
        elbo: `ind` (prior p(s)p(v)) or `mldgg`.
        share_gnn: one theta_g and head for all graphs; `auto`: if features and classes are the same.
        hidden_channels: width of both layers.
        num_pivots, num_heads, epsilon: of the pivot learner.
        skip: alpha, share of a message over the graph's own edges.
        rounds: T, refinements of the structure; refine_share: eta.
        hops, restart: steps of personalised PageRank instead of convolutions (0: none).
        norm: LayerNorm after both layers. sigmoid: sigmoid units in theta_r, else ReLU.
        words: input of the network: 128 directions of IDF-weighted words, or the features as they are.
        structure, semantics: keep theta_t, theta_r; off for ablations.
        dropout: before each layer.
        reconstruction: weight of the MSE of decoded r; detached: it does not train r.
        elbo_weight: weight of the bound. samples: draws from q(s, v|r), 0 for posterior means.
        smooth, sparse, draws: a, b and S of the structure regulariser; balanced: its pivot graph times P / N.
        warm_epochs: epochs of plain training on all sources before the meta-epochs.
        epochs, episodes: of meta-training, episodes per source. support_ratio: share of a source that is support.
        inner_lr, inner_steps, order: of the inner loop; order 2 differentiates through it.
        outer_lr, weight_decay: of Adam.
        adapt_lr, adapt_steps: of gradient steps on a target's support.
    """

    variant: str = "paper"
    elbo: str = "ind"
    share_gnn: bool | str = "auto"
    hidden_channels: int = 64
    num_pivots: int = 1000
    num_heads: int = 4
    epsilon: float = 0.0
    skip: float = 0.3
    rounds: int = 5
    refine_share: float = 0.25
    hops: int = 0
    restart: float = 0.1
    norm: bool = False
    sigmoid: bool = True
    words: bool = False
    structure: bool = True
    semantics: bool = True
    dropout: float = 0.6
    reconstruction: float = 50.0
    detached: bool = False
    elbo_weight: float = 1e-4
    samples: int = 0
    smooth: float = 0.0
    sparse: float = 0.1
    draws: int = 5
    balanced: bool = False
    warm_epochs: int = 0
    epochs: int = 100
    episodes: int = 2
    support_ratio: float = 0.1
    inner_lr: float = 0.1
    inner_steps: int = 5
    order: int = 1
    outer_lr: float = 1e-3
    weight_decay: float = 5e-3
    adapt_lr: float = 0.01
    adapt_steps: int = 5


_REPAIRED: dict[str, Any] = {
    "variant": "repaired", "num_pivots": 200, "num_heads": 2, "epsilon": 0.5, "skip": 0.8, "rounds": 1, "hops": 6,
    "norm": True, "sigmoid": False, "words": True, "dropout": 0.5, "reconstruction": 1.0, "detached": True,
    "balanced": True,
    "warm_epochs": 100, "epochs": 15, "episodes": 1, "weight_decay": 1e-4,
}  # fmt: skip
VARIANTS: dict[str, Settings] = {
    "repaired": Settings(**_REPAIRED),
    "paper": Settings(variant="paper", inner_lr=0.01),
}
_LIMITS: dict[str, tuple[float, float]] = {
    "hidden_channels": (1, 4096), "num_pivots": (1, 10**6), "num_heads": (1, 64), "epsilon": (0, 1), "skip": (0, 1),
    "rounds": (0, 100), "refine_share": (0, 1), "hops": (0, 100), "restart": (0, 1), "dropout": (0, 0.99),
    "support_ratio": (0.001, 0.999), "inner_lr": (0, 1e6), "inner_steps": (0, 1000), "order": (1, 2),
    "epochs": (0, 10**6), "warm_epochs": (0, 10**6), "episodes": (1, 1000), "outer_lr": (0, 10), "adapt_lr": (0, 10),
    "adapt_steps": (0, 10**5), "samples": (0, 1000), "draws": (0, 1000),
}  # fmt: skip


def settings_of(variant: str, **options: Any) -> Settings:
    """The variant's settings with `options` in place of its own; all that is wrong is said at once."""
    if variant not in VARIANTS:
        raise InputError("variant", got=repr(variant), expected=f"one of {', '.join(VARIANTS)}")
    known = {field.name: field for field in fields(Settings)}
    wrong = [f"{name} is no option" for name in options if name not in known or name == "variant"]
    for name, value in options.items():
        if name in _LIMITS:
            low, high = _LIMITS[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                wrong.append(f"{name} is {value!r}, not in [{low:g}, {high:g}]")
    if options.get("elbo", "ind") not in ("ind", "mldgg"):
        wrong.append(f"elbo is {options['elbo']!r}, not ind or mldgg")
    if options.get("share_gnn", "auto") not in (True, False, "auto"):
        wrong.append(f"share_gnn is {options['share_gnn']!r}, not True, False or auto")
    if wrong:
        raise InputError("options", got="; ".join(wrong), expected=f"options of {variant}: see mldgg.paper.Settings")
    return replace(VARIANTS[variant], **options)
