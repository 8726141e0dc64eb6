"""Models by the name that users write."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

from ninefold.errors import InputError

from recsys._base import Recommender

MODELS: dict[str, str] = {
    "als": "recsys.baselines._implicit:ImplicitALS",
    "bayesian-fm": "recsys._bayesian_fm:BayesianFM",
    "bert4rec": "recsys._sequence_rivals:BERT4Rec",
    "bias": "recsys._bias:Bias",
    "bpr": "recsys.baselines._implicit:ImplicitBPR",
    "co-occurrence": "recsys.baselines._co_occurrence:CoOccurrence",
    "content-knn": "recsys._content:ContentKNN",
    "content-profile": "recsys.baselines._profile:ContentProfile",
    "ease": "recsys._ease:EASE",
    "elsa": "recsys._elsa:ELSA",
    "esasrec": "recsys._esasrec:ESASRec",
    "feature-ials": "recsys._feature_ials:FeatureIALS",
    "fm": "recsys._sgd_fm:FM",
    "gf-cf": "recsys._gfcf:GFCF",
    "gru4rec": "recsys._sequence_rivals:GRU4Rec",
    "ials": "recsys._ials:IALS",
    "ials++": "recsys._ials:IALSpp",
    "item-knn": "recsys.baselines._item_knn:ItemKNN",
    "lightgcn": "recsys._lightgcn:LightGCN",
    "markov": "recsys._markov:Markov",
    "mf": "recsys._mf:BiasedMF",
    "mult-vae": "recsys._mult_vae:MultVAE",
    "popular": "recsys.baselines._popular:Popular",
    "puresvd": "recsys.baselines._puresvd:PureSVD",
    "random": "recsys.baselines._popular:RandomItems",
    "rating-knn": "recsys._rating_knn:RatingKNN",
    "recent-popular": "recsys.baselines._popular:RecentPopular",
    "repeat": "recsys.baselines._popular:Repeat",
    "rp3beta": "recsys._rp3beta:RP3beta",
    "sansa": "recsys._sansa:SANSA",
    "sasrec": "recsys._sasrec:SASRec",
    "slim": "recsys._slim:SLIM",
    "svd++": "recsys._mf:SVDpp",
    "two-tower": "recsys._two_tower:TwoTower",
    "user-knn": "recsys.baselines._user_knn:UserKNN",
    "v-sknn": "recsys._vsknn:VSKNN",
}


def model_class(name: str) -> type[Recommender]:
    """The class of a name; InputError that lists the names if it is unknown."""
    if name not in MODELS:
        raise InputError("model", got=repr(name), expected=f"one of {', '.join(MODELS)}")
    module, _, kind = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def make_model(
    name: str, settings: Sequence[str] = (), seed: int | None = None, device: str | None = None
) -> Recommender:
    """A model with settings such as "l2=400"; `seed` goes to models that draw, `device` to those that torch trains.

    Raises:
        InputError: for an unknown name or setting, or a value of another type than the parameter's.
    """
    kind = model_class(name)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given = {"seed": seed, "device": device}
    values: dict[str, Any] = {key: one for key, one in given.items() if one is not None and key in fields}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or key not in fields:
            raise InputError(f"setting {setting!r} of {name}", expected=f"name=value with one of {sorted(fields)}")
        values[key] = _parsed(text, str(fields[key].type), setting)
    return kind(**values)


def _parsed(text: str, kind: str, setting: str) -> Any:
    try:
        if "None" in kind and text.lower() == "none":
            return None
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "int":
            return int(text)
        return float(text) if kind.startswith("float") else text
    except (ValueError, KeyError):
        raise InputError(f"setting {setting!r}", got=repr(text), expected=f"a value of type {kind}") from None
