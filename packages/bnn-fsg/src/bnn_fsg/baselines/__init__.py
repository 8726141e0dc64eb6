"""Rivals and controls: estimators with the method's own interface, one line each in the table.

_surrogates     STE, ApproxSign (Bi-Real), ReSTE, IR-Net: another derivative in the sign's place
_metaquant      MetaQuant: MultiFC
_table          all of them by name
"""

from bnn_fsg.baselines._table import GRADIENTS, gradient_of

__all__ = ["GRADIENTS", "gradient_of"]
