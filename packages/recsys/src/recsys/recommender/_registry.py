"""Models by the name that users write."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ninefold.errors import InputError

import recsys

if TYPE_CHECKING:
    from recsys.recommender._base import Recommender

MODELS: dict[str, str] = {  # name -> the public class below `recsys`
    "als": "baselines.ImplicitALS",
    "bayesian-fm": "BayesianFM",
    "bias": "Bias",
    "co-occurrence": "baselines.CoOccurrence",
    "content-knn": "ContentKNN",
    "content-profile": "baselines.ContentProfile",
    "ease": "EASE",
    "feature-ials": "FeatureIALS",
    "fm": "FM",
    "fusion": "Fusion",
    "ials": "IALS",
    "item-knn": "ItemKNN",
    "markov": "Markov",
    "mf": "BiasedMF",
    "popular": "Popular",
    "puresvd": "baselines.PureSVD",
    "random": "baselines.RandomItems",
    "recent-popular": "RecentPopular",
    "repeat": "baselines.Repeat",
    "repurchase": "Repurchase",
    "rp3beta": "RP3beta",
    "sansa": "SANSA",
    "sasrec": "SASRec",
    "slim": "SLIM",
    "social": "Social",
    "svd++": "SVDpp",
    "trend": "Trend",
    "two-stage": "TwoStage",
    "user-knn": "baselines.UserKNN",
}

NAMES = {kind.rpartition(".")[2]: name for name, kind in MODELS.items()}  # class -> name
_REPLACED = {"IALSpp": "IALS"}  # older versions' classes -> what reads their folders
GONE = (  # older versions' classes that nothing reads
    "BERT4Rec", "ELSA", "ESASRec", "GFCF", "GRU4Rec", "HSTU", "ImplicitBPR", "LightGCN", "MultVAE", "RatingKNN",
    "SparkALS", "TwoTower", "VSKNN",
)  # fmt: skip
_OWN: dict[str, type[Recommender]] = {}  # users' models by the name that they registered


def register(name: str, kind: type[Recommender]) -> None:
    """Let a user's model be saved, loaded and made by name; see `Recommender.register`.

    Raises:
        InputError: for a name that a model of this package or another class has, or that no command line can write.
    """
    if re.fullmatch(r"[A-Za-z][\w.-]*", name) is None:
        raise InputError("name", got=repr(name), expected='letters, digits, "-", "_" and ".", a letter first')
    taken = name in MODELS or name in NAMES or name in NAMES.values()
    if taken or (name in _OWN and _OWN[name].__qualname__ != kind.__qualname__):
        raise InputError("name", got=f"{name!r}, which is taken", expected="a name of its own")
    _OWN[name] = kind
    kind.name = name


def stored_name(kind: type[Any]) -> str:
    """The name by which a model folder refers to a class.

    Raises:
        InputError: for a class that `stored_class` could not find again.
    """
    name = kind.__name__
    if name in NAMES and _class(name) is kind:
        return name
    if _OWN.get(kind.name) is kind:
        return kind.name
    expected = f'a model of this package, or one with a name: {name}.register("my-model")'
    raise InputError("model", got=f"a {name}", expected=expected)


def stored_class(name: str) -> type[Recommender] | None:
    """The class of a name from a model folder, or of 0.1's "recsys._ease:EASE"; None if there is none."""
    name = name.rpartition(":")[2] if name.startswith("recsys.") else name
    name = _REPLACED.get(name, name)
    return _class(name) if name in NAMES else _OWN.get(name)


def model_class(name: str) -> type[Recommender]:
    """The class of a name; InputError that lists the names if it is unknown."""
    found = {own: kind for kind, own in NAMES.items()}.get(name)
    if found is None and name not in _OWN:
        raise InputError("model", got=repr(name), expected=f"one of {', '.join([*MODELS, *_OWN])}")
    return _OWN[name] if found is None else _class(found)


def _class(name: str) -> type[Recommender]:
    return operator.attrgetter(MODELS[NAMES[name]])(recsys)


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
        values[key] = _parsed(text, " | ".join(kinds_of(fields[key])), setting)
    model = kind(**values)
    inner = {f"model__{key}": one for key, one in given.items() if one is not None}  # of a wrapper
    known = model.get_params()
    return model.set_params(**{key: one for key, one in inner.items() if key in known})


def kinds_of(field: dataclasses.Field[Any]) -> list[str]:
    """The types that a parameter may have, by name, e.g. ["int", "None"]."""
    text = field.type.__name__ if isinstance(field.type, type) else str(field.type)
    return [one.strip() for one in text.split("|")]


def parse_model(text: str, seed: int | None = None, argument: str = "model") -> Recommender:
    """A model from its name and optional settings: "ease(l2=300,half_life=240)".

    Args:
        text: as above.
        seed: of the model, if it draws.
        argument: the name of what the text was given for.

    Raises:
        InputError: as `make_model`, and for a text of another form.
    """
    match = re.fullmatch(r"\s*([^()\s]+)\s*(?:\((.*)\))?\s*", text)
    if match is None:
        raise InputError(argument, got=repr(text), expected='e.g. "ease" or "markov(order=3,action=action)"')
    return make_model(match[1], split_outside(match[2], ",") if match[2] else [], seed)


def as_model(given: Any, argument: str = "model", seed: int | None = None) -> Recommender:
    """A model, or the one that a text names; InputError for a class and for anything else."""
    if isinstance(given, str):
        return parse_model(given, seed, argument)
    if not isinstance(given, recsys.Recommender):
        got = f"the class {given.__name__}" if isinstance(given, type) else repr(given)[:80]
        expected = 'a model, e.g. recsys.EASE(l2=300), or its name, e.g. "ease(l2=300)"'
        raise InputError(argument, got=got, expected=expected)
    return given


def split_outside(text: str, sign: str) -> list[str]:
    """The parts of a text between signs that stand in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


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
