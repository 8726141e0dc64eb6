"""Store each fine-tuned model as a small ternary switch, flip between tasks at run time, route automatically.

The names below are resolved on first use, so that importing this package loads neither torch nor anything else heavy.
"""

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "AutoSwitch": "routing._router",
    "Checkpoint": "checkpoints._checkpoint",
    "CheckpointWriter": "checkpoints._writer",
    "CodedTensor": "switch._switch",
    "QuerySet": "routing._query_set",
    "Switch": "switch._switch",
    "SwitchBank": "bank._bank",
    "Ternary": "switch._ternary",
    "Recipe": "merging._recipe",
    "activation_switch": "switch._ternary",
    "FinetuneConfig": "models._finetune",
    "TextBank": "routing._live",
    "compress": "switch._compress",
    "export": "switch._export",
    "finetune": "models._finetune",
    "kth_largest": "switch._select",
    "merge": "merging._merge",
    "minilm_folder": "models._models",
    "merge_recipe": "merging._recipe",
    "polarity_switch": "switch._ternary",
    "recalibrate": "bank._batch_norm",
    "switch_knob": "switch._ternary",
    "ternarise": "switch._ternary",
}
__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of("tswitch")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tswitch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tswitch.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
