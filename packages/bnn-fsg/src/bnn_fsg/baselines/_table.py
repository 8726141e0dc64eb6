"""Rivals and controls: estimators with the method's own interface, one line each in the table."""

from __future__ import annotations

from ninefold.errors import InputError

from bnn_fsg.baselines._hypergradient import HypergradientSTE
from bnn_fsg.baselines._metaquant import LSTMFC, FCGrad, MetaQuant, MultiFC
from bnn_fsg.baselines._surrogates import STE, AdaBinGradient, ApproxSign, ErrorDecay, ReActNetGradient, ReSTE
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.fsg._fsg import FSG

RIVALS: dict[str, type[Gradient]] = {
    one.name: one
    for one in (STE, ApproxSign, ReSTE, ErrorDecay, AdaBinGradient, ReActNetGradient, FCGrad, MultiFC, LSTMFC)
}
CONTROLS: dict[str, type[Gradient]] = {HypergradientSTE.name: HypergradientSTE}
GRADIENTS: dict[str, type[Gradient]] = {FSG.name: FSG, **RIVALS, **CONTROLS}


def gradient_of(name: str) -> type[Gradient]:
    """The estimator called `name` ("metaquant" is its best variant, multifc); InputError lists the names."""
    name = "multifc" if name == "metaquant" else name
    if name not in GRADIENTS:
        raise InputError("gradient", got=repr(name), expected=f"one of {', '.join(GRADIENTS)}")
    return GRADIENTS[name]


__all__ = [
    "CONTROLS", "FSG", "GRADIENTS", "LSTMFC", "RIVALS", "STE", "AdaBinGradient", "ApproxSign",
    "ErrorDecay", "FCGrad", "Gradient", "HypergradientSTE", "MetaQuant", "MultiFC",
    "ReActNetGradient", "ReSTE", "gradient_of",
]  # fmt: skip
