"""Train 1-bit networks with learned fast and slow gradients, then run them really bit-packed on a CPU.

The names below are resolved on first use: importing this package, and `PackedModel`, loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "BinaryTrainer": "_train.trainer",
    "FSG": "_train.fsg",
    "MetaQuant": "baselines",
    "PackedModel": "runtime",
    "ReSTE": "baselines",
    "STE": "baselines",
    "Schedule": "_train.trainer",
    "WrappedOptimizer": "_train.gradient",
    "adabin_resnet20": "_pack._adabin",
    "binarize": "_train.layers",
    "export_onnx": "_pack._onnx",
    "export_qonnx": "_pack._onnx",
    "export_torch": "_pack._unpack",
    "load_weights": "_train.weights",
    "pack": "_pack",
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
