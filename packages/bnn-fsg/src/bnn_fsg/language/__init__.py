"""Language models of BitNet b1.58's shape, packed: weights of two bits, int8 inputs, no torch (arXiv 2402.17764).

_ternary      a linear layer: weights -1, 0 and 1 with one scale, inputs int8 with a scale for each token
_checkpoint   config and tensors of a checkpoint folder, bfloat16 among them
_quantization how `quantization_config` says that linear layers are stored
_transformer  the model: its shape, a step with a cache of keys and values, `generate`, files
"""

from bnn_fsg.language._ternary import TernaryLinear
from bnn_fsg.language._transformer import TernaryLM

__all__ = ["TernaryLM", "TernaryLinear"]
