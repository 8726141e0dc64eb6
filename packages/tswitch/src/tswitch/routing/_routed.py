"""What a routed forward pass gives, and the pass that switches the model to one mixture after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tswitch.bank._bank import SwitchBank
from tswitch.bank._rows import main_tensor
from tswitch.routing._inputs import take


@dataclass(frozen=True)
class Routed:
    """What a routed forward pass gives, in the order of the inputs.

    Attributes:
        outputs: one tensor for each input, because heads differ in size.
        weights: (B, tasks) the switches' weights under which each output was made.
        heads: the task whose head made each output.
        reject: (B,) how far each input is from everything known; see `AutoSwitch.reject_scores`.
        forwards: forward passes that were needed, routing not counted.
        decoded: parameters that were decoded from two-bit codes for them, whether written into the model or not.
        seconds: of routing and answering together.
    """

    outputs: list[Tensor]
    weights: Tensor
    heads: list[str]
    reject: Tensor
    forwards: int
    decoded: int = 0
    seconds: float = 0.0

    @property
    def cost(self) -> str:
        """What the batch cost, in words."""
        passes = f"{self.forwards} forward pass{'es' * (self.forwards != 1)} for {len(self.outputs)} inputs"
        return f"{passes}, {self.decoded / 1e6:.1f} M parameters decoded, {self.seconds:.3f} s with routing"


def one_by_one(
    bank: SwitchBank, batch: Any, mixtures: Sequence[Mapping[str, float]], heads: Sequence[str]
) -> tuple[list[Tensor], int, int]:
    """(outputs by input, forward passes, parameters decoded): one switch for each distinct mixture."""
    outputs: list[Tensor | None] = [None] * len(mixtures)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, (mixture, head) in enumerate(zip(mixtures, heads, strict=True)):
        groups.setdefault((head, *mixture.items()), []).append(row)
    decoded = 0
    with torch.no_grad(), bank.use({}):  # the base comes back once, not after each group
        for (head, *mixture), rows in groups.items():
            chosen = take(batch, rows)
            bank.activate(dict(mixture), head=head)
            decoded += sum(bank.coded(task) for task, weight in mixture if weight)
            result = bank(chosen) if isinstance(chosen, Tensor) else bank(**chosen)
            for row, value in zip(rows, main_tensor(result), strict=True):
                outputs[row] = value
    return [output for output in outputs if output is not None], len(groups), decoded
