"""Train 1-bit networks with learned fast and slow gradients, then run them really bit-packed on a CPU.

The names below are resolved on first use: importing this package, and `PackedModel`, loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "BinaryTrainer": "training._trainer",
    "FSG": "fsg._fsg",
    "MetaQuant": "baselines",
    "PackedModel": "runtime",
    "ReSTE": "baselines",
    "STE": "baselines",
    "Schedule": "training._trainer",
    "WrappedOptimizer": "estimators._gradient",
    "adabin_resnet20": "layers._adabin",
    "binarize": "layers._layers",
    "export_onnx": "export._onnx",
    "export_qonnx": "export._onnx",
    "export_torch": "export._torch",
    "load_weights": "training._weights",
    "pack": "packing._pack",
}
__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of("bnn_fsg")
    if name == "datasets":
        return importlib.import_module("bnn_fsg.datasets")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bnn_fsg' has no attribute {name!r}")
    return getattr(_import(f"bnn_fsg.{_PUBLIC[name]}"), name)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from ninefold.errors import MissingExtraError

        raise MissingExtraError("torch", "bnn_fsg", "train") from None


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__", "datasets"])
