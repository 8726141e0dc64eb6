"""Rivals and controls: estimators with the method's own interface, one line each in the table."""

from __future__ import annotations

from ninefold.errors import InputError

from bnn_fsg.baselines._metaquant import MetaQuant
from bnn_fsg.baselines._surrogates import STE, ApproxSign, ErrorDecay, ReSTE
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.fsg._fsg import FSG

GRADIENTS: dict[str, type[Gradient]] = {one.name: one for one in (FSG, STE, ApproxSign, ReSTE, ErrorDecay, MetaQuant)}


def gradient_of(name: str | type[Gradient]) -> type[Gradient]:
    """The estimator called `name` ("metaquant" is its best variant, multifc); InputError lists the names."""
    if isinstance(name, type):
        return name
    name = "multifc" if name == "metaquant" else name
    if name not in GRADIENTS:
        raise InputError("gradient", got=repr(name), expected=f"one of {', '.join(GRADIENTS)}")
    return GRADIENTS[name]
