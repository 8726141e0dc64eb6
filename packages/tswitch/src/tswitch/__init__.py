"""Store each fine-tuned model as a small ternary switch, flip between tasks at run time, route automatically.

The names below are resolved on first use, so that importing this package loads neither torch nor anything else heavy.

Examples:
    >>> import torch
    >>> import tswitch
    >>> from tswitch import Switch

    >>> draw = torch.manual_seed(0)
    >>> base = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    >>> tuned = {
    ...     name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()
    ... }

    >>> switch = tswitch.Switch.from_checkpoints(base, tuned, alpha=0.6)
    >>> bank = tswitch.SwitchBank(base)
    >>> bank.add("mine", switch)
    >>> with bank.use("mine"):
    ...     print(bank.active)
    {'mine': 1.0}
    >>> tswitch.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from tswitch.bank._bank import SwitchBank as SwitchBank
    from tswitch.bank._batch_norm import recalibrate as recalibrate
    from tswitch.checkpoints._checkpoint import Checkpoint as Checkpoint
    from tswitch.checkpoints._writer import CheckpointWriter as CheckpointWriter
    from tswitch.coding._tensor import CodedTensor as CodedTensor
    from tswitch.fitting._compress import compress_fitted as compress_fitted
    from tswitch.fitting._knobs import FitConfig as FitConfig
    from tswitch.fitting._knobs import fit_knobs as fit_knobs
    from tswitch.merging._merge import merge as merge
    from tswitch.merging._recipe import Recipe as Recipe
    from tswitch.merging._recipe import merge_recipe as merge_recipe
    from tswitch.models._finetune import FinetuneConfig as FinetuneConfig
    from tswitch.models._finetune import finetune as finetune
    from tswitch.models._models import minilm_folder as minilm_folder
    from tswitch.routing._live import TextBank as TextBank
    from tswitch.routing._query_set import QuerySet as QuerySet
    from tswitch.routing._router import AutoSwitch as AutoSwitch
    from tswitch.switch._compress import compress as compress
    from tswitch.switch._export import export as export
    from tswitch.switch._select import kth_largest as kth_largest
    from tswitch.switch._switch import Switch as Switch
    from tswitch.switch._ternary import Ternary as Ternary
    from tswitch.switch._ternary import activation_switch as activation_switch
    from tswitch.switch._ternary import polarity_switch as polarity_switch
    from tswitch.switch._ternary import switch_knob as switch_knob
    from tswitch.switch._ternary import ternarise as ternarise

    __version__: str

__getattr__, __dir__, __all__ = attach(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "AutoSwitch": "routing._router",
        "Checkpoint": "checkpoints._checkpoint",
        "CheckpointWriter": "checkpoints._writer",
        "CodedTensor": "coding._tensor",
        "FinetuneConfig": "models._finetune",
        "FitConfig": "fitting._knobs",
        "QuerySet": "routing._query_set",
        "Recipe": "merging._recipe",
        "Switch": "switch._switch",
        "SwitchBank": "bank._bank",
        "Ternary": "switch._ternary",
        "TextBank": "routing._live",
        "activation_switch": "switch._ternary",
        "compress": "switch._compress",
        "compress_fitted": "fitting._compress",
        "export": "switch._export",
        "finetune": "models._finetune",
        "fit_knobs": "fitting._knobs",
        "kth_largest": "switch._select",
        "merge": "merging._merge",
        "merge_recipe": "merging._recipe",
        "minilm_folder": "models._models",
        "polarity_switch": "switch._ternary",
        "recalibrate": "bank._batch_norm",
        "switch_knob": "switch._ternary",
        "ternarise": "switch._ternary",
    },
)
