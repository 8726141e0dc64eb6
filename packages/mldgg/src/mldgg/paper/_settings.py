"""All options of the published method."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ninefold.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of the published method.

    Attributes:
        elbo: `ind` (prior p(s)p(v)) or `mldgg`.
        share_gnn: one theta_g and head for all graphs (ours, needs equal features and classes; answers without labels
            need it); `auto`: where features and classes are equal. Published: one for each graph.
        answers: class output that answers: `gnn`, the GNN's own, or `causal` (published: f_c from s), which needs
            several times as many epochs before it tells classes apart.
        hidden_channels: width of both layers.
        num_pivots, num_heads, epsilon: of the pivot learner.
        skip: alpha, share of a message over the graph's own edges.
        rounds: T, refinements of the structure; refine_share: eta.
        structure, semantics: keep theta_t, theta_r; off for ablations.
        dropout: before each layer.
        reconstruction: weight of the MSE of decoded r.
        elbo_weight: weight of the bound. samples: draws from q(s, v|r), 0 for posterior means.
        smooth, sparse, draws: a, b and S of the structure regulariser.
        epochs, episodes: of meta-training, episodes per source. support_ratio: share of a source that is support.
        inner_lr, inner_steps, order: of the inner loop; order 2 differentiates through it.
        outer_lr: rate of Adam on theta_t and theta_r; weight_decay, causal_decay: their decays.
        own_lr, own_decay: rate and decay of Adam on theta_g and f_c, ten times the other's [inferred].
        adapt_lr, adapt_steps: of gradient steps on a target's support.
    """

    elbo: str = "ind"
    share_gnn: bool | str = False
    answers: str = "gnn"
    hidden_channels: int = 64
    num_pivots: int = 1000
    num_heads: int = 4
    epsilon: float = 0.0
    skip: float = 0.3
    rounds: int = 5
    refine_share: float = 0.25
    structure: bool = True
    semantics: bool = True
    dropout: float = 0.6
    reconstruction: float = 50.0
    elbo_weight: float = 1e-4
    samples: int = 0
    smooth: float = 0.0
    sparse: float = 0.1
    draws: int = 5
    epochs: int = 100
    episodes: int = 2
    support_ratio: float = 0.1
    inner_lr: float = 0.01
    inner_steps: int = 5
    order: int = 1
    outer_lr: float = 1e-3
    weight_decay: float = 5e-3
    causal_decay: float = 1e-5
    own_lr: float = 1e-2
    own_decay: float = 5e-4
    adapt_lr: float = 0.01
    adapt_steps: int = 5


_LIMITS: dict[str, tuple[float, float]] = {
    "hidden_channels": (1, 4096), "num_pivots": (1, 10**6), "num_heads": (1, 64), "epsilon": (0, 1), "skip": (0, 1),
    "rounds": (0, 100), "refine_share": (0, 1), "dropout": (0, 0.99), "support_ratio": (0.001, 0.999),
    "inner_lr": (0, 1e6), "inner_steps": (0, 1000), "order": (1, 2), "epochs": (0, 10**6), "episodes": (1, 1000),
    "outer_lr": (0, 10), "own_lr": (0, 10), "adapt_lr": (0, 10), "adapt_steps": (0, 10**5), "samples": (0, 1000),
    "draws": (0, 1000),
}  # fmt: skip
_CHOICES: dict[str, tuple[Any, ...]] = {
    "elbo": ("ind", "mldgg"), "share_gnn": (True, False, "auto"), "answers": ("causal", "gnn"),
}  # fmt: skip


def settings_of(**options: Any) -> Settings:
    """Settings with `options` instead of the published ones; all wrong options are reported together."""
    known = {field.name for field in fields(Settings)}
    wrong = [f"{name} is no option" for name in options if name not in known]
    for name, value in options.items():
        low, high = _LIMITS.get(name, (0, 0))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _LIMITS and not (number and low <= value <= high):
            wrong.append(f"{name} is {value!r}, not in [{low:g}, {high:g}]")
        if name in _CHOICES and value not in _CHOICES[name]:
            wrong.append(f"{name} is {value!r}, not {', '.join(map(str, _CHOICES[name]))}")
    if wrong:
        raise InputError("options", got="; ".join(wrong), expected="options of the method: see mldgg.paper.Settings")
    return Settings(**options)
