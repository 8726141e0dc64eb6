"""What a user writes; `tools/user_types.py` has `mypy --strict` read it."""

from pathlib import Path

from torch import nn
from tswitch import Switch, SwitchBank, compress

switch: Switch = compress("base", "tuned", Path("task"), alpha=0.6)
print(switch.density, switch.nbytes)
bank = SwitchBank(nn.Linear(3, 2))
bank.add("task", switch)
with bank.use({"task": 0.7}):
    weights: dict[str, float] = dict(bank.active)
