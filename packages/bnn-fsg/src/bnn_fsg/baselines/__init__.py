"""Rivals and controls: estimators with the method's own interface, one line each in the table.

_surrogates     STE, ApproxSign (Bi-Real), ReSTE, IR-Net, AdaBin, ReActNet: another derivative in the sign's place
_metaquant      MetaQuant: FCGrad, MultiFC, LSTMFC
_hypergradient  straight-through with a learned rate, the embarrassing control
_table          all of them by name
"""

from bnn_fsg.baselines._table import (
    CONTROLS,
    FSG,
    GRADIENTS,
    LSTMFC,
    RIVALS,
    STE,
    AdaBinGradient,
    ApproxSign,
    ErrorDecay,
    FCGrad,
    Gradient,
    HypergradientSTE,
    MetaQuant,
    MultiFC,
    ReActNetGradient,
    ReSTE,
    gradient_of,
)

__all__ = [
    "CONTROLS", "FSG", "GRADIENTS", "LSTMFC", "RIVALS", "STE", "AdaBinGradient", "ApproxSign",
    "ErrorDecay", "FCGrad", "Gradient", "HypergradientSTE", "MetaQuant", "MultiFC", "ReActNetGradient", "ReSTE",
    "gradient_of",
]  # fmt: skip
