"""Store each fine-tuned model as a small ternary switch, flip between tasks at run time, route automatically.

The names below are resolved on first use, so that importing this package loads neither torch nor anything else heavy.
"""

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "AutoSwitch": "_router",
    "Checkpoint": "_checkpoint",
    "CheckpointWriter": "_writer",
    "CodedTensor": "_compressed",
    "QuerySet": "_query_set",
    "Switch": "_compressed",
    "SwitchBank": "_bank",
    "Ternary": "_switch",
    "Recipe": "_recipe",
    "activation_switch": "_switch",
    "FinetuneConfig": "_finetune",
    "TextBank": "_live",
    "compress": "_compress",
    "export": "_export",
    "finetune": "_finetune",
    "kth_largest": "_select",
    "merge": "_merge",
    "minilm_folder": "_models",
    "merge_recipe": "_recipe",
    "polarity_switch": "_switch",
    "recalibrate": "_batch_norm",
    "switch_knob": "_switch",
    "ternarise": "_switch",
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
