"""How models are judged: full catalogue, the future held out, intervals, paired tests; values of logged policies.

`_evaluate` lists for users, `_next` the next item at each step, `_ranks` ties and ranks, `_stats` intervals and tests
(Holm over models), `_compare` several models, `_tune` one budget of search for each; `_beyond` coverage, novelty and
exposure, `_propensity` IPS, SNIPS and doubly robust, `_slates` values of whole lists and interleaving; `_report` files,
`_bench` speed; `_best` from a log to a model, by `_cuts` and `_race`.

Examples:
    >>> import numpy as np
    >>> import recsys

    >>> reward, logged = np.array([1.0, 0.0, 1.0, 1.0]), np.full(4, 0.5)
    >>> target = np.array([0.9, 0.1, 0.9, 0.1])
    >>> round(recsys.evaluation.snips(reward, target, logged).mean, 2)  # what a new policy would earn
    0.95
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from recsys.evaluation._beyond import beyond_accuracy as beyond_accuracy
    from recsys.evaluation._beyond import exposure as exposure
    from recsys.evaluation._beyond import utility as utility
    from recsys.evaluation._propensity import doubly_robust as doubly_robust
    from recsys.evaluation._propensity import events_needed as events_needed
    from recsys.evaluation._propensity import ips as ips
    from recsys.evaluation._propensity import snips as snips
    from recsys.evaluation._slates import interleave as interleave
    from recsys.evaluation._slates import prefer as prefer
    from recsys.evaluation._slates import slate_value as slate_value

_NAMES = {
    "_beyond": ["beyond_accuracy", "exposure", "utility"],
    "_propensity": ["doubly_robust", "events_needed", "ips", "snips"],
    "_slates": ["interleave", "prefer", "slate_value"],
}
__getattr__, __dir__, __all__ = attach(__name__, {name: room for room, names in _NAMES.items() for name in names})
