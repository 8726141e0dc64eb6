"""Recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted.

The names below are resolved on first use, so that importing this package loads nothing heavy.
"""

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "BERT4Rec": "_sequence_rivals",
    "BayesianFM": "_bayesian_fm",
    "Bias": "_bias",
    "BiasedMF": "_mf",
    "ContentKNN": "_content",
    "Comparison": "_compare",
    "Dataset": "_dataset",
    "EASE": "_ease",
    "ELSA": "_elsa",
    "ESASRec": "_esasrec",
    "Evaluation": "_evaluate",
    "FM": "_sgd_fm",
    "FeatureIALS": "_feature_ials",
    "GFCF": "_gfcf",
    "GRU4Rec": "_sequence_rivals",
    "IALS": "_ials",
    "IALSpp": "_ials",
    "LightGCN": "_lightgcn",
    "Markov": "_markov",
    "MultVAE": "_mult_vae",
    "RP3beta": "_rp3beta",
    "SANSA": "_sansa",
    "SASRec": "_sasrec",
    "RatingKNN": "_rating_knn",
    "SVDpp": "_mf",
    "Recommender": "_base",
    "SparkALS": "_spark",
    "Tuned": "_tune",
    "TwoTower": "_two_tower",
    "VSKNN": "_vsknn",
    "World": "_simulate",
    "Index": "_ann",
    "beyond_accuracy": "_beyond",
    "build_index": "_ann",
    "calibrate": "_rerank",
    "compare": "_compare",
    "SLIM": "_slim",
    "doctor": "_doctor",
    "encode_texts": "_texts",
    "evaluate": "_evaluate",
    "evaluate_next": "_next",
    "evaluate_values": "_evaluate",
    "exposure": "_beyond",
    "ips": "_propensity",
    "load": "_store",
    "make_server": "_serve",
    "mmr": "_rerank",
    "open_bandit": "_open_bandit",
    "quota": "_rerank",
    "rules": "_rerank",
    "recommend_to_file": "_batch",
    "simulate": "_simulate",
    "snips": "_propensity",
    "tune": "_tune",
    "utility": "_beyond",
    "CoOccurrence": "baselines._co_occurrence",
    "ContentProfile": "baselines._profile",
    "ImplicitALS": "baselines._implicit",
    "ImplicitBPR": "baselines._implicit",
    "ItemKNN": "baselines._item_knn",
    "PureSVD": "baselines._puresvd",
    "UserKNN": "baselines._user_knn",
    **dict.fromkeys(("Popular", "RandomItems", "RecentPopular", "Repeat"), "baselines._popular"),
}
_MODULES = ("datasets", "loaders")
__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of("recsys")
    if name in _MODULES:
        return importlib.import_module(f"recsys.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recsys.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, *_MODULES, "__version__"])
