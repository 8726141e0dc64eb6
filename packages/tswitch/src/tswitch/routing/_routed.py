"""What a routed forward pass gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
