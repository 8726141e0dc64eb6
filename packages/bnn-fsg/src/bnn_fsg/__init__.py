"""Train 1-bit networks with learned fast and slow gradients, then run them really bit-packed on a CPU.

The names below are resolved on first use: importing this package, and `PackedModel`, loads no torch.

Examples:
    >>> import bnn_fsg
    >>> import torch
    >>> from bnn_fsg import binarize
    >>> from torch import nn

    >>> seed = torch.manual_seed(0)
    >>> net = nn.Sequential(
    ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
    ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
    ... )
    >>> x = torch.rand(4, 1, 12, 12)
    >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    >>> gradient = bnn_fsg.ReSTE(model, optimizer)
    >>> labels = torch.tensor([0, 1, 2, 3])
    >>> loss = gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))
    >>> packed = bnn_fsg.pack(model.eval(), x)
    >>> packed(x.numpy()).shape
    (4, 10)
    >>> bnn_fsg.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from bnn_fsg import datasets as datasets
    from bnn_fsg.baselines._metaquant import MetaQuant as MetaQuant
    from bnn_fsg.baselines._surrogates import STE as STE
    from bnn_fsg.baselines._surrogates import ReSTE as ReSTE
    from bnn_fsg.estimators._gradient import WrappedOptimizer as WrappedOptimizer
    from bnn_fsg.export._load import load_onnx as load_onnx
    from bnn_fsg.export._onnx import export_onnx as export_onnx
    from bnn_fsg.export._onnx import export_qonnx as export_qonnx
    from bnn_fsg.export._torch import export_torch as export_torch
    from bnn_fsg.fsg._fsg import FSG as FSG
    from bnn_fsg.language._ternary import TernaryLinear as TernaryLinear
    from bnn_fsg.language._transformer import TernaryLM as TernaryLM
    from bnn_fsg.layers._adabin import adabin_resnet20 as adabin_resnet20
    from bnn_fsg.layers._layers import binarize as binarize
    from bnn_fsg.packing._pack import pack as pack
    from bnn_fsg.runtime._model import PackedModel as PackedModel
    from bnn_fsg.training._teacher import Teacher as Teacher
    from bnn_fsg.training._trainer import BinaryTrainer as BinaryTrainer
    from bnn_fsg.training._trainer import Schedule as Schedule
    from bnn_fsg.training._weights import load_weights as load_weights

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BinaryTrainer": "training._trainer",
        "FSG": "fsg._fsg",
        "MetaQuant": "baselines._metaquant",
        "PackedModel": "runtime._model",
        "ReSTE": "baselines._surrogates",
        "STE": "baselines._surrogates",
        "Schedule": "training._trainer",
        "Teacher": "training._teacher",
        "TernaryLM": "language._transformer",
        "TernaryLinear": "language._ternary",
        "WrappedOptimizer": "estimators._gradient",
        "adabin_resnet20": "layers._adabin",
        "binarize": "layers._layers",
        "datasets": "datasets",
        "export_onnx": "export._onnx",
        "export_qonnx": "export._onnx",
        "export_torch": "export._torch",
        "load_onnx": "export._load",
        "load_weights": "training._weights",
        "pack": "packing._pack",
    },
    extras={"torch": "train"},
)
