"""Recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted.

The names below are resolved on first use, so that importing this package loads nothing heavy.
"""

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "BERT4Rec": "sequence._sequence_rivals",
    "BayesianFM": "fm._bayesian_fm",
    "Bias": "factors._bias",
    "BiasedMF": "factors._mf",
    "ContentKNN": "content._content",
    "Comparison": "evaluation._compare",
    "Dataset": "data._dataset",
    "EASE": "linear._ease",
    "ELSA": "linear._elsa",
    "ESASRec": "sequence._esasrec",
    "Evaluation": "evaluation._evaluate",
    "FM": "fm._sgd_fm",
    "FeatureIALS": "content._feature_ials",
    "GFCF": "linear._gfcf",
    "GRU4Rec": "sequence._sequence_rivals",
    "IALS": "factors._ials",
    "IALSpp": "factors._ials",
    "LightGCN": "factors._lightgcn",
    "Markov": "sequence._markov",
    "MultVAE": "factors._mult_vae",
    "RP3beta": "linear._rp3beta",
    "SANSA": "linear._sansa",
    "SASRec": "sequence._sasrec",
    "RatingKNN": "factors._rating_knn",
    "SVDpp": "factors._mf",
    "Recommender": "recommender._base",
    "SparkALS": "factors._spark",
    "Tuned": "evaluation._tune",
    "TwoTower": "content._two_tower",
    "VSKNN": "sequence._vsknn",
    "World": "data._simulate",
    "Index": "serving._ann",
    "beyond_accuracy": "evaluation._beyond",
    "build_index": "serving._ann",
    "calibrate": "serving._rerank",
    "compare": "evaluation._compare",
    "SLIM": "linear._slim",
    "doctor": "data._doctor",
    "encode_texts": "content._texts",
    "evaluate": "evaluation._evaluate",
    "evaluate_next": "evaluation._next",
    "evaluate_values": "evaluation._evaluate",
    "exposure": "evaluation._beyond",
    "ips": "evaluation._propensity",
    "load": "recommender._store",
    "make_server": "serving._serve",
    "mmr": "serving._rerank",
    "open_bandit": "loaders._open_bandit",
    "quota": "serving._rerank",
    "rules": "serving._rerank",
    "recommend_to_file": "serving._batch",
    "simulate": "data._simulate",
    "snips": "evaluation._propensity",
    "tune": "evaluation._tune",
    "utility": "evaluation._beyond",
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
